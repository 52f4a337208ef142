"""Source to frames: what ``--source`` names, opened.

    0, 2, /dev/video0, "Logitech"              a camera, by number, path or (part of) its name
    talk.mp4                                   a video file
    rtsp://... http://... https://... srt://   a stream
    screen, screen:X,Y,WxH                     the screen or a region of it
    demo                                       the bundled actor

How each is read stands in ``realtime.sources``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from realtime.clock import Clock
from realtime.errors import UsageError
from realtime.settings import CaptureSettings
from realtime.sources.base import Source, Stalled

__all__ = ["Source", "Stalled", "open_source"]

SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
CAMERA = re.compile(r"\d+|/dev/video\d+")


def open_source(text: str, settings: CaptureSettings, clock: Clock) -> Source:
    """Open what ``text`` names (the table above).

    Raises UsageError when it names nothing that can be a source, DeviceError when a camera or screen is missing or
    refuses, SourceError when a file or stream cannot be read.
    """
    from realtime.sources.shaped import ShapedSource, inner_settings, wants_shaping

    if wants_shaping(settings):
        return ShapedSource(_open(text, inner_settings(settings), clock), settings)
    return _open(text, settings, clock)


def _open(text: str, settings: CaptureSettings, clock: Clock) -> Source:
    """The source itself, before it is turned or brought to a size."""
    if text == "demo":
        from realtime.demo import open_demo

        return open_demo(settings)
    if text.partition(":")[0] == "screen":
        from realtime.sources.screen import open_screen

        return open_screen(text, settings, clock)
    if scheme := SCHEME.match(text):
        return _open_stream(text, scheme[1].lower(), settings, clock)
    return _open_local(text, settings, clock)


def _open_stream(url: str, scheme: str, settings: CaptureSettings, clock: Clock) -> Source:
    from realtime.sources.stream import SCHEMES, open_stream

    if scheme not in SCHEMES:
        raise UsageError(f"{scheme}:// is no kind of stream that can be read; wanted one of {', '.join(SCHEMES)}")
    return open_stream(url, settings, clock)


def _open_local(text: str, settings: CaptureSettings, clock: Clock) -> Source:
    """A file that exists, else a camera by its name; what is neither but looks like a path is a missing file."""
    if not text.strip():
        raise UsageError("the source is empty; wanted a camera, a video file, an address, screen or demo")
    path = Path(text).expanduser()
    looks_like_path = bool(path.suffix) or len(path.parts) > 1
    if CAMERA.fullmatch(text) or not (os.path.exists(path) or looks_like_path and not _is_camera(text)):
        from realtime.sources.camera import open_camera

        return open_camera(text, settings, clock)
    from realtime.sources.video_file import FileSource

    return FileSource(path, settings)


def _is_camera(text: str) -> bool:
    from realtime.cameras import find_camera, list_cameras

    return find_camera(text, list_cameras()) is not None

"""Where pictures go: what ``--output`` names, opened.

    virtual, virtual:NAME, virtual:/dev/videoN   a virtual camera
    talk.mp4, talk.mov, talk.mkv                 a video file
    window                                       a preview window
    page, page:PORT                              a page on this computer, for OBS's browser source; another
                                                 changes what is worn
    null                                         nowhere

Each kind stands in its own module.
"""

from __future__ import annotations

import os
from pathlib import Path

from realtime.errors import OutputError, UsageError
from realtime.outputs.base import Output
from realtime.settings import OutputSettings
from realtime.wardrobe import Wardrobe

__all__ = ["FORMATS", "Output", "open_output"]

FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
WANTED = "virtual, virtual:NAME, window, page, page:PORT, null, or a file that ends in .mp4, .mov or .mkv"


def open_output(
    text: str,
    size: tuple[int, int],
    fps: float,
    settings: OutputSettings,
    source_path: Path | None,
    wardrobe: Wardrobe | None = None,
) -> Output:
    """Open what ``text`` names (the table above), ready for pictures.

    size: width and height of every picture, in pixels.
    source_path: the file that the pictures come from, for its sound and so that it is never overwritten; else None.
    wardrobe: what can be worn, for outputs that let people choose.
    Raises UsageError when ``text`` names no output, DeviceError when a virtual camera or screen is missing,
    OutputError when the place cannot be written.
    """
    kind, _, detail = text.partition(":")
    if kind == "virtual":
        from realtime.outputs.virtual_camera import VirtualCamera

        return VirtualCamera(size, settings.fps or fps, detail or None, settings)
    if kind == "page":
        from realtime.outputs.page import PageOutput

        return PageOutput(size, detail, settings, wardrobe)
    if text == "window":
        from realtime.outputs.window import WindowOutput

        return WindowOutput(size)
    if text == "null":
        from realtime.outputs.null import NullOutput

        return NullOutput(size)
    return _open_file(text, size, fps, settings, source_path)


def _open_file(
    text: str, size: tuple[int, int], fps: float, settings: OutputSettings, source_path: Path | None
) -> Output:
    path = Path(text).expanduser()
    if text and os.path.isdir(path):
        raise OutputError(f"{text} is a folder; wanted a file in it, such as {path / 'avatar.mp4'}")
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{text!r} is no output; wanted {WANTED}")
    from realtime.outputs.video_file import VideoFile

    return VideoFile(path, FORMATS[path.suffix.lower()], size, fps, settings, source_path)

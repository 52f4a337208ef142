"""Video files: H.264 in MP4, MOV or Matroska, with the source's sound.

A recording must survive whatever ends it. While it runs, an MP4 or MOV is written in fragments of half a second, each
complete in itself and flushed at once; Matroska is written that way by nature. So a kill, a power cut or a full disk
leaves a file that plays up to the last fragment. An encoder without look-ahead and B-frames keeps nothing back either:
a picture that was sent is in the file's current fragment.

A clean close then copies the fragments, without encoding anew, into a regular MP4 with its index in front, which every
player and editor takes, and puts it in place in one step. Where that fails (no room for the copy), the fragmented file
stays: it is complete.
"""

from __future__ import annotations

import contextlib
import errno
import os
from fractions import Fraction
from pathlib import Path

import av

from realtime.errors import OutputError
from realtime.frames import Picture
from realtime.outputs.base import checked_pixels, even_pixels, even_size
from realtime.outputs.fragments import WRITE_ERRORS, cut_torn_end, defragment
from realtime.outputs.sound import SoundTrack, open_sound
from realtime.settings import OutputSettings

TIME_BASE = Fraction(1, 90_000)
# A picture of 1280x720 costs 10.6 ms of CPU at 2.3 Mbit/s; veryfast 14.8 ms at 1.8, ultrafast 7.5 ms at 3.6.
PRESET = "superfast"
KEYFRAME_S = 2
FRAGMENTED = {
    "movflags": "frag_keyframe+delay_moov+default_base_moof",
    "frag_duration": "500000",
    "flush_packets": "1",
    "max_interleave_delta": "1000000",
}
MATROSKA = {"flush_packets": "1", "cluster_time_limit": "500", "max_interleave_delta": "1000000"}
BT709 = 1
LIMITED_RANGE = 1
ACCURATE = 2 | 0x40000  # swscale's bilinear with accurate rounding: without it greys turn slightly yellow


class VideoFile:
    """A recording. Pictures keep the distances of their ``captured_ns``, so a variable frame rate stays one.

    With a ``source_path`` times count from 0, as the source's do; else from the first picture.
    Raises OutputError when the file cannot be written or is the source itself.
    """

    wants_pacing = False
    wants_stop = False

    def __init__(
        self,
        path: Path,
        container_format: str,
        size: tuple[int, int],
        fps: float,
        settings: OutputSettings,
        source_path: Path | None,
    ) -> None:
        self._path, self._format, self._size, self._fps = path, container_format, size, fps
        _check_place(path, source_path)
        self._start_ns = None if source_path is None else 0
        self._pts = -1
        self._recorded_s: float | None = None
        self._failure: str | None = None
        self._closed = False
        self._sound: SoundTrack | None = None
        self._container: av.container.OutputContainer | None = None
        try:
            self._begin(settings, source_path)
        except WRITE_ERRORS as error:
            raise self._failed(error) from None

    def describe(self) -> str:
        """Path, size, rate, format, and what becomes of the sound."""
        width, height = even_size(self._size)
        sound = f", {self._sound.description}" if self._sound is not None else ""
        return f"file {self._path}: {width}x{height} at {self._fps:.4g} fps, H.264{sound}"

    def send(self, picture: Picture) -> None:
        """Record one picture at its time. Raises OutputError when it cannot be written; what was recorded stays."""
        pixels = checked_pixels(picture, self._size)
        if self._failure is not None or self._container is None:
            raise OutputError(self._failure or f"{self._path} is closed; nothing more can be recorded")
        frame = av.VideoFrame.from_ndarray(even_pixels(pixels), format="bgr24")
        frame = frame.reformat(
            format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG", interpolation=ACCURATE
        )
        frame.pts, frame.time_base = self._next_pts(picture.captured_ns), TIME_BASE
        try:
            if self._sound is not None:
                self._sound.feed(frame.pts * TIME_BASE)
            self._container.mux(self._stream.encode(frame))
            self._recorded_s = float(frame.pts * TIME_BASE)
        except WRITE_ERRORS as error:
            raise self._failed(error) from None

    def close(self) -> None:
        """Finish the file; again does nothing. Raises OutputError when its end could not be written."""
        if self._closed:
            return
        self._closed = True
        container, self._container = self._container, None
        if container is None:  # an error has closed it already
            return
        try:
            container.mux(self._stream.encode(None))
            if self._sound is not None:
                self._sound.feed(self._pts * TIME_BASE + Fraction(1 / self._fps))
            container.close()
        except WRITE_ERRORS as error:
            self._container = container
            raise self._failed(error) from None
        finally:
            self._close_sound()
        self._finish()

    def _begin(self, settings: OutputSettings, source_path: Path | None) -> None:
        options = MATROSKA if self._format == "matroska" else FRAGMENTED
        self._container = av.open(f"file:{self._path}", mode="w", format=self._format, container_options=options)
        rate = Fraction(self._fps).limit_denominator(1001)
        quality = {"crf": str(settings.crf), "preset": PRESET, "tune": "zerolatency"}
        self._stream = self._container.add_stream("libx264", rate=rate, options=quality)
        self._stream.width, self._stream.height = even_size(self._size)
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.time_base = TIME_BASE
        context.gop_size = max(1, round(KEYFRAME_S * self._fps))
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED_RANGE
        if source_path is not None and settings.audio:
            self._sound = open_sound(source_path, self._container)
        self._container.start_encoding()

    def _next_pts(self, captured_ns: int) -> int:
        """The picture's time in units of ``TIME_BASE``; times that stand still or run backwards go on by one unit."""
        if self._start_ns is None:
            self._start_ns = captured_ns
        self._pts = max(round((captured_ns - self._start_ns) * 1e-9 / TIME_BASE), self._pts + 1)
        return self._pts

    def _failed(self, error: BaseException) -> OutputError:
        """Close what is there and put into words what happened, and what was saved."""
        container, self._container = self._container, None
        if container is not None:
            with contextlib.suppress(*WRITE_ERRORS):
                container.close()
        self._close_sound()
        reason = "the disk is full" if getattr(error, "errno", None) == errno.ENOSPC else _reason(error)
        self._failure = f"{self._path} cannot be written: {reason}"
        if self._recorded_s is not None:
            self._mend()
            self._failure += f"; about {self._recorded_s:.1f} s were saved and can be played"
        elif os.path.isfile(self._path) and not self._path.stat().st_size:
            self._path.unlink()
        self._failure += "; free some space or choose another output"
        return OutputError(self._failure)

    def _close_sound(self) -> None:
        if self._sound is not None:
            self._sound.close()

    def _mend(self) -> None:
        """Leave only whole fragments after a failure."""
        if self._format != "matroska" and os.path.isfile(self._path):
            with contextlib.suppress(OSError):
                cut_torn_end(self._path)

    def _finish(self) -> None:
        """Make a closed file a regular one; remove it when nothing was recorded."""
        if not os.path.isfile(self._path):
            return
        if self._recorded_s is None:
            self._path.unlink()
        elif self._format != "matroska":
            defragment(self._path.resolve(), self._format)


def _check_place(path: Path, source_path: Path | None) -> None:
    """Raise OutputError when a file cannot be written at ``path``; nothing that is there is changed."""
    if os.path.isdir(path):
        raise OutputError(f"{path} is a folder; wanted a file in it, such as {path / 'avatar.mp4'}")
    if not os.path.isdir(path.parent):
        raise OutputError(f"the folder {path.parent} does not exist; create it first, or choose another output")
    if (
        source_path is not None
        and os.path.exists(path)
        and os.path.exists(source_path)
        and os.path.samefile(path, source_path)
    ):
        raise OutputError(f"{path} is the source itself; choose another output")
    try:
        with open(path, "ab"):
            pass
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {_reason(error)}; choose another output") from None


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__).lower()

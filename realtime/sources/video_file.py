"""Video files: every frame, in the order of presentation, at the times that the file states."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import av

from realtime.errors import SourceError
from realtime.frames import Frame
from realtime.settings import CaptureSettings
from realtime.sources.pictures import bgr, capped, decoded, mirrored, upright_size

ONLY_FILES = {"protocol_whitelist": "file"}
MOST_FPS = 300  # more is a time base that was taken for a rate
USUAL_FPS = 30.0
STEP_NS = 1_000_000  # times that stand still or run backwards in a damaged file go on by this much


class FileSource:
    """A video file.

    Raises SourceError when the file is missing, unreadable, empty, no video, or has no picture that can be decoded.
    """

    live = False

    def __init__(self, path: Path, settings: CaptureSettings) -> None:
        self.path: Path | None = path
        self._name = str(path)
        self._settings = settings
        self._container = _opened(path)
        try:
            self._begin()
        except SourceError:
            self._container.close()
            raise

    def _begin(self) -> None:
        stream = picture_stream(self._container, self._name)
        stream.thread_type = "AUTO"
        self.fps = stated_fps(stream)
        self._pictures = _until_damage(decoded(self._container, stream))
        self._first = next(self._pictures, None)
        if self._first is None:
            raise SourceError(f"{self._name} has no picture that can be decoded; is the file complete?")
        self._own_size = upright_size(self._first)
        self.size = capped(self._own_size, self._settings)
        self._start = self._first.time
        self._frame_id = -1
        self._last_ns = -STEP_NS
        self._closed = False

    def describe(self) -> str:
        """Path, size, rate, and whether frames are scaled down."""
        line = f"file {self._name}: {self._own_size[0]}x{self._own_size[1]} at {self.fps:.4g} fps"
        return line if self.size == self._own_size else f"{line}, scaled down to {self.size[0]}x{self.size[1]}"

    def read(self) -> Frame | None:
        """The next frame, with its presentation time counted from the first; None at the end or once closed."""
        if self._closed:
            return None
        picture, self._first = self._first or next(self._pictures, None), None
        if picture is None:
            return None
        self._frame_id += 1
        self._last_ns = max(self._time_ns(picture), self._last_ns + STEP_NS)
        return Frame(self._frame_id, self._last_ns, mirrored(bgr(picture, self.size), self._settings))

    def close(self) -> None:
        """Close the file; again does nothing."""
        if not self._closed:
            self._closed = True
            self._container.close()

    def _time_ns(self, picture: av.VideoFrame) -> int:
        if picture.time is None or self._start is None:
            return 0 if self._frame_id == 0 else self._last_ns + round(1e9 / self.fps)
        return round((picture.time - self._start) * 1e9)


def stated_fps(stream: av.VideoStream) -> float:
    """The stream's mean rate in frames per second, or 30 where it states none that is likely."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0 < rate <= MOST_FPS:
            return float(rate)
    return USUAL_FPS


def picture_stream(container: av.container.InputContainer, name: str) -> av.VideoStream:
    """The first video track that is not a cover picture. Raises SourceError when there is none."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    tracks = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    raise SourceError(f"{name} has no video track (it has: {tracks}); wanted a video")


def _opened(path: Path) -> av.container.InputContainer:
    """The file opened for reading. Raises SourceError with the reason in one line."""
    if os.path.isdir(path):
        raise SourceError(f"{path} is a folder; wanted a video file")
    try:
        if not os.path.getsize(path):
            raise SourceError(f"{path} is empty; wanted a video file")
        # With "file:" a name such as "a:b.mp4" is not taken for an address, and a playlist cannot lead elsewhere.
        return av.open(f"file:{path}", mode="r", container_options=ONLY_FILES, metadata_errors="replace")
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist; wanted a video file, or --source demo") from None
    except PermissionError:
        raise SourceError(f"{path} cannot be read: permission denied; check its rights and its folder's") from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise SourceError(f"{path} is not a readable video ({reason_of(error)}); is the file complete?") from None


def reason_of(error: BaseException) -> str:
    """An FFmpeg or system error in a few words, without the path."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _until_damage(pictures: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """``pictures`` up to where the file cannot be read any further."""
    try:
        yield from pictures
    except (av.error.FFmpegError, OSError):
        return

"""Small real video files for the tests of sources and outputs, and the means to look into files that were written."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

QUADRANTS = ((40, 40, 200), (40, 200, 40), (200, 40, 40), (200, 200, 200))  # BGR: red, green, blue, white


def quadrants(width: int, height: int) -> np.ndarray:
    """uint8 BGR [height, width, 3]: red and green above, blue and white below, so that up and left can be told."""
    pixels = np.zeros((height, width, 3), np.uint8)
    rows, columns = slice(0, (height + 1) // 2), slice(0, (width + 1) // 2)
    pixels[:] = QUADRANTS[3]
    pixels[rows, :] = QUADRANTS[1]
    pixels[:, columns] = QUADRANTS[2]
    pixels[rows, columns] = QUADRANTS[0]
    return pixels


def corners(pixels: np.ndarray) -> np.ndarray:
    """The colours in the middle of the four quadrants: [4, 3] in reading order."""
    height, width = pixels.shape[:2]
    ys, xs = (height // 4, height - 1 - height // 4), (width // 4, width - 1 - width // 4)
    return np.array([pixels[y, x] for y in ys for x in xs], np.int64)


def grey(width: int, height: int, value: int) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def write_clip(
    path: Path,
    pictures: Sequence[np.ndarray],
    fps: float = 30,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    times_s: Sequence[float] | None = None,
    sound: np.ndarray | None = None,
    sound_codec: str = "aac",
    sound_start_s: float = 0,
    options: dict[str, str] | None = None,
) -> Path:
    """Write ``pictures`` (BGR or BGRA) at ``times_s``, or evenly; ``sound`` is float32 [samples] at 48 kHz."""
    quality = {"crf": "12", "preset": "ultrafast"} if codec == "libx264" else {}
    times = times_s if times_s is not None else [index / fps for index in range(len(pictures))]
    with av.open(str(path), "w", container_options=options or {}) as container:
        stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=quality)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, round(fps) * 1000)
        audio = None
        if sound is not None:
            audio = container.add_stream(sound_codec, rate=48000)
            audio.layout = "mono"
        for pixels, time_s in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="bgra" if pixels.shape[2] == 4 else "bgr24")
            frame = frame.reformat(format=pix_fmt)
            frame.pts, frame.time_base = round(time_s * round(fps) * 1000), stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None:
            frame = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.time_base = 48000, Fraction(1, 48000)
            frame.pts = round(48000 * sound_start_s)
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path


def write_sound(path: Path, seconds: float = 1.0) -> Path:
    """A file with sound and no pictures."""
    with av.open(str(path), "w") as container:
        audio = container.add_stream("aac", rate=48000)
        audio.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, round(48000 * seconds)), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return path


@dataclass
class Written:
    """What a file holds: picture times in seconds, pictures BGR, sound float32 with its first time."""

    size: tuple[int, int]
    times_s: list[float]
    pictures: list[np.ndarray]
    sound: np.ndarray
    sound_start_s: float
    rate: int
    duration_s: float

    def flash_s(self) -> float:
        """When the pictures turn bright."""
        return next(time for time, pixels in zip(self.times_s, self.pictures, strict=True) if pixels.mean() > 128)

    def click_s(self) -> float:
        """When the sound becomes loud."""
        return self.sound_start_s + int(np.argmax(np.abs(self.sound) > 0.25)) / self.rate


def read_back(path: Path, most: int | None = None) -> Written:
    """The first ``most`` pictures of a file, or all, and its whole sound."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        frames = list(itertools.islice(container.decode(video), most))
        duration_s = float((container.duration or 0) / av.time_base)
        size = (video.width, video.height)
    sound, start_s, rate = np.zeros(0, np.float32), 0.0, 48000
    with av.open(str(path)) as container:
        if container.streams.audio:
            parts = list(container.decode(container.streams.audio[0]))
            sound = np.concatenate([part.to_ndarray()[0].astype(np.float32) for part in parts])
            start_s, rate = float(parts[0].time), parts[0].sample_rate
    times = [float(frame.time) for frame in frames]
    return Written(
        size, times, [frame.to_ndarray(format="bgr24") for frame in frames], sound, start_s, rate, duration_s
    )


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Without the rights of root, which may read and write anything."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)

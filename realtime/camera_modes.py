"""What a camera can deliver, and which of it suits best."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

FORMATS = ("MJPG", "JPEG", "NV12", "YUYV", "UYVY")  # MJPG first: raw formats fill the USB bus above 640x480


@dataclass(frozen=True, slots=True)
class Mode:
    """One way a camera can deliver pictures: size in pixels, most frames per second, pixel format (fourcc)."""

    width: int
    height: int
    fps: float
    fourcc: str


def best_mode(modes: Iterable[Mode], width: int, height: int, fps: float) -> Mode | None:
    """The mode nearest to ``width`` x ``height`` at ``fps``; None when there are none.

    A mode costs the logarithm of how far its sides are off, twice that of the frames it lacks, and a little for
    frames too many and for formats later in ``FORMATS``.
    """

    def cost(mode: Mode) -> float:
        sides = abs(math.log(mode.width / width)) + abs(math.log(mode.height / height))
        rate = math.log(mode.fps / fps)
        rank = FORMATS.index(mode.fourcc) if mode.fourcc in FORMATS else len(FORMATS)
        return sides + (2 * -rate if rate < 0 else 0.05 * rate) + 0.02 * rank

    usable = [mode for mode in modes if mode.width > 0 and mode.height > 0 and mode.fps > 0]
    return min(usable, key=cost, default=None)

"""A source turned, brought to a wanted size and mirrored, in this order: what is upright is mirrored, not what lies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from realtime.frames import Frame, Pixels
from realtime.settings import CaptureSettings
from realtime.sources.base import Source, Stalled
from realtime.sources.pictures import Size, fitted, mirrored

TURNS = {"90": cv2.ROTATE_90_CLOCKWISE, "180": cv2.ROTATE_180, "270": cv2.ROTATE_90_COUNTERCLOCKWISE}


def wants_shaping(settings: CaptureSettings) -> bool:
    """Whether a source must be turned or brought to a size."""
    return settings.rotate != "0" or settings.fit != "keep"


def inner_settings(settings: CaptureSettings) -> CaptureSettings:
    """What the source itself is asked for: not mirrored yet, and lying on its side when it will be turned upright."""
    width, height = settings.width, settings.height
    if settings.rotate in ("90", "270"):
        width, height = max(width, height), min(width, height)
    return replace(settings, width=width, height=height, mirror=False, rotate="0", fit="keep")


class ShapedSource:
    """``source`` as the settings want it; in everything else it is that source.

    rotate turns clockwise by its degrees. fit: letterbox shows the whole picture with black bars, crop fills the size
    and cuts what does not fit, the same on both sides; keep leaves the size.
    """

    def __init__(self, source: Source, settings: CaptureSettings) -> None:
        self._source, self._settings = source, settings
        self._turn = TURNS.get(settings.rotate)
        self._upright = source.size[::-1] if settings.rotate in ("90", "270") else source.size
        self.size: Size = self._upright if settings.fit == "keep" else (settings.width, settings.height)

    @property
    def fps(self) -> float:
        """As the source states it."""
        return self._source.fps

    @property
    def live(self) -> bool:
        """Whether time passes by itself."""
        return self._source.live

    @property
    def path(self) -> Path | None:
        """The file that is read, or None."""
        return self._source.path

    def describe(self) -> str:
        """What the source says, and what is done to it."""
        turned = f", turned by {self._settings.rotate} degrees" if self._turn is not None else ""
        width, height = self.size
        done = {"letterbox": "fitted into", "crop": "cropped to"}.get(self._settings.fit, "")
        return self._source.describe() + turned + (f", {done} {width}x{height}" if self.size != self._upright else "")

    def read(self) -> Frame | Stalled | None:
        """The source's next frame, shaped."""
        frame = self._source.read()
        return replace(frame, pixels=self._shaped(frame.pixels)) if isinstance(frame, Frame) else frame

    def close(self) -> None:
        """Release the source."""
        self._source.close()

    def _shaped(self, pixels: Pixels) -> Pixels:
        if self._turn is not None:
            pixels = np.asarray(cv2.rotate(pixels, self._turn), np.uint8)
        if self._settings.fit == "crop":
            pixels = cropped(pixels, self.size)
        return mirrored(fitted(pixels, self.size), self._settings)


def cropped(pixels: Pixels, size: Size) -> Pixels:
    """The largest middle part of ``pixels`` [height, width, 3] with the proportions of ``size``, scaled to it."""
    height, width = pixels.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    part = min(width, round(size[0] / scale)), min(height, round(size[1] / scale))
    left, top = (width - part[0]) // 2, (height - part[1]) // 2
    middle = pixels[top : top + part[1], left : left + part[0]]
    if part == size:
        return np.ascontiguousarray(middle)
    flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(middle, size, interpolation=flags), np.uint8)

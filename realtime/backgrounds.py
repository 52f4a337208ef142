"""What stands behind an avatar when it is not the camera's picture: a colour or a picture file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from realtime.errors import UsageError
from realtime.frames import Pixels

GREEN_BGR = (64, 177, 0)  # chroma key, #00b140
NEUTRAL_BGR = (64, 52, 46)  # where a plain colour is needed and the background is a picture or the camera

Colour = tuple[int, int, int]
Size = tuple[int, int]


class Background:
    """A background by its text: a colour ``#rrggbb``, ``green``, ``blur`` (here a colour: the camera is not) or a path.

    Raises UsageError for any other text and for files that are no picture.
    """

    def __init__(self, text: str) -> None:
        named = {"green": GREEN_BGR, "blur": NEUTRAL_BGR}
        is_path = text not in named and not text.startswith("#")
        self._picture = _read(text) if is_path else None
        self._colour = NEUTRAL_BGR if is_path else named.get(text) or _colour(text)
        self._fitted: Pixels | None = None

    def plain(self, size: Size) -> Pixels:
        """The colour, uint8 BGR [height, width, 3] for ``size`` = (width, height); the caller's own."""
        return np.full((size[1], size[0], 3), self._colour, np.uint8)

    def picture(self, size: Size) -> Pixels:
        """The picture, or the colour where there is none: uint8 BGR [height, width, 3]; the caller's own."""
        if self._picture is None:
            return self.plain(size)
        if self._fitted is None or self._fitted.shape[:2] != (size[1], size[0]):
            self._fitted = filled(self._picture, size)
        return self._fitted.copy()


def filled(picture: Pixels, size: Size) -> Pixels:
    """A picture scaled and cut evenly so that it fills ``size`` = (width, height)."""
    height, width = picture.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    large = (max(size[0], round(width * scale)), max(size[1], round(height * scale)))
    left, top = (large[0] - size[0]) // 2, (large[1] - size[1]) // 2
    scaled = cv2.resize(picture, large, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return np.asarray(scaled[top : top + size[1], left : left + size[0]], np.uint8).copy()


def _colour(text: str) -> Colour:
    digits = text[1:]
    if len(digits) != 6 or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
        raise UsageError(f"background {text!r} is no colour; write six hexadecimal digits, such as #2e3440")
    red, green, blue = bytes.fromhex(digits)
    return blue, green, red


def _read(text: str) -> Pixels:
    path = Path(text).expanduser()
    if not path.is_file():
        raise UsageError(f"background {text!r} is no file; wanted a colour (#2e3440), green, blur or a picture's path")
    data = np.fromfile(path, np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if picture is None:
        raise UsageError(f"background {text!r} is not a picture that can be read; use a PNG or JPEG file")
    return np.asarray(picture, np.uint8)

"""A run on one picture: frames of the input, each beside its output, in the order of time.

It shows the camera's frames, so it is made only when it is asked for.
"""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np

from realtime.errors import OutputError
from realtime.frames import Frame, Picture, Pixels

CELLS = 12  # pairs on the sheet
COLUMNS = 3  # pairs in a row
HEIGHT_PX = 180
GAP_PX = 6
PAPER = 32


class ContactSheet:
    """Takes frames and pictures as they come and keeps evenly spaced ones; how many will come need not be known.

    It keeps every ``step``-th pair; whenever twice as many are held as the sheet has room for, every other one is
    forgotten and the step doubles.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pairs: list[Pixels] = []
        self._step, self._seen = 1, 0

    def add(self, frame: Frame, picture: Picture) -> None:
        """See one pair."""
        if self._seen % self._step == 0:
            self._pairs.append(np.hstack([_scaled(frame.pixels), _scaled(picture.pixels)]))
            if len(self._pairs) == 2 * CELLS:
                self._pairs = self._pairs[::2]
                self._step *= 2
        self._seen += 1

    def save(self) -> None:
        """Write the sheet as PNG; nothing when no frame came. Raises OutputError when it cannot be written."""
        if not self._pairs:
            return
        done, encoded = cv2.imencode(".png", self._sheet())
        try:
            if not done:
                raise OSError("OpenCV could not encode it")
            self._path.write_bytes(encoded.tobytes())
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(f"cannot write the contact sheet to {self._path}: {reason}; give another path") from error

    def _sheet(self) -> Pixels:
        count = min(CELLS, len(self._pairs))
        chosen = [self._pairs[index] for index in np.linspace(0, len(self._pairs) - 1, count).round().astype(int)]
        width = max(pair.shape[1] for pair in chosen)
        columns = min(COLUMNS, count)
        rows = math.ceil(count / columns)
        sheet = np.full((rows * (HEIGHT_PX + GAP_PX) + GAP_PX, columns * (width + GAP_PX) + GAP_PX, 3), PAPER, np.uint8)
        for index, pair in enumerate(chosen):
            top = GAP_PX + index // columns * (HEIGHT_PX + GAP_PX)
            left = GAP_PX + index % columns * (width + GAP_PX)
            sheet[top : top + HEIGHT_PX, left : left + pair.shape[1]] = pair
        return sheet


def _scaled(pixels: Pixels) -> Pixels:
    width = max(1, round(pixels.shape[1] * HEIGHT_PX / pixels.shape[0]))
    width = min(width, 4 * HEIGHT_PX)  # a strip of pixels stays a picture
    return np.asarray(cv2.resize(pixels, (width, HEIGHT_PX), interpolation=cv2.INTER_AREA), np.uint8)

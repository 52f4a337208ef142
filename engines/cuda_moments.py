"""What a frame brings besides its pixels, and where the GPU finds it: one row of numbers a face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.cuda_codes import MOST_EDITS
from kernels.paste_face import NUMBERS, Place

Transform = npt.NDArray[np.float64]
MOST_CORNERS = 478
PLACE, PERSON = 6, 6 + NUMBERS  # where they lie in a row, after the crop's six
STEP_S, FRESH, NEW, STRENGTHS = (PERSON + k for k in (1, 2, 3, 4))
OUTLINE = STRENGTHS + MOST_EDITS
CODES = OUTLINE + 2 * MOST_CORNERS


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """What a face of a frame brings.

    crop: float64 [2, 3], crop pixels to frame pixels. place: where the portrait goes in the canvas.
    outline: float [corners, 2], the face's, convex, in the canvas's pixels.
    step_s: since the last frame. fresh: nothing of the frames before is blended in. new_face: the encoder starts anew.
    strengths: of the edits, in their order. person: whose memory is used, from 0.
    """

    crop: Transform
    place: Place
    outline: npt.NDArray[Any]
    step_s: float = 0.0
    fresh: bool = True
    new_face: bool = True
    strengths: Sequence[float] = ()
    person: int = 0

    def check(self, canvas: Sequence[int], edits: int, people: int) -> None:
        """Raise ValueError where it does not fit a canvas of height and width, the edits, or the room for people."""
        left, top, width, height = self.place.box
        inside = left >= 0 and top >= 0 and width > 0 and height > 0
        if not inside or left + width > canvas[1] or top + height > canvas[0]:
            raise ValueError(f"the box {self.place.box} leaves a canvas of {list(canvas[:2])}")
        if not 3 <= len(self.outline) <= MOST_CORNERS or len(self.strengths) != edits:
            got = f"{len(self.outline)} corners, {len(self.strengths)} strengths"
            raise ValueError(f"the moment has {got}; wanted 3 to {MOST_CORNERS}, {edits}")
        if not 0 <= self.person < people:
            raise ValueError(f"person {self.person} is unknown; wanted 0 to {people - 1}")

    def write(self, row: npt.NDArray[np.float32]) -> None:
        """Fill a face's row."""
        numbers = [*self.crop.reshape(-1), *self.place.numbers(), self.person, self.step_s, self.fresh, self.new_face]
        row[: len(numbers) + len(self.strengths)] = [*numbers, *self.strengths]
        row[OUTLINE : OUTLINE + 2 * len(self.outline)] = self.outline.reshape(-1)


def no_face(person: int, strengths: int) -> Moment:
    """A stream's moment without a face: nothing is drawn, and the next face there starts anew."""
    nowhere = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    place = Place((1, 0, 0, 0, 1, 0), (0, 0, 0, 0), 1.0, 3, 0, 64, 1.0)
    return Moment(nowhere, place, np.zeros((3, 2)), strengths=[0.0] * strengths, person=person)

"""Where the bundled generator is told to draw: tracked points and pose, without FaceMesh in between.

The spatial motion code (``engines/spatial_code.py``) begins with a soft dot for each tracked point of the drawn head,
in the order of ``tools/face_world/head.h``. A Gaussian's logarithm is a parabola, so three grid values along each axis
give the dot's place exactly.

The figures are those of ``tools/figures.py`` as far as these points have them; left and right are the person's:

    brow left, right   middle of the brow to the upper lid, over the distance of the outer eye corners
    yaw, pitch, roll   of the motion code, as a real head's (:data:`realtime.encoding.LEVELLED`)
"""

from __future__ import annotations

import numpy as np

from engines.motion import POSE, columns
from realtime.alignment import rotation_of, yaw_pitch_roll
from realtime.encoding import LEVELLED
from realtime.frames import Floats
from tools.figures import Series

POINTS = 44
SIDE = 17  # points of one side of the face; those of the picture's left come first
UPPER_LID, OUTER_CORNER, BROW = 1, 7, 9
DRAWN = ("brow left", "brow right", "yaw", "pitch", "roll")
_FAINT = 1e-3  # a dot whose highest value is below this lies outside the picture


def places(code: Floats) -> Series:
    """The points of a spatial motion code, float32 [1, channels, s, s]: float64 [44, 2] in picture widths from its
    middle, x to the right and y up; NaN for a point outside the picture."""
    dots = code[0, :POINTS].astype(np.float64)
    size = dots.shape[-1]
    found = np.full((POINTS, 2), np.nan)
    for point, dot in enumerate(dots):
        row, column = (int(v) for v in np.unravel_index(dot.argmax(), dot.shape))
        if dot.max() < _FAINT or not (0 < row < size - 1 and 0 < column < size - 1):
            continue
        across = column + _peak(dot[row, column - 1 : column + 2])
        down = row + _peak(dot[row - 1 : row + 2, column])
        found[point] = (across + 0.5) / size - 0.5, 0.5 - (down + 0.5) / size
    return found


def _peak(three: Series) -> float:
    """Where a Gaussian with these neighbouring values has its top, from the middle one."""
    before, here, after = np.log(np.maximum(three, 1e-30))
    return float((after - before) / (2 * (2 * here - before - after)))


def drawn_figures(code: Floats, motion: Floats) -> Series:
    """The figures DRAWN of one frame: float64 [5], angles in radians. motion: the code's own, float32 [motion]."""
    points = places(code)
    left, right = points[SIDE : 2 * SIDE], points[:SIDE]  # the person's left is the picture's right
    span = np.linalg.norm(left[OUTER_CORNER] - right[OUTER_CORNER])
    brows = [np.linalg.norm(side[BROW] - side[UPPER_LID]) / span for side in (left, right)]
    turn = rotation_of(*(float(angle) for angle in motion[list(columns(POSE))]))
    return np.array([*brows, *yaw_pitch_roll(turn @ LEVELLED.T)])

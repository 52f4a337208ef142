"""The motion code of the bundled models: what each of its numbers means.

The names and their order are those of ``tools/face_world/params.h``; ``_l`` and ``_r`` are left and right in the
picture. Angles are radians (see ``realtime.frames.Crop.rotation``: yaw turns the nose to the picture's right, pitch
down, roll counter-clockwise), eyes are 0 closed, 1 open, 1.3 wide, the others 0..1 or -1..1 around a drawn face at
rest.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MOTION: tuple[str, ...] = (
    *("yaw", "pitch", "roll", "jaw_open", "mouth_wide", "corner_l", "corner_r", "lip_upper", "lip_lower"),
    *("tongue", "cheek_puff", "mouth_shift", "eye_l", "eye_r", "squint_l", "squint_r"),
    *("brow_l", "brow_r", "furrow", "gaze_x", "gaze_y"),
)
# Brows rest as near to the eyes as a person's, nearer than those of the face world (docs/decisions/0102).
BROWS_AT_REST = -0.55
AT_REST: dict[str, float] = {
    **dict.fromkeys(MOTION, 0.0),
    "eye_l": 1.0,
    "eye_r": 1.0,
    "brow_l": BROWS_AT_REST,
    "brow_r": BROWS_AT_REST,
}
LIMITS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(MOTION, (-1.0, 1.0)),
    **dict.fromkeys(("jaw_open",), (0.0, 1.1)),
    **dict.fromkeys(("lip_upper", "lip_lower", "tongue", "cheek_puff", "squint_l", "squint_r", "furrow"), (0.0, 1.0)),
    **dict.fromkeys(("eye_l", "eye_r"), (0.0, 1.3)),
    **dict.fromkeys(("yaw",), (-0.95, 0.95)),
    **dict.fromkeys(("pitch", "roll"), (-0.6, 0.6)),
}
# How far the points of the drawn face move per unit, in picture sides: RMS over the 34 of them that come in pairs, read
# off the spatial motion code (tools/drawn_places.py) around the mean face of ten clips.
REACH: dict[str, float] = {
    **dict(yaw=0.230, pitch=0.231, roll=0.172, jaw_open=0.0214, mouth_wide=0.0101, corner_l=0.0089, corner_r=0.0089),
    **dict(lip_upper=0.0036, lip_lower=0.0035, tongue=0.0006, cheek_puff=0.0005, mouth_shift=0.0148),
    **dict(eye_l=0.0130, eye_r=0.0130, squint_l=0.0031, squint_r=0.0031),
    **dict(brow_l=0.0094, brow_r=0.0094, furrow=0.0053, gaze_x=0.0081, gaze_y=0.0068),
}
POSE = ("yaw", "pitch", "roll")
EYES = ("eye_l", "eye_r", "squint_l", "squint_r", "gaze_x", "gaze_y")
MOUTH = (
    "jaw_open",
    "mouth_wide",
    "corner_l",
    "corner_r",
    "lip_upper",
    "lip_lower",
    "tongue",
    "cheek_puff",
    "mouth_shift",
)
BROWS = ("brow_l", "brow_r", "furrow")


def brows(raised: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The numbers of brows that are raised by so much from rest, -1 to 1, or lowered as far as is left below it."""
    by = np.asarray(raised, np.float64)
    return BROWS_AT_REST + np.where(by < 0, (1 + BROWS_AT_REST) * by, by)


def columns(names: tuple[str, ...]) -> tuple[int, ...]:
    """Where the named numbers stand in the motion code. Raises ValueError for an unknown name."""
    return tuple(MOTION.index(name) for name in names)

"""The motion code of the bundled models: what each of its numbers means.

The names and their order are those of ``tools/face_world/params.h``; ``_l`` and ``_r`` are left and right in the
picture. Angles are radians (see ``realtime.frames.Crop.rotation``: yaw turns the nose to the picture's right, pitch
down, roll counter-clockwise), eyes are 0 closed, 1 open, 1.3 wide, the others 0..1 or -1..1 around a face at rest.
"""

from __future__ import annotations

MOTION: tuple[str, ...] = (
    *("yaw", "pitch", "roll", "jaw_open", "mouth_wide", "corner_l", "corner_r", "lip_upper", "lip_lower"),
    *("tongue", "cheek_puff", "mouth_shift", "eye_l", "eye_r", "squint_l", "squint_r"),
    *("brow_l", "brow_r", "furrow", "gaze_x", "gaze_y"),
)
AT_REST: dict[str, float] = {**dict.fromkeys(MOTION, 0.0), "eye_l": 1.0, "eye_r": 1.0}
LIMITS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(MOTION, (-1.0, 1.0)),
    **dict.fromkeys(("jaw_open",), (0.0, 1.1)),
    **dict.fromkeys(("lip_upper", "lip_lower", "tongue", "cheek_puff", "squint_l", "squint_r", "furrow"), (0.0, 1.0)),
    **dict.fromkeys(("eye_l", "eye_r"), (0.0, 1.3)),
    **dict.fromkeys(("yaw",), (-0.95, 0.95)),
    **dict.fromkeys(("pitch", "roll"), (-0.6, 0.6)),
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


def columns(names: tuple[str, ...]) -> tuple[int, ...]:
    """Where the named numbers stand in the motion code. Raises ValueError for an unknown name."""
    return tuple(MOTION.index(name) for name in names)

"""Made-up faces with known figures, for the tests of expression and encoding."""

from __future__ import annotations

import numpy as np

from realtime.expression import USUAL


def head_points(**changes: float) -> np.ndarray:
    """Landmarks float64 [478, 3] in the head's frame (x right, y up, z to the camera) with the usual figures, but for
    ``changes``. The outer eye corners are 1 apart, the eyes 0.3 wide."""
    f = {**USUAL, **changes}
    p = np.random.default_rng(0).normal(0, 0.3, (478, 3))
    p[33], p[133], p[362], p[263] = (-0.5, 0, 0), (-0.2, 0, 0.1), (0.2, 0, 0.1), (0.5, 0, 0)
    eye = float(np.hypot(0.3, 0.1))
    for side, x, (upper, lower, iris) in (("l", -0.35, (159, 145, 468)), ("r", 0.35, (386, 374, 473))):
        low = f[f"lower_lid_{side}"]
        p[lower], p[upper] = (x, low, 0.1), (x, low + f[f"lid_{side}"] * eye, 0.1)
        p[iris] = (x + f["gaze_x"] * eye, f["gaze_y"] * eye, 0.1)
    for side, brow in (("l", (105, 66, 63)), ("r", (334, 296, 293))):
        p[list(brow), 1] = f[f"brow_{side}"] + np.array([-0.02, 0.0, 0.02])
    p[107, 0], p[336, 0] = -f["brows_apart"] / 2, f["brows_apart"] / 2
    p[2] = (0.0, -0.45, 0.3)
    p[61] = (f["shift"] - f["width"] / 2, -0.45 + f["corner_l"], 0.05)
    p[291] = (f["shift"] + f["width"] / 2, -0.45 + f["corner_r"], 0.05)
    p[13] = (0.0, -0.45 + f["upper"], 0.2)
    p[14] = (0.0, -0.45 + f["upper"] - f["gap"], 0.2)
    return p


def seen(
    points: np.ndarray,
    rotation: np.ndarray | None = None,
    scale: float = 150.0,
    place: tuple[float, ...] = (320, 240, 0),
) -> np.ndarray:
    """The landmarks float32 [478, 3] of a head that is turned by ``rotation``, in frame pixels."""
    turn = np.eye(3) if rotation is None else rotation
    return (points @ turn.T * (scale, -scale, -scale) + place).astype(np.float32)

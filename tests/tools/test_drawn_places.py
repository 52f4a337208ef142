"""The points read off the spatial motion code are those that were drawn into it."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from engines import bundled
from engines.motion import AT_REST, MOTION
from realtime.alignment import rotation_of
from realtime.encoding import pose
from tools.drawn_places import BROW, OUTER_CORNER, POINTS, SIDE, UPPER_LID, drawn_figures, places


def motion(**changes: float) -> np.ndarray:
    return np.array([{**AT_REST, **changes}[name] for name in MOTION], np.float32)


def dots(points: np.ndarray, size: int = 32) -> np.ndarray:
    """Soft dots at points -1..1, y up, as the spatial motion code has them: float32 [1, points, size, size]."""
    axis = (np.arange(size) + 0.5) / size * 2 - 1
    dx2, dy2 = (axis - points[:, :1]) ** 2, (-axis - points[:, 1:2]) ** 2
    return np.exp(-(dy2[:, :, None] + dx2[:, None]) / (2 * 0.06**2))[None].astype(np.float32)


def test_places_are_read_between_grid_points() -> None:
    points = np.random.default_rng(1).uniform(-0.8, 0.8, (POINTS, 2))
    np.testing.assert_allclose(places(dots(points)), points / 2, atol=1e-4)


def test_a_point_outside_the_picture_is_not_a_number() -> None:
    points = np.zeros((POINTS, 2))
    points[3] = 2.0
    found = places(dots(points))
    assert np.isnan(found[3]).all() and np.isfinite(found[2]).all()


def test_the_points_are_those_of_the_face_world(face_world: ModuleType) -> None:
    from tools.face_world.sampling import plain

    drawn = face_world.points(plain())[0][0]
    up, right = drawn[:, 1], drawn[SIDE : 2 * SIDE]
    assert up[BROW] > up[UPPER_LID] > up[OUTER_CORNER]
    eye = slice(0, OUTER_CORNER + 1)
    assert right[eye, 0].argmax() == OUTER_CORNER and drawn[eye, 0].argmin() == OUTER_CORNER
    raised = face_world.points(plain(brow_l=1.0))[0][0]
    assert set(np.flatnonzero(raised[:, 1] - up > 0.01)) == {BROW - 1, BROW, BROW + 1}


def test_a_raised_brow_and_a_turn_are_seen_in_the_bundled_model() -> None:
    model = bundled.load("toon")
    w = np.zeros((1, 256), np.float32)

    def seen(**changes: float) -> np.ndarray:
        code = motion(**changes)
        return drawn_figures(model.drawer.motion_code.infer(w, code[None])[0], code)

    rest, raised = seen(), seen(brow_r=0.8)
    assert raised[0] > rest[0] + 0.03 and raised[1] == pytest.approx(rest[1], abs=0.02)
    still = np.zeros(len(MOTION) - 3)
    turned = pose(rotation_of(0.3, 0.1, -0.2), still)  # a real head's pose, as the drawn head takes it
    changes = dict(zip(("yaw", "pitch", "roll"), (float(angle) for angle in turned), strict=True))
    np.testing.assert_allclose(seen(**changes)[2:], [0.3, 0.1, -0.2], atol=1e-6)

"""How thick brows are, on pictures in which it is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from realtime.brows import brow_thickness, drawn_thickness

SIZE, SPAN = 256, 100.0
LEFT_UP, LEFT_LOW = (107, 66, 105, 63), (55, 65, 52, 53)  # FaceMesh, from the nose outwards
RIGHT_UP, RIGHT_LOW = (336, 296, 334, 293), (285, 295, 282, 283)


def face(turn: float = 0.0, span: float = SPAN) -> np.ndarray:
    """Landmarks [478, 3]: outer eye corners ``span`` apart, brows above them whose edges FaceMesh has 0.06 apart."""
    points = np.zeros((478, 3))
    points[33, :2], points[263, :2] = (-0.5, 0.0), (0.5, 0.0)
    for side, up, low in ((-1, LEFT_UP, LEFT_LOW), (1, RIGHT_UP, RIGHT_LOW)):
        for number, x in enumerate((0.14, 0.22, 0.31, 0.40)):
            points[up[number], :2], points[low[number], :2] = (side * x, -0.26), (side * x, -0.20)
    c, s = np.cos(turn), np.sin(turn)
    points[:, :2] = points[:, :2] @ np.array([[c, s], [-s, c]]) * span + SIZE / 2
    return points


def picture(
    thick: float, *, depth: float = 30.0, soft: float = 0.6, turn: float = 0.0, shade: float = 0.0, span: float = SPAN
) -> np.ndarray:
    """Lightness [256, 256]: skin of 70 with brows so thick; ``shade``: how dark the eyes' sockets below them are."""
    scale = 4  # drawn larger, for edges between pixels
    drawn = np.full((SIZE * scale, SIZE * scale), 70.0, np.float32)
    up, low = (np.array([(-0.23 + sign * thick / 2)]) for sign in (-1, 1))
    x, y = np.meshgrid(*[(np.arange(SIZE * scale) + 0.5) / scale - 0.5] * 2)
    x, y = ((x - SIZE / 2) / span, (y - SIZE / 2) / span)
    c, s = np.cos(turn), np.sin(turn)
    x, y = x * c + y * s, y * c - x * s
    beside = (np.abs(x) > 0.10) & (np.abs(x) < 0.46)
    drawn[beside & (y > low) & (y < 0.1)] -= shade
    drawn[beside & (y > up) & (y <= low)] -= depth
    return cv2.GaussianBlur(cv2.resize(drawn, (SIZE, SIZE), interpolation=cv2.INTER_AREA), (0, 0), soft).astype(float)


@pytest.mark.parametrize("thick", [0.05, 0.08, 0.12])
@pytest.mark.parametrize("turn", [0.0, 0.3])
def test_brows_are_as_thick_as_they_are(thick: float, turn: float) -> None:
    assert brow_thickness(picture(thick, turn=turn), face(turn)) == pytest.approx(thick, abs=0.01)


def test_a_far_face_has_the_same_brows() -> None:
    near, far = (brow_thickness(picture(0.10, span=span), face(span=span)) for span in (100.0, 50.0))
    assert near == pytest.approx(far, abs=0.012)


def test_a_brow_on_its_sockets_shadow_is_measured_by_its_upper_half() -> None:
    assert brow_thickness(picture(0.09, shade=22.0, soft=2.0), face()) == pytest.approx(0.09, abs=0.03)


@pytest.mark.parametrize(
    "nothing",
    [{"depth": 4.0}, {"depth": 0.0, "shade": 30.0}, {"depth": 25.0, "soft": 9.0}],
    ids=["pale", "eye", "soft"],
)
def test_what_is_no_brow_has_no_thickness(nothing: dict[str, float]) -> None:
    """Pale brows, an eye's shadow alone, and shadows, which have no sharp edge."""
    assert np.isnan(brow_thickness(picture(0.08, **nothing), face()))


def test_a_face_that_came_out_wrong_is_no_error() -> None:
    assert np.isnan(brow_thickness(picture(0.08), np.zeros((478, 3))))
    outside = face()
    outside[:, :2] += 4000
    assert np.isnan(brow_thickness(picture(0.08), outside))


def test_brows_are_as_unusual_among_avatars_as_among_people() -> None:
    thin, usual, thick = (drawn_thickness(seen, 0.93) for seen in (0.077, 0.089, 0.102))
    assert thin < usual - 0.2 and thick > usual + 0.2 and usual == pytest.approx(1.0)
    assert (drawn_thickness(0.02, 0.93), drawn_thickness(0.25, 0.93)) == pytest.approx((0.46, 1.54))
    assert drawn_thickness(float("nan"), 0.93) == 0.93

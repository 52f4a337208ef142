from __future__ import annotations

import numpy as np
import pytest

from engines.ffhq_alignment import (
    LEFT_EYE_478,
    MOUTH_CORNERS_478,
    RIGHT_EYE_478,
    anchors_from_478,
    crop_transform,
    live_crop,
    quad_from_anchors,
)
from realtime.frames import Face, Frame
from realtime.photographic_alignment import PhotographicAligner
from tests.realtime.faces import head_points, seen


def turned(degrees: float) -> np.ndarray:
    """The landmarks of a head that leans to the picture's left."""
    a, points = np.radians(degrees), head_points()
    for x, eye in ((-0.35, LEFT_EYE_478), (0.35, RIGHT_EYE_478)):
        points[list(eye)] = (x, 0.0, 0.0)
    points[list(MOUTH_CORNERS_478)] = (-0.25, -0.7, 0.0), (0.25, -0.7, 0.0)
    return seen(points, np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1.0]]))


def gradient() -> np.ndarray:
    """Blue tells x, green y."""
    y, x = np.mgrid[0:480, 0:640]
    return np.stack([x * 255 / 639, y * 255 / 479, 0 * x], axis=2).astype(np.uint8)


@pytest.mark.parametrize("degrees", [0.0, 20.0, -35.0])
def test_the_square_turns_with_the_head(degrees):
    landmarks, frame = turned(degrees), Frame(4, 5, gradient())
    crop = PhotographicAligner().align(frame, Face(4, 5, landmarks, True))
    assert (crop.frame_id, crop.captured_ns, crop.pixels.shape) == (4, 5, (256, 256, 3))
    np.testing.assert_allclose(crop.transform, crop_transform(quad_from_anchors(anchors_from_478(landmarks)), 256))
    assert np.degrees(np.arctan2(-crop.transform[1, 0], crop.transform[0, 0])) == pytest.approx(degrees, abs=1.0)
    assert np.degrees(np.arctan2(crop.rotation[1, 0], crop.rotation[0, 0])) == pytest.approx(degrees, abs=1.0)
    np.testing.assert_allclose(crop.rotation @ crop.rotation.T, np.eye(3), atol=1e-9)
    for at in ((40, 60), (128, 128), (200, 90)):
        x, y = crop.transform @ [*at, 1]
        blue, green, _ = crop.pixels[at[1], at[0]]
        assert (blue, green) == (pytest.approx(x * 255 / 639, abs=1.5), pytest.approx(y * 255 / 479, abs=1.5))


def test_a_large_face_is_averaged_in_place():
    size = 1200
    y, x = np.mgrid[0:size, 0:size]
    fine = ((x + y) % 2 * 255).astype(np.uint8)  # a checkerboard flickers unless it is averaged
    picture = np.dstack([(x * 255 / (size - 1)).astype(np.uint8), fine, fine])
    quad = np.array([[100.0, 100.0], [100.0, 1100.0], [1100.0, 1100.0], [1100.0, 100.0]])
    square = live_crop(picture, quad)
    assert square[..., 1].std() < 25 and abs(float(square[..., 1].mean()) - 127.5) < 3
    transform = crop_transform(quad, 256)
    for column in (20, 128, 230):
        assert float(square[128, column, 0]) == pytest.approx(
            (transform @ [column, 128, 1])[0] * 255 / (size - 1), abs=1.5
        )


def test_beyond_the_picture_its_edge_is_reflected():
    landmarks = turned(0.0) - np.array([300.0, 200.0, 0.0], np.float32)
    crop = PhotographicAligner().align(Frame(0, 0, gradient()), Face(0, 0, landmarks, False))
    assert crop.pixels.std() > 1

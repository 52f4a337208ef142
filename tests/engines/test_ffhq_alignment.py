from __future__ import annotations

import cv2
import numpy as np
import pytest

from engines.ffhq_alignment import (
    LEFT_EYE_478,
    MOUTH_CORNERS_478,
    RIGHT_EYE_478,
    align_face,
    anchors_from_68,
    anchors_from_478,
    crop_transform,
    lanczos_resize,
    quad_from_anchors,
)

SETS = [
    "upright",
    "rolled_25deg",
    "corner_padded",
    "bottom_right_padded",
    "small_upsampled",
    "asymmetric",
    "large_shrunk_x2",
    "large_shrunk_padded",
]


def reference(golden, name):
    """The case, its row, and the picture in RGB."""
    case = golden("face-align")
    (row,) = [row for row in case.spec["cases"] if row["name"] == name]
    return case, row, cv2.cvtColor(cv2.imread(str(case.path(row["image"]))), cv2.COLOR_BGR2RGB)


@pytest.mark.parametrize("name", SETS)
def test_quads(golden, name):
    case, row, _ = reference(golden, name)
    quad = quad_from_anchors(anchors_from_68(case.io[f"{name}.landmarks"]))
    case.check(f"{name}.quad", quad, 1e-6)
    assert np.hypot(*(quad[3] - quad[0])) == pytest.approx(row["qsize"], abs=1e-6)


@pytest.mark.parametrize(
    ("name", "sample_size"), [*((name, 256) for name in SETS), ("upright", 1024), ("rolled_25deg", 1024)]
)
def test_crops(golden, name, sample_size):
    case, row, picture = reference(golden, name)
    quad = quad_from_anchors(anchors_from_68(case.io[f"{name}.landmarks"]))
    face = align_face(picture, quad, 256, sample_size)
    case.check(f"{name}.quad_before_transform", face.quad_before_transform, 1e-6)
    assert face.padded == row["padded"]
    expected = case.io[f"{name}.crop256" if sample_size == 256 else f"{name}.crop256_from_1024"]
    error = np.abs(face.pixels.astype(np.float64) - expected).mean()
    assert error <= 1.0, f"mean difference {error:.3f} grey levels"


def test_the_crop_transform_leads_back_to_the_quad():
    quad = quad_from_anchors(anchors_from_68(np.random.default_rng(0).uniform(0, 300, [68, 2])))
    transform = crop_transform(quad, 256)
    corners = np.array([[-0.5, -0.5, 1], [-0.5, 255.5, 1], [255.5, 255.5, 1], [255.5, -0.5, 1]])
    np.testing.assert_allclose(corners @ transform.T, quad, atol=1e-9)


def test_mediapipe_points_take_the_places_of_the_68():
    points68 = np.random.default_rng(1).uniform(0, 300, [68, 2])
    points478 = np.zeros([478, 3])
    points478[list(LEFT_EYE_478), :2] = points68[36:42]
    points478[list(RIGHT_EYE_478), :2] = points68[42:48]
    points478[list(MOUTH_CORNERS_478), :2] = points68[[48, 54]]
    quads = [quad_from_anchors(anchors) for anchors in (anchors_from_68(points68), anchors_from_478(points478))]
    np.testing.assert_allclose(quads[0], quads[1])


@pytest.mark.parametrize(("old", "new"), [(40, 10), (10, 40), (37, 37), (5, 1)])
def test_resizing_keeps_a_constant_picture(old, new):
    picture = np.full([old, old + 3, 3], 77, np.uint8)
    resized = lanczos_resize(picture, new, new + 2)
    assert resized.shape == (new + 2, new, 3) and (resized == 77).all()


def test_errors_say_what_was_wanted():
    with pytest.raises(ValueError, match=r"landmarks have shape \[5, 2\]; wanted \[68, 2\]"):
        anchors_from_68(np.zeros([5, 2]))
    with pytest.raises(ValueError, match=r"wanted \[478, 2\] finite numbers"):
        anchors_from_478(np.full([478, 3], np.nan))
    with pytest.raises(ValueError, match="the eyes and the mouth lie on one point"):
        quad_from_anchors(anchors_from_68(np.zeros([68, 2])))
    quad = np.array([[500.0, 500], [500, 600], [600, 600], [600, 500]])
    with pytest.raises(ValueError, match="the face lies outside the picture"):
        align_face(np.zeros([100, 100, 3], np.uint8), quad)

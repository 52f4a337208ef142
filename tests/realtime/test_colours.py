"""Colours of a face: drawn heads whose colours are known, and what must not matter."""

from __future__ import annotations

import numpy as np

from realtime.colours import LIPS, SKIN, colour_at, hair_colour
from realtime.frames import Crop, Face

SIDE = 256


def face_of(top: tuple[int, int, int], skin: tuple[int, int, int], lips: tuple[int, int, int]) -> tuple[Face, Crop]:
    """A flat picture (BGR) with hair above row 80, skin below, lips around row 180; landmarks where they belong."""
    pixels = np.full((SIDE, SIDE, 3), skin, np.uint8)
    pixels[:80], pixels[170:190] = top, lips
    landmarks = np.full((478, 3), 128.0, np.float32)
    landmarks[list(SKIN), 1], landmarks[list(LIPS), 1] = 120, 180
    landmarks[[10, 109, 338, 67, 297], 1], landmarks[152, 1] = 90, 220
    step = np.array([[2.0, 0, 10], [0, 2.0, 20]])  # the crop lies at (10, 20) of a frame, twice as large there
    landmarks[:, :2] = landmarks[:, :2] * 2 + (10, 20)
    return Face(0, 0, landmarks, False), Crop(0, 0, pixels, step, np.eye(3))


def shown(linear: np.ndarray) -> np.ndarray:
    """The drawn heads' display curve."""
    return np.sqrt(1.1 * linear / (1 + 0.16 * linear))


def test_each_part_has_its_own_colour() -> None:
    face, crop = face_of((20, 30, 40), (120, 150, 210), (90, 80, 190))
    for got, bgr in ((colour_at(face, crop, SKIN), (120, 150, 210)), (colour_at(face, crop, LIPS), (90, 80, 190))):
        np.testing.assert_allclose(shown(got) * 255, bgr[::-1], atol=0.5)
    np.testing.assert_allclose(shown(hair_colour(face, crop)) * 255, (40, 30, 20), atol=0.5)


def test_a_higher_share_is_the_better_lit_part() -> None:
    face, crop = face_of((20, 30, 40), (120, 150, 210), (90, 80, 190))
    crop.pixels[:, :100] //= 2
    face.landmarks[list(SKIN[:3]), 0] = 2 * 60 + 10  # three of eight points lie in the shadow
    assert (colour_at(face, crop, SKIN, 75.0) > colour_at(face, crop, SKIN, 10.0)).all()


def test_a_face_at_the_edge_of_the_crop_is_no_error() -> None:
    face, crop = face_of((20, 30, 40), (120, 150, 210), (90, 80, 190))
    face.landmarks[:, :2] -= 5000
    assert np.isfinite(colour_at(face, crop, SKIN)).all()
    assert np.isfinite(hair_colour(face, crop)).all()

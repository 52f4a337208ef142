"""The colour of eyes: taken between the lids and beside the pupil, and told by the skin in the same light."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from realtime.identity_cues import linear_rgb, to_lab
from realtime.irises import EYES, PAINTS, eye_colour, iris_colour

SIZE, RADIUS = 256, 4.2
SKIN, WHITE, PUPIL, LAMP = (120, 150, 205), (200, 205, 210), (15, 15, 15), (255, 255, 255)  # BGR
PLACES = ((100.0, 110.0), (156.0, 110.0))


def points(opening: float = 7.0) -> np.ndarray:
    """Landmarks of two eyes whose lids are ``opening`` pixels apart."""
    where = np.zeros((478, 2))
    for (centre, edge, lids), (x, y) in zip(EYES, PLACES, strict=True):
        where[centre] = x, y
        where[list(edge)] = np.array([(1, 0), (0, -1), (-1, 0), (0, 1)]) * RADIUS + (x, y)
        angles = np.linspace(0, 2 * np.pi, len(lids), endpoint=False)
        where[list(lids)] = np.stack([x + 10 * np.cos(angles), y + opening / 2 * np.sin(angles)], 1)
    return where


def crop(iris: tuple[int, int, int], light: float = 1.0, opening: float = 7.0) -> np.ndarray:
    """A crop as a camera shows it, Lab: eyes on skin with pupils and a lamp in them, drawn fine and made coarse."""
    fine = 8
    picture = np.full((SIZE * fine, SIZE * fine, 3), SKIN, np.uint8)
    for x, y in PLACES:
        eye = picture.copy()
        middle = (round((x + 0.5) * fine), round((y + 0.5) * fine))
        cv2.ellipse(eye, middle, (10 * fine, round(opening / 2 * fine)), 0, 0, 360, WHITE, -1)
        lids = np.zeros(eye.shape[:2], np.uint8)
        cv2.ellipse(lids, middle, (10 * fine, round(opening / 2 * fine)), 0, 0, 360, 1, -1)
        for colour, share in ((iris, 1.0), (PUPIL, 0.4)):
            cv2.circle(eye, middle, round(share * RADIUS * fine), colour, -1)
        cv2.circle(eye, (middle[0] - fine, middle[1] - fine), fine, LAMP, -1)
        picture[lids > 0] = eye[lids > 0]
    coarse = cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return to_lab(np.clip(coarse * light, 0, 255).astype(np.uint8))


def seen(iris: tuple[int, int, int], light: float = 1.0) -> np.ndarray:
    """The eye colour that is told of an iris, BGR, beside that skin."""
    picture = crop(iris, light)
    return eye_colour(linear_rgb(iris_colour(picture, points())), linear_rgb(picture[10, 10]))


def test_an_iris_is_seen_between_the_lids_and_not_its_pupil_nor_the_lamp() -> None:
    colour = iris_colour(crop((150, 110, 70)), points())
    np.testing.assert_allclose(colour, to_lab(np.array([[[150, 110, 70]]], np.uint8))[0, 0], atol=9)


def test_of_drawn_eyes_the_pupil_is_taken_for_the_iris() -> None:
    picture, where = crop(PUPIL, opening=12.0), points(opening=12.0)
    green = to_lab(np.array([[[60, 140, 90]]], np.uint8))[0, 0]
    row, column = np.mgrid[:SIZE, :SIZE]
    for x, y in PLACES:
        away = np.hypot(column - x, row - y) / RADIUS
        picture[(away > 0.85) & (away < 1.5)] = green
    np.testing.assert_allclose(iris_colour(picture, where, drawn=True), green, atol=8)
    assert iris_colour(picture, where)[0] < 0.5 * green[0]


def test_closed_eyes_show_no_colour() -> None:
    assert np.isnan(iris_colour(crop((150, 110, 70), opening=1.0), points(opening=1.0))).all()
    assert np.isfinite(iris_colour(crop((150, 110, 70)), points())).all()


def test_eyes_outside_of_the_crop_or_without_a_size_do_not_matter() -> None:
    nowhere = points()
    nowhere[[centre for centre, _, _ in EYES]] += 5000
    assert np.isnan(iris_colour(crop((1, 2, 3)), np.zeros((478, 2)))).all()
    assert not np.isfinite(iris_colour(crop((1, 2, 3)), nowhere)).all()


@pytest.mark.parametrize("light", [1.0, 0.5])
def test_the_same_eyes_are_told_in_any_light(light: float) -> None:
    assert np.allclose(seen((40, 55, 85), light), PAINTS["brown"], atol=0.02)
    assert np.allclose(seen((170, 125, 80), light), PAINTS["blue"], atol=0.02)
    green = seen((80, 120, 105), light)
    assert green[1] > green[0] and green[1] >= green[2]


def test_dark_brown_eyes_are_darker_than_light_brown_ones() -> None:
    skin = np.array((0.5, 0.3, 0.2))
    dark, brown = eye_colour(skin * 0.03, skin), eye_colour(skin * 0.25, skin)
    np.testing.assert_allclose(dark, PAINTS["dark brown"])
    np.testing.assert_allclose(brown, PAINTS["brown"])
    assert np.isfinite(eye_colour(np.zeros(3), skin)).all()

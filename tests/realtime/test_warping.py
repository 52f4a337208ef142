"""Enlarged pictures lie where ``cv2.warpAffine`` puts them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from realtime.warping import warp


def smooth_picture() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 4), dtype=np.uint8)
    return np.asarray(cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX), np.uint8)


def places() -> list[tuple[float, float, float]]:
    random = np.random.default_rng(1)
    chosen = [(random.uniform(0.8, 3.5), random.uniform(-120, 90), random.uniform(-120, 90)) for _ in range(12)]
    return [*chosen, (2.0, 10.3, 4.7), (1.0, 0.0, 0.0), (2.5, -2000.0, 5.0), (1.5, 700.0, 900.0)]


@pytest.mark.parametrize(("scale", "x", "y"), places())
@pytest.mark.parametrize("turn", [0.0, 0.1])
def test_a_picture_lies_where_it_should(scale: float, x: float, y: float, turn: float) -> None:
    picture, size = smooth_picture(), (640, 480)
    transform = np.array([[scale, -turn, x], [turn, scale, y]])
    cubic = scale > 1 and not turn
    flags = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    want = cv2.warpAffine(picture, transform, size, flags=flags, borderMode=cv2.BORDER_CONSTANT)
    difference = np.abs(warp(picture, transform, size).astype(int) - want)
    # At the picture's edge, from full to nothing within a pixel, a place 0.1 off is 25 steps; twice is 0.3 off.
    assert difference.max() <= (90 if scale == 2 and cubic else 30) and difference.mean() < (2 if scale == 2 else 0.5)


@pytest.mark.parametrize("turn", [0.0, 0.1])
def test_a_large_picture_that_shrinks_keeps_its_place_and_its_means(turn: float) -> None:
    small = smooth_picture()
    large = np.asarray(cv2.resize(small, (512, 512), interpolation=cv2.INTER_LINEAR), np.uint8)
    noise = np.random.default_rng(2).integers(-40, 40, (512, 512, 4))
    noise[::2] = -noise[1::2]  # gone where two rows are one
    noisy = np.clip(large.astype(int) + noise, 0, 255).astype(np.uint8)
    place = np.array([[0.45, -turn, 100.3], [turn, 0.45, 80.9]])
    halves = place @ np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])
    want = cv2.warpAffine(small, halves, (480, 400), flags=cv2.INTER_LINEAR)
    got = warp(noisy, place, (480, 400)).astype(int)
    difference = np.abs(got - want)[120:280, 130:280]
    assert difference.mean() < 4, "rows that cancel each other are seen as their mean"

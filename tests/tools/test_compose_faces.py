"""Clips composed into one picture: side by side, and sliding across each other."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tools.compose_faces import HEIGHT, WIDTH, composed, read

CLIPS = [[np.full((640, 640, 3), level, np.uint8)] * 3 for level in (30, 220)]


def test_side_by_side() -> None:
    for picture in composed(CLIPS, 3, cross=False):
        assert picture.shape == (HEIGHT, WIDTH, 3)
        assert (picture[80:, :640] == 30).all() and (picture[80:, 640:] == 220).all() and (picture[:80] == 110).all()


def test_crossing_goes_over_and_back_with_the_last_clip_in_front() -> None:
    pictures = list(composed(CLIPS, 20, cross=True))
    assert pictures[0][400, 100, 0] == 30 and pictures[0][400, 1200, 0] == 220
    assert pictures[10][400, 100, 0] == 220 and pictures[10][400, 1200, 0] == 30
    assert (pictures[5][400, 330:950, 0] == 220).all()


def test_clips_are_cut_to_a_square(media: Path) -> None:
    pictures = read(media / "clips" / "s18.mp4", 96, 2)
    assert [picture.shape for picture in pictures] == [(96, 96, 3)] * 2
    reader = cv2.VideoCapture(str(media / "clips" / "s18.mp4"))
    small = cv2.resize(reader.read()[1], (171, 96), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(pictures[0], small[:, 37:133])

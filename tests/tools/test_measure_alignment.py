from __future__ import annotations

import numpy as np
import pytest

from engines.ffhq_alignment import Anchors
from tools.measure_alignment import MAPS, PLACED, compare, mapped_anchors, placed_anchors, tracked


def anchors(scale: float = 1.0, turn: float = 0.0, shift: float = 0.0) -> Anchors:
    a = np.radians(turn)
    matrix = scale * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    points = np.array([[-30.0, 0.0], [30.0, 0.0], [-20.0, 60.0], [20.0, 60.0]])
    return Anchors(*(points @ matrix.T + shift))


def test_differences_are_told_apart():
    assert compare(anchors(), anchors())[0] == 0
    mean, worst, side, size, turn = compare(anchors(shift=3.0), anchors())
    assert mean == pytest.approx(worst) == pytest.approx(3 * np.sqrt(2)) and (size, turn) == pytest.approx((0, 0))
    assert side == pytest.approx(240.0)
    assert compare(anchors(scale=1.1), anchors())[3] == pytest.approx(10.0)
    assert compare(anchors(turn=2.0), anchors())[4] == pytest.approx(2.0)


def test_placed_points_are_six_to_an_eye():
    for _, text in PLACED.values():
        found = placed_anchors(text)
        assert found.left_eye[0] < found.right_eye[0] and found.left_mouth[0] < found.right_mouth[0]
        assert found.left_mouth[1] > found.left_eye[1]


def test_the_map_in_use_comes_near_to_points_placed_by_hand(media):
    face = tracked(media / "clips" / "d18.mp4", PLACED["d18"][0])
    theirs = placed_anchors(PLACED["d18"][1])
    ours, irises = (compare(mapped_anchors(face, MAPS[name]), theirs) for name in ("six lid points (in use)", "irises"))
    assert ours[0] < 0.01 * ours[2] and abs(ours[4]) < 0.5
    assert ours[0] < irises[0]

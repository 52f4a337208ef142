"""Reading known poses, on heads made of the template itself."""

from __future__ import annotations

import numpy as np
import pytest

from engines.motion import MOTION
from realtime.alignment import rotation_of
from tools.head_angles import POINTS, TEMPLATE, angles
from tools.measure_angles import judged, seeming


def test_angles_that_are_read_right_have_r_1_and_an_offset_shows_as_yaw_in_roll() -> None:
    told = np.random.default_rng(2).normal(0, (0.12, 0.07, 0.055), (40, 3))
    who = np.repeat([0, 1], 20)
    zero = [np.eye(3), rotation_of(0, 0.15, 0)]  # the second one's zero looks down
    read = []
    for row, one in zip(told, who, strict=True):
        points = np.zeros((478, 3))
        points[[33, 263], 0] = -50, 50
        points[POINTS] = 100 * TEMPLATE @ (rotation_of(*row) @ zero[one]).T * [1, -1, -1]
        read.append(angles(points))
    as_they_are, from_mean = (judged(np.array(read), told, who, way) for way in (False, True))
    assert from_mean["heads"] == 40
    for name in ("yaw", "pitch", "roll"):
        assert from_mean[name]["r"] > 0.998 and from_mean[name]["off_degrees"] < 0.4
    assert abs(as_they_are["yaw_in_roll"]) > 0.05 > 2 * abs(from_mean["yaw_in_roll"])
    lost = np.array(read)
    lost[3] = np.nan
    assert judged(lost, told, who, True)["heads"] == 39
    assert judged(told, told, who, False)["roll"]["r"] == pytest.approx(1)


def test_what_an_expression_adds_to_an_angle_is_found_and_chance_is_not() -> None:
    random = np.random.default_rng(4)
    told, who = random.normal(0, 0.2, (300, len(MOTION))), np.repeat([0, 1, 2], 100)
    read = told[:, :3] + random.normal(0, 0.01, (300, 3)) + np.array([0.1, -0.2, 0.3])[who][:, None]
    read[:, 2] += np.radians(2.5) * told[:, MOTION.index("mouth_shift")] - 0.1 * told[:, 0]
    read[7] = np.nan
    found = seeming(read, told, who)
    assert found["yaw"] == found["pitch"] == {}
    assert found["roll"] == {"mouth_shift": pytest.approx(2.5, abs=0.5)}

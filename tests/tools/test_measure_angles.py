"""Reading known poses, on heads made of the template itself."""

from __future__ import annotations

import numpy as np
import pytest

from engines.motion import MOTION
from realtime.alignment import rotation_of
from tools.head_angles import POINTS, TEMPLATE, angles, left_over, turned, without_errors
from tools.measure_angles import by_generator, calibrate, judged, pictures, seeming, seen, without_known_errors


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


def tracked(angles_told: np.ndarray, bulge: float, zero: float = 0.0) -> np.ndarray:
    """FaceMesh's points [478, 3] of a template that is turned, and whose points lie a little elsewhere.

    zero: by how much its own zero looks down, radians.
    """
    points = np.zeros((478, 3))
    points[[33, 263], 0] = -50, 50
    moved = TEMPLATE + bulge * np.stack([np.zeros(len(POINTS)), 0.1 * np.sign(TEMPLATE[:, 0]), 0 * TEMPLATE[:, 2]], 1)
    turn = rotation_of(*angles_told) @ rotation_of(0, zero, 0)
    points[POINTS] = 100 * moved @ turn.T * [1, -1, -1] + [300, 200, 0]
    return points


def test_nothing_is_left_over_of_a_rigid_head_however_it_is_turned() -> None:
    assert np.abs(left_over(tracked(np.array([0.3, -0.2, 0.15]), 0.0))).max() < 4e-3, "but for the camera's lens"
    still, rolled = (left_over(tracked(np.array([0.0, 0.0, roll]), 0.5)) for roll in (0.0, 0.3))
    assert np.abs(still).max() > 0.02
    np.testing.assert_allclose(rolled, still, atol=2e-3)


def test_what_is_left_over_tells_by_how_much_the_angles_are_off() -> None:
    random = np.random.default_rng(5)
    told, bulge = random.normal(0, 0.1, (120, 3)), random.normal(0, 0.5, 120)
    faces = np.array([tracked(row, b) for row, b in zip(told, bulge, strict=True)])
    who = np.repeat([0, 1, 2], 40)
    matrix = calibrate(faces[who < 2], told[who < 2], who[who < 2])
    read, left = (np.array([measure(one) for one in faces[who == 2]]) for measure in (angles, left_over))
    truth = turned(told[who == 2])
    off = np.std(turned(read) - truth, axis=0)
    better = np.std(without_errors(turned(read), left, matrix) - truth, axis=0)
    assert off[2] > np.radians(1) and better[2] < off[2] / 4, "the bulge is read as roll"
    assert (better[:2] < off[:2] + 1e-3).all()
    left[3], read[3] = np.nan, np.nan
    assert np.isfinite(without_errors(turned(read), left, matrix)).all(1).sum() == 39


def test_yaw_that_shows_as_roll_is_taken_off_once() -> None:
    random = np.random.default_rng(7)
    told = random.normal(0, 0.1, (120, 3))
    bulge = random.normal(0, 0.05, 120) + 3 * told[:, 0]  # what is left over tells of the yaw
    # A zero that looks down shows yaw as roll; counting from the mean pose takes that off already.
    faces = np.array([tracked(row, b, 0.25) for row, b in zip(told, bulge, strict=True)])
    who = np.repeat([0, 1, 2], 40)
    matrix = calibrate(faces[who < 2], told[who < 2], who[who < 2])
    read, left = (np.array([measure(one) for one in faces[who == 2]]) for measure in (angles, left_over))
    off = np.std(without_errors(turned(read), left, matrix) - turned(told[who == 2]), axis=0)
    assert off[2] < np.radians(0.5)


def test_the_known_errors_are_those_of_other_drawn_heads_too() -> None:
    views, told, who = pictures(2, 12, 6, by_generator)
    landmarks, truth = seen(views)["mirrored"], told[:, :3].astype(np.float64)
    plain = np.array([angles(one) for one in landmarks])
    before, after = judged(plain, truth, who, True), judged(without_known_errors(landmarks, who), truth, who, False)
    assert after["heads"] == 24
    assert after["pitch"]["off_degrees"] < 0.75 * before["pitch"]["off_degrees"]

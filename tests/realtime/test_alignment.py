"""Angles, the fit of the rigid head, and the square around it, on heads with known poses."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.alignment import (
    HEAD,
    INDICES,
    PAIRS,
    PIVOT,
    TURN_HEAD,
    TURN_INDICES,
    Aligner,
    Pose,
    cut,
    fit_pose,
    head_pose,
    head_turn,
    rotation_of,
    yaw_pitch_roll,
)
from realtime.frames import Face, Frame
from realtime.settings import AlignmentSettings, TrackingSettings
from realtime.tracking import Tracker

MEDIA = Path(__file__).parents[2] / "../shared/media"
NOSE, FOREHEAD = 5, 10


def head_point(index: int) -> np.ndarray:
    return HEAD[list(INDICES).index(index)]


def face_in(pose: Pose) -> Face:
    """A face whose rigid points are the measured head in ``pose``."""
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[TURN_INDICES] = pose.apply(TURN_HEAD) * [1, -1, -1]
    landmarks[INDICES] = pose.apply(HEAD) * [1, -1, -1]
    return Face(3, 4, landmarks, True)


def pose_at(x: float, y: float, scale: float, *angles: float) -> Pose:
    return Pose(scale, rotation_of(*angles), np.array([x, -y, 0.0]))


def test_the_measured_head_is_a_head() -> None:
    order = list(INDICES)
    for left, right in PAIRS:
        np.testing.assert_allclose(HEAD[order.index(left)], HEAD[order.index(right)] * [-1, 1, 1])
    np.testing.assert_allclose(head_point(263) - head_point(33), [1, 0, 0])
    assert head_point(NOSE)[2] > head_point(33)[2] > head_point(234)[2]
    assert head_point(FOREHEAD)[1] > head_point(168)[1] > head_point(NOSE)[1]


def test_signs_of_the_angles() -> None:
    nose, top, level = head_point(NOSE), np.array([0, 1.0, 0]), (0.0, 0.0, 0.0)
    np.testing.assert_allclose(rotation_of(*level), np.eye(3))
    assert (rotation_of(0.3, 0, 0) @ nose)[0] > nose[0]  # yaw > 0: to the picture's right
    assert (rotation_of(0, 0.3, 0) @ nose)[1] < nose[1]  # pitch > 0: down
    assert (rotation_of(0, 0, 0.3) @ top)[0] < 0  # roll > 0: the top to the picture's left


def test_the_order_of_the_angles() -> None:
    yaw, pitch, roll = 0.4, -0.3, 0.2
    np.testing.assert_allclose(
        rotation_of(yaw, pitch, roll), rotation_of(0, 0, roll) @ rotation_of(0, pitch, 0) @ rotation_of(yaw, 0, 0)
    )


@pytest.mark.parametrize("angles", [(0, 0, 0), (0.6, 0.2, -0.3), (-1.2, -0.7, 0.9), (1.5, 1.3, -2.5), (0, 0.01, 3.0)])
def test_angles_and_rotation_are_inverse(angles: tuple[float, float, float]) -> None:
    np.testing.assert_allclose(yaw_pitch_roll(rotation_of(*angles)), angles, atol=1e-9)


def test_the_fit_finds_a_known_pose() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        wanted = pose_at(*rng.uniform(50, 500, 2), rng.uniform(20, 400), *rng.uniform(-0.8, 0.8, 3))
        found = head_pose(face_in(wanted).landmarks)
        np.testing.assert_allclose(found.rotation, wanted.rotation, atol=1e-5)
        np.testing.assert_allclose(head_turn(face_in(wanted).landmarks), wanted.rotation, atol=1e-3)
        np.testing.assert_allclose(found.translation, wanted.translation, rtol=1e-4, atol=0.02)
        assert found.scale == pytest.approx(wanted.scale, rel=1e-5)


def test_the_fit_is_a_rotation_even_for_a_mirrored_head() -> None:
    mirrored = HEAD * [1, 1, -1]
    assert np.linalg.det(fit_pose(HEAD, mirrored).rotation) == pytest.approx(1.0)


def test_mouth_lids_and_brows_do_not_move_the_pose() -> None:
    face = face_in(pose_at(300, 200, 90, 0.2, 0.1, 0.0))
    before = head_pose(face.landmarks)
    face.landmarks[[13, 14, 159, 145, 105, 334, 152]] += 30
    np.testing.assert_array_equal(head_pose(face.landmarks).rotation, before.rotation)


def test_wrong_depth_does_not_turn_the_head() -> None:
    wanted = pose_at(300, 200, 90, 0.3, -0.2, 0.1)
    landmarks = face_in(wanted).landmarks
    landmarks[:, 2] += np.random.default_rng(2).normal(0, 20, 478).astype(np.float32)
    np.testing.assert_allclose(head_pose(landmarks).rotation, wanted.rotation, atol=1e-3)


@pytest.mark.parametrize(("span", "line", "size"), [(0.235, 0.46, 256), (0.3, 0.4, 128)])
def test_eyes_lie_where_the_settings_say(span: float, line: float, size: int) -> None:
    aligner = Aligner(AlignmentSettings(size_px=size, eye_span=span, eye_line=line))
    crop = aligner.align(Frame(3, 4, np.zeros((480, 640, 3), np.uint8)), face_in(pose_at(320, 200, 80, 0, 0, 0)))
    assert crop.pixels.shape == (size, size, 3) and (crop.frame_id, crop.captured_ns) == (3, 4)
    back = cv2.invertAffineTransform(crop.transform)
    eyes = back @ [320, 200, 1]
    left, right = back @ [320 - 40, 200, 1], back @ [320 + 40, 200, 1]
    np.testing.assert_allclose((eyes + 0.5) / size, [0.5, line], atol=1e-6)
    assert (right - left)[0] / size == pytest.approx(span)


def test_the_square_does_not_slide_when_the_head_turns() -> None:
    aligner = Aligner(AlignmentSettings())
    level = pose_at(320, 240, 80, 0, 0, 0)
    pivot = level.apply(PIVOT)
    for angles in ((0.7, 0, 0), (0, 0.4, 0), (-0.5, -0.3, 0.4)):
        rotation = rotation_of(*angles)
        turned = Pose(80, rotation, pivot - 80 * rotation @ PIVOT)  # about the pivot
        np.testing.assert_allclose(aligner.square(turned), aligner.square(level), atol=1e-9)


def test_pixels_lie_where_the_transform_says() -> None:
    rows, columns = np.mgrid[0:480, 0:640]
    picture = np.stack([columns / 4, rows / 4, np.full_like(rows, 7)], axis=2).astype(np.float64)
    for step in (0.4, 1.0, 1.7, 2.6, 5.3):
        transform = np.array([[step, 0, 20.3], [0, step, 11.8]])
        size = 64
        got = cut(np.round(picture).astype(np.uint8), transform, size)
        at = transform @ np.stack([*np.mgrid[0:size, 0:size][::-1].reshape(2, -1), np.ones(size * size)])
        for axis in (0, 1):  # levels are whole numbers, each four pixels wide
            error = got[..., axis].reshape(-1) - at[axis] / 4
            assert np.abs(error).max() < 1 and abs(error.mean()) < 0.2


def test_a_square_outside_the_picture_repeats_its_edge() -> None:
    picture = np.full((40, 60, 3), 50, np.uint8)
    for step in (0.5, 3.0):
        for left, top in ((-500, -500), (1000, 5), (-30, 1000)):
            assert (cut(picture, np.array([[step, 0, left], [0, step, top]]), 64) == 50).all()


def test_a_large_square_is_averaged_not_sampled() -> None:
    noise = np.random.default_rng(5).integers(0, 255, (1600, 1600, 3), np.uint8)
    assert cut(noise, np.array([[6.0, 0, 20], [0, 6.0, 20]]), 200).std() < noise.std() / 4


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (7, 1000)])
def test_frames_of_any_size_are_taken(shape: tuple[int, int]) -> None:
    frame = Frame(0, 0, np.full((*shape, 3), 9, np.uint8))
    crop = Aligner(AlignmentSettings()).align(frame, face_in(pose_at(3, 2, 300, 0.1, 0, 0)))
    assert (crop.pixels == 9).all()
    assert crop.pixels is crop.pixels  # cut once, when first asked for


@pytest.mark.skipif(not MEDIA.is_dir(), reason="the test faces in ../shared/media are not there")
def test_a_real_head_turned_in_the_picture_has_that_roll() -> None:
    reader = cv2.VideoCapture(str(MEDIA / "clips" / "d18.mp4"))
    pixels = reader.read()[1]
    tracker, rolls = Tracker(TrackingSettings()), []
    for degrees in (0, 20, -20):
        centre = (pixels.shape[1] / 2, pixels.shape[0] / 2)
        turned = cv2.warpAffine(pixels, cv2.getRotationMatrix2D(centre, degrees, 1.0), pixels.shape[1::-1])
        tracker.reset()
        face = tracker.track(Frame(0, 0, turned))
        assert face is not None
        rolls.append(np.degrees(yaw_pitch_roll(head_pose(face.landmarks).rotation)[2]))
    tracker.close()
    assert rolls[1] - rolls[0] == pytest.approx(20, abs=3)  # OpenCV turns counter-clockwise for positive angles
    assert rolls[2] - rolls[0] == pytest.approx(-20, abs=3)

"""The rigid head is found again from faces in many poses and sizes."""

from __future__ import annotations

import numpy as np

from realtime.alignment import HEAD, INDICES, Pose, rotation_of
from tools.measure_head import CHIN, LEAN, measure, normalised, others


def test_a_known_head_is_measured_from_turned_and_noisy_faces() -> None:
    rng = np.random.default_rng(11)
    face = rng.normal(0, 1, (478, 3))
    face[INDICES] = HEAD
    forehead = HEAD[list(INDICES).index(10)]
    face[CHIN] = forehead - 1.5 * np.array([0, np.cos(LEAN), np.sin(LEAN)])
    videos = []
    for _ in range(3):
        frames = []
        for _ in range(30):
            pose = Pose(rng.uniform(50, 200), rotation_of(*rng.uniform(-0.25, 0.25, 3)), rng.uniform(0, 500, 3))
            frames.append(pose.apply(face) + rng.normal(0, 0.3, face.shape))
        videos.append(np.array(frames))
    np.testing.assert_allclose(measure(videos), HEAD, atol=0.01)


def test_a_head_that_is_normal_stays_as_it_is() -> None:
    face = np.zeros((478, 3))
    face[INDICES] = HEAD
    face[CHIN] = HEAD[list(INDICES).index(10)] - [0, np.cos(LEAN), np.sin(LEAN)]
    np.testing.assert_allclose(normalised(face), HEAD, atol=1e-3)


def test_other_points_are_where_the_mean_face_has_them() -> None:
    rng = np.random.default_rng(12)
    face = rng.normal(0, 1, (478, 3))
    face[INDICES] = HEAD
    face[[454, 234]] = [[0.7, -0.2, -0.6], [-0.7, -0.2, -0.6]]
    pose = Pose(120.0, rotation_of(0.1, 0.05, -0.1), np.array([200.0, 100.0, 0.0]))
    found = others([np.array([pose.apply(face)] * 3)], HEAD, [454])
    np.testing.assert_allclose(found[454], [0.7, -0.2, -0.6], atol=0.02)

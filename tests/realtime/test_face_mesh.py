"""FaceMesh's points out of its messages."""

from __future__ import annotations

import numpy as np
import pytest

from realtime.face_mesh import coordinates

landmark_pb2 = pytest.importorskip("mediapipe.framework.formats.landmark_pb2")


def written(points: np.ndarray, **others: float) -> object:
    """A message with these points, float32 [N, 3]; ``others``: fields that FaceMesh does not write."""
    face = landmark_pb2.NormalizedLandmarkList()
    for x, y, z in points:
        face.landmark.add(x=x, y=y, z=z, **others)
    return face


@pytest.mark.parametrize("count", [0, 1, 478])
def test_all_numbers_come_out_as_they_went_in(count: int) -> None:
    points = np.random.default_rng(count).normal(0, 1, (count, 3)).astype(np.float32)
    points[:1] = [0.0, -0.0, np.nan]  # a zero that is written, and what a broken graph might write
    read = coordinates(written(points))
    assert read.dtype == np.float32 and read.shape == (count, 3)
    assert np.array_equal(read, points, equal_nan=True)


def test_points_with_further_fields_are_read_too() -> None:
    points = np.random.default_rng(0).normal(0, 1, (17, 3)).astype(np.float32)
    assert np.array_equal(coordinates(written(points, visibility=0.5)), points)
    assert np.array_equal(coordinates(written(points, visibility=0.5, presence=1.0)), points)


def test_points_without_depth_are_on_the_picture() -> None:
    face = landmark_pb2.NormalizedLandmarkList()
    face.landmark.add(x=0.25, y=0.5)
    assert coordinates(face).tolist() == [[0.25, 0.5, 0.0]]


def test_the_numbers_are_the_callers_own() -> None:
    read = coordinates(written(np.ones((3, 3), np.float32)))
    read *= 2  # bytes of a message could not be written to
    assert (read == 2).all()

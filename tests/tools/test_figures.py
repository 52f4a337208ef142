"""The figures and their comparison, on series with known r, lag and speed."""

from __future__ import annotations

import numpy as np
import pytest

from realtime.alignment import HEAD, INDICES, rotation_of
from tools.figures import FIGURES, angles, figures, lag, pearson, speeds, still_speed


def face(scale: float = 100.0, turned: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    """A face whose rigid points are the measured head, in a picture of far away."""
    points = np.zeros((478, 3), np.float32)
    points[INDICES] = scale * HEAD @ rotation_of(*turned).T * [1, -1, -1] + [300, 200, 0]
    for index, (x, y) in {
        13: (0, -0.8),
        14: (0, -1.0),
        61: (-0.3, -0.9),
        291: (0.3, -0.9),
        386: (0.35, 0.06),
        374: (0.35, -0.06),
        159: (-0.35, 0.06),
        145: (-0.35, -0.06),
        334: (0.35, 0.26),
        105: (-0.35, 0.36),
        468: (-0.35, 0.0),
        473: (0.35, 0.0),
    }.items():
        points[index] = scale * (rotation_of(*turned) @ [x, y, 0]) * [1, -1, -1] + [300, 200, 0]
    return points


def named(values: np.ndarray) -> dict[str, float]:
    return dict(zip(FIGURES, values, strict=True))


def test_figures_of_a_known_face_whatever_its_size() -> None:
    for scale in (40.0, 250.0):
        found = named(figures(face(scale)))
        assert found["mouth open"] == pytest.approx(0.2, abs=1e-4)
        assert found["mouth wide"] == pytest.approx(0.6, abs=1e-4)
        assert found["eye left"] == pytest.approx(0.12 / 0.308, rel=0.01)
        assert found["brow left"] == pytest.approx(0.2, abs=1e-4) and found["brow right"] == pytest.approx(
            0.3, abs=1e-4
        )
        assert found["gaze"] == pytest.approx(0, abs=0.03)
        assert [found[name] for name in ("yaw", "pitch", "roll")] == pytest.approx([0, 0, 0], abs=0.02)


def test_gaze_is_positive_to_the_right_of_the_picture() -> None:
    points = face()
    points[[468, 473], 0] += 10
    assert figures(points)[FIGURES.index("gaze")] > 0.4


@pytest.mark.parametrize("turned", [(0.5, 0, 0), (0, 0.3, 0), (0, 0, -0.4), (-0.3, -0.2, 0.2)])
def test_angles_come_from_the_picture_alone(turned: tuple[float, float, float]) -> None:
    points = face(120, turned)
    points[:, 2] = 0
    assert angles(points) == pytest.approx(turned, abs=0.03)


def test_pearson_of_known_series() -> None:
    rng = np.random.default_rng(8)
    one, noise = rng.normal(size=20_000), rng.normal(size=20_000)
    assert pearson(one, 3 * one - 7) == pytest.approx(1)
    assert pearson(one, -one) == pytest.approx(-1)
    assert pearson(one, 0.8 * one + 0.6 * noise) == pytest.approx(0.8, abs=0.01)
    holes = one.copy()
    holes[::3] = np.nan
    assert pearson(one, holes) == pytest.approx(1)


def test_pearson_of_what_does_not_change_is_not_a_number() -> None:
    assert np.isnan(pearson(np.ones(10), np.arange(10.0)))
    assert np.isnan(pearson(np.array([1.0, np.nan, 2.0]), np.array([1.0, 2.0, np.nan])))


@pytest.mark.parametrize("late", [-3, -1, 0, 1, 2, 5])
def test_lag_of_a_shifted_series(late: int) -> None:
    rng = np.random.default_rng(9)
    source = np.convolve(rng.normal(size=400), np.ones(5) / 5, "same")
    follower = np.roll(source, late) + rng.normal(0, 0.05, 400)
    assert lag(source, follower) == late
    follower[50:60] = np.nan
    assert lag(source, follower) == late


def test_lag_of_series_without_motion_is_none() -> None:
    assert lag(np.zeros(50), np.zeros(50)) == 0


def test_speeds_have_the_unit_that_they_say() -> None:
    points = np.zeros((4, 478, 2))
    points[:, 263, 0] = 50  # eye corners 50 pixels apart
    points[:, :, 0] += np.array([0, 5, 5, 15])[:, None]
    np.testing.assert_allclose(speeds(points, 30), [3, 0, 6])  # 5 of 50 in 1/30 s
    points[2] = np.nan
    assert np.isnan(speeds(points, 30)[1:]).all()


def test_still_speed_counts_the_quiet_quarter_only() -> None:
    rng = np.random.default_rng(10)
    base = rng.uniform(0, 100, (478, 2))
    base[263], base[33] = (100, 0), (0, 0)
    moved = np.cumsum(np.where(np.arange(100) % 3 == 0, 0.0, 8.0))[:, None, None]
    source = base + moved
    jitter = np.where(np.arange(100) % 2 == 0, 1.0, 0.0)[:, None, None] * [1, 0]
    assert still_speed(source, source, 30) == pytest.approx(0, abs=1e-9)
    assert still_speed(source, source + jitter, 30) == pytest.approx(0.3, rel=0.02)

"""The figures and their comparison, on series with known r, lag and speed."""

from __future__ import annotations

import numpy as np
import pytest

from realtime.alignment import rotation_of, yaw_pitch_roll
from realtime.mirror_points import MIRRORED
from tools.figures import FIGURES, figures, lag, pearson, quiet_speed, speeds, still_speed, still_steps
from tools.head_angles import POINTS, TEMPLATE, angles, turned


def face(scale: float = 100.0, turned: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    """A face whose points are the template's, in a picture of far away."""
    points = np.zeros((478, 3), np.float32)
    points[POINTS] = scale * TEMPLATE @ rotation_of(*turned).T * [1, -1, -1] + [300, 200, 0]
    for index, (x, y) in {
        33: (-0.5, 0),
        263: (0.5, 0),
        133: (-0.193, 0),
        362: (0.193, 0),
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
        assert found["mouth curve"] == pytest.approx(-0.1, abs=1e-4)
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


@pytest.mark.parametrize("roll", [0.0, 0.5])
def test_a_smile_curves_the_mouth_upwards(roll: float) -> None:
    points = face(100, (0, 0, roll))
    raised = points.copy()
    up = rotation_of(0, 0, roll) @ [0, 1, 0] * [1, -1, -1]
    raised[[61, 291]] += (12 * up).astype(np.float32)
    change = figures(raised) - figures(points)
    assert change[FIGURES.index("mouth curve")] == pytest.approx(0.12, abs=1e-3)


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


def test_a_clip_counts_from_its_own_mean_pose() -> None:
    """An avatar that looks 6 degrees further down turns as the person does, and so do its figures."""
    rng = np.random.default_rng(11)
    person = np.array([rotation_of(*row) for row in rng.normal(0, 0.15, (50, 3))])
    theirs, ours = (
        np.array([yaw_pitch_roll(rotation @ zero) for rotation in person])
        for zero in (np.eye(3), rotation_of(0, 0.1, 0))
    )
    assert np.abs(ours - theirs)[:, 2].max() > 0.01, "as they are, the rolls differ"
    ours[7] = theirs[7] = np.nan
    np.testing.assert_allclose(turned(ours), turned(theirs), atol=1e-9)
    assert np.isnan(turned(np.full((3, 3), np.nan))).all()


def test_every_point_has_its_mirror_image() -> None:
    assert (MIRRORED[MIRRORED] == np.arange(478)).all()
    assert set(MIRRORED[POINTS]) == set(POINTS) and len(POINTS) == len(TEMPLATE)
    assert (MIRRORED[[33, 133, 61, 159, 105, 468]] == [263, 362, 291, 386, 334, 473]).all()


def wobbling() -> tuple[np.ndarray, np.ndarray]:
    """Points [100, 478, 2], eye corners 100 apart, and how they move: 25 frames of rest after 25 of movement, twice."""
    base = np.random.default_rng(10).uniform(0, 100, (478, 2))
    base[263], base[33] = (100, 0), (0, 0)
    moving = np.arange(100) % 50 < 25
    return base + np.cumsum(np.where(moving, 8.0, 0.1))[:, None, None] * [1, 0], moving


def test_still_frames_are_those_with_still_ones_around() -> None:
    source, moving = wobbling()
    still = still_steps(source, 30)
    assert (still == [not moving[i - 1 : i + 4].any() and 2 <= i < 97 for i in range(99)]).all()
    source[30] = np.nan
    assert not still_steps(source, 30)[27:33].any() and still_steps(source, 30)[34:45].all()


def test_still_speed_counts_still_frames_only() -> None:
    source, _ = wobbling()
    still = still_steps(source, 30)
    assert still_speed(source, still, 30) == pytest.approx(0.03)
    jitter = np.where(np.arange(100) % 2 == 0, 1.0, 0.0)[:, None, None] * [0, 1]
    assert still_speed(source + jitter, still, 30) == pytest.approx(0.3, rel=0.02)
    assert np.isnan(still_speed(source, np.arange(99) < 9, 30))


def test_quiet_speed_counts_the_quiet_quarter_only() -> None:
    rng = np.random.default_rng(10)
    base = rng.uniform(0, 100, (478, 2))
    base[263], base[33] = (100, 0), (0, 0)
    moved = np.cumsum(np.where(np.arange(100) % 3 == 0, 0.0, 8.0))[:, None, None]
    source = base + moved
    jitter = np.where(np.arange(100) % 2 == 0, 1.0, 0.0)[:, None, None] * [1, 0]
    assert quiet_speed(source, source, 30) == pytest.approx(0, abs=1e-9)
    assert quiet_speed(source, source + jitter, 30) == pytest.approx(0.3, rel=0.02)

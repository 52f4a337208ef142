from __future__ import annotations

import csv
import math
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from realtime.frames import Latent
from realtime.settings import SmoothingSettings
from realtime.smoothing import OneEuro, Smoother

GOLDEN = Path(__file__).with_name("one_euro_golden.csv")
FRAME_NS = 33_333_333
GROUPS = {"pose": [0], "mouth": [1], "eyes": [2]}
REACH = (0.2, 0.02, 0.013, 0.009, 0.009)


def similarity(
    x: float = 300.0, y: float = 200.0, scale: float = 1.5, angle: float = 0.0, crop_px: int = 256
) -> np.ndarray:
    """Crop to frame, with the crop's centre at (x, y)."""
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    centre = np.full(2, (crop_px - 1) / 2)
    return np.column_stack([turn, np.array([x, y]) - turn @ centre])


def latent(
    frame: int, value: float = 0.0, fresh: bool = False, transform: np.ndarray | None = None, at_ns: int | None = None
) -> Latent:
    motion = np.full(5, value, np.float32)
    motion[0] /= 20  # the head turns by less than a cut
    return Latent(
        frame_id=frame,
        captured_ns=frame * FRAME_NS if at_ns is None else at_ns,
        wplus=np.full((6, 5), value, np.float32),
        motion=motion,
        transform=similarity() if transform is None else transform,
        fresh=fresh,
    )


def same(a: Latent, b: Latent) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("wplus", "motion", "transform"))


def test_the_filter_agrees_with_the_golden_table() -> None:
    with GOLDEN.open(newline="") as file:
        rows = [[float(cell) for cell in row] for row in list(csv.reader(file))[1:]]
    assert len(rows) == 480
    for (min_cutoff, beta, derivative), group in groupby(rows, key=lambda row: tuple(row[:3])):
        one_euro = OneEuro(np.array(min_cutoff), np.array(beta), derivative)
        for _, _, _, time_ns, value, filtered in group:
            assert one_euro.filter(np.array(value), int(time_ns)) == pytest.approx(filtered, rel=1e-12, abs=1e-12)


def test_each_number_is_filtered_by_itself_at_any_shape() -> None:
    values = np.random.default_rng(0).normal(size=(20, 3, 4))
    together = OneEuro(np.array([[1.0], [2.0], [3.0]]), np.array(0.5), 1.0)
    alone = OneEuro(np.array(2.0), np.array(0.5), 1.0)
    for step, value in enumerate(values):
        time_ns = step * FRAME_NS
        assert together.filter(value, time_ns)[1, 2] == pytest.approx(alone.filter(value[1, 2], time_ns))


def test_a_speed_that_counts_as_still_does_not_raise_the_cut_off() -> None:
    noise = 0.01 * np.random.default_rng(3).normal(size=200)

    def run(values: np.ndarray, still: float) -> np.ndarray:
        one_euro = OneEuro(np.array(1.0), np.array(100.0), 8.0, still)
        return np.array([float(one_euro.filter(np.array(v), i * FRAME_NS)) for i, v in enumerate(values)])

    calm, published = (np.diff(run(noise, still)).std() for still in (1.0, 0.0))
    assert calm < 0.4 * published, "noise alone stays below 1 a second"
    step = np.where(np.arange(200) < 100, 0.0, 1.0)
    assert run(step, 1.0)[101] > 0.95, "a real movement is followed at once"


def test_what_moves_together_opens_together() -> None:
    """Numbers of one body share a cut-off by their common speed; another body's movement does not open it."""
    bodies = np.array([0, 0, 1])
    one_euro = OneEuro(np.full(3, 0.5), np.full(3, 50.0), 8.0, 0.1, (bodies, np.array([1.0, 0.1, 1.0])))
    one_euro.filter(np.zeros(3), 0)
    seen = one_euro.filter(np.array([1.0, 0.01, 0.003]), FRAME_NS)
    assert seen[0] > 0.9 and seen[1] / 0.01 == pytest.approx(seen[0])
    assert seen[2] < 0.15 * 0.003, "slower than what counts as still"


def test_a_blink_of_three_frames_closes_the_eye() -> None:
    smoother = Smoother(SmoothingSettings(), {"eyes": range(5)}, reach=[0.013, 0.013, 0.003, 0.003, 0.008])
    lids = [1.0] * 30 + [0.6, 0.1, 0.0, 0.3, 0.8] + [1.0] * 5
    seen = [
        smoother.smooth(replace(latent(i), motion=np.full(5, lid, np.float32))).motion[0] for i, lid in enumerate(lids)
    ]
    assert min(seen) < 0.06 and seen[-1] > 0.97


def test_lips_that_close_for_a_p_close() -> None:
    smoother = Smoother(SmoothingSettings(), {"mouth": range(5)}, reach=[0.0214, 0.01, 0.009, 0.009, 0.004])
    jaw = [0.5] * 30 + [0.2, 0.0, 0.0, 0.3] + [0.5] * 5
    seen = [smoother.smooth(replace(latent(i), motion=np.full(5, a, np.float32))).motion[0] for i, a in enumerate(jaw)]
    assert min(seen) < 0.03


def test_a_time_that_does_not_move_on_repeats_the_value() -> None:
    one_euro = OneEuro(np.array(1.0), np.array(0.0), 1.0)
    one_euro.filter(np.array(1.0), 0)
    assert one_euro.filter(np.array(5.0), 0) == 1.0
    later = one_euro.filter(np.array(5.0), FRAME_NS)
    assert 1.0 < later < 5.0
    assert one_euro.filter(np.array(9.0), FRAME_NS - 1) == later


def test_the_first_latent_passes_unchanged_also_at_time_zero() -> None:
    first = latent(0, 3.0)
    smoothed = Smoother(SmoothingSettings(), GROUPS).smooth(first)
    assert np.array_equal(smoothed.wplus, first.wplus)
    assert np.array_equal(smoothed.motion, first.motion)
    assert smoothed.transform == pytest.approx(first.transform)
    assert smoothed.fresh
    assert smoothed.wplus.dtype == smoothed.motion.dtype == np.float32
    second = Smoother(SmoothingSettings(), GROUPS)
    second.smooth(first)
    assert second.smooth(latent(1, 4.0)).wplus[0, 0] < 4.0, "time 0 counts as a time: the second value is blended"


def test_reset_equals_a_new_smoother() -> None:
    used, new = Smoother(SmoothingSettings(), GROUPS), Smoother(SmoothingSettings(), GROUPS)
    for frame in range(5):
        used.smooth(latent(frame, frame * 2.0))
    used.reset()
    assert vars(used).keys() == vars(new).keys()
    for frame in range(5):
        probe = latent(frame, math.sin(frame), transform=similarity(x=300 + frame))
        assert same(used.smooth(probe), new.smooth(probe))


def test_a_fresh_face_starts_anew() -> None:
    smoother = Smoother(SmoothingSettings(), GROUPS)
    smoother.smooth(latent(0, 0.0))
    assert smoother.smooth(latent(1, 8.0, fresh=True)).wplus == pytest.approx(8.0)


@pytest.mark.parametrize(
    "cut",
    [
        latent(1, 8.0, transform=similarity(x=700)),
        latent(1, 8.0, transform=similarity(scale=0.75)),
        latent(1, 8.0, transform=similarity(angle=0.5)),
        latent(1, 8.0, at_ns=600_000_000),
        latent(1, 8.0, at_ns=-1),
    ],
    ids=["place", "scale", "angle", "gap in time", "time runs back"],
)
def test_a_cut_starts_anew(cut: Latent) -> None:
    smoother = Smoother(SmoothingSettings(), GROUPS)
    smoother.smooth(latent(0, 0.0))
    smoothed = smoother.smooth(cut)
    assert smoothed.fresh
    assert smoothed.wplus == pytest.approx(8.0)
    assert smoothed.transform == pytest.approx(cut.transform)


@pytest.mark.parametrize("fps", [1 / 0.49, 15, 30, 60, 240])
def test_a_quick_but_human_move_is_no_cut_at_any_rate(fps: float) -> None:
    smoother = Smoother(SmoothingSettings(), GROUPS)
    step_ns = int(1e9 / fps)
    smoother.smooth(latent(0))
    moved = replace(latent(1), captured_ns=step_ns, transform=similarity(x=300 + 384 * 2 / fps, angle=4 / fps))
    assert not smoother.smooth(moved).fresh


def test_the_angle_turns_through_half_a_turn_without_a_jump() -> None:
    smoother = Smoother(SmoothingSettings(), GROUPS)
    angles = []
    for frame in range(40):
        smoothed = smoother.smooth(latent(frame, transform=similarity(angle=math.pi - 0.5 + frame * 0.05)))
        assert smoothed.fresh == (frame == 0)
        angles.append(math.atan2(smoothed.transform[1, 0], smoothed.transform[0, 0]))
    assert np.abs(np.diff(np.unwrap(angles))).max() < 0.1
    assert np.unwrap(angles)[-1] > math.pi + 1.0


def test_a_head_that_turns_faster_than_any_head_is_a_cut() -> None:
    smoother = Smoother(SmoothingSettings(), GROUPS)
    still = latent(0)
    smoother.smooth(still)
    turned = np.array([0.9, 0, 0, 0, 0], np.float32)
    assert smoother.smooth(replace(latent(1), motion=turned)).fresh
    assert not smoother.smooth(replace(latent(2), motion=turned * 0.5)).fresh


def test_a_still_face_becomes_stiller() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, 120)
    smoother = Smoother(SmoothingSettings(), GROUPS, reach=REACH)
    wplus, motion, places = [], [], []
    for frame, wobble in enumerate(noise):
        smoothed = smoother.smooth(latent(frame, wobble, transform=similarity(x=300 + 50 * wobble)))
        wplus.append(smoothed.wplus[0, 0])
        motion.append(smoothed.motion)
        places.append(smoothed.transform[0, 2])
    assert np.std(np.diff(wplus)) < 0.2 * np.std(np.diff(noise))
    assert np.std(np.diff(places)) < 0.5 * 50 * np.std(np.diff(noise))
    assert (
        np.std(np.diff(motion, axis=0), axis=0) < 0.75 * np.std(np.diff(noise)) * np.array([0.05, 1, 1, 1, 1])
    ).all()


def test_lids_and_lips_are_hardly_late() -> None:
    smoother = Smoother(SmoothingSettings(), GROUPS)
    for frame in range(10):
        smoother.smooth(latent(frame, 0.0))
    after_one = smoother.smooth(latent(10, 1.0)).motion
    after_two = smoother.smooth(latent(11, 1.0)).motion
    assert (after_one[1:3] > 0.7).all(), "more than two thirds of a blink in the frame in which it happens"
    assert (after_two[1:3] > 0.9).all()


def test_irregular_times_give_what_the_time_says_not_the_count() -> None:
    settings = SmoothingSettings(coarse_beta=0.0)
    results = []
    for count in (3, 12):
        smoother = Smoother(settings, GROUPS)
        smoother.smooth(latent(0, 0.0))
        for step in range(1, count + 1):
            smoothed = smoother.smooth(latent(step, 1.0, at_ns=step * 300_000_000 // count))
        results.append(smoothed.wplus[0, 0])
    assert results[0] == pytest.approx(results[1], rel=0.15)


def test_layer_and_motion_groups_have_their_own_cutoffs() -> None:
    settings = SmoothingSettings(
        coarse_min_cutoff_hz=0.1,
        middle_min_cutoff_hz=1,
        fine_min_cutoff_hz=10,
        coarse_beta=0,
        middle_beta=0,
        fine_beta=0,
    )
    smoother = Smoother(settings, GROUPS)
    smoother.smooth(latent(0, 0.0))
    rows = smoother.smooth(latent(1, 1.0)).wplus[:, 0]
    assert rows[0] == rows[1] < rows[2] == rows[3] < rows[4] == rows[5]


def test_off_passes_everything_as_it_came() -> None:
    smoother = Smoother(SmoothingSettings(enabled=False), GROUPS)
    for frame in range(3):
        probe = latent(frame, frame * 1.0)
        assert smoother.smooth(probe) is probe


def test_a_generator_without_motion_code() -> None:
    smoother = Smoother(SmoothingSettings())
    bare = replace(latent(0), motion=np.empty(0, np.float32))
    smoother.smooth(bare)
    assert smoother.smooth(replace(bare, frame_id=1, captured_ns=FRAME_NS)).motion.shape == (0,)


def test_an_unknown_group_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown motion groups \['lips'\]; known: pose, mouth, eyes"):
        Smoother(SmoothingSettings(), {"lips": [0]})

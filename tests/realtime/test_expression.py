"""Expressions by measure: independent of pose and size, relative to the person's own rest."""

from __future__ import annotations

import numpy as np
import pytest

from engines.motion import AT_REST, LIMITS, MOTION
from realtime.alignment import rotation_of
from realtime.expression import FIGURES, LIDS, MATRIX, USUAL, MotionReader, Rest, change, figures
from tests.realtime.faces import head_points, seen

EXPRESSION = MOTION[3:]
EYE = np.eye(3)


def read(reader: MotionReader, frames: int = 1, **changes: float) -> dict[str, float]:
    for _ in range(frames):
        motion = reader.read(seen(head_points(**changes)), EYE)
    return dict(zip(EXPRESSION, (float(value) for value in motion), strict=True))


def test_figures_are_the_distances_of_the_face() -> None:
    wanted = {**USUAL, "gap": 0.1, "lid_l": 0.2, "gaze_x": -0.07, "shift": 0.04}
    got = figures(seen(head_points(**wanted)), EYE)
    np.testing.assert_allclose(got, [wanted[name] for name in FIGURES], atol=2e-4)


@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0), (0.6, 0.0, 0.0), (-0.3, 0.4, 0.5)])
@pytest.mark.parametrize(("scale", "place"), [(40.0, (20, 900, 5)), (600.0, (1000, -50, -300))])
def test_figures_do_not_change_with_pose_size_and_place(
    turn: tuple[float, float, float], scale: float, place: tuple[float, ...]
) -> None:
    points, rotation = head_points(gap=0.15, gaze_y=0.2), rotation_of(*turn)
    np.testing.assert_allclose(
        figures(seen(points, rotation, scale, place), rotation), figures(seen(points), EYE), atol=1e-3
    )


def test_a_turned_head_whose_depth_is_seen_too_flat_pushes_no_mouth_aside() -> None:
    for yaw in (-0.5, 0.5):
        rotation = rotation_of(yaw, 0.1, 0.0)
        landmarks = seen(head_points(shift=0.03), rotation)
        landmarks[:, 2] *= 0.75
        assert figures(landmarks, rotation)[FIGURES.index("shift")] == pytest.approx(0.03, abs=0.01)


def test_a_usual_face_is_at_rest() -> None:
    motion = read(MotionReader())
    for name in EXPRESSION:
        assert motion[name] == pytest.approx(AT_REST[name], abs=0.01)


@pytest.mark.parametrize(
    ("figure", "by", "name"),
    [
        ("gap", 0.2, "jaw_open"),
        ("width", 0.06, "mouth_wide"),
        ("width", -0.06, "mouth_wide"),
        ("corner_l", 0.06, "corner_l"),
        ("corner_r", -0.06, "corner_r"),
        ("shift", 0.05, "mouth_shift"),
        ("brow_l", 0.04, "brow_l"),
        ("brow_r", -0.04, "brow_r"),
        ("gaze_x", 0.12, "gaze_x"),
        ("gaze_y", -0.1, "gaze_y"),
        ("brows_apart", -0.04, "furrow"),
    ],
)
def test_each_figure_moves_its_part_of_the_face(figure: str, by: float, name: str) -> None:
    motion = read(MotionReader(), **{figure: USUAL[figure] + by})
    sign = -1 if name == "furrow" else 1
    moved = motion[name] - AT_REST[name]
    assert sign * moved * by > 0 and abs(moved) > 0.2


def test_teeth_shown_by_a_raised_lip_need_no_jaw() -> None:
    spoken, smiled = (read(MotionReader(), gap=0.1, upper=USUAL["upper"] + rise) for rise in (0.0, 0.08))
    assert smiled["lip_upper"] > 0.6 and smiled["jaw_open"] < 0.85 * spoken["jaw_open"]
    agape = [read(MotionReader(), gap=0.25, upper=USUAL["upper"] + rise)["jaw_open"] for rise in (0.0, 0.08)]
    assert agape[0] == agape[1], "lips that are far apart are so by the jaw"


def test_a_blink_closes_only_the_eye_that_blinks() -> None:
    reader = MotionReader()
    read(reader, 60)
    motion = read(reader, lid_l=0.04)
    assert motion["eye_l"] == pytest.approx(0, abs=0.02) and 1 <= motion["eye_r"] < 1.08


def test_rest_learns_a_wide_eyed_face() -> None:
    reader = MotionReader()
    first = read(reader, lid_l=0.55, lid_r=0.55)["eye_l"]
    after = read(reader, 100, lid_l=0.55, lid_r=0.55)
    assert first == pytest.approx(LIMITS["eye_l"][1]) and 1 <= after["eye_l"] < 1.08
    assert read(reader, lid_l=0.06, lid_r=0.55)["eye_l"] < 0.05


def test_eyes_opened_wide_for_a_moment_stay_wide_and_the_eye_is_as_open_after() -> None:
    reader = MotionReader()
    read(reader, 90)
    wide = read(reader, 20, lid_l=0.45, lid_r=0.45)
    assert wide["eye_l"] > 1.15
    assert read(reader)["eye_l"] > 0.94


def test_blinks_do_not_teach_that_eyes_are_small() -> None:
    rest = Rest()
    usual, closed = (np.array([{**USUAL, **more}[n] for n in FIGURES]) for more in ({}, {"lid_l": 0.05, "lid_r": 0.05}))
    for frame in range(300):
        known = rest.watch(closed if frame % 30 < 4 else usual)
    np.testing.assert_allclose(known[list(LIDS)], usual[list(LIDS)], rtol=0.07)


def test_rest_learns_a_mouth_that_lies_low_but_never_open_lips() -> None:
    reader = MotionReader()
    low = {name: USUAL[name] - 0.08 for name in ("corner_l", "corner_r", "upper")}
    motion = read(reader, 600, **low, gap=0.1)
    assert motion["jaw_open"] == pytest.approx(0.1 * MATRIX["jaw_open"]["gap"], abs=0.01)
    assert abs(read(reader, **low)["corner_l"]) < 0.15


def test_a_mouth_that_lies_low_does_not_frown_for_long() -> None:
    low = {name: USUAL[name] - 0.08 for name in ("corner_l", "corner_r", "upper")}
    assert read(MotionReader(), 15, **low)["corner_l"] > -0.25


def test_a_lasting_frown_stays_a_frown() -> None:
    frown = {name: USUAL[name] - 0.025 for name in ("corner_l", "corner_r")}
    reader = MotionReader()
    first, after = read(reader, 1, **frown), read(reader, 600, **frown)
    assert first["corner_l"] < -0.5 and first["corner_l"] < after["corner_l"] < -0.3


def test_pursed_lips_are_no_smile() -> None:
    """The drawn mouth rests in a slight smile, 0.16 of the code, which pursed lips must lose."""
    pursed = read(MotionReader(), width=USUAL["width"] - 0.12)
    assert pursed["mouth_wide"] < -0.7 and -0.5 < pursed["corner_l"] < -0.16
    moved = {name: USUAL[name] + 0.01 for name in ("corner_l", "corner_r", "upper")}
    assert read(MotionReader(), width=USUAL["width"] - 0.12, **moved)["corner_l"] < -0.1, "a kiss rises a little"


def test_speech_that_lowers_the_whole_mouth_is_hardly_a_frown() -> None:
    low = {name: USUAL[name] - 0.03 for name in ("corner_l", "corner_r", "upper")}
    assert -0.16 < read(MotionReader(), **low)["corner_l"] <= 0.01
    gaping = {name: USUAL[name] - 0.38 * 0.2 for name in ("corner_l", "corner_r")}
    assert read(MotionReader(), gap=0.2, **gaping)["corner_l"] > -0.2


def test_brows_that_stay_low_and_near_stay_a_frown_and_high_ones_become_the_face() -> None:
    angry, high = ({f: USUAL[f] + by for f in ("brow_l", "brow_r")} for by in (-0.05, 0.05))
    reader, other = MotionReader(), MotionReader()
    after = read(reader, 900, **angry, brows_apart=USUAL["brows_apart"] - 0.04)
    assert after["brow_l"] < AT_REST["brow_l"] - 0.06 and after["furrow"] > 0.1
    assert read(other, 900, **high)["brow_l"] == pytest.approx(AT_REST["brow_l"], abs=0.05)


def test_a_brow_that_stays_raised_stays_higher_than_the_other() -> None:
    motion = read(MotionReader(), 900, brow_l=USUAL["brow_l"] + 0.03, brow_r=USUAL["brow_r"] - 0.03)
    assert motion["brow_l"] > AT_REST["brow_l"] + 0.2 and motion["brow_r"] < AT_REST["brow_r"] - 0.1


@pytest.mark.parametrize(("yaw", "apart"), [(0.05, 1.0), (0.2, 0.5), (-0.4, 0.0), (0.4, 0.0)])
def test_lids_of_a_head_that_is_turned_away_are_told_as_one(yaw: float, apart: float) -> None:
    rotation, reader = rotation_of(yaw, 0.0, 0.0), MotionReader()
    for _ in range(3):
        reader.read(seen(head_points(), rotation), rotation)
    wink = reader.read(seen(head_points(lid_l=0.03), rotation), rotation)
    left, right = (float(wink[EXPRESSION.index(name)]) for name in ("eye_l", "eye_r"))
    assert right - left == pytest.approx(apart, abs=0.06)


def test_a_yawn_does_not_pull_the_corners_up() -> None:
    wide, yawn = read(MotionReader(), gap=0.28), read(MotionReader(), gap=0.6)
    assert wide["corner_l"] == pytest.approx(yawn["corner_l"]) and wide["jaw_open"] == yawn["jaw_open"]


def test_motion_stays_within_its_limits() -> None:
    reader = MotionReader()
    for extreme in (-3.0, 3.0):
        motion = read(reader, **dict.fromkeys(FIGURES, extreme))
        assert all(LIMITS[name][0] - 1e-6 <= motion[name] <= LIMITS[name][1] + 1e-6 for name in EXPRESSION)


def test_lids_change_relative_to_the_open_eye() -> None:
    rest = np.array(list(USUAL.values()))
    half = rest.copy()
    half[list(LIDS)] /= 2
    np.testing.assert_allclose(change(half, rest)[list(LIDS)], -0.5)


def test_a_degenerate_face_gives_numbers() -> None:
    assert np.isfinite(MotionReader().read(np.zeros((478, 3), np.float32), EYE)).all()

"""The measurement of an avatar that follows perfectly: the person's own crop in place of the portrait."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from realtime.alignment import Aligner
from realtime.frames import Frame, Portrait
from realtime.settings import AlignmentSettings, TrackingSettings
from realtime.tracking import Tracker
from tools.drawn_places import DRAWN
from tools.fidelity import Recorder, Runner, Track, compare, read
from tools.fidelity_tables import ANGLES, calibrated_table, drawn_table, means, table
from tools.figures import FIGURES, still_steps
from tools.looking import look, on_grey

CLIPS = Path(__file__).parents[2] / "../shared/media/clips"


def made_up(seed: int, late: int = 0, noise: float = 0.0) -> Track:
    rng = np.random.default_rng(seed)
    figures = np.cumsum(rng.normal(0, 0.05, (120, len(FIGURES))), axis=0)
    points = np.random.default_rng(1).uniform(0, 100, (478, 2)) + rng.normal(0, 0.05 + noise, (120, 1, 2))
    figures = np.roll(figures, late, axis=0) + np.random.default_rng(2).normal(0, noise, figures.shape)
    return Track(points, figures)


def test_a_perfect_follower_and_a_late_one() -> None:
    perfect = compare(made_up(3), made_up(3), made_up(3, noise=2), 30)
    assert all(row["r"] == pytest.approx(1) and row["lag"] == 0 for row in perfect["figures"].values())
    assert perfect["avatar_found"] == perfect["found"] == perfect["frames"] == 120
    assert perfect["still_speed_person"] == perfect["still_speed"] < perfect["still_speed_unsmoothed"]
    late = compare(made_up(3), made_up(3, late=2), None, 30)
    assert all(row["lag"] == 2 for row in late["figures"].values())
    assert "still_speed_unsmoothed" not in late


def columns(names: tuple[str, ...]) -> list[int]:
    return [FIGURES.index(name) for name in names]


def test_figures_that_do_not_move_are_in_brackets_and_not_in_the_mean() -> None:
    still, moving = made_up(4), made_up(3)
    still.figures[:, 0] = np.random.default_rng(5).normal(0, 1e-4, 120)
    clips = {"still": compare(still, made_up(6), None, 30), "moving": compare(moving, moving, None, 30)}
    summary = means(clips)["mouth open"]
    assert summary["clips"] == 1 and summary["r"] == pytest.approx(1) and summary["r_all"] < 0.9
    lines = table(clips).splitlines()
    assert lines[2].split("|")[3].strip().startswith("(") and lines[3].split("|")[3].strip() == "1.00"
    assert lines[4].startswith("| **mean** |")
    assert len({line.count("|") for line in lines}) == 1


def test_what_was_drawn_has_a_table_of_its_own() -> None:
    source, avatar = made_up(3), made_up(8)
    told = Track(avatar.points, avatar.figures, source.figures[:, columns(DRAWN)])
    clips = {"one": compare(source, told, None, 30)}
    lines = drawn_table(clips).splitlines()
    assert lines[2] == "| one | 1.00 | 1.00 | 1.00 | 1.00 | 1.00 |" and lines[3].count("**1.00**") == 5
    assert drawn_table({"one": compare(source, avatar, None, 30)}) == ""


def test_angles_without_known_errors_have_a_table_of_their_own() -> None:
    source, avatar = made_up(3), made_up(8)
    right = Track(avatar.points, avatar.figures, None, source.figures[:, columns(ANGLES)])
    clips = {"one": compare(source, right, None, 30)}
    assert calibrated_table(clips).splitlines()[2:] == [
        "| one | 1.00 | 1.00 | 1.00 |",
        "| **mean** | **1.00** | **1.00** | **1.00** |",
    ]
    assert calibrated_table({"one": compare(source, avatar, None, 30)}) == ""


def test_a_lost_face_is_counted() -> None:
    source, avatar = made_up(3), made_up(3)
    source.figures[:10] = np.nan
    avatar.figures[:30] = np.nan
    result = compare(source, avatar, None, 30)
    assert (result["frames"], result["found"], result["avatar_found"]) == (120, 110, 90)


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the test faces in ../shared/media are not there")
def test_the_persons_own_crop_follows_the_person() -> None:
    tracker, looker = Tracker(TrackingSettings()), Tracker(TrackingSettings())
    aligner, source, drawn = Aligner(AlignmentSettings()), Recorder(), Recorder()
    frames, fps = read(CLIPS / "d18.mp4", 50, 4)
    assert fps == pytest.approx(7.5)
    for frame in frames:
        face = tracker.track(frame)
        assert face is not None
        crop = aligner.align(frame, face)
        pixels = np.dstack([crop.pixels, np.full(crop.pixels.shape[:2], 255, np.uint8)])
        view, to_frame = on_grey(Portrait(frame.frame_id, frame.captured_ns, pixels, crop.transform))
        source.add(face.landmarks)
        drawn.add(look(looker, Frame(frame.frame_id, frame.captured_ns, view)), to_frame)
    for each in (tracker, looker):
        each.close()
    theirs, ours = source.track(), drawn.track()
    assert np.nanmedian(np.linalg.norm(theirs.points - ours.points, axis=2)) < 4  # the way back to the frame
    result = compare(theirs, ours, None, fps)
    assert result["avatar_found"] == 50
    for name in ("mouth open", "eye left", "eye right"):
        assert result["figures"][name]["r"] > 0.9 and result["figures"][name]["lag"] == 0


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the test faces in ../shared/media are not there")
def test_the_real_stages_are_measured() -> None:
    runner = Runner("toon", {}, unsmoothed=False)
    frames, fps = read(CLIPS / "d3.mp4", 12, 5)
    source, avatar, unsmoothed = runner.run(frames, fps)
    assert unsmoothed is None and avatar.drawn is not None and avatar.drawn.shape == (12, 5)
    result = compare(source, avatar, None, fps)
    assert result["avatar_found"] == 12 and result["drawn"]["yaw"]["r"] > 0.8


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the test faces in ../shared/media are not there")
def test_without_the_smoother_only_still_frames_are_drawn() -> None:
    frames, fps = read(CLIPS / "d18.mp4", 14, 1)
    source, _, unsmoothed = Runner("toon", {}, unsmoothed=True).run(frames, fps)
    still = still_steps(source.points, fps)
    assert unsmoothed is not None and still.any() and not still.all()
    seen = np.isfinite(unsmoothed.points[:, 0, 0])
    assert (seen == (np.append(still, False) | np.append(False, still))).all()

"""Several avatars in one picture: no pixel of any head, nearer ones in front, and nobody lost is shown.

The proof is that of test_privacy: with noise for every pixel of a head the picture stays the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.building import build_stages
from realtime.clock import FakeClock
from realtime.covering import blurred, cover_heads, head_region
from realtime.errors import UsageError
from realtime.faces import Lost
from realtime.faces_compositing import GroupCompositor, Shown
from realtime.faces_tracking import GroupTracker
from realtime.frames import Face, Frame, Pixels, Portrait
from realtime.settings import CompositingSettings, EncodingSettings, GeneratingSettings, Settings, TrackingSettings
from realtime.statistics import Statistics

CLIPS = Path(__file__).parents[2] / "../shared/media/clips"
pytestmark = pytest.mark.skipif(not CLIPS.is_dir(), reason="the test faces in ../shared/media are not there")
MODES = ["overlay", "paste", "scene"]
STEP_NS = 33_333_333
COLOURS = {0: (40, 40, 220), 1: (220, 60, 30)}


def picture(name: str, number: int, width: int) -> Pixels:
    reader = cv2.VideoCapture(str(CLIPS / f"{name}.mp4"))
    reader.set(cv2.CAP_PROP_POS_FRAMES, number)
    return np.asarray(cv2.resize(reader.read()[1], (width, width), interpolation=cv2.INTER_AREA), np.uint8)


@cache
def two() -> tuple[Frame, dict[int, Face]]:
    """A large face (left, close to the other) and a smaller one, with their landmarks."""
    whole = np.full((400, 720, 3), 110, np.uint8)
    whole[80:320, 400:640] = picture("d18", 30, 240)
    whole[20:380, 40:400] = picture("d6", 100, 360)
    frame = Frame(0, 0, whole)
    tracker = GroupTracker(TrackingSettings(faces=2))
    seen = tracker.track(frame).seen
    tracker.close()
    assert len(seen) == 2
    return frame, {one.person: one.face for one in seen}


def portrait(face: Face, colour: tuple[int, int, int] | None = None) -> Portrait:
    """A plain square over the head, or nothing at all."""
    low, high = face.landmarks[:, :2].min(axis=0), face.landmarks[:, :2].max(axis=0)
    step = float((high - low).max()) * 1.6 / 64
    x, y = (low + high) / 2 - 32 * step
    pixels = np.zeros((64, 64, 4), np.uint8)
    if colour is not None:
        pixels[:] = (*colour, 255)
    return Portrait(face.frame_id, face.captured_ns, pixels, np.array([[step, 0, x], [0, step, y]]))


def shown(frame: Frame, faces: dict[int, Face], clear: bool = True) -> list[Shown]:
    timed = {person: replace(face, captured_ns=frame.captured_ns) for person, face in faces.items()}
    return [Shown(person, face, portrait(face, None if clear else COLOURS[person])) for person, face in timed.items()]


def noisy(frame: Frame, *faces: Face) -> Frame:
    pixels, random = frame.pixels.copy(), np.random.default_rng(5)
    for face in faces:
        inside = np.zeros(pixels.shape[:2], np.uint8)
        cv2.fillConvexPoly(inside, np.round(head_region(face.landmarks)).astype(np.int32), (255,))
        pixels[inside > 0] = random.integers(0, 255, (int((inside > 0).sum()), 3), np.uint8)
    return replace(frame, pixels=pixels)


def composite(compositor: GroupCompositor, frame: Frame, faces: dict[int, Face], lost: Sequence[Lost] = ()) -> Pixels:
    return compositor.composite_group(frame, shown(frame, faces), lost).pixels


@pytest.mark.parametrize("mode", ["overlay", "scene"])
def test_no_pixel_of_either_head_is_left(mode: str) -> None:
    frame, faces = two()
    outputs = []
    for seen in (frame, noisy(frame, *faces.values())):
        compositor = GroupCompositor(CompositingSettings(mode=mode, background="blur"))
        outputs.append(composite(compositor, seen, faces))
    np.testing.assert_array_equal(outputs[0], outputs[1])


def test_heads_that_touch_do_not_colour_each_other() -> None:
    frame, faces = two()
    near = {**faces, 1: replace(faces[1], landmarks=faces[1].landmarks - np.array([110, 0, 0], np.float32))}
    covered, noise = frame.pixels.copy(), noisy(frame, *near.values()).pixels
    cover_heads(covered, [face.landmarks for face in near.values()])
    cover_heads(noise, [face.landmarks for face in near.values()])
    np.testing.assert_array_equal(covered, noise)


def test_the_nearer_avatar_is_in_front_whatever_their_order() -> None:
    frame, faces = two()
    large = max(faces, key=lambda person: float(np.ptp(faces[person].landmarks[:, 1])))
    shift = faces[large].landmarks[:, :2].mean(axis=0) - faces[1 - large].landmarks[:, :2].mean(axis=0)
    moved = faces[1 - large].landmarks + np.array([*shift, 0], np.float32)
    same_place = {large: faces[large], 1 - large: replace(faces[1 - large], landmarks=moved)}
    x, y = (int(value) for value in faces[large].landmarks[:, :2].mean(axis=0))
    for people in (shown(frame, same_place, clear=False), shown(frame, same_place, clear=False)[::-1]):
        drawn = GroupCompositor(CompositingSettings()).composite_group(frame, people, []).pixels
        np.testing.assert_allclose(drawn[y, x].astype(int), COLOURS[large], atol=2)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("on_lost", ["hold", "card", "blur"])
@pytest.mark.parametrize("moved_px", [0, 60])
def test_somebody_lost_is_not_shown_wherever_they_are_now(mode: str, on_lost: str, moved_px: int) -> None:
    """The second face is still in the picture and moved, but tracking lost it: nothing of it is in what goes out."""
    frame, faces = two()
    gone = next(iter(faces))
    kept = {person: face for person, face in faces.items() if person != gone}
    for waited_ms in (0, 33, 350, 699, 700, 60_000):
        outputs = []
        for first in (True, False):
            compositor = GroupCompositor(CompositingSettings(mode=mode, on_lost=on_lost, background="blur"))
            composite(compositor, frame, faces)
            later = Frame(1, waited_ms * 1_000_000, np.roll(frame.pixels, moved_px, axis=1))
            there = replace(faces[gone], landmarks=faces[gone].landmarks + np.array([moved_px, 0, 0], np.float32))
            if not first:
                # Other noise with the same blurred picture: what passes is no finer than that.
                later = replace(later, pixels=blurred_inside(later.pixels, there))
            lost = [Lost(gone, (float(moved_px), 0.0), 150.0, waited_ms * 1_000_000)]
            outputs.append(composite(compositor, later, kept, lost).astype(int))
        assert np.abs(outputs[0] - outputs[1]).max() <= 3, f"{waited_ms} ms"


def blurred_inside(pixels: Pixels, face: Face) -> Pixels:
    """The picture with every 16x16 block of a head at its mean: the same to a blur of six blocks, not to the eye."""
    inside = np.zeros(pixels.shape[:2], np.uint8)
    cv2.fillConvexPoly(inside, np.round(head_region(face.landmarks)).astype(np.int32), (255,))
    result = pixels.copy()
    for y in range(0, pixels.shape[0], 16):
        for x in range(0, pixels.shape[1], 16):
            part = np.s_[y : y + 16, x : x + 16]
            if inside[part].all():
                result[part] = pixels[part].mean(axis=(0, 1)).round()
    assert np.abs(result.astype(int) - pixels).max() > 40
    return result


def test_the_background_stands_still_at_once_and_fades_into_a_blur() -> None:
    frame, faces = two()
    kept = dict(list(faces.items())[1:])
    compositor = GroupCompositor(CompositingSettings(hold_ms=700))
    covered = composite(compositor, frame, faces)
    other = Frame(1, STEP_NS, 255 - frame.pixels)

    def waiting(waited_ms: int) -> Pixels:
        lost = [Lost(next(iter(faces)), (0.0, 0.0), 150.0, waited_ms * 1_000_000)]
        return composite(compositor, other, kept, lost)

    np.testing.assert_array_equal(waiting(0), covered)
    np.testing.assert_array_equal(waiting(700), blurred(other.pixels, (720, 400)))
    between = np.abs(waiting(350).astype(int) - covered).mean(), np.abs(waiting(699).astype(int) - covered).mean()
    assert 5 < between[0] < between[1]


def test_when_all_are_back_the_picture_returns_in_a_moment() -> None:
    frame, faces = two()
    kept, first = dict(list(faces.items())[1:]), next(iter(faces))
    for waited_ms, fades in ((700, True), (33, False)):
        compositor, direct = (GroupCompositor(CompositingSettings(hold_ms=700)) for _ in range(2))
        composite(compositor, frame, faces)
        lost = [Lost(first, (0.0, 0.0), 150.0, waited_ms * 1_000_000)]
        before = composite(compositor, Frame(1, 0, 255 - frame.pixels), kept, lost).astype(int)
        away = []
        for later_ms in (50, 100, 150, 200):
            now = Frame(2, later_ms * 1_000_000, frame.pixels)
            back, live = composite(compositor, now, faces).astype(int), composite(direct, now, faces)
            away.append(float(np.abs(back - live).mean()))
        assert np.abs(before - live).mean() > 0 and away[2:] == [0, 0]
        assert (away[0] > away[1] > 1) == fades and (away[0] > 0) == fades


def test_the_lost_ones_avatar_goes_on_where_they_are_expected_and_fades() -> None:
    frame, faces = two()
    gone = next(iter(faces))
    compositor = GroupCompositor(CompositingSettings())
    compositor.composite_group(frame, shown(frame, faces, clear=False), [])
    x, y = (int(value) for value in faces[gone].landmarks[:, :2].mean(axis=0))
    kept = [one for one in shown(replace(frame, captured_ns=STEP_NS), faces, clear=False) if one.person != gone]

    def at(shift: float, waited_ms: int) -> np.ndarray:
        lost = [Lost(gone, (shift, 0.0), 150.0, waited_ms * 1_000_000)]
        picture = compositor.composite_group(replace(frame, captured_ns=STEP_NS), kept, lost)
        return picture.pixels[y, x + int(shift)].astype(int)

    np.testing.assert_allclose(at(0, 0), COLOURS[gone], atol=2)
    np.testing.assert_allclose(at(25, 0), COLOURS[gone], atol=2)
    assert np.abs(at(0, 350) - COLOURS[gone]).max() > 20
    assert np.abs(at(0, 700) - COLOURS[gone]).max() > np.abs(at(0, 350) - COLOURS[gone]).max()


def test_only_raw_shows_who_is_lost() -> None:
    frame, faces = two()
    kept = dict(list(faces.items())[1:])
    x, y = (int(value) for value in next(iter(faces.values())).landmarks[:, :2].mean(axis=0))
    lost = [Lost(next(iter(faces)), (0.0, 0.0), 150.0, 0)]
    drawn = composite(GroupCompositor(CompositingSettings(on_lost="raw")), frame, kept, lost)
    np.testing.assert_array_equal(drawn[y, x], frame.pixels[y, x])


def test_nobody_is_the_holding_picture_and_before_anyone_was_covered_there_is_only_blur() -> None:
    frame, faces = two()
    np.testing.assert_array_equal(
        GroupCompositor(CompositingSettings()).composite_group(frame, [], []).pixels, blurred(frame.pixels, (720, 400))
    )
    lost = [Lost(0, (0.0, 0.0), 150.0, 0)]
    drawn = composite(GroupCompositor(CompositingSettings()), frame, {1: faces[1]}, lost)
    np.testing.assert_array_equal(drawn, blurred(frame.pixels, (720, 400)))


def test_mode_crop_is_for_one_face() -> None:
    with pytest.raises(UsageError, match="mode crop shows one face alone; with several faces take overlay or scene"):
        GroupCompositor(CompositingSettings(mode="crop"))


def test_the_stages_draw_two_people_each_as_themselves() -> None:
    frame, faces = two()
    stages, told = build_stages(Settings(tracking=TrackingSettings(faces=2)), (720, 400))
    statistics = Statistics(FakeClock())
    drawn = [stages.draw(Frame(n, n * STEP_NS, frame.pixels), statistics) for n in range(3)]
    empty = stages.draw(Frame(3, 3 * STEP_NS, np.full_like(frame.pixels, 110)), statistics)
    stages.tracker.close()
    assert "OpenVINO" in told
    assert [picture.frame_id for picture in drawn] == [0, 1, 2] and empty.frame_id == 3
    for face in faces.values():
        low, high = face.landmarks[:, :2].min(axis=0).astype(int), face.landmarks[:, :2].max(axis=0).astype(int)
        part = np.s_[low[1] : high[1], low[0] : high[0]]
        assert np.abs(drawn[2].pixels[part].astype(int) - frame.pixels[part]).mean() > 15
    figures = statistics.snapshot()
    assert figures.frames_without_face == 1
    assert [spread.count for spread in figures.stages_ms.values()] == [4, 3, 3, 3, 3, 3, 4]


def test_what_several_faces_cannot_have_is_said_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    several = TrackingSettings(faces=2)
    photographic = Settings(tracking=several, generating=GeneratingSettings(model="ffhq"))
    with pytest.raises(UsageError, match="'ffhq' draws one face; with --faces 2 wanted a bundled model: toon"):
        build_stages(photographic, (720, 400))
    monkeypatch.setenv("AVATAR_LIVE_AVATARS", str(tmp_path))
    with pytest.raises(UsageError, match="nobody"):
        build_stages(Settings(tracking=several, encoding=EncodingSettings(avatar="nobody")), (720, 400))

"""Several real faces in one picture: two clips side by side, and one sliding across the other."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.faces_tracking import Group, GroupTracker
from realtime.frames import Frame
from realtime.settings import TrackingSettings

CLIPS = Path(__file__).parents[2] / "../shared/media/clips"
pytestmark = pytest.mark.skipif(not CLIPS.is_dir(), reason="the test faces in ../shared/media are not there")
STEP_NS = 33_333_333
BEHIND, IN_FRONT = ("d18", 240), ("d6", 300)  # clips and how wide they are shown


@cache
def clip(name: str, width: int, count: int = 40) -> list[np.ndarray]:
    reader = cv2.VideoCapture(str(CLIPS / f"{name}.mp4"))
    pictures = [reader.read()[1] for _ in range(count)]
    return [cv2.resize(picture, (width, width), interpolation=cv2.INTER_AREA) for picture in pictures]


def composed(number: int, behind: int | None, in_front: int | None) -> Frame:
    """Frame ``number`` of both clips with their left edges at these columns; None leaves one out."""
    whole = np.full((320, 640, 3), 110, np.uint8)
    for (name, width), left, top in ((BEHIND, behind, 40), (IN_FRONT, in_front, 10)):
        if left is not None:
            whole[top : top + width, left : left + width] = clip(name, width)[number]
    return Frame(number, number * STEP_NS, whole)


def where(group: Group) -> dict[int, float]:
    return {one.person: float(one.face.landmarks[:, 0].mean()) for one in group.seen}


@pytest.fixture(scope="module")
def shared() -> Iterator[GroupTracker]:
    made = GroupTracker(TrackingSettings(faces=2))
    yield made
    made.close()


@pytest.fixture
def tracker(shared: GroupTracker) -> GroupTracker:
    shared.reset()
    return shared


def test_two_faces_side_by_side_keep_their_numbers(tracker: GroupTracker) -> None:
    groups = [tracker.track(composed(number, 10, 320)) for number in range(6)]
    first = where(groups[0])
    assert len(first) == 2 and all(one.face.fresh and one.another for one in groups[0].seen)
    for number, group in enumerate(groups[1:], 1):
        now = where(group)
        assert now.keys() == first.keys() and not group.lost
        assert all(abs(now[person] - first[person]) < 30 for person in now)
        assert not any(one.face.fresh or one.another for one in group.seen)
        assert all((one.face.frame_id, one.face.captured_ns) == (number, number * STEP_NS) for one in group.seen)


def test_two_who_cross_keep_their_numbers(tracker: GroupTracker) -> None:
    """The one behind moves right, the one in front left; in the middle the one behind is not to be seen."""
    hidden = 0
    for number in range(40):
        part = number / 39
        behind, in_front = round(10 + 370 * part), round(330 - 320 * part)
        group = tracker.track(composed(number, behind, in_front))
        places = where(group)
        if number == 0:
            person_behind = min(places, key=lambda person: places[person])
        assert not any(one.another for one in group.seen) or number == 0, f"somebody new in frame {number}"
        assert abs(places[1 - person_behind] - (in_front + 150)) < 40, f"frame {number}"
        if person_behind in places:
            assert abs(places[person_behind] - (behind + 120)) < 40, f"frame {number}"
        else:
            hidden += 1
            (lost,) = group.lost
            assert lost.person == person_behind
    assert 3 < hidden < 25, "hidden for a while, and found again"


def test_a_face_that_is_lost_is_said_to_be_and_comes_back_as_the_same(tracker: GroupTracker) -> None:
    known = where(tracker.track(composed(0, 10, 320)))
    group = tracker.track(composed(1, None, 320))
    assert len(group.seen) == 1 and [one.person for one in group.lost] == list(known.keys() - where(group).keys())
    back = tracker.track(composed(2, 10, 320))
    assert where(back).keys() == known.keys() and not back.lost
    assert {one.person: one.face.fresh for one in back.seen}[group.lost[0].person]


def test_who_walks_out_over_the_edge_is_not_lost(tracker: GroupTracker) -> None:
    for number in range(30):
        inside = max(0, 240 - 9 * number)
        frame = composed(number, None, 320)
        frame.pixels[40:280, :inside] = clip(*BEHIND)[number][:, 240 - inside :]
        group = tracker.track(frame)
        assert len(group.seen) == 2 or not group.lost, f"frame {number}"
    assert len(group.seen) == 1


def test_the_user_is_told_once_why_the_camera_is_blurred(
    tracker: GroupTracker, caplog: pytest.LogCaptureFixture
) -> None:
    tracker.track(composed(0, 10, 320))
    for seconds in (1, 6, 7):
        tracker.track(Frame(seconds, seconds * 1_000_000_000, composed(seconds, None, 320).pixels))
    assert [message[:46] for message in caplog.messages] == ["somebody who was in the picture is not seen: t"]


def test_the_same_frames_give_the_same_people_and_reset_equals_a_new_tracker(tracker: GroupTracker) -> None:
    frames = [composed(number, 10 + 6 * number, 320) for number in range(3)]
    once = [tracker.track(frame) for frame in frames]
    tracker.reset()
    for frame, before in zip(frames, once, strict=True):
        again = tracker.track(frame)
        for one, other in zip(before.seen, again.seen, strict=True):
            assert one.person == other.person
            np.testing.assert_array_equal(one.face.landmarks, other.face.landmarks)


def test_four_faces_and_no_more() -> None:
    whole = np.full((480, 900, 3), 110, np.uint8)
    for index, name in enumerate(("d18", "d6", "d3", "d13", "d9")):
        row, column = divmod(index, 3)
        whole[row * 240 : row * 240 + 240, column * 300 + 20 : column * 300 + 260] = clip(name, 240, 1)[0]
    tracker = GroupTracker(TrackingSettings(faces=4))
    group = tracker.track(Frame(0, 0, whole))
    tracker.close()
    assert sorted(one.person for one in group.seen) == [0, 1, 2, 3]


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (17, 31), (1000, 1)])
def test_frames_of_any_size_are_taken(tracker: GroupTracker, size: tuple[int, int]) -> None:
    group = tracker.track(Frame(0, 0, np.random.default_rng(1).integers(0, 255, (*size, 3), np.uint8)))
    assert not group.seen and not group.lost

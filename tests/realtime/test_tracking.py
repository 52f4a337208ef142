"""FaceMesh on real faces: found, followed, lost, chosen among several; frames of any size."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.frames import Face, Frame
from realtime.mirrored_look import MirroredLook
from realtime.settings import TrackingSettings
from realtime.tracking import POINTS, Tracker, choose, is_sound, place_of

MEDIA = Path(__file__).parents[2] / "../shared/media"
needs_media = pytest.mark.skipif(not MEDIA.is_dir(), reason="the test faces in ../shared/media are not there")
STEP_NS = 33_000_000


@pytest.fixture
def tracker() -> Iterator[Tracker]:
    made = Tracker(TrackingSettings())
    yield made
    made.close()


def frames(clip: str, count: int) -> list[Frame]:
    reader = cv2.VideoCapture(str(MEDIA / "clips" / f"{clip}.mp4"))
    return [Frame(number, number * STEP_NS, reader.read()[1]) for number in range(count)]


def still(name: str, height: int) -> np.ndarray:
    picture = cv2.imread(str(MEDIA / "stills" / f"{name}.jpg"))
    scale = height / picture.shape[0]
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def side_by_side(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    height = max(left.shape[0], right.shape[0])
    whole = np.full((height, left.shape[1] + right.shape[1], 3), 90, np.uint8)
    whole[: left.shape[0], : left.shape[1]] = left
    whole[: right.shape[0], left.shape[1] :] = right
    return whole


@needs_media
def test_a_face_is_found_and_followed(tracker: Tracker) -> None:
    faces = [tracker.track(frame) for frame in frames("s18", 8)]
    assert all(face is not None for face in faces)
    found = [face for face in faces if face is not None]
    assert [face.fresh for face in found] == [True] + [False] * 7
    assert [(face.frame_id, face.captured_ns) for face in found] == [(n, n * STEP_NS) for n in range(8)]
    for face in found:
        assert face.landmarks.shape == (POINTS, 3) and face.landmarks.dtype == np.float32
        assert is_sound(face.landmarks, 1280, 720)
    iris, corners = found[0].landmarks[468, 0], found[0].landmarks[[33, 133], 0]
    assert corners.min() < iris < corners.max()


@needs_media
def test_the_same_frames_give_the_same_faces_and_reset_equals_a_new_tracker(tracker: Tracker) -> None:
    clip = frames("d18", 6)
    once = [tracker.track(frame) for frame in clip]
    tracker.reset()
    again = [tracker.track(frame) for frame in clip]
    for first, second in zip(once, again, strict=True):
        assert first is not None and second is not None
        np.testing.assert_array_equal(first.landmarks, second.landmarks)
        assert first.fresh == second.fresh


@needs_media
def test_a_lost_face_is_none_and_fresh_when_it_comes_back(tracker: Tracker) -> None:
    clip = frames("d18", 2)
    assert tracker.track(clip[0]) is not None
    assert tracker.track(Frame(1, STEP_NS, np.zeros_like(clip[0].pixels))) is None
    back = tracker.track(Frame(2, 2 * STEP_NS, clip[1].pixels))
    assert back is not None and back.fresh


@needs_media
def test_a_cat_is_no_face(tracker: Tracker) -> None:
    assert tracker.track(Frame(0, 0, still("s39", 480))) is None


@needs_media
def test_the_largest_of_two_faces_is_chosen(tracker: Tracker) -> None:
    small, large = still("d9", 260), still("d8", 480)
    for picture, large_is_left in ((side_by_side(large, small), True), (side_by_side(small, large), False)):
        tracker.reset()
        face = tracker.track(Frame(0, 0, picture))
        assert face is not None
        border = large.shape[1] if large_is_left else small.shape[1]
        assert (place_of(face.landmarks)[0] < border) == large_is_left


@needs_media
def test_after_a_loss_the_face_nearest_the_last_place_is_chosen_while_it_is_remembered(tracker: Tracker) -> None:
    small, large = still("d9", 300), still("d8", 480)
    both = side_by_side(small, large)
    alone = both.copy()
    alone[:, small.shape[1] :] = 90
    for pause_ns, wants_small in ((STEP_NS, True), (5_000_000_000, False)):
        tracker.reset()
        assert tracker.track(Frame(0, 0, alone)) is not None
        assert tracker.track(Frame(1, STEP_NS, np.full_like(both, 90))) is None
        face = tracker.track(Frame(2, STEP_NS + pause_ns, both))
        assert face is not None
        assert (place_of(face.landmarks)[0] < small.shape[1]) == wants_small


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (3, 5), (16, 16), (17, 31), (1, 1000), (1000, 1), (333, 77)])
def test_frames_of_any_size_are_taken(tracker: Tracker, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    assert tracker.track(Frame(0, 0, rng.integers(0, 255, (*size, 3), np.uint8))) is None


@needs_media
def test_a_very_large_frame_is_tracked_in_its_own_pixels(tracker: Tracker) -> None:
    frame = frames("d18", 1)[0]
    small = tracker.track(frame)
    tracker.reset()
    large = tracker.track(Frame(0, 0, cv2.resize(frame.pixels, (4320, 4320), interpolation=cv2.INTER_LINEAR)))
    assert small is not None and large is not None
    scale = 4320 / frame.pixels.shape[1]
    distance = np.linalg.norm(large.landmarks[:, :2] - small.landmarks[:, :2] * scale, axis=1)
    assert distance.mean() < 0.02 * float(place_of(large.landmarks)[2])


def test_unsound_points_are_refused() -> None:
    rng = np.random.default_rng(2)
    points = rng.uniform(20, 60, (POINTS, 3)).astype(np.float32)
    assert is_sound(points, 100, 80)
    broken = points.copy()
    broken[5, 1] = np.nan
    assert not is_sound(broken, 100, 80)
    assert not is_sound(points + 500, 100, 80)
    assert not is_sound(np.full_like(points, 30), 100, 80)
    assert not is_sound(points[:468], 100, 80)
    assert not is_sound((points - 40) * 100 + 40, 100, 80)


def test_choosing() -> None:
    small = np.zeros((POINTS, 3), np.float32)
    small[0, :2] = 10
    large = small * 3 + 100
    assert choose([small, large], None) is large
    assert choose([small, large], np.array([10, 10, 5], np.float32)) is small


@needs_media
def test_one_face_at_most_needs_no_search() -> None:
    tracker = Tracker(TrackingSettings(max_faces=1))
    faces: list[Face | None] = [tracker.track(frame) for frame in frames("d18", 3)]
    tracker.close()
    assert [face.fresh for face in faces if face is not None] == [True, False, False]


@pytest.fixture
def once() -> Iterator[Tracker]:
    made = Tracker(TrackingSettings(looks=1))
    yield made
    made.close()


def apart(one: Face | None, other: Face | None) -> np.ndarray:
    """How far the points of the same face lie apart, in parts of its size."""
    assert one is not None and other is not None
    distance = np.linalg.norm(one.landmarks[:, :2] - other.landmarks[:, :2], axis=1)
    return np.asarray(distance / place_of(one.landmarks)[2])


@needs_media
def test_the_mirror_image_shows_the_same_face_point_by_point(tracker: Tracker, once: Tracker) -> None:
    (frame,) = frames("d18", 1)
    assert 0 < apart(once.track(frame), tracker.track(frame)).max() < 0.03


@needs_media
def test_two_looks_tremble_less_than_one(tracker: Tracker, once: Tracker) -> None:
    clip = frames("d13", 40)
    trembling = []
    for each in (once, tracker):
        points = np.array([face.landmarks[:, :2] for face in map(each.track, clip) if face is not None])
        assert len(points) == 40
        trembling.append(float(np.sqrt((np.diff(points, 2, axis=0) ** 2).mean())))
    assert trembling[1] < 0.92 * trembling[0]


@needs_media
def test_both_looks_are_at_the_chosen_one_of_two_faces(tracker: Tracker, once: Tracker) -> None:
    small, large = still("d9", 300), still("d8", 480)
    both = side_by_side(small, large)
    alone = both.copy()
    alone[:, small.shape[1] :] = 90
    for number, picture in enumerate((alone, both, both, both)):
        frame = Frame(number, number * STEP_NS, picture)
        assert 0 < apart(once.track(frame), tracker.track(frame)).mean() < 0.05


@needs_media
def test_a_mirror_image_without_the_face_changes_nothing(once: Tracker) -> None:
    (frame,) = frames("d18", 1)
    face = once.track(frame)
    assert face is not None
    look = MirroredLook(TrackingSettings())
    grey = np.full_like(frame.pixels, 90)
    np.testing.assert_array_equal(look.averaged(grey, face.landmarks), face.landmarks)
    seen = look.averaged(frame.pixels[..., ::-1].copy(), face.landmarks)
    look.close()
    assert (seen != face.landmarks).any(), "and it is looked for anew in the next picture"


@needs_media
def test_a_look_that_was_begun_before_everything_is_forgotten_does_not_count(once: Tracker) -> None:
    first, second = frames("d18", 2)
    face, seen = once.track(first), []
    assert face is not None
    for begun in (False, True):
        look = MirroredLook(TrackingSettings())
        rgb = first.pixels[..., ::-1].copy()
        if begun:
            look.averaged(rgb, face.landmarks)
            look.begin(rgb)
            look.reset()
        seen.append(look.averaged(second.pixels[..., ::-1].copy(), face.landmarks))
        look.close()
    np.testing.assert_array_equal(*seen)


def test_starting_loads_no_heavy_package_and_says_nothing() -> None:
    code = (
        "import sys, numpy as np\n"
        "from realtime.tracking import Tracker\nfrom realtime.settings import TrackingSettings\n"
        "from realtime.frames import Frame\n"
        "Tracker(TrackingSettings()).track(Frame(0, 0, np.zeros((64, 64, 3), np.uint8)))\n"
        "print([name for name in ('jax', 'matplotlib', 'sounddevice', 'mediapipe.tasks') if name in sys.modules])\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""

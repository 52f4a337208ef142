"""The demo source: a face that the tracker finds, the same every time, for one performance."""

from __future__ import annotations

import numpy as np
import pytest

from realtime.demo import open_demo, room
from realtime.performance import SECONDS
from realtime.settings import CaptureSettings, TrackingSettings
from realtime.tracking import Tracker


def test_the_tracker_finds_the_actor() -> None:
    tracker, source = Tracker(TrackingSettings()), open_demo(CaptureSettings(width=320, height=240, fps=4))
    try:
        frames = [source.read() for _ in range(4)]
        faces = [tracker.track(frame) for frame in frames if frame is not None]
    finally:
        tracker.close()
    assert len(faces) == 4 and all(face is not None for face in faces)
    nose = faces[0].landmarks[1]
    assert 120 < nose[0] < 200 and 90 < nose[1] < 190


def test_it_ends_after_one_performance() -> None:
    source = open_demo(CaptureSettings(width=64, height=48, fps=1))
    frames = [source.read() for _ in range(int(SECONDS))]
    assert [frame.frame_id for frame in frames if frame is not None] == list(range(12))
    assert [frame.captured_ns for frame in frames if frame is not None] == [i * 10**9 for i in range(12)]
    assert source.read() is None and source.read() is None


def test_it_is_the_same_every_time() -> None:
    settings = CaptureSettings(width=96, height=72, fps=2)
    first, second = open_demo(settings), open_demo(settings)
    for _ in range(3):
        a, b = first.read(), second.read()
        assert a is not None and b is not None
        np.testing.assert_array_equal(a.pixels, b.pixels)


def test_the_actor_moves_and_the_room_does_not() -> None:
    source = open_demo(CaptureSettings(width=96, height=72, fps=1))
    frames = [source.read() for _ in range(3)]
    pictures = [frame.pixels.astype(int) for frame in frames if frame is not None]
    assert np.abs(pictures[2] - pictures[0])[20:60, 30:66].mean() > 1
    assert np.abs(pictures[2] - pictures[0])[:10, :10].max() == 0


@pytest.mark.parametrize(("width", "height"), [(160, 90), (90, 160), (50, 51)])
def test_the_size_is_kept(width: int, height: int) -> None:
    source = open_demo(CaptureSettings(width=width, height=height, fps=25))
    frame = source.read()
    assert frame is not None and frame.pixels.shape == (height, width, 3) and frame.pixels.dtype == np.uint8
    assert frame.pixels.flags.c_contiguous
    assert source.size == (width, height) and source.fps == 25 and not source.live and source.path is None
    assert source.describe() == f"demo: the bundled actor, {width}x{height} at 25 fps, 12 s"


def test_a_mirror_mirrors() -> None:
    plain, mirrored = (
        open_demo(CaptureSettings(width=96, height=72, mirror=mirror)).read() for mirror in (False, True)
    )
    assert plain is not None and mirrored is not None
    np.testing.assert_array_equal(mirrored.pixels, plain.pixels[:, ::-1])
    assert mirrored.pixels.flags.c_contiguous


def test_closing_ends_it() -> None:
    source = open_demo(CaptureSettings(width=64, height=48))
    assert source.read() is not None
    source.close()
    source.close()
    assert source.read() is None


def test_the_room_is_a_quiet_background() -> None:
    pixels = room(160, 90)
    assert pixels.shape == (90, 160, 3) and pixels.dtype == np.uint8
    assert 60 < pixels.mean() < 220 and pixels.std() > 10
    np.testing.assert_array_equal(pixels, room(160, 90))

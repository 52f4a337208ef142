"""The beat: constant, in step with the camera for an hour, and never two pictures to catch up."""

from __future__ import annotations

import numpy as np
import pytest

from realtime.clock import FakeClock
from realtime.errors import UsageError
from realtime.pacing import LEAD, MOST_STEER, Pacer

MS = 1_000_000
RATE_FPS = 30.0
INTERVAL_NS = round(1e9 / RATE_FPS)


def fed(arrivals_ns: np.ndarray, pacer: Pacer) -> tuple[np.ndarray, np.ndarray]:
    """The beats at which pictures leave when they arrive at these times, and which picture left at each."""
    clock = FakeClock(int(arrivals_ns[0]))
    pacer.arrived(clock.now_ns())
    beats_ns, shown, newest = [], [], 0
    while newest < len(arrivals_ns) - 1:
        following = int(arrivals_ns[newest + 1])
        if following <= pacer.due_ns:
            clock.sleep_until_ns(following)
            pacer.arrived(clock.now_ns())
            newest += 1
            continue
        clock.sleep_until_ns(pacer.due_ns)
        beats_ns.append(clock.now_ns())
        shown.append(newest)
        pacer.sent(clock.now_ns())
    return np.array(beats_ns), np.array(shown)


def camera(frames: int, fps: float, jitter_ms: float = 0.0, seed: int = 1) -> np.ndarray:
    """Arrival times of a camera whose real rate is ``fps``."""
    jitter = np.random.default_rng(seed).uniform(0, jitter_ms * MS, frames)
    return (np.arange(frames) * 1e9 / fps + jitter).astype(np.int64)


@pytest.mark.parametrize("ppm", [-1000, -100, 0, 100, 1000])
def test_an_hour_with_a_camera_whose_clock_drifts_loses_and_repeats_nothing(ppm: int) -> None:
    beats_ns, shown = fed(camera(3600 * 30, RATE_FPS * (1 + ppm * 1e-6), jitter_ms=6), Pacer(RATE_FPS))
    assert set(np.diff(shown[60:])) == {1}, "after two seconds every picture leaves once, in order"
    intervals = np.diff(beats_ns)
    assert np.abs(intervals - INTERVAL_NS).max() <= 2 * MOST_STEER * INTERVAL_NS + 2
    assert len(shown) / 3600 == pytest.approx(RATE_FPS, rel=0.0011)


def test_pictures_wait_for_a_third_of_an_interval() -> None:
    arrivals = camera(600, RATE_FPS)
    beats_ns, shown = fed(arrivals, Pacer(RATE_FPS))
    waited = (beats_ns - arrivals[shown])[100:]
    assert waited == pytest.approx(LEAD * INTERVAL_NS, abs=0.2 * MS)


def test_a_camera_that_drops_to_half_its_rate_is_shown_twice_and_the_beat_stays() -> None:
    light, dark = camera(300, 30.0), camera(150, 15.0)
    arrivals = np.concatenate([light, light[-1] + INTERVAL_NS + dark, light[-1] + INTERVAL_NS + dark[-1] + light[1:]])
    beats_ns, shown = fed(arrivals, Pacer(RATE_FPS))
    assert np.abs(np.diff(beats_ns) - INTERVAL_NS).max() <= 2 * MOST_STEER * INTERVAL_NS + 2
    times = np.bincount(shown)
    assert (times[60:290] == 1).all() and (times[320:440] == 2).all() and (times[470:700] == 1).all()


@pytest.mark.parametrize("real_fps", [9.0, 17.3, 24.0, 25.0, 29.0, 47.0, 60.0])
def test_a_rate_that_does_not_fit_leaves_the_beat_alone(real_fps: float) -> None:
    beats_ns, shown = fed(camera(int(60 * real_fps), real_fps, jitter_ms=10), Pacer(RATE_FPS))
    rate_fps = (len(beats_ns) - 1) / (beats_ns[-1] - beats_ns[0]) * 1e9
    assert rate_fps == pytest.approx(RATE_FPS, rel=MOST_STEER)
    assert (np.diff(shown) >= 0).all()
    assert np.diff(beats_ns).min() > 0.97 * INTERVAL_NS


@pytest.mark.parametrize("late_ms", [1, 15, 17, 33, 34, 50, 1000])
def test_a_late_wake_up_is_never_made_up_by_a_burst(late_ms: float) -> None:
    pacer = Pacer(RATE_FPS)
    pacer.arrived(0)
    first_ns = pacer.due_ns
    sent_ns = first_ns + round(late_ms * MS)
    pacer.sent(sent_ns)
    assert INTERVAL_NS / 2 - 1 <= pacer.due_ns - sent_ns <= 1.5 * INTERVAL_NS + 1
    assert (pacer.due_ns - first_ns) % INTERVAL_NS == 0, "and the beat goes on where it was"


def test_there_is_no_beat_before_a_picture_and_none_without_a_rate() -> None:
    with pytest.raises(RuntimeError, match="no beat before the first picture"):
        _ = Pacer(30).due_ns
    with pytest.raises(UsageError, match="the output's rate is 0 frames a second; wanted more than 0"):
        Pacer(0)

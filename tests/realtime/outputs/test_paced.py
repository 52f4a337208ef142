"""An output fed at a constant rate: a clock that only the test moves, and the thread that waits for it."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from realtime.errors import DeviceError
from realtime.frames import Picture
from realtime.outputs.base import Output
from realtime.outputs.null import NullOutput
from realtime.outputs.paced import SWITCH_S, PacedOutput, first_in_line
from realtime.statistics import Statistics
from tests.realtime.baton import PATIENCE_S, Baton
from tests.realtime.clips import quadrants

SIZE = (16, 12)
FPS = 25.0
STEP_NS = 40_800_000  # a beat of 25 a second, and more than it can be steered by


class Recorder(NullOutput):
    """Keeps the numbers of what it was sent, and tells a waiting test."""

    wants_pacing = True

    def __init__(self) -> None:
        super().__init__(SIZE)
        self.shown: list[int] = []
        self.closed = 0
        self.broken = False
        self.schedulers: set[int] = set()
        self._came = threading.Condition()

    def send(self, picture: Picture) -> None:
        with self._came:
            self.shown.append(picture.frame_id)
            if sys.platform == "linux":
                self.schedulers.add(os.sched_getscheduler(0))
            self._came.notify_all()
            if self.broken:
                raise DeviceError("the device was unplugged")

    def close(self) -> None:
        self.closed += 1

    def wait_for(self, many: int) -> list[int]:
        with self._came:
            assert self._came.wait_for(lambda: len(self.shown) >= many, PATIENCE_S), self.shown
            return list(self.shown)


def picture(number: int) -> Picture:
    return Picture(number, number, quadrants(*SIZE))


def paced(output: Output, clock: Baton) -> tuple[PacedOutput, Statistics]:
    statistics = Statistics(clock)
    return PacedOutput(output, FPS, clock, statistics), statistics


def test_the_newest_picture_leaves_at_each_beat_and_once_more_when_none_came() -> None:
    clock, recorder = Baton(), Recorder()
    output, statistics = paced(recorder, clock)
    assert output.wants_pacing and not output.wants_stop and output.describe() == "nowhere"
    before_s = sys.getswitchinterval()
    output.send(picture(0))
    assert recorder.shown == [], "it waits for its beat"
    assert sys.getswitchinterval() == pytest.approx(SWITCH_S), "no other thread keeps Python's lock for long"
    clock.advance_ns(STEP_NS // 3)
    assert recorder.wait_for(1) == [0]
    clock.advance_ns(STEP_NS)
    assert recorder.wait_for(2) == [0, 0]
    output.send(picture(1))
    output.send(picture(2))
    clock.advance_ns(STEP_NS)
    assert recorder.wait_for(3) == [0, 0, 2]
    output.send(picture(3))
    clock.advance_ns(STEP_NS)
    output.close()
    assert (recorder.shown, recorder.closed) == ([0, 0, 2, 3], 1)
    assert sys.getswitchinterval() == before_s
    fed = statistics.snapshot().beats
    assert fed is not None and (fed.sent, fed.repeated) == (4, 1)
    assert fed.rate_fps == pytest.approx(FPS, rel=0.02) and fed.jitter_ms.p99 < 0.9
    assert fed.waited_ms.count == 3


def test_what_was_given_last_is_delivered_before_it_closes_and_it_closes_once() -> None:
    clock, recorder = Baton(), Recorder()
    output, _ = paced(recorder, clock)
    output.send(picture(7))
    closer = threading.Thread(target=output.close)
    closer.start()
    clock.advance_ns(STEP_NS)
    closer.join(PATIENCE_S)
    output.close()
    assert (recorder.shown, recorder.closed) == ([7], 1)


def test_closing_without_a_picture_closes_the_output() -> None:
    recorder = Recorder()
    output, statistics = paced(recorder, Baton())
    output.close()
    assert (recorder.shown, recorder.closed, statistics.snapshot().beats) == ([], 1, None)


def test_a_device_that_breaks_is_told_to_whoever_sends_next() -> None:
    clock, recorder = Baton(), Recorder()
    recorder.broken = True
    output, _ = paced(recorder, clock)
    output.send(picture(0))
    clock.advance_ns(STEP_NS)
    recorder.wait_for(1)
    output._thread.join(PATIENCE_S)
    with pytest.raises(DeviceError, match="the device was unplugged"):
        output.send(picture(1))
    output.close()
    assert recorder.closed == 1


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads are Linux's")
def test_the_beat_comes_before_drawing_where_the_system_allows_it() -> None:
    allowed: list[int] = []
    asking = threading.Thread(target=lambda: (first_in_line(), allowed.append(os.sched_getscheduler(0))))
    asking.start()
    asking.join(PATIENCE_S)
    clock, recorder = Baton(), Recorder()
    output, _ = paced(recorder, clock)
    output.send(picture(0))
    clock.advance_ns(STEP_NS)
    recorder.wait_for(1)
    assert recorder.schedulers == {allowed[0]}
    assert os.sched_getscheduler(0) == os.SCHED_OTHER, "only the beat's own thread"
    output.close()

"""An output fed at a constant rate, by a thread of its own: see ``realtime.pacing``."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

from realtime.clock import Clock
from realtime.frames import Picture
from realtime.outputs.base import Output
from realtime.pacing import Pacer
from realtime.statistics import Statistics

CLOSE_S = 2.0  # a driver that blocks for longer is left behind
SWITCH_S = 0.001  # how long another thread may keep Python's lock once a beat is due; Python's own 5 ms are heard


def first_in_line() -> None:
    """Let this thread have a processor as soon as it wakes, where the system allows it (Linux: root, or RLIMIT_RTPRIO).

    It wakes for a millisecond at each beat, while drawing keeps every processor busy. Without the right to it nothing
    changes: the beat is then as late as the scheduler lets it be.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))


class PacedOutput:
    """Feeds ``output`` ``fps`` times a second with the newest picture it was given, from the first one on.

    ``send`` only leaves a picture here and never waits. The last one given is always delivered before ``close`` ends,
    so that what a program stops with is its holding picture and not what came before.
    ``statistics`` is told of every picture that leaves.
    """

    wants_pacing = True

    def __init__(self, output: Output, fps: float, clock: Clock, statistics: Statistics) -> None:
        self._output, self._clock, self._statistics = output, clock, statistics
        self._pacer = Pacer(fps)
        self._lock = threading.Lock()
        self._newest: Picture | None = None
        self._given_ns: int | None = None  # when the newest was given; None once it has been sent
        self._last_sent_ns: int | None = None
        self._error: Exception | None = None
        self._closing = False
        self._switch_s = sys.getswitchinterval()
        self._thread = threading.Thread(target=self._run, name="pacing", daemon=True)

    @property
    def wants_stop(self) -> bool:
        """Whether the output itself wants the program to end."""
        return self._output.wants_stop

    def describe(self) -> str:
        """What the output says of itself."""
        return self._output.describe()

    def send(self, picture: Picture) -> None:
        """Leave a picture for the next beat. Raises what sending the one before raised."""
        if self._closing:
            return self._output.send(picture)  # it says that it is closed
        with self._lock:
            if self._error is not None:
                raise self._error
            now_ns = self._clock.now_ns()
            self._pacer.arrived(now_ns)
            self._newest, self._given_ns = picture, now_ns
        if not self._thread.is_alive():
            sys.setswitchinterval(SWITCH_S)
            self._thread.start()

    def close(self) -> None:
        """Deliver what was given last, then close the output; again does nothing."""
        if self._closing:
            return
        self._closing = True
        sys.setswitchinterval(self._switch_s)
        if self._thread.is_alive():
            self._thread.join(CLOSE_S + 2e-9 * self._pacer.interval_ns)
        if not self._thread.is_alive():
            self._output.close()

    def _run(self) -> None:
        first_in_line()
        try:
            while not (self._closing and self._given_ns is None):
                self._clock.sleep_until_ns(self._pacer.due_ns)
                self._beat()
        except Exception as error:  # told to whoever sends next
            self._error = error

    def _beat(self) -> None:
        """Send the newest picture now."""
        with self._lock:
            picture, given_ns, self._given_ns = self._newest, self._given_ns, None
            now_ns = self._clock.now_ns()
            self._pacer.sent(now_ns)
        assert picture is not None, "the thread starts with the first picture"
        since_ns = None if self._last_sent_ns is None else now_ns - self._last_sent_ns
        waited_ns = None if given_ns is None else now_ns - given_ns
        self._last_sent_ns = now_ns
        self._output.send(picture)
        self._statistics.beat(since_ns, self._pacer.interval_ns, waited_ns)

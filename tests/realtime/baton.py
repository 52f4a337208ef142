"""A clock that only the test moves, for a thread that sleeps by it."""

from __future__ import annotations

import threading

from realtime.clock import FakeClock

PATIENCE_S = 10


class Baton(FakeClock):
    """A clock whose sleepers wait until the test has moved it to their time."""

    def __init__(self) -> None:
        super().__init__(0)
        self._moved = threading.Condition()

    def sleep_until_ns(self, when_ns: int) -> None:
        with self._moved:
            assert self._moved.wait_for(lambda: self.now_ns() >= when_ns, PATIENCE_S)

    def advance_ns(self, step_ns: int) -> None:
        with self._moved:
            super().advance_ns(step_ns)
            self._moved.notify_all()

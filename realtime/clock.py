"""One monotonic clock in integer nanoseconds; nothing else in the program asks for the time."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Time that never runs backwards."""

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary start."""
        ...

    def sleep_until_ns(self, when_ns: int) -> None:
        """Return at ``when_ns`` or at once if that is past."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary start."""
        return time.monotonic_ns()

    def sleep_until_ns(self, when_ns: int) -> None:
        """Sleep until ``when_ns``."""
        left_ns = when_ns - self.now_ns()
        if left_ns > 0:
            time.sleep(left_ns * 1e-9)


class FakeClock:
    """A clock that tests move by hand; sleeping moves it forward."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """The time last set."""
        return self._now_ns

    def sleep_until_ns(self, when_ns: int) -> None:
        """Move to ``when_ns`` unless that is past."""
        self._now_ns = max(self._now_ns, when_ns)

    def advance_ns(self, step_ns: int) -> None:
        """Move forward by ``step_ns``."""
        if step_ns < 0:
            raise ValueError(f"a step of {step_ns} ns would run time backwards; wanted 0 or more")
        self._now_ns += step_ns

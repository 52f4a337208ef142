"""Strengths of edits: a number, or one that goes up and down with time.

    age=0.8          always 0.8
    age=0..1/10s     from 0 to 1 and back again, 10 seconds for both together

Times are the frames' own (``captured_ns``), so a file gives the same pictures at any speed, and after a pause the
strength is where it would have been.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from realtime.errors import UsageError

SHORTEST_S, LONGEST_S = 0.1, 3600.0
EXAMPLES = "for example age=0.8 or age=0..1/10s"
_SWEEP = re.compile(r"(?P<low>[^/]+?)\.\.(?P<high>[^/]+)/(?P<period>[^/]+)s")


@dataclass(frozen=True, slots=True)
class Sweep:
    """A strength that leaves ``start`` at time 0, is at ``end`` half a period later, and goes back, in straight ramps.

    period_s: seconds for both ways, 0.1 to 3600.
    """

    start: float
    end: float
    period_s: float

    def at(self, time_ns: int) -> float:
        """The strength at a time of the frames' clock."""
        part = time_ns * 1e-9 % self.period_s / self.period_s
        return self.start + (self.end - self.start) * (1 - abs(2 * part - 1))

    def __str__(self) -> str:
        return f"{self.start:g}..{self.end:g}/{self.period_s:g}s"


Strength: TypeAlias = float | Sweep


def at(strength: Strength, time_ns: int) -> float:
    """A strength at a time of the frames' clock."""
    return strength.at(time_ns) if isinstance(strength, Sweep) else strength


def scaled(strength: Strength, factor: float) -> Strength:
    """``factor`` times a strength."""
    if isinstance(strength, Sweep):
        return Sweep(strength.start * factor, strength.end * factor, strength.period_s)
    return strength * factor


def parse(text: str) -> Strength:
    """A strength from text: a number or ``start..end/PERIODs``. Ranges of numbers are for the settings to check.

    Raises UsageError.
    """
    found = _SWEEP.fullmatch(text.strip())
    try:
        if found is None:
            return float(text)
        sweep = Sweep(float(found["low"]), float(found["high"]), float(found["period"]))
    except ValueError:
        raise UsageError(f"strength {text!r} is not understood; wanted a number or START..END/PERIODs") from None
    if not SHORTEST_S <= sweep.period_s <= LONGEST_S:
        raise UsageError(
            f"strength {text!r} has a period of {found['period']} s; wanted {SHORTEST_S:g} to {LONGEST_S:g} seconds"
        )
    return sweep


def checked_strength(name: str, value: object, low: float, high: float) -> Strength:
    """``value`` (a number, a sweep, or text for either) as a strength from ``low`` to ``high``. Raises UsageError."""
    try:
        strength = parse(value) if isinstance(value, str) else value
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None
    numbers = (strength.start, strength.end) if isinstance(strength, Sweep) else (strength,)
    for number in numbers:
        fits = isinstance(number, (int, float)) and not isinstance(number, bool) and not math.isnan(number)
        if not fits or not low <= number <= high:  # type: ignore[operator]
            raise UsageError(
                f"{name} is {value if isinstance(value, Sweep) else repr(value)}; "
                f"wanted a number from {low:g} to {high:g}, or two with a period, as 0..1/10s"
            )
    return strength if isinstance(strength, Sweep) else float(strength)  # type: ignore[arg-type]


def described(edits: Mapping[str, Strength]) -> str:
    """Edits in one line: ``age=0.5, smile=0..1/4s``."""
    return ", ".join(f"{name}={value if isinstance(value, Sweep) else f'{value:g}'}" for name, value in edits.items())

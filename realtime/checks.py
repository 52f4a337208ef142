"""What every setting is checked by: a wrong value raises UsageError with its name, what was got and what was wanted."""

from __future__ import annotations

import math

from realtime.errors import UsageError


def choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    """``value`` as one of some words. Raises UsageError."""
    if isinstance(value, str) and value in choices:
        return value
    raise UsageError(f"{name} is {value!r}; wanted one of {', '.join(choices)}")


def switch(name: str, value: object) -> bool:
    """``value`` as true or false, also from words. Raises UsageError."""
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise UsageError(f"{name} is {value!r}; wanted true or false")


def ranged(name: str, value: object, kind: type, low: float, high: float) -> float:
    """``value`` as a number of ``kind`` (int or float) from ``low`` to ``high``. Raises UsageError."""
    wanted = f"wanted a {'whole ' if kind is int else ''}number from {low:g} to {high:g}"
    try:
        number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not low <= number <= high or (kind is int and number != int(number)):
        raise UsageError(f"{name} is {value!r}; {wanted}")
    return int(number) if kind is int else number

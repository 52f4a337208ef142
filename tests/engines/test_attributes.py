"""Attributes are those of the drawn heads, in their order; an undecided person is decided."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engines.attributes import ATTRIBUTES, GEAR, HAIR_STYLES, column, decided
from engines.motion import MOTION

PARAMETERS = Path(__file__).resolve().parents[2] / "tools" / "face_world" / "params.h"


def listed() -> list[str]:
    """The parameters that ``params.h`` lists, in order."""
    names: list[str] = []
    for part in ("IDENTITY", "COLOURS", "LIGHT", "DOMAIN", "MOTION"):
        block = re.search(rf"#define FACE_{part}\(X\)((?:.*\\\n)*.*)\n", PARAMETERS.read_text())
        assert block is not None
        names += re.findall(r"X\((\w+)\)", block[1])
    return names


def test_the_order_is_the_drawn_heads() -> None:
    assert (*ATTRIBUTES, *MOTION) == tuple(listed())


def test_columns() -> None:
    assert [ATTRIBUTES[column(name)] for name in HAIR_STYLES] == list(HAIR_STYLES)
    with pytest.raises(ValueError, match="no attribute 'wings'; known are face_length, .*exposure"):
        column("wings")


def person(**values: float) -> dict[str, float]:
    return {**dict.fromkeys(ATTRIBUTES, 0.0), **values}


def test_one_hair_style_is_chosen() -> None:
    chosen = decided(person(hair_bob=0.4, hair_long=0.45, hair_wavy=0.15))
    assert {name: chosen[name] for name in HAIR_STYLES if chosen[name]} == {"hair_long": 1.0}


@pytest.mark.parametrize(
    ("seen", "worn"), [((0.6, 0.3), (1, 0)), ((0.1, 0.8), (0, 1)), ((0.2, 0.2), (0, 0)), ((0.0, 0.0), (0, 0))]
)
def test_glasses_are_worn_or_not(seen: tuple[float, float], worn: tuple[float, float]) -> None:
    chosen = decided(person(glasses_round=seen[0], glasses_square=seen[1]))
    assert (chosen["glasses_round"], chosen["glasses_square"]) == worn


@pytest.mark.parametrize(
    ("seen", "worn"),
    [
        ((0.95, 0.92, 0.1), (1, 0, 0)),
        ((0.1, 0.2, 0.95), (0, 0, 1)),
        ((0.5, 0.6, 0.7), (0, 0, 0)),
        ((0, 0.98, 0), (0, 1, 0)),
    ],
)
def test_at_most_one_thing_is_worn_on_the_head_and_never_half(seen: tuple[float, ...], worn: tuple[float, ...]) -> None:
    chosen = decided(person(**dict(zip(GEAR, seen, strict=True))))
    assert tuple(chosen[name] for name in GEAR) == worn


def test_what_nobody_wears_would_be_dark() -> None:
    guessed = {
        **dict.fromkeys(("frame_r", "frame_g", "frame_b", "gear_r", "gear_g", "gear_b"), 0.9),
        "glasses_frame": 1.0,
    }
    without = decided(person(**guessed))
    assert max(without[name] for name in guessed if name[-2] == "_") < 0.1 and without["glasses_frame"] == 0.33
    wearing = decided(person(**guessed, glasses_round=0.9, hat_cap=0.95))
    assert all(wearing[name] == value for name, value in guessed.items())


def test_a_little_beard_is_none() -> None:
    chosen = decided(person(beard=0.2, moustache=0.42, goatee=0.9))
    assert (chosen["beard"], chosen["moustache"], chosen["goatee"]) == (0.0, 0.0, 0.9)


def test_a_trace_of_freckles_or_earrings_is_none() -> None:
    chosen = decided(person(freckles=0.2, earrings=0.55))
    assert (chosen["freckles"], chosen["earrings"]) == (0.0, 0.0)


def test_earrings_are_worn_or_not() -> None:
    assert decided(person(earrings=0.8))["earrings"] == 1.0


@pytest.mark.parametrize(("seen", "worn"), [(0.1, 0.0), (0.45, 0.45), (0.97, 0.97)])
def test_half_a_fringe_is_worn_as_it_is_and_a_trace_is_none(seen: float, worn: float) -> None:
    assert decided(person(fringe=seen))["fringe"] == worn


def test_the_rest_stays_and_deciding_twice_changes_nothing() -> None:
    before = person(age=0.43, skin_r=0.7, collar=0.3, fringe=0.7, hair_afro=0.2)
    once = decided(before)
    assert once["age"] == 0.43 and once["skin_r"] == 0.7 and once["collar"] == 0.5 and once["fringe"] == 0.7
    assert decided(once) == once and list(once) == list(ATTRIBUTES)

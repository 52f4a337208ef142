"""Strengths that move: parsed with clear errors, and driven by the frames' own times."""

from __future__ import annotations

import pytest

from realtime.configuration import edit, load
from realtime.errors import UsageError
from realtime.settings import EditingSettings
from realtime.strengths import Sweep, at, described, parse, scaled

SECOND_NS = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0.8", 0.8),
        ("-1", -1.0),
        ("0..1/10s", Sweep(0, 1, 10)),
        ("-0.5..1.5/0.5s", Sweep(-0.5, 1.5, 0.5)),
        (" 1..0/2s ", Sweep(1, 0, 2)),
        ("1e0..2/3s", Sweep(1, 2, 3)),
        (".5...75/3s", Sweep(0.5, 0.75, 3)),
    ],
)
def test_numbers_and_sweeps(text: str, wanted: float | Sweep) -> None:
    assert parse(text) == wanted
    assert edit(f"age={text}") == ("age", wanted)


@pytest.mark.parametrize("text", ["0..1", "0..1/10", "0..1/s", "..1/3s", "0../3s", "a..1/3s", "0..1/xs", "much"])
def test_what_is_neither_says_what_was_wanted(text: str) -> None:
    with pytest.raises(UsageError, match=r"strength '.*' is not understood; wanted a number or START\.\.END/PERIODs"):
        parse(text)
    with pytest.raises(UsageError, match=r"edit 'age=.*wanted name=strength, for example age=0.8 or age=0\.\.1/10s"):
        edit(f"age={text}")


@pytest.mark.parametrize("period", ["0", "-3", "0.01", "4000", "nan", "inf"])
def test_a_period_out_of_range(period: str) -> None:
    with pytest.raises(UsageError, match="wanted 0.1 to 3600 seconds"):
        parse(f"0..1/{period}s")


@pytest.mark.parametrize("value", ["0..4/3s", "-3.5..0/3s", "nan..1/3s", 4, "4", True, None])
def test_strengths_out_of_range(value: object) -> None:
    with pytest.raises(UsageError, match="age is .*wanted a number from -3 to 3, or two with a period, as 0..1/10s"):
        EditingSettings(edits={"age": value})  # type: ignore[dict-item]


def test_up_and_back_in_one_period_and_again() -> None:
    sweep = Sweep(-1, 3, 8)
    for seconds, wanted in ((0, -1), (1, 0), (2, 1), (4, 3), (6, 1), (8, -1), (10, 1), (8e5 + 4, 3)):
        assert sweep.at(round(seconds * SECOND_NS)) == pytest.approx(wanted, abs=1e-6)
        assert at(sweep, round(seconds * SECOND_NS)) == pytest.approx(wanted, abs=1e-6)
    assert at(0.7, 123) == 0.7


def test_scaling_and_describing() -> None:
    assert scaled(Sweep(0, 1, 3), 0.5) == Sweep(0, 0.5, 3)
    assert scaled(0.8, 0.5) == 0.4
    assert described({"age": 0.5, "smile": Sweep(0, 1, 10)}) == "age=0.5, smile=0..1/10s"


def test_sweeps_come_from_every_place(tmp_path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text("[editing.edits]\nage = '0..1/4s'\nsmile = 0.5\n")
    flags = {"editing.edits": dict([edit("hair=1..-1/2s")])}
    settings = load(flags, {"AVATAR_LIVE_EDITING_EDITS": "smile=0..0.5/3s, beard=1"}, config)
    assert settings.editing.edits == {
        "age": Sweep(0, 1, 4), "smile": Sweep(0, 0.5, 3), "beard": 1.0, "hair": Sweep(1, -1, 2)
    }  # fmt: skip

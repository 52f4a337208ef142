"""What is worn, changed while frames come: real models on a real clip, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from realtime import configuration
from realtime.clock import FakeClock
from realtime.errors import UsageError
from realtime.settings import EditingSettings, Settings, SmoothingSettings, TrackingSettings
from realtime.stages import bundled_stages
from realtime.statistics import Statistics
from realtime.two_at_once import TwoAtOnce
from realtime.wardrobe import Wardrobe
from tests.realtime.gpu_rig import SIZE, tracked  # noqa: F401 - a fixture

MINE = "tables of my own"


def settings(faces: int = 1, **editing: Any) -> Settings:
    given = configuration.load({f"editing.{name}": value for name, value in editing.items()}, {})
    return Settings(
        tracking=TrackingSettings(faces=faces), smoothing=SmoothingSettings(enabled=False), editing=given.editing
    )


def wardrobe(given: Settings, worn: list[EditingSettings]) -> Wardrobe:
    return Wardrobe(given, configuration.styles(), configuration.edits(), worn.append)


def portraits(stages, frame, statistics) -> list[np.ndarray]:  # noqa: ANN001
    drawn = stages.portray(stages.look(frame, statistics), statistics)
    return [portrait.pixels.copy() for portrait in (drawn if isinstance(drawn, list) else [drawn])]


@pytest.mark.parametrize("faces", [1, 2])
def test_from_the_next_frame_on_everyone_wears_what_was_chosen(faces, tracked) -> None:  # noqa: F811, ANN001
    frames, _ = tracked
    edits = {"smile": 0.5}
    changing, dressed = (
        bundled_stages(given, SIZE)[0]
        for given in (settings(faces), settings(faces, style="clay+glasses", edits=edits))
    )
    statistics = Statistics(FakeClock())
    shown = Wardrobe(settings(faces), configuration.styles(), configuration.edits(), TwoAtOnce(changing).wear)
    for number, frame in enumerate(frames):
        if number == 2:
            shown.change({"style": "clay+glasses", "edits": edits})
        got, wanted = (portraits(stages, frame, statistics) for stages in (changing, dressed))
        assert len(got) == len(wanted) >= 1
        same = [np.array_equal(*pair) for pair in zip(got, wanted, strict=True)]
        assert all(same) if number >= 2 else not any(same)
    for stages in (changing, dressed):
        stages.tracker.close()


def test_what_the_command_added_stays_until_it_is_changed() -> None:
    worn: list[EditingSettings] = []
    given = settings(style="smile", strength=0.5, edits={"age": 0.4}, attributes={"freckles": 0.9})
    shown = wardrobe(given, worn)
    choice = shown.choice()
    assert choice["worn"] == {"style": "smile", "strength": 0.5, "edits": {"age": 0.4}}
    assert choice["styles"]["clay"] == "modelled in clay" and choice["edits"] == configuration.edits()
    shown.change({})
    assert dict(worn[-1].edits) == dict(given.editing.edits) and dict(worn[-1].attributes) == {"freckles": 0.9}
    shown.change({"style": "old", "strength": 1})
    assert (worn[-1].style, worn[-1].strength, dict(worn[-1].edits)) == ("old", 1.0, {"age": 0.4})
    assert dict(worn[-1].attributes) == {**configuration.styles()["old"].attributes, "freckles": 0.9}
    shown.change({"edits": {"smile": "0..1/4s"}})
    assert shown.choice()["worn"] == {"style": "old", "strength": 1.0, "edits": {"smile": "0..1/4s"}}
    assert str(worn[-1].edits["smile"]) == "0..1/4s" and list(worn[-1].edits) == ["smile"]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ([], "wanted a table of style, strength, edits"),
        ({"styel": "old"}, "did you mean style"),
        ({"style": "clya"}, "did you mean clay"),
        ({"style": 3}, "wanted text"),
        ({"strength": 1.5}, "wanted a number from 0 to 1"),
        ({"strength": math.nan}, "wanted a number from 0 to 1"),
        ({"edits": {"smiel": 0.1}}, "did you mean smile"),
        ({"edits": {"smile": 4}}, "wanted a number from -3 to 3"),
        ({"edits": ["smile"]}, "wanted"),
    ],
)
def test_what_cannot_be_worn_is_refused_and_what_is_worn_stays(wanted: object, told: str) -> None:
    worn: list[EditingSettings] = []
    shown = wardrobe(settings(edits={"age": 0.4}), worn)
    before = shown.choice()
    with pytest.raises(UsageError, match=told):
        shown.change(wanted)
    assert not worn and shown.choice() == before


def test_what_fails_to_be_put_on_is_not_worn() -> None:
    def refuse(_: EditingSettings) -> None:
        raise ValueError("there are 33 edits")

    shown = Wardrobe(settings(), configuration.styles(), configuration.edits(), refuse)
    with pytest.raises(ValueError, match="33 edits"):
        shown.change({"style": "clay"})
    assert shown.choice()["worn"]["style"] == "toon"


def test_a_part_of_an_installed_direction_stays_worn() -> None:
    worn: list[EditingSettings] = []
    shown = Wardrobe(settings(edits={"older.2-4": 1.0}), configuration.styles(), {"older": "ganspace"}, worn.append)
    shown.change({"edits": {"older.2-4": 0.5, "older": 0.1}})
    assert dict(worn[-1].edits) == {"older.2-4": 0.5, "older": 0.1}
    with pytest.raises(UsageError, match="did you mean older"):
        shown.change({"edits": {"older.5-6": 0.5}})


def test_only_styles_of_the_model_that_runs_are_there() -> None:
    document = {
        "styles": {"mine": {"edits": {"smile": 1.0}}, "photo": {"model": "another"}, "odd": {"attributes": {"x": 1}}}
    }
    shown = Wardrobe(settings(), configuration.styles(document, MINE), configuration.edits(), lambda _: None)
    assert "mine" in shown.choice()["styles"]
    for name in ("photo", "odd"):
        with pytest.raises(UsageError, match="unknown style"):
            shown.change({"style": name})

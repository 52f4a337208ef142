"""What is said for what is seen: fitted on what a generator shows, and sound for what it never showed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from realtime import said_colours
from realtime.identity_cues import linear_rgb
from realtime.identity_studio import MATCHED, Studio
from realtime.said_colours import PARTS, circumstances, fitted, to_say
from realtime.settings import Settings
from realtime.traits import to_attributes

AROUND = circumstances(to_attributes({"hair": "short"}))
SEEN = {"skin": np.array([0.6, 0.35, 0.25]), "lip": np.array([0.4, 0.17, 0.14]), "hair": np.array([0.08, 0.05, 0.03])}


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    with closing(Studio(Settings())) as made:
        yield made


@pytest.fixture
def fitted_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    def use(seen: np.ndarray, light: np.ndarray, said: np.ndarray) -> None:
        kept = fitted(seen, light, said)
        values = tuple(np.array(kept[name]) for name in ("known", "said", "matrix"))
        monkeypatch.setattr(said_colours, "_fitted", lambda: values)

    yield use


def test_a_generator_that_shows_powers_in_its_light_is_undone(fitted_on) -> None:  # type: ignore[no-untyped-def]
    random = np.random.default_rng(0)
    said = random.uniform(0.02, 0.9, (400, 9))
    light = np.column_stack([np.zeros((400, 4)), random.uniform(1.0, 1.1, 400)])
    fitted_on(0.8 * said**0.7 * light[:, 4:], light, said)
    asked = random.uniform(0.1, 0.8, 9)
    seen = 0.8 * asked**0.7 * 1.05
    answer = to_say(dict(zip(PARTS, seen.reshape(3, 3), strict=True)), np.array([0, 0, 0, 0, 1.05]))
    np.testing.assert_allclose(np.concatenate([answer[part] for part in PARTS]), asked, rtol=0.12)


def test_of_a_part_that_is_not_seen_nothing_is_said() -> None:
    answer = to_say({name: SEEN[name] for name in ("skin", "lip")}, AROUND)
    assert set(answer) == {"skin", "lip"}
    whole = to_say(SEEN, AROUND)
    np.testing.assert_allclose(answer["skin"], whole["skin"], rtol=0.3)


def test_black_is_said_to_be_blacker_than_it_is_seen_and_nothing_is_below_it() -> None:
    dark = to_say(SEEN | {"hair": np.array([0.02, 0.015, 0.012])}, AROUND)["hair"]
    assert (dark < (0.02, 0.015, 0.012)).all()
    assert (to_say(SEEN | {"hair": np.zeros(3)}, AROUND)["hair"] >= 0).all()


@pytest.mark.parametrize(("skin", "lips"), [("#f0cdb8", "#d79a90"), ("#c58c64", "#a86650"), ("#8a6552", "#7a4a3c")])
def test_drawn_people_are_said_as_they_were(studio: Studio, skin: str, lips: str) -> None:
    person = to_attributes({"skin": skin, "lips": lips, "hair-colour": "#553d2c", "hair": "short"})
    drawn = studio.seen(person)
    assert drawn is not None
    seen = {part: linear_rgb(drawn.colours[name]) for name, part in MATCHED.items()}
    said = to_say(seen, AROUND)
    for part, most in (("skin", 0.25), ("hair", 0.55)):
        truth = np.array([person[f"{part}_{c}"] for c in "rgb"])
        assert np.abs(np.log(said[part] / truth)).max() < most, part
        if part == "skin":
            assert np.abs(np.log(said[part] / truth)).mean() < np.abs(np.log(seen[part] / truth)).mean() + 0.05

"""The tool that measures likeness: the colour difference by its published pairs, tables, labels."""

from __future__ import annotations

import numpy as np
import pytest

from realtime.configuration import read_toml
from realtime.identity_cues import FIGURES
from realtime.traits import HAIR
from tools.likeness import (
    LABELS,
    LENGTHS,
    Row,
    before_scenery,
    delta_e,
    kind_of_eyes,
    length_of,
    shapes,
    summary,
    table,
)


@pytest.mark.parametrize(
    ("one", "other", "wanted"),  # Sharma, Wu and Dalal 2005, table 1
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
        ((40.0, 3.0, 4.0), (40.0, 3.0, 4.0), 0.0),
    ],
)
def test_colour_difference(one: tuple, other: tuple, wanted: float) -> None:
    assert delta_e(np.array(one), np.array(other)) == pytest.approx(wanted, abs=1e-4)
    assert delta_e(np.array(other), np.array(one)) == pytest.approx(wanted, abs=1e-4)


def test_every_hair_style_has_a_length() -> None:
    assert sorted(style for styles in LENGTHS.values() for style in styles) == sorted(HAIR)
    assert (length_of("bob"), length_of("buzz")) == ("long", "short")


UNKNOWN = np.full((2, len(FIGURES)), np.nan)


def test_labels_are_complete() -> None:
    for group in read_toml(LABELS).values():
        for label in group.values():
            assert set(label) == {"glasses", "beard", "hair", "presentation", "age", "eyes"}
            assert label["hair"] in (*LENGTHS, "covered") and label["presentation"] in ("f", "m")
            assert label["eyes"] in ("light", "brown", "")


def test_kinds_of_eyes() -> None:
    def kind(r: float, g: float, b: float) -> str:
        return kind_of_eyes({"iris_r": r, "iris_g": g, "iris_b": b})

    assert {kind(0.10, 0.045, 0.018), kind(0.16, 0.085, 0.03)} == {"brown"}
    assert {kind(0.09, 0.20, 0.42), kind(0.07, 0.21, 0.10), kind(0.17, 0.21, 0.24)} == {"light"}


def test_what_is_not_judged_is_left_out() -> None:
    rows = [
        Row("a", True, False, None, True, None, 3.0, np.nan, 5.0, np.nan, "bob", UNKNOWN),
        Row("b", True, True, True, None, False, 12.0, 4.0, 7.0, 8.0, "long", UNKNOWN),
    ]
    result = summary(rows)
    assert result["people"] == 2 and result["glasses"] == {"right": 2, "of": 2}
    assert result["hair"] == {"right": 1, "of": 1} and result["beard"] == {"right": 1, "of": 2}
    assert result["eyes"] == {"right": 0, "of": 1}
    assert (result["skin"]["median"], result["skin"]["near"]) == (7.5, 1)
    assert result["hair_colour"] == {"median": 4.0, "p90": 4.0, "near": 1, "of": 1}
    assert (result["live_skin"]["median"], result["live_hair_colour"]["of"]) == (6.0, 1)
    assert table(rows).splitlines()[2] == "| a | right | **wrong** |  | right |  | 3.0 |  | 5.0 |  | bob |"


def people(shapes_: np.ndarray) -> list[Row]:
    rest = (True, True, True, True, True, 1.0, 1.0, 1.0, 1.0, "bob")
    return [Row(str(n), *rest, shape=shape) for n, shape in enumerate(shapes_)]


def test_shapes_that_go_with_their_people_are_known() -> None:
    person = np.random.default_rng(1).normal(0.5, 0.1, (8, len(FIGURES)))
    result = shapes(people(np.stack([person, 0.4 + 0.5 * person], axis=1)))
    assert result["known"] == {"first": 8, "third": 8, "of": 8}
    assert result["figures"]["chin"] == {"r": pytest.approx(1.0), "spread": pytest.approx(0.5)}


def test_shapes_of_others_are_not_known_and_faces_that_are_not_found_not_counted() -> None:
    person = np.random.default_rng(1).normal(0.5, 0.1, (8, len(FIGURES)))
    pairs = np.stack([person, np.roll(person, 1, axis=0)], axis=1)
    pairs[0, 1] = np.nan
    known = shapes(people(pairs))["known"]
    assert known["first"] == 0 and known["of"] == 7
    assert shapes(people(pairs[:3])) == {}


def test_drawn_heads_stand_before_scenery() -> None:
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[16:48, 16:48] = (10, 20, 200, 255)
    picture = before_scenery(rgba, np.random.default_rng(0))
    assert picture.shape == (512, 512, 3) and picture.dtype == np.uint8
    np.testing.assert_array_equal(picture[256, 256], (200, 20, 10))
    assert picture[:64].std() > 5

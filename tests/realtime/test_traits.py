"""Traits: words for attributes, there and back; what is not understood says what was wanted."""

from __future__ import annotations

import numpy as np
import pytest

from engines.attributes import ATTRIBUTES, HAIR_STYLES, LIGHT, decided
from realtime import traits
from realtime.errors import UsageError


def test_usual_traits_are_everything_the_model_wants() -> None:
    attributes = traits.to_attributes({})
    assert tuple(attributes) == ATTRIBUTES
    assert attributes["hair_short"] == 1 and sum(attributes[name] for name in HAIR_STYLES) == 1
    assert {name: attributes[name] for name in LIGHT} == traits.PORTRAIT_LIGHT


def test_every_trait_is_sound_where_nothing_is_known() -> None:
    for trait in traits.TRAITS:
        assert traits.checked(trait, traits.usual(trait)) == traits.usual(trait)


def test_attributes_come_back() -> None:
    wanted = {
        "hair": "side-part", "hair-colour": "#6a3300", "glasses": "square", "beard": "goatee", "beard-length": 0.7,
        "age": 0.8, "skin": "#804020", "clothes": "hood", "jaw-width": 1.05, "freckles": 0.6, "earrings": 1.0,
        "hat": "cap", "gear-colour": "#a03020",
    }  # fmt: skip
    back = traits.from_attributes(decided(traits.to_attributes(wanted)))
    assert {trait: back[trait] for trait in wanted} == wanted


@pytest.mark.parametrize("kind", traits.BEARDS)
def test_every_beard_comes_back(kind: str) -> None:
    back = traits.from_attributes(decided(traits.to_attributes({"beard": kind})))
    assert back["beard"] == kind


@pytest.mark.parametrize("hat", traits.HATS)
@pytest.mark.parametrize("headphones", traits.HEADPHONES)
def test_what_is_worn_on_the_head_comes_back(hat: str, headphones: str) -> None:
    wanted = {"hat": hat, "headphones": headphones}
    if hat != "none" and headphones != "none":
        with pytest.raises(
            UsageError, match=f"hat is '{hat}' and headphones are on; .*set hat=none or headphones=none"
        ):
            traits.together(wanted)
        return
    traits.together(wanted)
    back = traits.from_attributes(decided(traits.to_attributes(wanted)))
    assert {trait: back[trait] for trait in wanted} == wanted


def test_no_raw_attribute_of_a_choice_or_colour_is_a_trait() -> None:
    for trait in ("hat-beanie", "hat-cap", "gear-r", "glasses-round"):
        assert trait not in traits.TRAITS
    assert traits.AMOUNTS["freckles"].attribute == "freckles" and traits.AMOUNTS["earrings"].high == 1


@pytest.mark.parametrize("colour", ["#000000", "#ff8000", "#123456", "#f0f0f0"])
def test_colours_are_what_is_seen(colour: str) -> None:
    back = traits.display(traits.linear(colour))
    seen, wanted = (np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)]) for c in (back, colour))
    assert np.abs(seen - np.minimum(wanted, 249)).max() <= 1  # the curve's end is 0.974


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("hair=bob", ("hair", "bob")),
        ("hair-colour=#6a3", ("hair-colour", "#66aa33")),
        ("hair_color = 6A3", ("hair-colour", "#66aa33")),
        ("age=0.7", ("age", 0.7)),
        ("hair=side_part", ("hair", "side-part")),
        ("hat=beanie", ("hat", "beanie")),
        ("headphones=on", ("headphones", "on")),
        ("gear-color=#123", ("gear-colour", "#112233")),
    ],
)
def test_assignments_are_read(text: str, pair: tuple[str, object]) -> None:
    assert traits.assignment(text) == pair


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hair", "'hair' is not understood; wanted trait=value, for example hair=bob"),
        ("=", "is not understood"),
        ("hare=bob", "unknown trait 'hare'; did you mean hair"),
        ("hair=mohawk", "hair is 'mohawk'; wanted one of bald, buzz"),
        ("skin=blue", "skin is 'blue'; wanted a colour, #rrggbb or #rgb"),
        ("age=old", "age is 'old'; wanted a number from 0 to 1"),
        ("age=nan", "age is 'nan'; wanted a number from 0 to 1"),
        ("age=1e999", "wanted a number from 0 to 1"),
        ("jaw-width=3", "jaw-width is '3'; wanted a number from 0.82 to 1.18"),
        ("light-x=1", "unknown trait 'light-x'"),
    ],
)
def test_what_is_not_understood_says_what_was_wanted(text: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        traits.assignment(text)
    assert message in str(error.value)


@pytest.mark.parametrize("value", [True, None, [1], {"a": 1}, float("inf"), 10**400])
def test_values_of_other_kinds_are_refused(value: object) -> None:
    with pytest.raises(UsageError, match=r"age is .*; wanted a number from 0 to 1"):
        traits.checked("age", value)
    with pytest.raises(UsageError, match="hair is .*; wanted one of"):
        traits.checked("hair", value)


def test_amounts_outside_their_range_are_drawn_in() -> None:
    wild = {**traits.to_attributes({}), "jaw_width": 9.0, "eye_size": -3.0}
    back = traits.from_attributes(wild)
    assert (back["jaw-width"], back["eye-size"]) == (1.18, 0.82)


def test_portrait_light_is_the_light_of_avatars() -> None:
    person = {**traits.to_attributes({"age": 0.7}), "light_x": 0.5, "exposure": 0.8}
    assert traits.in_portrait_light(person) == traits.to_attributes({"age": 0.7})
    assert person["exposure"] == 0.8

"""Styles in front of the mapping network: what is set, what strength does, what weights without the names say."""

from __future__ import annotations

import numpy as np
import pytest

from engines.attributes import ATTRIBUTES, HAIR_STYLES, column
from engines.bundled import load
from realtime.configuration import Style, find_style, styles
from realtime.configuration import load as settings_of
from realtime.dressing import completed, dressed, sets, unknown_attributes
from realtime.errors import UsageError
from realtime.strengths import Sweep

WANTED = {
    *("old", "young", "child", "beard", "feminine", "masculine", "smile", "glasses", "hair", "make-up", "princess"),
    *("comic", "clay", "natural", "toon", "headset", "beanie", "cap", "freckles", "earrings", "streamer"),
}


def person(**changes: float) -> np.ndarray:
    row = np.full((1, len(ATTRIBUTES)), 0.5, np.float32)
    for name in HAIR_STYLES:
        row[0, column(name)] = float(name == "hair_short")
    for name, value in changes.items():
        row[0, column(name)] = value
    return row


def w(attributes: np.ndarray, style: dict[str, float] | None = None, strength: float = 1.0) -> np.ndarray:
    model = dressed(load("toon"), style or {}, strength)
    return model.mapping.infer(attributes)[0][0].copy()


def test_a_style_is_the_person_with_its_attributes_set() -> None:
    wanted = w(person(age=0.95, grey=0.85))
    np.testing.assert_allclose(w(person(), {"age": 0.95, "grey": 0.85}), wanted, atol=1e-5)
    np.testing.assert_allclose(w(person(age=0.2, grey=0.85), {"age": 0.95}), wanted, atol=1e-5)


@pytest.mark.parametrize("strength", [0.25, 0.6])
def test_strength_goes_in_a_straight_line_from_the_plain_avatar(strength: float) -> None:
    plain, old = w(person()), w(person(age=0.95))
    np.testing.assert_allclose(w(person(), {"age": 0.95}, strength), plain + strength * (old - plain), atol=1e-5)
    np.testing.assert_array_equal(w(person(), {"age": 0.95}, 0.0), plain)


@pytest.mark.parametrize(("strength", "worn"), [(0.3, False), (0.5, True), (0.8, True)])
def test_nobody_wears_half_a_hat(strength: float, worn: bool) -> None:
    """What is put on is put on; the rest of the style goes in a straight line."""
    hat = {"hat_cap": 1.0, "gear_r": 0.9}
    bare = {"hat_beanie": 0.0, "hat_cap": 0.0, "headphones": 0.0, "gear_r": 0.1}
    wearing = bare | (hat if worn else {})
    wanted = w(person(**wearing), {"age": 0.95}, strength)
    np.testing.assert_allclose(w(person(**bare), {**hat, "age": 0.95}, strength), wanted, atol=1e-5)


def test_the_person_given_is_left_alone_and_the_model_shared() -> None:
    model, given = load("toon"), person()
    kept = given.copy()
    wearing = dressed(model, {"age": 0.9}, 1.0)
    wearing.mapping.infer(given)
    np.testing.assert_array_equal(given, kept)
    assert wearing.drawer is model.drawer and wearing.mapping is not model.mapping
    assert dressed(model, {}, 1.0) is model
    assert wearing.mapping.describe() == model.mapping.describe()


def test_one_hair_style_one_kind_of_glasses_and_one_thing_on_the_head() -> None:
    result = completed({"hair_wavy": 1.0, "glasses_round": 1.0})
    assert result == {
        **dict.fromkeys(HAIR_STYLES, 0.0), "hair_wavy": 1.0, "glasses_round": 1.0, "glasses_square": 0.0
    }  # fmt: skip
    assert completed({"headphones": 1.0}) == {"hat_beanie": 0.0, "hat_cap": 0.0, "headphones": 1.0}
    assert completed({"age": 0.3, "hair_bob": 0.0}) == {"age": 0.3, "hair_bob": 0.0}


def test_attributes_that_the_weights_do_not_know() -> None:
    style = Style("x", "", "toon", attributes={"antlers_of_gold": 1.0, "age": 0.5})
    assert unknown_attributes(style) == ["antlers_of_gold"]
    assert sets(style) == "antlers_of_gold=1, age=0.5 (not with these weights: antlers_of_gold)"
    for strength in (0.0, 1.0):
        with pytest.raises(UsageError, match="'antlers_of_gold', which the installed weights do not know; avatar-live"):
            dressed(load("toon"), style.attributes, strength)
    with pytest.raises(UsageError, match=r"did you mean femininity\?"):
        completed({"feminity": 1.0})


def test_the_bundled_styles_are_there_and_can_be_worn_or_say_what_they_lack() -> None:
    known = styles()
    assert known.keys() >= WANTED
    directions = load("toon").directions
    for name, style in known.items():
        assert style.description
        assert style.edits.keys() <= set(directions), name
        missing = unknown_attributes(style)
        assert all(attribute.startswith("domain_") for attribute in missing), f"{name}: {missing}"
        if not missing:
            drawn = dressed(load("toon"), style.attributes, 1.0).mapping.infer(person())[0]
            assert drawn.shape == (1, 256) and np.isfinite(drawn).all()


def test_styles_are_joined_by_a_plus_later_over_earlier() -> None:
    style = find_style("old + glasses+young", styles())
    assert style.attributes == {**styles()["young"].attributes, "glasses_round": 1.0}
    worn = find_style("headset+freckles+cap", styles()).attributes
    assert worn["hat_cap"] == 1 and worn["freckles"] > 0 and "headphones" not in worn
    assert style.mode is None and find_style("toon+old", styles()).mode == "overlay"
    with pytest.raises(UsageError, match="unknown style 'wings'"):
        find_style("old+wings", styles())


def test_strength_scales_the_edits_of_the_style_and_not_those_of_the_user(tmp_path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text("[styles.mine]\nattributes = { age = 0.9 }\nedits = { smile = 0.8, beard = '0..1/4s' }\n")
    flags = {"editing.style": "mine", "editing.strength": 0.5, "editing.edits": {"glasses": 1.0}}
    editing = settings_of(flags, {}, config).editing
    assert editing.edits == {"smile": 0.4, "beard": Sweep(0, 0.5, 4), "glasses": 1.0}
    assert (editing.attributes, editing.strength) == ({"age": 0.9}, 0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("attributes = 3", "attributes is 3; wanted a table of names and numbers"),
        ("attributes = { age = 5 }", "age is 5; wanted a number from -2 to 2"),
        ("attributes = { age = '0..1/3s' }", "age is '0..1/3s'; wanted a number from -2 to 2"),
    ],
)
def test_a_broken_style_says_what_was_wanted(tmp_path, text: str, message: str) -> None:
    config = tmp_path / "mine.toml"
    config.write_text(f"[styles.mine]\n{text}\n")
    with pytest.raises(UsageError, match=message):
        settings_of({}, {}, config)

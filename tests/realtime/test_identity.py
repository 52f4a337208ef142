"""Many frames' evidence joined: medians that bear bad frames, either-or questions decided."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from engines.attributes import ATTRIBUTES, GEAR, HAIR_STYLES, PERSONAL
from realtime.identity import MOST_LOOKS, IdentityEstimator, as_hair, as_skin, styled, weighted_median
from realtime.identity_cues import EYES_ROW, EYES_SHAPE, FIGURES, Look
from realtime.proportions import AVATARS, PEOPLE, jaw_width, proportioned, unusual

USUAL = np.array([PEOPLE[name][0] for name in FIGURES])
SPREAD = np.array([PEOPLE[name][1] for name in FIGURES])


def look(
    weight: float = 1.0, skin: float = 60.0, unusual: float = 0.0, glasses: float = 0.0, beside: float = 0.0,
    redder: float = 7.0, lip: float = 0.7, chin: float = 0.7, fringe: float = 0.0, brows: float = math.nan,
    **network: float,
) -> Look:  # fmt: skip
    """One frame: skin's lightness, proportions in spreads, how dark a bridge of glasses is, the network's answers."""
    answers = dict.fromkeys(PERSONAL, 0.0) | {"hair_short": 0.9, "age": 0.4, "femininity": 0.5} | network
    eyes = np.random.default_rng(0).normal(0.9, 0.001, EYES_SHAPE).astype(np.float32)
    eyes[EYES_ROW - 1 : EYES_ROW + 1, 80:112] -= glasses
    colours = {
        "skin": np.array([skin, 15.0, 18.0]), "lips": np.array([skin - 15, 15.0 + redder, 12.0]),
        "hair": np.array([20.0, 5.0, 8.0]), "eyes": np.array([30.0, 3.0, 5.0]), "clothes": np.full(3, np.nan),
    }  # fmt: skip
    figures = USUAL + unusual * SPREAD
    return Look(
        weight,
        np.array(list(answers.values())),
        colours,
        colours["skin"],
        np.full(3, np.nan),
        figures,
        eyes,
        beside,
        0.0,
        fringe,
        lip,
        chin,
        brows,
    )


def estimate(*looks: Look) -> dict[str, float]:
    estimator = IdentityEstimator()
    for one in looks:
        estimator.add(one)
    return estimator.estimate()


def test_every_attribute_is_estimated() -> None:
    attributes = estimate(look())
    assert tuple(attributes) == ATTRIBUTES
    assert all(np.isfinite(value) for value in attributes.values())
    assert sum(attributes[name] for name in HAIR_STYLES) == 1


def test_brows_are_as_thick_as_they_are_seen_in_most_frames_and_on_drawn_faces_the_networks() -> None:
    network = {"brow_thickness": 0.9}
    thin, thick = (estimate(*[look(brows=b, **network)] * 3, look(brows=0.3, **network)) for b in (0.075, 0.11))
    unseen = estimate(look(**network))["brow_thickness"]
    assert thin["brow_thickness"] < thick["brow_thickness"] - 0.3 and unseen == pytest.approx(0.9)
    assert estimate(look(brows=0.11, unusual=3.0, **network))["brow_thickness"] == pytest.approx(0.9)


def test_above_the_forehead_of_somebody_with_a_hat_is_the_hat() -> None:
    hair, hat = {"hair_r": 0.4, "hair_g": 0.2, "hair_b": 0.1}, {"gear_r": 0.0, "gear_g": 0.9, "gear_b": 0.0}
    bare = estimate(look(**hair, **hat, beside=0.9))
    worn = estimate(look(**hair, **hat, beside=0.9, hat_cap=0.99))
    assert (bare["hat_cap"], worn["hat_cap"]) == (0.0, 1.0)
    assert (worn["hair_r"], worn["hair_g"]) == (0.4, 0.2) and 0 < worn["gear_g"] != bare["gear_g"]
    assert bare["hair_g"] < worn["gear_g"], "highlights make dark hair lighter than it is said to be, a hat has none"
    assert bare["hair_long"] + bare["hair_bob"] + bare["hair_wavy"] == 1.0 and worn["hair_short"] == 1.0


def test_skin_is_never_said_to_be_green() -> None:
    usual = np.array([60.0, 17.0, 20.0])
    np.testing.assert_array_equal(as_skin(usual), usual)
    for green in (np.array([63.0, 2.0, 38.0]), np.array([63.0, -8.0, 30.0]), np.array([63.0, -8.0, -30.0])):
        said = as_skin(green)
        assert said[1] > 0.3 * abs(said[2]) and said[0] == 63.0
        assert np.hypot(*said[1:]) == pytest.approx(np.hypot(*green[1:])) and said[2] * green[2] > 0
    np.testing.assert_array_equal(as_skin(np.array([50.0, 0.0, 0.0])), (50.0, 0.0, 0.0))
    np.testing.assert_array_equal(as_skin(np.array([96.0, 10.0, 8.0])), (88.0, 10.0, 8.0))


def test_black_hair_in_cool_light_is_black_and_dyed_hair_is_not() -> None:
    np.testing.assert_array_equal(as_hair(np.array([19.0, 8.6, -9.2])), (19.0, 0.0, 0.0))
    for kept in ((19.0, 8.0, -22.0), (40.0, 4.0, -9.0), (19.0, 6.0, 9.0), (12.0, 1.0, 2.0), (np.nan, np.nan, np.nan)):
        np.testing.assert_array_equal(as_hair(np.array(kept)), kept)


def test_hair_that_is_brown_in_deep_shade_is_not_black() -> None:
    for shade, lightness in (((6.0, 8.0, 12.0), 16.7), ((8.0, 9.0, 14.0), 18.0), ((8.0, 20.0, 30.0), 18.0)):
        lifted = as_hair(np.array(shade))
        assert lifted[0] == pytest.approx(lightness, abs=0.1)
        np.testing.assert_array_equal(lifted[1:], shade[1:])


def test_brown_eyes_are_told_from_light_ones_but_behind_glasses() -> None:
    def eyes(lab: tuple[float, float, float], **known: float) -> tuple[float, ...]:
        one = look(iris_r=0.5, iris_g=0.6, iris_b=0.7, **known)
        one.colours["eyes"] = np.array(lab)
        attributes = estimate(one)
        return tuple(attributes[f"iris_{c}"] for c in "rgb")

    brown, blue = eyes((20.0, 8.0, 9.0)), eyes((35.0, -2.0, -12.0))
    assert brown[0] > 1.5 * brown[1] > 1.5 * brown[2] and blue[2] > blue[1] > blue[0]
    behind = eyes((35.0, -2.0, -12.0), glasses=0.5)
    assert behind[0] > 1.5 * behind[1], "glasses mirror screens"
    np.testing.assert_allclose(eyes((35.0, -2.0, -12.0), unusual=3.0), (0.5, 0.6, 0.7), atol=1e-6)
    drawn = look(iris_r=0.5, iris_g=0.6, iris_b=0.7, unusual=3.0)
    violet = estimate(replace(drawn, drawn_eyes=np.array([40.0, 20.0, -30.0])))
    assert violet["iris_b"] > violet["iris_r"] > violet["iris_g"], "a drawn face's are as they are seen"
    unseen = eyes((np.nan, np.nan, np.nan))
    np.testing.assert_allclose(unseen, (0.5, 0.6, 0.7), atol=1e-6)


def test_a_hat_or_headphones_are_guessed_only_when_sure() -> None:
    for name in GEAR:
        assert estimate(look(**{name: 0.75}))[name] == 0.0 and estimate(look(**{name: 0.97}))[name] == 1.0


def test_hair_down_the_forehead_is_a_fringe_and_a_hat_is_not() -> None:
    assert estimate(look(fringe=0.9))["fringe"] == 1.0 and estimate(look(fringe=0.3))["fringe"] == 0.0
    assert estimate(look(fringe=0.9), look(fringe=0.0), look(fringe=0.0))["fringe"] == 0.0
    assert estimate(look(fringe=0.9, hat_cap=0.99))["fringe"] == 0.0
    assert estimate(look(fringe=0.9, unusual=3.0))["fringe"] == 0.0, "of drawn faces the network knows"


def test_grey_is_in_the_colour_of_hair_that_is_seen() -> None:
    assert estimate(look(grey=0.3))["grey"] == 0.0
    assert estimate(look(grey=0.3, hat_cap=0.99))["grey"] == pytest.approx(0.3), "under a hat the network guesses"


def test_people_are_younger_than_the_network_says_and_drawn_heads_are_not() -> None:
    assert estimate(look(age=0.5))["age"] == pytest.approx(0.41)
    assert estimate(look(age=0.05))["age"] == 0.0
    assert estimate(look(age=0.5, unusual=3.0))["age"] == pytest.approx(0.5)


def test_nobody_seen_is_no_person() -> None:
    with pytest.raises(ValueError, match="nobody was looked at yet; wanted at least one look"):
        IdentityEstimator().estimate()


def test_one_bad_frame_changes_nothing() -> None:
    good = estimate(*[look()] * 9)
    spoilt = estimate(*[look()] * 9, look(skin=5.0, unusual=50.0))
    for name in ("skin_r", "face_length", "eye_size"):
        assert spoilt[name] == good[name]


def test_turned_heads_count_less() -> None:
    mixed = estimate(look(skin=70.0), *[look(weight=0.05, skin=30.0)] * 5)
    assert mixed["skin_r"] == estimate(look(skin=70.0))["skin_r"]


def test_glasses_need_an_edge_in_the_mean_of_all_frames() -> None:
    assert estimate(look(glasses_square=0.9))["glasses_square"] == 0, "the network alone invents them"
    worn = estimate(*[look(glasses=0.3, glasses_square=0.2, glasses_round=0.1)] * 4)
    assert (worn["glasses_square"], worn["glasses_round"]) == (1, 0)
    assert estimate(*[look()] * 9, look(glasses=0.1))["glasses_round"] == 0, "a shadow on one frame"


def test_hair_beside_the_jaw_makes_it_long() -> None:
    unsure = {"hair_short": 0.4, "hair_long": 0.4}
    assert estimate(look(beside=0.0, **unsure))["hair_short"] == 1
    assert estimate(look(beside=0.8, **unsure))["hair_long"] == 1
    likely = styled(dict.fromkeys(HAIR_STYLES, 1 / len(HAIR_STYLES)) | {"femininity": 0.5}, float("nan"), 0.0)
    assert sum(likely.values()) == pytest.approx(1) and max(likely.values()) < 0.3


@pytest.mark.parametrize(("bare", "made"), [(0.1, "hair_quiff"), (0.9, "hair_bald")])
def test_hair_above_the_forehead_is_no_bald_head_and_short_hair_hardly_ever_a_buzz_cut(bare: float, made: str) -> None:
    seen = dict.fromkeys(HAIR_STYLES, 0.0) | {
        "hair_bald": 0.55,
        "hair_buzz": 0.35,
        "hair_quiff": 0.1,
        "femininity": 0.1,
    }
    likely = styled(seen, 0.0, bare)
    assert max(likely, key=lambda name: likely[name]) == made
    sure = styled(seen | {"hair_bald": 0.0, "hair_buzz": 0.99, "hair_quiff": 0.01}, 0.0, 0.0)
    assert max(sure, key=lambda name: sure[name]) == "hair_buzz"


def test_lips_and_hair_tell_the_presentation() -> None:
    masculine, feminine = estimate(look(redder=3.0)), estimate(look(redder=13.0, beside=0.8))
    assert masculine["femininity"] < 0.3 < 0.7 < feminine["femininity"]


def test_who_looks_feminine_has_a_beard_only_when_it_is_sure() -> None:
    him, her = {"redder": 3.0}, {"redder": 13.0, "beside": 0.8, "femininity": 0.9}
    assert (
        estimate(look(moustache=0.7, **him))["moustache"] == 0.7
        and estimate(look(moustache=0.7, **her))["moustache"] == 0
    )
    assert estimate(look(beard=1.1, **her))["beard"] == 1.1


def test_who_is_seen_to_be_shaven_has_no_beard_unless_the_hair_is_light() -> None:
    him = {"redder": 3.0, "moustache": 0.8, "goatee": 0.9, "beard": 0.7}
    shaven = [estimate(look(lip=lip, chin=chin, **him)) for lip, chin in ((0.7, 0.7), (0.9, 0.7), (0.7, 0.9))]
    assert [one["moustache"] > 0 for one in shaven] == [True, False, True]
    assert [one["goatee"] > 0 for one in shaven] == [one["beard"] > 0 for one in shaven] == [True, True, False]
    assert estimate(look(skin=30.0, lip=0.9, **him))["moustache"] > 0, "dark hair on dark skin"


def test_unusual_proportions_become_the_avatars() -> None:
    usual, long = proportioned(np.zeros(len(FIGURES))), proportioned(np.full(len(FIGURES), 1.0))
    for name, (mean, spread) in AVATARS.items():
        assert usual[name] == pytest.approx(mean) and long[name] == pytest.approx(mean + spread)
    most = proportioned(np.full(len(FIGURES), 40.0))
    assert most["face_length"] == pytest.approx(1.0 + 1.8 * 0.065)


def test_a_drawn_face_keeps_what_the_network_says() -> None:
    assert estimate(look(unusual=8.0, jaw_width=1.03))["jaw_width"] == pytest.approx(1.03)
    assert estimate(look(nose_width=1.03))["nose_width"] == pytest.approx(1.0)


def of_jaw(share: float, femininity: float, chin: float = 1.0) -> float:
    figures = USUAL.copy()
    figures[FIGURES.index("jaw_width")] = share
    return jaw_width(unusual(figures), femininity, chin)


def test_a_jaw_that_is_usual_for_drawn_faces_of_that_presentation_stays_usual() -> None:
    assert of_jaw(0.745, femininity=1.0) == pytest.approx(1.0) == of_jaw(0.787, femininity=0.0)
    assert of_jaw(0.756, femininity=1.0) == pytest.approx(1.1) and of_jaw(0.5, femininity=1.0) == pytest.approx(
        1 - 1.8 * 0.075
    )
    assert of_jaw(0.745, femininity=1.0, chin=0.5) == pytest.approx(1.1), "small chins make narrow jaws by themselves"


def test_a_drawn_face_has_the_hair_that_the_network_sees() -> None:
    seen = {"hair_short": 0.4, "hair_braids": 0.6, "femininity": 0.1}
    assert estimate(look(unusual=8.0, beside=0.8, **seen))["hair_braids"] == 1
    assert estimate(look(**seen))["hair_short"] == 1, "real short hair before a busy room is taken for braids"


def test_clothes_that_no_frame_shows_are_the_networks() -> None:
    assert estimate(look(cloth_r=0.4))["cloth_r"] == pytest.approx(0.4)


def test_a_long_watch_keeps_the_best_looks() -> None:
    estimator = IdentityEstimator()
    for number in range(MOST_LOOKS + 20):
        estimator.add(look(weight=0.1 if number < 20 else 0.9))
    assert len(estimator) == MOST_LOOKS
    assert {one.weight for one in estimator.looks} == {0.9}


@pytest.mark.parametrize(
    ("weights", "median"), [((1, 1, 1), 2.0), ((5, 1, 1), 1.0), ((1, 1, 5), 9.0), ((1e-6, 1e-6, 1e-6), 2.0)]
)
def test_weighted_medians(weights: tuple[float, ...], median: float) -> None:
    values = np.array([[9.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    order = np.array([weights[2], weights[0], weights[1]], float)
    np.testing.assert_allclose(weighted_median(values, order), [median, 1.0])

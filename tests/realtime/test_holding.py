"""The card, and pictures brought to a size."""

from __future__ import annotations

import numpy as np
import pytest

from realtime.frames import Frame, Picture
from realtime.holding import RETURN_NS, Holding, card, fitted


@pytest.mark.parametrize("size", [(1280, 720), (480, 480), (90, 160), (37, 5), (3, 2), (1, 1)])
def test_the_card_has_any_size_and_is_the_callers_own(size: tuple[int, int]) -> None:
    first = card(size)
    assert first.shape == (size[1], size[0], 3) and first.dtype == np.uint8
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(card(size), kept)


def test_the_card_says_something_in_its_middle_and_nothing_at_its_edges() -> None:
    picture = card((1280, 720)).astype(int)
    assert picture[430:520, 400:880].max() > 220
    assert np.ptp(picture, axis=1).reshape(-1, 3)[[*range(200), *range(560, 720)]].max() <= 1


@pytest.mark.parametrize(("shape", "bars"), [((90, 160), None), ((90, 90), "sides"), ((300, 900), "above")])
def test_a_fitted_picture_is_whole(shape: tuple[int, int], bars: str | None) -> None:
    output = fitted(np.full((*shape, 3), 200, np.uint8), (160, 90))
    assert output.shape == (90, 160, 3)
    dark = output[..., 0] == 0
    assert dark[:, 0].all() == (bars == "sides") and dark[0].all() == (bars == "above")
    assert (output[45, 80] == 200).all()


def avatar(at_ns: int) -> Picture:
    return Picture(0, at_ns, np.full((90, 160, 3), 200, np.uint8))


def level(picture: Picture) -> int:
    return int(picture.pixels[5, 5, 0])


@pytest.mark.parametrize("on_lost", ["hold", "card", "blur"])
def test_a_found_face_fades_in_from_the_holding_picture(on_lost: str) -> None:
    holding = Holding(on_lost, 700)
    frame = Frame(0, 1_000_000_000, np.full((90, 160, 3), 20, np.uint8))
    held = int(holding.pixels(frame, 1_000_000_000, None, (160, 90))[5, 5, 0])
    steps = [level(holding.remember(avatar(1_000_000_000 + step * RETURN_NS // 5))) for step in range(1, 8)]
    assert held < steps[0] < 0.5 * (held + 200) and steps == sorted(steps) and steps[4:] == [200] * 3
    assert max(np.diff([held, *steps])) < 0.4 * (200 - held), "it does not pop"


def test_a_face_lost_again_while_it_fades_in_goes_on_from_there() -> None:
    holding = Holding("hold", 700)
    frame = Frame(0, 0, np.zeros((90, 160, 3), np.uint8))
    holding.pixels(frame, 0, None, (160, 90))
    half = level(holding.remember(avatar(RETURN_NS // 2)))
    assert half == pytest.approx(100, abs=2)
    assert int(holding.pixels(frame, RETURN_NS // 2 + 1, None, (160, 90))[5, 5, 0]) == pytest.approx(half, abs=2)


def test_with_raw_the_camera_never_shines_through_the_avatar() -> None:
    holding = Holding("raw", 700)
    holding.pixels(Frame(0, 0, np.zeros((90, 160, 3), np.uint8)), 0, None, (160, 90))
    assert level(holding.remember(avatar(1))) == 200


def test_an_avatar_from_the_start_is_shown_at_once() -> None:
    assert level(Holding("hold", 700).remember(avatar(0))) == 200

"""The card, and pictures brought to a size."""

from __future__ import annotations

import numpy as np
import pytest

from realtime.holding import card, fitted


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

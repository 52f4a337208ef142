"""The parts of the camera checks that run anywhere: what they read off pictures is what was painted."""

from __future__ import annotations

import struct
import sys

import numpy as np
import pytest

from tests.vm import colours, player, scene


@pytest.mark.parametrize("size", [(320, 240), (640, 480), (1280, 720)])
def test_the_counter_is_read_back_and_only_when_it_is_there(size: tuple[int, int]) -> None:
    for index in (0, 1, 77, scene.LOOP - 1):
        picture = np.full((size[1], size[0], 3), 90, np.uint8)
        assert scene.number(picture) is None
        scene.draw(picture, index)
        assert scene.number(picture) == index
        assert scene.number((picture * 0.4).astype(np.uint8)) is None, "a faded picture has no number"


def test_the_chart_is_where_it_is_looked_for() -> None:
    size = (640, 480)
    picture = np.zeros((480, 640, 3), np.uint8)
    scene.draw(picture, 0)
    places = list(scene.patches(size))
    assert len(places) == 24 and all(columns.stop <= 640 and rows.stop <= 480 for _, rows, columns in places)
    for number, rows, columns in places:
        assert (picture[scene.inner(rows), scene.inner(columns)] == scene.PATCHES_BGR[number]).all()


def test_colour_differences_are_those_of_the_publication() -> None:
    """Pairs 1, 17, 21, 25 and 34 of table 1 in Sharma, Wu and Dalal (2005)."""
    one = [(50, 2.6772, -79.7751), (50, 2.5, 0), (50, 2.5, 0), (60.2574, -34.0099, 36.2677), (2.0776, 0.0795, -1.135)]
    two = [(50, 0, -82.7485), (73, 25, -18), (50, 3.2592, 0.335), (60.4626, -34.1751, 39.4387)]
    two.append((0.9033, -0.0636, -0.5514))
    found = colours.difference(np.array(one), np.array(two))
    assert found == pytest.approx([2.0425, 27.1492, 1.0, 1.2644, 0.9082], abs=1e-4)
    swapped = scene.PATCHES_BGR[:, ::-1]
    assert colours.difference(colours.lab(scene.PATCHES_BGR), colours.lab(swapped)).mean() > 10


def test_white_is_white() -> None:
    assert colours.lab(np.array([[255, 255, 255]])) == pytest.approx(np.array([[100, 0, 0]]), abs=0.02)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="V4L2 is Linux's")
def test_the_players_request_has_the_size_that_its_number_tells() -> None:
    assert player.FORMAT.size == player.S_FMT >> 16 & 0x3FFF == 208
    assert struct.calcsize("=16s32s32sIII12x") == player.QUERYCAP >> 16 & 0x3FFF

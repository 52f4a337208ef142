from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from kernels.emulation import emulation_refusal
from kernels.overlay_heads import COLOURS, NUMBERS, Place, overlay_heads

emulated = pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))


def _draw(seed):
    return torch.Generator().manual_seed(seed)


def _portraits(count, size, seed=1):
    """What is beyond 0..1 and colours above their alpha are in it."""
    return torch.randn(count, size, size, 4, generator=_draw(seed)) * 0.5 + 0.5


def _fade(size):
    at = (torch.arange(size) + 0.5) / size
    return (1 - at.square())[:, None] * (3 * torch.minimum(at, 1 - at)).clamp_max(1)


def _covers(places, seed=2):
    """Random colours, and masks that are full in their inner part."""
    room = COLOURS + max(place.mask[0] * place.mask[1] for place in places)
    covers = torch.randint(0, 256, (len(places), room), dtype=torch.uint8, generator=_draw(seed))
    for cover, place in zip(covers, places, strict=True):
        wide, high = place.mask
        mask = cover[COLOURS : COLOURS + wide * high].view(high, wide)
        mask[high // 4 : high - high // 4, wide // 4 : wide - wide // 4] = 255
        mask[:1] = 0
    return covers


def _given(size, *places, edge=16, seed=0):
    canvas = torch.randint(0, 256, (*size, 3), dtype=torch.uint8, generator=_draw(seed))
    rows = torch.tensor([place.numbers() for place in places])
    return canvas, _portraits(len(places), edge), _fade(edge), rows, _covers(places)


TURNED = (0.4, 0.05, -3.3, -0.05, 0.4, -1.7)
CASES = {
    "one": [Place(TURNED, 0, True, 1.0, (5, 3, 37, 28), (9, 7), (32, 28))],
    "partly outside, few cells": [Place((0.5, 0, 4.2, 0, 0.5, 3.0), 0, True, 1.0, (0, 0, 7, 31), (1, 7), (7, 31))],
    "huge": [Place((0.02, 0, 5.0, 0, 0.02, 5.0), 0, False, 0.7, (0, 0, 53, 31), (13, 7), (32, 31))],
    "tiny, halved": [Place((0.9, 0.1, -18.0, -0.1, 0.9, -9.0), 2, True, 1.0, (20, 11, 3, 2), (1, 1), (3, 2))],
    "no cover, clear": [Place(TURNED, 0, False, 0.0)],
    "three in order": [
        Place(TURNED, 0, True, 1.0, (5, 3, 37, 28), (9, 7), (32, 28)),
        Place((0.3, 0, -6.0, 0, 0.3, -2.0), 1, False, 0.5, (20, 0, 33, 31), (8, 7), (32, 31)),
        Place((1.0, 0, -30.0, 0, 1.0, -10.0), 0, True, 0.9),
    ],
}


@emulated
@pytest.mark.parametrize("name", CASES)
def test_the_kernel_does_what_the_reference_does(name):
    canvas, portraits, fade, places, covers = _given((31, 53), *CASES[name])
    got = overlay_heads(canvas, portraits, fade, places, covers, impl="emulated")
    exact = (portraits.double(), fade.double(), places.double())
    wanted = overlay_heads(canvas, *exact, covers, impl="reference")
    assert (got.int() - wanted.int()).abs().max() <= 1
    assert (got == wanted).float().mean() > 0.98
    assert (got != canvas).any() == (name != "no cover, clear")


@emulated
@pytest.mark.parametrize("impl", ["emulated", "reference"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (31, 53), (5, 64)], ids=str)
def test_where_the_mask_is_full_nothing_of_the_picture_is_left(impl, shape):
    high, wide = shape
    boxes = [(0, 0, wide, high), (wide // 3, high // 3, wide - wide // 3, high - high // 3)]
    places = [Place(TURNED, 0, True, 0.5, box, (3, 5), (2, 2)) for box in boxes]
    canvas, portraits, fade, rows, covers = _given(shape, *places)
    covers[:, COLOURS:] = 255
    others = [canvas, 255 - canvas, torch.zeros_like(canvas), torch.full_like(canvas, 255)]
    seen = [overlay_heads(one, portraits, fade, rows, covers, impl=impl) for one in others]
    assert all(torch.equal(one, seen[0]) for one in seen)


@emulated
def test_all_are_covered_before_anyone_is_drawn_and_the_last_is_in_front():
    places = [Place((1.0, 0, -4.0, 0, 1.0, -4.0), box=box, mask=(2, 2), cells=(1, 1)) for box in ((0, 0, 24, 24),) * 2]
    canvas, portraits, fade, rows, covers = _given((24, 24), *places)
    covers[:, COLOURS:] = 255
    portraits[:] = torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0]])[:, None, None]
    got = overlay_heads(canvas, portraits, fade, rows, covers, impl="emulated")
    assert got[10, 10].tolist() == [255, 0, 0], "BGR of the second portrait, which no cover hides"
    assert torch.equal(got[0, 0], covers[1, :3]), "the second cover lies over the first"


@emulated
def test_rows_may_lie_apart():
    canvas, portraits, fade, places, covers = _given((31, 53), *CASES["three in order"])
    apart = torch.full((3, NUMBERS + 5), float("nan"))
    apart[:, :NUMBERS] = places
    one, other = (
        overlay_heads(canvas, portraits, fade, rows, covers, impl="emulated") for rows in (places, apart[:, :NUMBERS])
    )
    assert torch.equal(one, other)


def test_outside_of_the_portrait_and_the_box_nothing_changes():
    place = Place((1.0, 0, -20.0, 0, 1.0, -8.0), 0, False, 1.0, (2, 2, 8, 8), (2, 2), (8, 8))
    canvas, portraits, fade, rows, covers = _given((31, 53), place)
    got = overlay_heads(canvas, portraits, fade, rows, covers, impl="reference")
    around = torch.ones(31, 53, dtype=torch.bool)
    around[2:10, 2:10] = around[8:24, 20:36] = False
    assert torch.equal(got[around], canvas[around])


def test_a_halved_portrait_is_its_means():
    canvas, portraits, fade, _, covers = _given((16, 16), Place(TURNED), edge=32)
    canvas[:], portraits[:] = 0, portraits.clamp(0, 1)
    portraits[..., 3] = 1
    rows = torch.tensor([Place((1.0, 0, 0.0, 0, 1.0, 0.0), 1).numbers()])
    got = overlay_heads(canvas, portraits, fade, rows, covers, impl="reference")
    wanted = portraits[0, ..., :3].reshape(16, 2, 16, 2, 3).mean((1, 3)).flip(2) * 255
    assert (got - wanted).abs().max() <= 0.51


@emulated
@pytest.mark.parametrize("impl", ["emulated", "reference"])
def test_an_enlarged_portrait_is_interpolated_by_cubics(impl):
    canvas, portraits, fade, _, covers = _given((48, 48), Place(TURNED), edge=16)
    canvas[:], portraits[:] = 0, (portraits.clamp(0, 1) * 255).round() / 255
    portraits[..., 3] = 1
    rows = torch.tensor([Place((1 / 3, 0, -1 / 3, 0, 1 / 3, -1 / 3)).numbers()])
    got = overlay_heads(canvas, portraits, fade, rows, covers, impl=impl).numpy()
    colours = (portraits[0, ..., :3].flip(2) * 255).numpy().astype(np.uint8)
    wanted = cv2.resize(colours, (48, 48), interpolation=cv2.INTER_CUBIC).astype(int)
    difference = np.abs(got - wanted)[6:-6, 6:-6]  # edges are repeated there
    assert difference.max() <= 2 and difference.mean() < 0.5


def test_errors_say_what_was_wanted():
    canvas, portraits, fade, places, covers = _given((8, 8), Place(TURNED))
    with pytest.raises(ValueError, match=r"wanted uint8 \[H, W, 3\], \[N, S, S, 4\], \[S, S\], \[N, 17\], uint8"):
        overlay_heads(canvas, portraits, fade, places[:, :3], covers)

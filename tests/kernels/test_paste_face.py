from __future__ import annotations

import math

import pytest
import torch

from kernels.emulation import emulation_refusal
from kernels.paste_face import Place, _mask, level_pixels, levels_of, paste_face, write_levels

emulated = pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))


def _given(box=(7, 3, 60, 52), level=0, weight=1.0, corners=9, edge=64, size=(64, 80), turned=1):
    draw = torch.Generator().manual_seed(corners)
    canvas = torch.randint(40, 220, (*size, 3), dtype=torch.uint8, generator=draw)
    levels = torch.zeros(level_pixels(edge), 4)
    write_levels(levels, torch.rand(3, edge, edge, generator=draw) * 1.6 - 0.8)
    middle, radius = (box[0] + box[2] / 2, box[1] + box[3] / 2), min(box[2:]) / 2 - 7
    angles = torch.arange(corners) * (2 * math.pi / corners) * turned
    outline = torch.stack([middle[0] + radius * angles.cos(), middle[1] + 0.9 * radius * angles.sin()], dim=1)
    step = (edge >> level) / 50
    into = (step, 0.1, -6.0 * step, -0.1, step, -2.0 * step)
    place = torch.tensor(Place(into, box, 4.0, corners, level, edge, weight).numbers())
    return canvas, levels, place, outline


@emulated
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight": 0.25, "turned": -1},
        {"level": 1, "edge": 128, "corners": 37},
        {"box": (0, 0, 31, 19), "corners": 3, "size": (19, 33)},
    ],
    ids=str,
)
def test_the_kernels_do_what_the_reference_does(options):
    canvas, levels, place, outline = _given(**options)
    match = torch.tensor([[1.2, 1.0, 0.9], [4.0, -3.0, 0.0]])
    got, colours = paste_face(canvas, levels, place, outline, match, impl="emulated")
    wanted, right = paste_face(canvas, levels.double(), place.double(), outline.double(), match, impl="reference")
    torch.testing.assert_close(colours.double(), right, rtol=1e-3, atol=1e-2)
    assert (got.int() - wanted.int()).abs().max() <= 1
    left, top, width, height = options.get("box", (7, 3, 60, 52))
    around = torch.ones(canvas.shape[:2], dtype=torch.bool)
    around[top : top + height, left : left + width] = False
    assert torch.equal(got[around], canvas[around]), "outside of the box nothing changes"
    assert (got != canvas).any(), "something is drawn"


def test_within_the_outline_nothing_of_the_picture_is_left():
    canvas, levels, place, outline = _given()
    place[14] = 0.0  # colours as before
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(80.0), indexing="ij")
    inner = outline.mean(0) + (outline - outline.mean(0)) * 0.9  # cells of the mask's edge lie outside of it
    other = torch.where((_mask(x, y, inner, 0.01) == 1)[..., None], 255 - canvas, canvas)
    assert (other != canvas).float().mean() > 0.15
    match = torch.tensor([[1.0] * 3, [0.0] * 3])
    seen = [paste_face(c, levels, place, outline, match, impl="reference")[0] for c in (canvas, other)]
    assert (seen[0].int() - seen[1].int()).abs().max() <= 1  # rounding
    at = outline.round()
    assert (_mask(at[:, 0], at[:, 1], outline, 4.0) == 1).all(), "full strength over every point of the outline"


def test_few_visible_cells_change_no_colours():
    canvas, levels, place, outline = _given()
    outline = (outline - outline.mean(0)) * 0.01 + outline.mean(0)
    place[10] = 0.5
    _, match = paste_face(canvas, levels, place, outline, torch.zeros(2, 3))
    assert match.tolist() == [[1.0] * 3, [0.0] * 3]


def test_levels_are_halved_down_to_64_pixels():
    assert [levels_of(edge) for edge in (16, 64, 128, 1024)] == [1, 1, 2, 5]
    picture = torch.rand(3, 128, 128) * 2 - 1
    levels = torch.zeros(level_pixels(128), 4)
    write_levels(levels, picture)
    small = levels[128 * 128 :, :3].reshape(64, 64, 3)
    wanted = torch.nn.functional.avg_pool2d(picture.flip(0) * 127.5 + 127.5, 2).permute(1, 2, 0)
    torch.testing.assert_close(small, wanted)
    assert Place((1, 0, 0, 0, 1, 0), (0, 0, 2, 2), 2.0, 3, 1, 128, 1.0).numbers()[12:14] == [64, 128 * 128]


def test_errors_say_what_was_wanted():
    canvas, levels, place, outline = _given()
    with pytest.raises(ValueError, match=r"wanted uint8 \[H, W, 3\], \[T, 4\], \[15\], \[N, 2\], \[2, 3\]"):
        paste_face(canvas, levels[:, :3], place, outline, torch.zeros(2, 3))

"""The portrait generator against the published formulas, and its exported form against itself."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from engines.attributes import ATTRIBUTES
from engines.motion import MOTION
from engines.portrait import DIM, INPUT, LAYERS, ROWS, Cover, Mapping, ModulatedConv2d, PaintedRGB, PortraitGenerator
from engines.spatial_code import FEATURES


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def textbook(layer: ModulatedConv2d, x: torch.Tensor, w: torch.Tensor, injected: torch.Tensor | float) -> torch.Tensor:
    """Karras et al. 2020, equations 1 to 3, sample by sample: the weights are modulated, then normalised."""
    results = []
    for one, code in zip(x, w, strict=True):
        style = layer.affine.weight @ code + layer.affine.bias
        weight = layer.weight * style[None, :, None, None]
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if layer.up:
            wide = torch.zeros(1, one.shape[0], 2 * one.shape[1], 2 * one.shape[2])
            wide[0, :, ::2, ::2] = one
            grown = F.conv2d(wide, weight.flip(2, 3), padding=1)
            blur = torch.tensor([0.25, 0.5, 0.25])
            results.append(F.conv2d(grown.transpose(0, 1), 4 * (blur[:, None] * blur)[None, None], padding=1)[:, 0])
        else:
            results.append(F.conv2d(one[None], weight, padding=1)[0])
    return F.leaky_relu(torch.stack(results) * 2**0.5 + layer.bias[:, None, None] + injected, 0.2)


@pytest.mark.parametrize(("channels_in", "channels_out"), [(1, 3), (37, 8), (3, 1)])
@pytest.mark.parametrize("up", [False, True])
@torch.no_grad()
def test_modulation_equals_the_textbook(channels_in: int, channels_out: int, up: bool) -> None:
    layer = ModulatedConv2d(channels_in, channels_out, up=up)
    layer.bias.normal_()
    x, w = torch.randn(3, channels_in, 7, 5), torch.randn(3, DIM)
    injected = torch.randn(3, channels_out, 14, 10) if up else torch.randn(3, channels_out, 7, 5)
    torch.testing.assert_close(layer(x, w), textbook(layer, x, w, 0.0), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(layer(x, w, injected), textbook(layer, x, w, injected), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_every_pixel_is_painted_by_the_matrix_of_w() -> None:
    layer = PaintedRGB(5, 0.3)
    x, w = torch.randn(2, 5, 4, 4), torch.randn(2, DIM)
    picture = layer(x, w)
    assert picture.shape == (2, 4, 8, 8)
    values = x[1, :, 2, 3] @ layer.affine(w[1]).view(5, 16) + layer.bias
    torch.testing.assert_close(picture[1, :, 4:6, 6:8], values.view(4, 2, 2))


@torch.no_grad()
def test_pictures_grow_and_the_small_ones_stay_the_same() -> None:
    generator = PortraitGenerator().eval()
    wplus, motion = torch.randn(1, LAYERS, DIM), torch.randn(1, len(MOTION)) * 0.2
    small, points = generator(wplus, motion, 64)
    large, _ = generator(wplus, motion, 256)
    assert [tuple(picture.shape) for picture in large] == [(1, 4, s, s) for s in (64, 128, 256)]
    assert points.shape == (1, ROWS, 3)
    # the coarse maps come from the fine ones where there are any: the same up to how they are sampled
    assert (small[0] - large[0]).abs().mean() < 0.1 * large[0].std()


@torch.no_grad()
def test_what_is_worn_hides_what_lies_behind_it() -> None:
    cover, (x, maps), w = Cover(5), (torch.randn(2, c, 3, 3) for c in (5, FEATURES)), torch.randn(2, DIM)
    nothing = cover.hiding(x, maps, w)
    assert nothing.shape == (2, 8, 3, 3) and nothing.max() < 0.01
    cover.maps.weight[:4, 7] = 50.0  # the frame of glasses lies where map 7 is positive
    cover.worn.weight[7, 0] = 1.0
    w[:, 0] = torch.tensor([1.0, 0.0])  # the second person wears none
    cover.colours.bias[:3] = torch.tensor([0.1, 0.2, 0.3])
    y = torch.rand(2, 4, 6, 6)
    covered = cover(y, cover.hiding(x, maps, w), w)
    there = F.interpolate((maps[:, 7:8] > 0.05).float(), scale_factor=2)
    away = F.interpolate((maps[:, 7:8] < -0.05).float(), scale_factor=2)
    opaque = torch.tensor([0.1, 0.2, 0.3, 1.0]).view(4, 1, 1)
    assert ((covered - opaque)[0].abs() * there[0]).max() < 0.02
    assert ((covered - y)[0].abs() * away[0]).max() < 0.02
    assert (covered - y)[1].abs().max() < 0.02
    one = cover.hiding(x[:1], maps[:1], w[:1])
    torch.testing.assert_close(one, cover.hiding(x, maps, w)[:1], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_exported_halves_draw_the_same_picture() -> None:
    generator = PortraitGenerator().eval()
    wplus, motion = torch.randn(2, LAYERS, DIM), torch.randn(2, len(MOTION)) * 0.2
    want = generator(wplus, motion)[0][-1]
    code, *fine = generator.motion_code(wplus[:, 0], motion)
    assert code.shape == (2, INPUT, 32, 32)
    torch.testing.assert_close(generator.synthesis(code, wplus.unbind(1), fine)[-1], want, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_only_the_first_layer_moves_the_points() -> None:
    generator = PortraitGenerator().eval()
    wplus, motion = torch.randn(1, LAYERS, DIM), torch.zeros(1, len(MOTION))
    points = generator(wplus, motion, 64)[1]
    other = wplus.clone()
    other[:, 1:] += 1
    torch.testing.assert_close(generator(other, motion, 64)[1], points)


@torch.no_grad()
def test_attributes_are_normalised_before_they_are_mapped() -> None:
    mapping, row = Mapping(len(ATTRIBUTES)).eval(), 1 + torch.rand(2, len(ATTRIBUTES))
    want = mapping(row)
    mapping.mean.fill_(3.0)
    mapping.spread.fill_(0.5)
    torch.testing.assert_close(mapping(row * 0.5 + 3.0), want)

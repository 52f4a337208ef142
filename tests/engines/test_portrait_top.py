"""The top that draws 512 px: what it begins as, and that what lies below it stays as it is."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from engines.motion import MOTION
from engines.portrait import DIM, LAYERS, PortraitGenerator
from engines.portrait_top import LargeGenerator, Top, alike, begin, window_map
from engines.spatial_code import FEATURES, head_map


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def generator() -> PortraitGenerator:
    """One whose every layer says something; what it paints and hides is the same at all four sub-pixels."""
    made = PortraitGenerator().eval()
    with torch.no_grad():
        for name, value in made.named_parameters():
            if name.startswith(("cover", "painted", "worn")):
                value += 0.05 * torch.randn(value.shape)
        for layer in (made.cover.maps, made.cover.seen, made.painted.affine, made.painted):
            for value in layer.parameters(recurse=False):
                value.copy_(alike(value))
    return made


def inputs(generator: PortraitGenerator, edge: int):
    """Features, the bare picture, maps twice as large, W+; and the finished picture."""
    wplus, drawn = torch.randn(2, LAYERS, DIM), torch.randn(2, generator.convs[0].weight.shape[1], edge, edge)
    maps = [torch.rand(2, FEATURES, edge << level, edge << level) for level in (1, 2)]
    pictures, x, bare = generator.levels(drawn, wplus.unbind(1), maps)
    return x, bare, maps[-1], wplus, pictures[-1]


@torch.no_grad()
def test_a_top_begins_as_the_level_below(generator: PortraitGenerator) -> None:
    """Where maps and pictures are flat nothing is finer at the finer pixels, so both draw the same, edges apart."""
    top = Top()
    x, bare, maps, wplus, _ = inputs(generator, 4)
    maps, x, bare = (t[..., 3:4, 3:4].expand(-1, -1, s, s) for t, s in ((maps, 12), (x, 12), (bare, 24)))
    w = wplus[:, 9]
    wanted = generator.cover(bare, generator.cover.hiding(x, maps, w), w) + generator.painted(maps, w)
    plain = top(x, bare, F.interpolate(maps, scale_factor=2.0), wplus)
    begin(top, generator)
    got = top(x, bare, F.interpolate(maps, scale_factor=2.0), wplus)
    assert got.shape == (2, 4, 48, 48)
    inner = (..., slice(8, -8), slice(8, -8))
    doubled = F.interpolate(wanted, scale_factor=2.0, mode="bilinear", align_corners=False)
    torch.testing.assert_close(got[inner], doubled[inner], atol=1e-4, rtol=1e-3)
    assert (plain - doubled)[inner].abs().max() > 0.05, "it took something"
    assert (generator.cover.hiding(x, maps, w) - generator.cover.hiding(0 * x, maps, w)).abs().max() > 1e-3


@torch.no_grad()
def test_what_lies_below_is_drawn_as_ever(generator: PortraitGenerator) -> None:
    large = LargeGenerator(generator, Top()).eval()
    wplus, motion = torch.randn(1, LAYERS, DIM), torch.randn(1, len(MOTION)) * 0.2
    alone = generator.motion_code(wplus[:, 0], motion)
    codes = large.motion_code(wplus[:, 0], motion)
    assert codes[3].shape == (1, FEATURES, 256, 256)
    for one, other in zip(alone, codes[:3], strict=True):
        assert torch.equal(one, other)
    torch.testing.assert_close(codes[3], head_map(generator.geometry(wplus[:, 0], motion), motion, 256))
    begin(large.top, generator)
    picture = large(wplus, motion)
    small = generator(wplus, motion)[0][-1]
    assert picture.shape == (1, 4, 512, 512)
    assert (F.avg_pool2d(picture, 2) - small).abs().mean() < 0.2 * small.std()  # noise has no smooth doubling


@torch.no_grad()
def test_a_window_of_the_maps_is_cut_from_all_of_them() -> None:
    rest, motion = PortraitGenerator().geometry(torch.randn(2, DIM), torch.zeros(2, len(MOTION))), torch.rand(2, 21)
    whole = head_map(rest, 0.2 * motion, 256)
    window = window_map(rest, 0.2 * motion, torch.tensor([[10, 200], [96, 64]]), 16)
    torch.testing.assert_close(window[0], whole[0, :, 10:26, 200:216], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(window[1], whole[1, :, 96:112, 64:80], atol=1e-4, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("n", [1, 3])
def test_pictures_of_a_batch_are_drawn_each_by_itself(generator: PortraitGenerator, n: int) -> None:
    top = Top()
    begin(top, generator)
    x, maps, bare = torch.randn(n, 48, 3, 3), torch.rand(n, FEATURES, 6, 6), torch.rand(n, 4, 6, 6)
    wplus = torch.randn(n, LAYERS, DIM)
    together = top(x, bare, maps, wplus)
    last = top(x[-1:], bare[-1:], maps[-1:], wplus[-1:])
    torch.testing.assert_close(together[-1:], last, atol=1e-4, rtol=1e-4)

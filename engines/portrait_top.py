"""A top on the bundled generator: one level more, features at 256 px and a picture of 512 px, for a GPU.

Everything below stays as it is. The top reads the last features and the last picture before anything was laid over it,
and the detail maps drawn at 256 px, and lays what is worn over the doubled picture by itself, at the finer sub-pixels.
W+ keeps its ten layers: the top reads the last two (docs/decisions/0074). Torch only, as ``engines.portrait``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.portrait import CHANNELS, DIM, WORN, Cover, ModulatedConv2d, PaintedRGB, PortraitGenerator, injections
from engines.rays import Rays
from engines.spatial_code import FEATURES, map_along, rays_of

WIDTH, SIZE = 32, 512  # channels of its features; pixels of its picture
ROWS_READ = (8, 9)  # layers of W+ for its two convolutions; the last one is also that of its colours


class Top(nn.Module):
    """Features [N, 48, s, s], the bare picture [N, 4, 2s, 2s] and maps [N, 62, 2s, 2s] -> RGBA [N, 4, 4s, 4s]."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([ModulatedConv2d(CHANNELS[128], WIDTH, up=True), ModulatedConv2d(WIDTH, WIDTH)])
        self.inject = nn.ModuleList(nn.Conv2d(FEATURES, WIDTH, 1) for _ in ROWS_READ)
        self.worn = nn.ModuleList(nn.Linear(DIM, FEATURES) for _ in ROWS_READ)
        self.rgb = PaintedRGB(WIDTH, 0.0)
        self.painted = PaintedRGB(FEATURES, 0.0)
        self.cover = Cover(WIDTH)
        for layer in self.inject:
            layer.get_parameter("weight").data *= 0.3

    def forward(self, x: Tensor, bare: Tensor, maps: Tensor, wplus: Tensor) -> Tensor:
        """wplus is [N, 10, 256]."""
        w = tuple(wplus[:, row] for row in ROWS_READ)
        added = injections(self.inject, self.worn, maps, w)
        for conv, code, more in zip(self.convs, w, added, strict=True):
            x = conv(x, code, more)
        y = F.interpolate(bare, scale_factor=2.0, mode="bilinear", align_corners=False) + self.rgb(x, w[1])
        large: Tensor = self.cover(y, self.cover.hiding(x, maps, w[1]), w[1]) + self.painted(maps, w[1])
        return large


class LargeGenerator(nn.Module):
    """A generator with its top: W+ [N, 10, 256] and a motion code [N, motion] -> premultiplied RGBA [N, 4, 512, 512].

    Beside ``PortraitGenerator``, not within: what is trained, exported and quantised there knows nothing of a top.
    """

    def __init__(self, generator: PortraitGenerator, top: Top) -> None:
        super().__init__()
        self.generator, self.top = generator, top

    def motion_code(self, w: Tensor, motion: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As the generator's, with the maps at 256 px last: [N, 62, 256, 256]."""
        rest = self.generator.geometry(w, motion)
        maps = self.generator.maps
        return *self.generator.motion_code(w, motion), maps(rest, motion, SIZE // 2)

    def synthesis(self, drawn: Tensor, wplus: Tensor, maps: list[Tensor]) -> Tensor:
        """The picture from what ``motion_code`` gives: the start, then the maps."""
        _, x, bare = self.generator.levels(drawn, wplus.unbind(1), maps[:-1])
        large: Tensor = self.top(x, bare, maps[-1], wplus)
        return large

    def forward(self, wplus: Tensor, motion: Tensor) -> Tensor:
        """See the class."""
        start, *maps = self.motion_code(wplus[:, 0], motion)
        return self.synthesis(start, wplus, maps)


def window_map(rest: Tensor, motion: Tensor, places: Tensor, edge: int) -> Tensor:
    """Windows of ``head_map`` at 256 px: places int64 [N, 2], first row and column -> [N, 62, edge, edge]."""
    rays, size = rays_of(motion, SIZE // 2)[0], SIZE // 2
    steps = torch.arange(edge, device=motion.device)
    pixels = (places[:, :1, None] + steps[:, None]) * size + places[:, 1:, None] + steps
    way = rays.way.gather(2, pixels.view(len(rest), 1, -1).expand(-1, 3, -1))
    return map_along(Rays(rays.start, way, rays.turn), rest, motion, edge)


@torch.no_grad()
def begin(top: Top, generator: PortraitGenerator) -> None:
    """Let a top begin as the generator's last level, at finer sub-pixels: its gates, its covers, what its maps paint.

    A map of 256 px has a value where that of 128 px had four sub-pixels to guess, so these begin with their mean.
    """
    own, theirs = top.cover, generator.cover
    own.maps.weight.copy_(alike(theirs.maps.weight))
    own.maps.get_parameter("bias").copy_(alike(theirs.maps.get_parameter("bias")))
    for name, values in top.painted.named_parameters():
        given = generator.painted.get_parameter(name)
        values.copy_(alike(given))
    follow(top, generator)
    carry_seen(top, theirs)


@torch.no_grad()
def follow(top: Top, generator: PortraitGenerator) -> None:
    """Read W as the generator does: who wears what, and its colours. W moves while the generator is trained, and the
    top's own numbers hardly learn, so without this it paints black headphones green.

    Maps that the generator's convolutions leave alone (freckles, earrings) are painted as it paints them.
    """
    for gate in top.worn:
        gate.load_state_dict(generator.worn[-1].state_dict())
    for name in ("worn", "colours"):
        getattr(top.cover, name).load_state_dict(getattr(generator.cover, name).state_dict())
    unread = torch.stack([layer.get_parameter("weight").abs().sum((0, 2, 3)) == 0 for layer in generator.inject]).all(0)
    for name, values in top.painted.affine.named_parameters():
        rows = unread.repeat_interleave(16)
        values[rows] = generator.painted.affine.get_parameter(name)[rows]
    for layer in (*top.inject, top.cover.maps):
        layer.get_parameter("weight")[:, unread] = 0


def alike(values: Tensor) -> Tensor:
    """Four sub-pixels, which are four rows, each as their mean."""
    means: Tensor = values.view(-1, 4, *values.shape[1:]).mean(1)
    return means.repeat_interleave(4, 0)


def carry_seen(top: Top, cover: Cover) -> None:
    """Two features for each part that is worn carry what the features below say of its hiding, and its opposite.

    A leaky ReLU keeps both: their difference is 1.2 times the value. All styles begin as 1 there, so that the
    demodulation of these rows is a constant.
    """
    count, slope = len(WORN), 1.2
    signs = torch.tensor([1.0, -1.0]).repeat(count)
    means = cover.seen.weight.view(count, 4, -1).mean(1)
    scale = torch.ones(count)
    for number, conv in enumerate(top.convs):
        assert isinstance(conv, ModulatedConv2d)
        conv.affine.weight.zero_()
        conv.weight[: 2 * count].zero_()
        rows = means if number == 0 else torch.eye(count).repeat_interleave(2, 1) * signs
        size = rows.norm(dim=1) + 1e-6
        conv.weight[: 2 * count, : rows.shape[1], 1, 1] = rows.repeat_interleave(2, 0) * signs[:, None]
        scale = scale * 2**0.5 / size * slope
        top.inject[number].get_parameter("weight")[: 2 * count] = 0
        top.inject[number].get_parameter("bias")[: 2 * count] = 0
    for part in range(count):
        top.cover.seen.weight[4 * part : 4 * part + 4, 2 * part, 0, 0] = 1 / scale[part]
        top.cover.seen.weight[4 * part : 4 * part + 4, 2 * part + 1, 0, 0] = -1 / scale[part]

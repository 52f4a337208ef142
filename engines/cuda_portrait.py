"""The bundled generator by this project's kernels: launches over static buffers, so that a graph can hold them.

    portrait = CudaPortrait(network, batch=1)
    rgba = portrait.run(wplus, codes)      # float32 [N, S, S, 4], the engine's own buffer

The network is ``engines.portrait``: what the detail maps add comes into the layers' epilogue as an addend, and every
colour layer's matrix comes from W; the last of them lays what is worn over the picture. All sizes are those of the
weights. Leaky ReLU keeps positive factors, so the gain of sqrt(2) stands behind it and everything that is added before
it is divided by that. A top (``engines.portrait_top``) is one level more, by the same kernels: what is worn is then
laid over its picture instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engines.layer_choices import LayerChoices
from engines.layer_runners import Measure, Runner, Runners
from engines.portrait import Cover, ModulatedConv2d, PaintedRGB, PortraitGenerator
from engines.portrait_top import ROWS_READ, Top
from engines.spatial_code import GRID
from kernels.filter_act import Finish
from kernels.painted_rgb import PARTS, Second, painted_rgb_into
from kernels.program import Programs, cuda_program, empty_channels_last
from kernels.style_preparation import StyleLayer, StyleRoom, StyleTable, affine_into, prepare_styles_into, style_table
from kernels.styled_conv2d import PackedWeight, pack_weight

ROOT = math.sqrt(2.0)
ACTIVE, PLAIN = Finish(0.2, ROOT, None), Finish(1.0, 1.0, None)
WAYS = 16  # numbers that a feature is painted with: four colours at four sub-pixels


@dataclass(slots=True, eq=False)
class Layer:
    """A layer and where it writes; the number of its style among all."""

    runner: Runner
    y: Tensor
    bias: Tensor
    finish: Finish


@dataclass(frozen=True, slots=True, eq=False)
class Colours:
    """The matrices of all colour layers side by side, as ``affine_into`` reads them, and each layer's constants.

    affine: float32 [R, dim]; affine_bias: [R]; row: int32 [R]. counts: how many of R each layer has. biases: of each.
    """

    affine: Tensor
    affine_bias: Tensor
    row: Tensor
    counts: list[int]
    biases: list[Tensor]


class CudaPortrait:
    """A portrait generator.

    network, top: weights, on the device that will draw. batch: pictures a run. choices, measure, programs: see
    ``engines.layer_runners``. grid: edge of the smallest features in pixels; tests draw small pictures.
    sharing: one of the same weights and another batch, whose packed weights are used; only the features are new.
    """

    def __init__(
        self, network: PortraitGenerator, batch: int = 1, *, choices: LayerChoices | None = None,
        measure: Measure | None = None, programs: Programs = cuda_program, grid: int = GRID, top: Top | None = None,
        sharing: CudaPortrait | None = None,
    ) -> None:  # fmt: skip
        self.batch, self.programs = batch, programs
        self._runners = Runners(programs, batch, choices, measure)
        self._packed: dict[nn.Module, PackedWeight] = {} if sharing is None else sharing._packed
        like = network.painted.bias
        self._like, self._styles = like, []  # type: tuple[Tensor, list[StyleLayer]]
        parts: list[PortraitGenerator | Top] = [network] if top is None else [network, top]
        convs = [conv for part in parts for conv in part.convs if isinstance(conv, ModulatedConv2d)]
        rows = list(range(len(network.convs))) + (list(ROWS_READ) if top else [])  # of W+, by convolution
        self._first_up = next(number for number, conv in enumerate(convs) if conv.up)
        self._levels = sum(conv.up for conv in convs)
        ones = torch.tensor([1.0, 2.0, 1.0, 0.0], device=like.device) / 4
        self._fir = ones[:, None] * ones
        self._layers(parts, rows, grid)
        self._table: StyleTable = style_table(self._styles) if sharing is None else sharing._table
        count = int(len(network.convs) + len(network.rgb))
        self.wplus = torch.zeros(batch, count, convs[0].affine.in_features, device=like.device)
        self._room = StyleRoom(self._table, batch, like.device)
        features, half = network.painted.affine.out_features // WAYS, torch.float16
        widths = [convs[0].weight.shape[1]] + [features] * self._levels
        sizes = [grid << level for level in range(self._levels + 1)]
        sized = list(zip(widths, sizes, strict=True))
        self._maps = [empty_channels_last(batch, width, size, size, like, half) for width, size in sized]
        self.size_px = 2 * sizes[-1]  # edge of its pictures
        self._pictures = [torch.zeros(batch, 2 * size, 2 * size, PARTS, device=like.device) for size in sizes]
        rgb = [layer for layer in (*network.rgb, *([top.rgb] if top else [])) if isinstance(layer, PaintedRGB)]
        wanted, last = [*range(len(network.convs), count), *ROWS_READ[-1:]], parts[-1]
        self._cover, self._painting = last.cover, last.painted
        self._colours: Colours = _colours(rgb, wanted[: len(rgb)], last.cover) if sharing is None else sharing._colours
        self._mixed = torch.zeros(batch, len(self._colours.row), device=like.device)
        matrices = torch.split(self._mixed, self._colours.counts, dim=1)
        self._matrices = [mine.view(batch, -1, WAYS) for mine in matrices]

    def _layers(self, parts: list[PortraitGenerator | Top], rows: list[int], size: int) -> None:
        """All convolutions in their order, then what the maps add to the later ones. size: of the smallest, pixels."""
        self._convs: list[Layer] = []
        convs = [conv for part in parts for conv in part.convs if isinstance(conv, ModulatedConv2d)]
        for conv, row in zip(convs, rows, strict=True):
            size = 2 * size if conv.up else size
            self._convs.append(self._conv(conv, size, row))
        pairs = [pair for part in parts for pair in zip(part.inject, part.worn, strict=True)]
        self._injections = [
            self._injection(layer, gate, self._convs[number].y.shape[-1], rows[number])
            for number, (layer, gate) in enumerate(pairs, self._first_up)
            if isinstance(layer, nn.Conv2d) and isinstance(gate, nn.Linear)
        ]

    def _conv(self, conv: ModulatedConv2d, size: int, row: int) -> Layer:
        weight, up = conv.weight.detach(), 2 if conv.up else 1
        packed = self._pack(conv, weight, up)
        self._styles.append(StyleLayer(conv.affine.weight, conv.affine.bias, row, packed.energy, packed.peak))
        y = empty_channels_last(self.batch, len(weight), size, size, self._like, torch.float16)
        runner = self._runners.runner(weight, packed, y, up, self._fir if conv.up else None, conv.up)
        return Layer(runner, y, (conv.bias.detach() / ROOT).contiguous(), ACTIVE)

    def _injection(self, conv: nn.Conv2d, gate: nn.Linear, size: int, row: int) -> Layer:
        weight = conv.weight.detach() / ROOT
        packed = self._pack(conv, weight, 1)
        self._styles.append(StyleLayer(gate.weight, gate.bias, row, None, packed.peak))
        y = empty_channels_last(self.batch, len(weight), size, size, self._like, torch.float16)
        assert conv.bias is not None
        bias = (conv.bias.detach() / ROOT).contiguous()
        return Layer(self._runners.runner(weight, packed, y, 1), y, bias, PLAIN)

    def _pack(self, layer: nn.Module, weight: Tensor, up: int) -> PackedWeight:
        if layer not in self._packed:
            self._packed[layer] = pack_weight(weight, up)
        return self._packed[layer]

    @torch.no_grad()
    def run(self, wplus: Tensor | None = None, codes: Sequence[Tensor] | None = None) -> Tensor:
        """Draw W+ float32 [N, rows, dim] and the spatial motion code; None draws what the buffers hold.

        codes: float32, as ``PortraitGenerator.motion_code`` gives them; they are drawn in float16.

        Returns premultiplied RGBA, float32 [N, S, S, 4], around 0..1: the engine's own buffer.
        """
        if wplus is not None:
            self.wplus.copy_(wplus)
        for half, code in zip(self._maps, codes or (), strict=codes is not None):
            half.copy_(code)
        prepare_styles_into(self.programs, self._room, self.wplus, self._table)
        colours = self._colours
        affine_into(self.programs, self._mixed, self.wplus, colours.affine, colours.affine_bias, colours.row)
        x = self._maps[0]
        for number in range(self._first_up):
            x = self._drawn(self._convs[number], number, x)
        self._painted(0, x)
        for level in range(self._levels):
            for part in range(2):
                which = 2 * level + part
                number = self._first_up + which
                added = self._drawn(self._injections[which], len(self._convs) + which, self._maps[level + 1])
                x = self._drawn(self._convs[number], number, x, added)
            self._painted(level + 1, x)
        return self._pictures[-1]

    def _drawn(self, layer: Layer, number: int, x: Tensor, added: Tensor | None = None) -> Tensor:
        style, scale = self._room.layers[number]
        layer.runner.run(layer.y, x, style, scale, None, 0.0, layer.bias, layer.finish, added)
        return layer.y

    def _painted(self, level: int, x: Tensor) -> None:
        matrix, second, covers = self._matrices[level].contiguous(), None, None  # a copy only where N > 1
        if level == self._levels:
            matrix, second, covers = self._over(matrix)
        painted_rgb_into(
            self.programs, self._pictures[level], x, matrix, self._colours.biases[level], second, covers,
            self._pictures[level - 1] if level else None,
        )  # fmt: skip

    def _over(self, matrix: Tensor) -> tuple[Tensor, Second, Tensor]:
        """The last layer's matrix with what hides, what the maps paint, and the covers' colours; all of them small."""
        coloured = self.wplus[:, -1]
        seen = self._cover.GAIN * self._cover.seen.weight.flatten(1).t().expand(self.batch, -1, -1)
        hides = self._cover.matrix(coloured).transpose(1, 2)
        painting = self._painting.affine(coloured).view(self.batch, -1, WAYS)
        second = Second(self._maps[-1], torch.cat([painting, hides], 2), self._painting.bias)
        return torch.cat([matrix, seen], 2), second, torch.stack(self._cover.colour(coloured), 1).contiguous()


def _colours(layers: list[PaintedRGB], rows: list[int], cover: Cover) -> Colours:
    """Of colour layers and the rows of W+ that each reads; the last one lays the cover over its picture."""
    counts = [layer.affine.out_features for layer in layers]
    row = [number for number, count in zip(rows, counts, strict=True) for _ in range(count)]
    biases = [layer.bias.detach().float().contiguous() for layer in layers]
    biases[-1] = torch.cat([biases[-1], cover.bias().detach().float()])
    return Colours(
        torch.cat([layer.affine.weight for layer in layers]).float().contiguous(),
        torch.cat([layer.affine.bias for layer in layers]).float().contiguous(),
        torch.tensor(row, dtype=torch.int32, device=biases[0].device),
        counts,
        biases,
    )

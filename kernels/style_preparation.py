"""All layers' styles and demodulation factors of a frame, from W+, in two launches.

    s = A w + b                                                        the layer's affine map of its row of W+
    style[i] = s[i] / most,  most = max_i |s[i]|                       at most 1, so that halves do not overflow
    scale[o] = most * peak[o] / sqrt(peak[o]^2 sum_i s[i]^2 energy[o, i] + 1e-8)

Source: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", equation 3: the sum over inputs and
taps of (s w)^2 is the sum over inputs of s^2 times the sum over taps of w^2, which is computed once (``energy``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.candidates import kernel
from kernels.implementations import choose
from kernels.modulated_conv2d import DEMODULATION_EPSILON
from kernels.program import Argument, Programs


@dataclass(frozen=True, slots=True, eq=False)
class StyleLayer:
    """One layer: affine [I, w_dim] and bias [I], its row of W+, and energy [O, I] with peak [O] for demodulation.

    Without energy nothing is demodulated: the factors are the layer's largest style times each peak, and without peaks
    (colour layers) there is one factor, the largest style itself.
    """

    affine: Tensor
    bias: Tensor
    row: int
    energy: Tensor | None = None
    peak: Tensor | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StyleTable:
    """All layers side by side, as the kernel reads them; see :func:`style_table`.

    affine: float32 [R, w_dim]; bias: [R]; row: int32 [R]; energy: float32; peak: [U]; units: int32 [U, 5].
    inputs, outputs: where each layer's channels lie among R and U.
    """

    affine: Tensor
    bias: Tensor
    row: Tensor
    energy: Tensor
    peak: Tensor
    units: Tensor
    inputs: tuple[tuple[int, int], ...]
    outputs: tuple[tuple[int, int], ...]


def style_table(layers: Sequence[StyleLayer]) -> StyleTable:
    """Put layers side by side. Raises ValueError for layers whose shapes do not fit."""
    rows: list[int] = []
    units: list[tuple[int, ...]] = []
    inputs, outputs, energies, peaks = [], [], [], []
    place = 0
    for number, layer in enumerate(layers):
        first, wide = len(rows), len(layer.affine)
        if layer.bias.shape != (wide,) or (layer.energy is not None and layer.energy.shape[1] != wide):
            raise ValueError(
                f"layer {number}: affine {list(layer.affine.shape)}, bias {list(layer.bias.shape)} do not fit"
            )
        rows += [layer.row] * wide
        inputs.append((first, first + wide))
        count = 1 if layer.peak is None else len(layer.peak)
        outputs.append((len(units), len(units) + count))
        low = len(units)
        for u in range(count):
            units.append((first, wide, -1 if layer.energy is None else place + u * wide, low, count))
        if layer.energy is not None:
            energies.append(layer.energy.float().flatten())
            place += layer.energy.numel()
        peaks.append(torch.ones_like(layer.bias[:1]) if layer.peak is None else layer.peak)
    like = layers[0].affine
    return StyleTable(
        torch.cat([layer.affine for layer in layers]).float().contiguous(),
        torch.cat([layer.bias for layer in layers]).float().contiguous(),
        torch.tensor(rows, dtype=torch.int32, device=like.device),
        torch.cat(energies) if energies else torch.zeros(1, device=like.device),
        torch.cat(peaks).float().contiguous(),
        torch.tensor(units, dtype=torch.int32, device=like.device),
        tuple(inputs),
        tuple(outputs),
    )


def prepare_styles(wplus: Tensor, table: StyleTable, *, impl: str = "auto") -> list[tuple[Tensor, Tensor]]:
    """Style and factors of every layer.

    1. Every input channel's style: its row of the affine maps times its row of W+, plus its bias.
    2. Every layer's largest style; styles divided by it.
    3. Every output channel's factor.

    wplus: float32 [N, rows, w_dim].

    Returns float16 [N, I] and float32 [N, O] for each layer. Raises ImplementationUnavailable for an implementation
    that cannot run.
    """
    unfit = None if wplus.dtype == torch.float32 else f"W+ is {str(wplus.dtype)[6:]}; the kernel takes float32"
    fast = kernel(impl, _prepare_styles_kernel, [wplus, table.affine], unfit)
    layers: list[tuple[Tensor, Tensor]] = choose("prepare_styles", impl, _prepare_styles_reference, *fast)(wplus, table)
    return layers


def _prepare_styles_reference(wplus: Tensor, table: StyleTable) -> list[tuple[Tensor, Tensor]]:
    # 1. Every input channel's style.
    s = (wplus[:, table.row.long()] * table.affine).sum(dim=2) + table.bias  # [N R]
    layers = []
    for (first, last), (low, high) in zip(table.inputs, table.outputs, strict=True):
        # 2. Every layer's largest style; styles divided by it.
        mine = s[:, first:last]
        most = mine.abs().amax(dim=1, keepdim=True).clamp_min(1e-30)
        style = (mine / most).to(torch.float16)
        # 3. Every output channel's factor.
        place, scale = int(table.units[low, 2]), most * table.peak[low:high]
        if place >= 0:
            energy = table.energy[place : place + (high - low) * (last - first)].reshape(high - low, last - first)
            total = mine.square() @ energy.t().to(mine) * table.peak[low:high].square()
            scale = scale * (total + DEMODULATION_EPSILON).rsqrt()
        layers.append((style, scale))
    return layers


def _prepare_styles_kernel(programs: Programs, wplus: Tensor, table: StyleTable) -> list[tuple[Tensor, Tensor]]:
    room = StyleRoom(table, len(wplus), wplus.device)
    prepare_styles_into(programs, room, wplus.contiguous(), table)
    return room.layers


class StyleRoom:
    """Where the launches write: ``layers`` holds each layer's style, float16 [N, I], and factors, float32 [N, O]."""

    def __init__(self, table: StyleTable, n: int, device: torch.device) -> None:
        self.raw = torch.empty(n, len(table.row), device=device)
        self.styles = torch.empty(n * len(table.row), dtype=torch.float16, device=device)
        self.scales = torch.empty(n * len(table.units), device=device)
        self.layers = [
            (self.styles[n * first : n * last].view(n, -1), self.scales[n * low : n * high].view(n, -1))
            for (first, last), (low, high) in zip(table.inputs, table.outputs, strict=True)
        ]


def prepare_styles_into(programs: Programs, room: StyleRoom, wplus: Tensor, table: StyleTable) -> None:
    """The two launches alone."""
    inputs, units = len(table.row), len(table.units)
    program = programs("style_preparation")
    affine_into(programs, room.raw, wplus, table.affine, table.bias, table.row)
    tensors: list[Argument] = [room.scales, room.styles, room.raw, table.energy, table.peak, table.units]
    program.launch("style_scale", (math.ceil(units / 8), len(wplus), 1), 256, [*tensors, units, inputs])


def affine_into(programs: Programs, y: Tensor, wplus: Tensor, affine: Tensor, bias: Tensor, row: Tensor) -> None:
    """The first launch alone: y[n, r] = affine[r] . wplus[n, row[r]] + bias[r], all float32 but row, int32."""
    n, rows, dim = wplus.shape
    given: list[Argument] = [y, wplus, affine, bias, row, len(row), rows, dim]
    programs("style_preparation").launch("style_affine", (math.ceil(len(row) / 8), n, 1), 256, given)

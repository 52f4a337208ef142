"""The bundled synthesis network with 8-bit convolutions, calibrated on drawn heads.

    python -m tools.quantise       # what it costs in dB, per domain, and a sheet of pictures of both

``tools/export_models.py`` writes the network, this module makes it and measures the written one. Inputs of the 3x3
convolutions are rounded to 256 levels between the least and the largest value of calibration, weights to 127 levels a
channel. (Seven bits, because AVX2 adds pairs of products in 16 bits: 2 * 255 * 63 just fits.) By how much a layer's
inputs differ in size is first moved into its weights (Xiao et al. 2023, "SmoothQuant", equation 4). How much of it, and
how wide a range, is chosen per layer by the error of the head that comes out worst; what is left of the error's mean
goes into the bias (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction"). All
else stays float, the first two layers included.

Calibration needs no pictures: people and performances of ``tools/face_world/sampling.py`` in all domains, from a fixed
seed; some with another person's colours, some further from another person than they are, as edits make them.
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.bundled import WEIGHTS
from engines.drawings import DrawingEngine
from engines.motion import MOTION
from engines.openvino_engine import OpenVinoEngine
from engines.portrait import COLOUR_LAYERS, LAYERS, ModulatedConv2d, PortraitGenerator
from tools.face_world import index
from tools.face_world.sampling import DOMAINS, perform, person
from tools.train_generator import attribute_names, colour_columns

Floats = npt.NDArray[np.float32]

WEIGHT_LEVELS = 63  # on each side of zero
SHARES, WIDTHS = (0.7, 0.85, 1.0), (0.75, 0.85, 1.0)
EXACT = (0, 1)  # layers at 32 px that stay float: most of what rounding them changes is seen, as a slight flicker
PER_DOMAIN, SEARCHED = 8, 4  # heads a domain for the ranges, and of these for the choice
SEED, UNSEEN = 1, 2


@dataclass(frozen=True, slots=True)
class Head:
    """What the synthesis network gets for one head: W+ [1, 10, 256] and the spatial motion code at 32, 64, 128 px."""

    domain: str
    wplus: Floats
    codes: tuple[Floats, ...]


def drawn_heads(weights: Path, per_domain: int, seed: int) -> list[Head]:
    """Random people in random poses, the same for the same seed, by the exported networks in a folder."""
    mapping, motion_code = OpenVinoEngine(weights / "mapping.onnx"), DrawingEngine(weights / "motion_code.onnx")
    attributes, motions = ([index(name) for name in wanted] for wanted in (attribute_names(), MOTION))
    colours = np.isin(np.arange(LAYERS), COLOUR_LAYERS)[None, :, None]
    coloured = [attributes[column] for column in colour_columns()]
    random, heads = np.random.default_rng(seed), []
    for number, domain in product(range(per_domain), DOMAINS):
        one, other = (person(random, domain) for _ in range(2))
        dyed = one.copy()
        dyed[coloured] = other[coloured]
        w, w_dyed, w_other = (mapping.infer(row[None, attributes])[0].copy() for row in (one, dyed, other))
        wplus = np.repeat(w[:, None], LAYERS, axis=1)
        if number % 4 == 1:
            wplus = np.where(colours, w_dyed[:, None], wplus)
        if number % 4 == 3:
            wplus = wplus + np.float32(0.5) * (wplus - w_other[:, None])
        codes = motion_code.infer(wplus[:, 0], perform(one, random)[None, motions])
        heads.append(Head(domain, wplus, tuple(code.copy() for code in codes)))
    return heads


class RoundedConv2d(nn.Module):
    """A :class:`ModulatedConv2d` in 8 bits for a batch of one.

    share: how much of the channels' sizes goes into the weights, 0 to 1. width: part of the calibrated range that is
    kept. least, largest: of the modulated input, per channel [in].
    """

    def __init__(self, layer: ModulatedConv2d, least: Tensor, largest: Tensor, share: float, width: float) -> None:
        super().__init__()
        weight, self.up = layer.weight.detach(), layer.up
        most = torch.maximum(largest, -least).clamp(min=1e-6)
        sizes = most**share / weight.abs().amax((0, 2, 3)).clamp(min=1e-6) ** (1 - share)
        self.affine = copy.deepcopy(layer.affine)
        self.affine.weight.data /= sizes[:, None]
        self.affine.bias.data /= sizes
        weight = weight * sizes[:, None, None]
        self.register_buffer("energy", weight.square().sum((2, 3)).t() / 2)  # the half is the gain of sqrt(2)
        self.bias = nn.Parameter(layer.bias.detach().clone())
        scale = weight.abs().amax((1, 2, 3)) / WEIGHT_LEVELS
        low, high = min(float((least / sizes).min()), 0.0) * width, float((largest / sizes).max()) * width
        self.rounding = True  # without it the layer is the exact one
        self.step = (high - low) / 255
        self.zero = round(-low / self.step)
        if self.up:
            weight, scale = four_phases(weight), scale.repeat(4)
            self.register_buffer("fir", layer.fir)
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)
        self.register_buffer("zeros", torch.zeros(len(scale), dtype=torch.int32))

    def forward(self, x: Tensor, w: Tensor, injected: Tensor | None = None) -> Tensor:
        """See :class:`ModulatedConv2d`."""
        style = self.affine(w)
        bias = self.bias[:, None, None] if injected is None else injected + self.bias[:, None, None]
        return F.leaky_relu(torch.addcmul(bias, self.convolved(x, style), self.demodulation(style)), 0.2)

    def demodulated(self, x: Tensor, w: Tensor) -> Tensor:
        """The result before bias and activation."""
        style = self.affine(w)
        return self.convolved(x, style) * self.demodulation(style)

    def demodulation(self, style: Tensor) -> Tensor:
        """What brings the outputs to size 1, with the activation's gain: [1, out, 1, 1]."""
        return ((style * style) @ self.energy + 1e-8).rsqrt()[:, :, None, None]

    def convolved(self, x: Tensor, style: Tensor) -> Tensor:
        """Modulated, rounded, convolved: [1, in, s, s] -> [1, out, s, s] (2s with up)."""
        x, weight = x * style[:, :, None, None], self.weight
        if self.rounding:
            x = torch.fake_quantize_per_tensor_affine(x, self.step, self.zero, 0, 255)
            weight = torch.fake_quantize_per_channel_affine(weight, self.scale, self.zeros, 0, -128, 127)
        if not self.up:
            return F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        x = F.conv2d(F.pad(x, (0, 1, 0, 1)), weight)
        _, channels, height, width = x.shape
        x = x.view(1, 2, 2, channels // 4, height, width).permute(0, 3, 4, 1, 5, 2)
        x = x.reshape(1, channels // 4, 2 * height, 2 * width)
        return F.conv2d(x, self.fir, padding=1, groups=channels // 4)


def four_phases(weight: Tensor) -> Tensor:
    """A transposed 3x3 convolution of stride 2 as a 2x2 convolution to four outputs a pixel.

    [out, in, 3, 3] -> [4 * out, in, 2, 2], the upper left output's channels first. Runtimes have fast 8-bit kernels for
    this and slow ones, or none, for that; nearly half of its weights are zero all the same.
    """
    taps = [[(0, 1)], [(0, 2), (1, 0)]]  # per phase: place in the new kernel, place in the old one
    phases = weight.new_zeros(2, 2, *weight.shape[:2], 2, 2)
    for a, b in product((0, 1), (0, 1)):
        for (y, old_y), (x, old_x) in product(taps[a], taps[b]):
            phases[a, b, :, :, y, x] = weight[:, :, old_y, old_x]
    return phases.flatten(0, 2)


@torch.no_grad()
def rounded(generator: PortraitGenerator, weights: Path) -> PortraitGenerator:
    """A copy of a generator with rounded 3x3 convolutions, but for EXACT; the other networks lie in a folder."""
    seen: list[list[tuple[Tensor, Tensor]]] = [[] for _ in generator.convs]
    hooks = [
        layer.register_forward_hook(lambda _, given, out, into=into: into.append(given[:2]))
        for layer, into in zip(generator.convs, seen, strict=True)
    ]
    for head in drawn_heads(weights, PER_DOMAIN, SEED):
        drawn, *maps = (torch.from_numpy(code) for code in head.codes)
        generator.synthesis(drawn, torch.from_numpy(head.wplus).unbind(1), maps)
    for hook in hooks:
        hook.remove()
    result = copy.deepcopy(generator).eval()
    for number, (layer, inputs) in enumerate(zip(generator.convs, seen, strict=True)):
        assert isinstance(layer, ModulatedConv2d)
        if number not in EXACT:
            result.convs[number] = best_rounding(layer, inputs)
    return result


def best_rounding(layer: ModulatedConv2d, inputs: list[tuple[Tensor, Tensor]]) -> RoundedConv2d:
    """The rounding of a layer with the least error on inputs x [1, in, s, s] and w [1, 256]."""
    modulated = [x * layer.affine(w)[:, :, None, None] for x, w in inputs]
    least = torch.cat([x.amin((2, 3)) for x in modulated]).amin(0)
    largest = torch.cat([x.amax((2, 3)) for x in modulated]).amax(0)
    few = [(middle(x), w) for x, w in inputs[: SEARCHED * len(DOMAINS)]]
    plain = RoundedConv2d(layer, least, largest, 0.5, 1.0)
    plain.rounding = False
    exact, found = torch.cat([plain.demodulated(x, w) for x, w in few]), []
    for share, width in product(SHARES, WIDTHS):
        candidate = RoundedConv2d(layer, least, largest, share, width)
        errors = torch.cat([candidate.demodulated(x, w) for x, w in few]) - exact
        mean = errors.mean((0, 2, 3))
        candidate.bias.data -= mean
        worst = float((errors - mean[:, None, None]).square().mean((1, 2, 3)).max())
        found.append((worst, share, width, candidate))
    worst, share, width, chosen = min(found, key=lambda item: item[0])
    ratio = 10 * np.log10(float(exact.square().mean()) / worst)
    print(f"{tuple(layer.weight.shape)}: share {share}, width {width}: {ratio:.1f} dB at worst", flush=True)
    return chosen


def middle(x: Tensor) -> Tensor:
    """The middle 32x32 pixels: enough to compare by."""
    start = (x.shape[-1] - 32) // 2
    return x[..., start : start + 32, start : start + 32]


def as_bytes(rgba: Floats) -> npt.NDArray[np.uint8]:
    """Premultiplied RGBA [4, s, s] as BGRA bytes [s, s, 4]."""
    levels = (rgba.clip(0, 1) * 255).round().astype(np.uint8)
    return np.ascontiguousarray(levels[[2, 1, 0, 3]].transpose(1, 2, 0))


def likeness(got: npt.NDArray[np.uint8], want: npt.NDArray[np.uint8]) -> float:
    """PSNR in dB of the pixels where ``want`` is not clear."""
    there = want[..., 3] > 4
    return float(10 * np.log10(255**2 / max(np.square(got[there].astype(float) - want[there]).mean(), 1e-6)))


def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--weights", type=Path, default=WEIGHTS)
    a.add_argument("--heads", type=int, default=16, help="of each domain")
    a.add_argument("--sheet", type=Path, help="PNG: both pictures of heads and eight times their difference")
    o = a.parse_args()
    exact, fast = (OpenVinoEngine(o.weights / f"{name}.onnx") for name in ("synthesis", "synthesis_int8"))
    ratios: dict[str, list[float]] = {}
    rows = []
    for number, head in enumerate(drawn_heads(o.weights, o.heads, UNSEEN)):
        want, got = (as_bytes(engine.infer(head.wplus, *head.codes)[0][0]) for engine in (exact, fast))
        ratios.setdefault(head.domain, []).append(likeness(got, want))
        if number < 4 * len(DOMAINS):
            rows.append(np.vstack([want, got, cv2.convertScaleAbs(cv2.absdiff(want, got), alpha=8.0)])[..., :3])
    ratios["all"] = [value for values in ratios.values() for value in values]
    print("| domain | heads | mean, dB | least, dB |\n|---|---|---|---|")
    for domain, values in ratios.items():
        print(f"| {domain} | {len(values)} | {np.mean(values):.1f} | {min(values):.1f} |")
    if o.sheet:
        cv2.imwrite(str(o.sheet), np.hstack(rows))


if __name__ == "__main__":
    main()

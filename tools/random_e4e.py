"""Write an e4e checkpoint in its own project's layout with random weights: the shapes and the cost of a real one.

    python -m tools.random_e4e e4e-256.pt --size 256              full widths, about 1 GB
    python -m tools.random_e4e tiny.pt --size 64 --widths 0.0625    for tests

Names, depths and the spread of every tensor are those of public files (IR-SE-50 encoder, rosinality generator); what it
draws means nothing. Then: avatar-live models import e4e-256.pt; avatar-live --model e4e-256 --source clip.mp4 ...
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

STAGES = ((64, 64, 3), (64, 128, 4), (128, 256, 14), (256, 512, 3))  # inputs, outputs, blocks
GENERATOR_WIDTHS = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64, 1024: 32}
CODE_GAIN = 0.2  # of the heads' last layer: codes stay near the mean


class Filler:
    """Random tensors by name."""

    def __init__(self, widths: float, seed: int) -> None:
        self.state: dict[str, Tensor] = {}
        self.widths = widths
        self.random = torch.Generator().manual_seed(seed)

    def width(self, full: int) -> int:
        """A full width scaled down, to a sixteenth at least."""
        return max(full // 16, round(full * self.widths))

    def add(self, name: str, *shape: int, offset: float = 0.0, scale: float = 1.0) -> None:
        """offset +- scale, uniform."""
        self.state[name] = offset + scale * (2 * torch.rand(*shape, generator=self.random) - 1)

    def conv(self, name: str, outputs: int, inputs: int, size: int, gain: float = 1.0) -> None:
        """A plain convolution's weight that keeps the spread."""
        self.add(f"{name}.weight", outputs, inputs, size, size, scale=gain * math.sqrt(3 / (inputs * size * size)))

    def norm(self, name: str, width: int) -> None:
        """A batch normalisation."""
        self.add(f"{name}.weight", width, offset=1.0, scale=0.25)
        self.add(f"{name}.bias", width, scale=0.1)
        self.add(f"{name}.running_mean", width, scale=0.1)
        self.add(f"{name}.running_var", width, offset=1.0, scale=0.5)
        self.state[f"{name}.num_batches_tracked"] = torch.tensor(1)


def encoder(f: Filler, rows: int, dim: int, inputs: int = 3) -> None:
    """The IR-SE-50 backbone, the pyramid and one head a row."""
    f.conv("encoder.input_layer.0", f.width(64), inputs, 3)
    f.norm("encoder.input_layer.1", f.width(64))
    f.add("encoder.input_layer.2.weight", f.width(64), offset=0.25, scale=0.1)
    number = 0
    for first, outputs, count in STAGES:
        for k in range(count):
            _block(f, f"encoder.body.{number}", first if k == 0 else outputs, outputs)
            number += 1
    for name, taps in (("latlayer1", 256), ("latlayer2", 128)):
        f.conv(f"encoder.{name}", dim, f.width(taps), 1, 0.3)
        f.add(f"encoder.{name}.bias", dim, scale=0.1)
    for row in range(rows):
        name = f"encoder.styles.{row}"
        for k in range(4 if row < 3 else 5 if row < 7 else 6):
            f.conv(f"{name}.convs.{2 * k}", dim, f.width(512) if k == 0 else dim, 3, 1.4)
            f.add(f"{name}.convs.{2 * k}.bias", dim, scale=0.1)
        f.add(f"{name}.linear.weight", dim, dim, scale=CODE_GAIN * math.sqrt(3))
        f.add(f"{name}.linear.bias", dim, scale=0.1)


def _block(f: Filler, name: str, full_inputs: int, full_outputs: int) -> None:
    layers, inputs, outputs = f"{name}.res_layer", f.width(full_inputs), f.width(full_outputs)
    f.norm(f"{layers}.0", inputs)
    f.conv(f"{layers}.1", outputs, inputs, 3)
    f.add(f"{layers}.2.weight", outputs, offset=0.25, scale=0.1)
    f.conv(f"{layers}.3", outputs, outputs, 3)
    f.norm(f"{layers}.4", outputs)
    squeezed = max(1, outputs // 16)
    f.conv(f"{layers}.5.fc1", squeezed, outputs, 1)
    f.conv(f"{layers}.5.fc2", outputs, squeezed, 1)
    if full_inputs != full_outputs:
        f.conv(f"{name}.shortcut_layer.0", outputs, inputs, 1)
        f.norm(f"{name}.shortcut_layer.1", outputs)


def generator(f: Filler, size: int, dim: int, prefix: str = "decoder.") -> None:
    """A generator in rosinality's layout."""
    fir = torch.outer(torch.tensor([1.0, 3.0, 3.0, 1.0]), torch.tensor([1.0, 3.0, 3.0, 1.0])) / 16
    for k in range(8):
        f.add(f"{prefix}style.{k + 1}.weight", dim, dim, scale=100 * math.sqrt(3))
        f.add(f"{prefix}style.{k + 1}.bias", dim, scale=20.0)
    width = f.width(GENERATOR_WIDTHS[4])
    f.add(f"{prefix}input.input", 1, width, 4, 4, scale=math.sqrt(3))
    _styled(f, f"{prefix}conv1", width, width, dim)
    _colour(f, f"{prefix}to_rgb1", width, dim)
    f.add(f"{prefix}noises.noise_0", 1, 1, 4, 4, scale=math.sqrt(3))
    for k in range(int(math.log2(size)) - 2):
        edge, inputs = 8 << k, width
        width = f.width(GENERATOR_WIDTHS[edge])
        _styled(f, f"{prefix}convs.{2 * k}", width, inputs, dim)
        f.state[f"{prefix}convs.{2 * k}.conv.blur.kernel"] = fir.clone()
        _styled(f, f"{prefix}convs.{2 * k + 1}", width, width, dim)
        _colour(f, f"{prefix}to_rgbs.{k}", width, dim)
        f.state[f"{prefix}to_rgbs.{k}.upsample.kernel"] = fir.clone()
        for noise in (2 * k + 1, 2 * k + 2):
            f.add(f"{prefix}noises.noise_{noise}", 1, 1, edge, edge, scale=math.sqrt(3))


def _styled(f: Filler, name: str, outputs: int, inputs: int, dim: int) -> None:
    f.add(f"{name}.conv.weight", 1, outputs, inputs, 3, 3, scale=math.sqrt(3))
    _modulation(f, name, inputs, dim)
    f.add(f"{name}.noise.weight", 1, offset=0.05, scale=0.05)
    f.add(f"{name}.activate.bias", outputs, scale=0.2)


def _colour(f: Filler, name: str, inputs: int, dim: int) -> None:
    f.add(f"{name}.bias", 1, 3, 1, 1, scale=0.1)
    f.add(f"{name}.conv.weight", 1, 3, inputs, 1, 1, scale=0.3)
    _modulation(f, name, inputs, dim)


def _modulation(f: Filler, name: str, inputs: int, dim: int) -> None:
    f.add(f"{name}.conv.modulation.weight", inputs, dim, scale=math.sqrt(3) / 2)
    f.add(f"{name}.conv.modulation.bias", inputs, offset=1.0, scale=0.2)


def checkpoint(size: int, widths: float = 1.0, seed: int = 0) -> dict[str, Any]:
    """What an e4e file holds, for pictures of ``size`` px and a part of the public widths."""
    f = Filler(widths, seed)
    dim, rows = f.width(512), 2 * int(math.log2(size)) - 2
    encoder(f, rows, dim)
    generator(f, size, dim)
    f.add("latent_avg", rows, dim, scale=0.5)
    centre = f.state.pop("latent_avg")[:1].repeat(rows, 1)
    opts = {"encoder_type": "Encoder4Editing", "stylegan_size": size}
    return {"state_dict": f.state, "latent_avg": centre, "opts": opts}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write an e4e checkpoint with random weights.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--size", type=int, default=256, choices=[2**k for k in range(4, 11)])
    parser.add_argument("--widths", type=float, default=1.0, help="a part of the public widths")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.save(checkpoint(options.size, options.widths, options.seed), options.file)
    print(f"{options.file}: {options.file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()

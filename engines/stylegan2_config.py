"""The shape of a StyleGAN2 generator, inferred from its tensors. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GeneratorConfig:
    """The shape of a generator; see ``config_from_tensors`` for how it is inferred.

    resolution: edge of the picture, a power of two from 4 on.
    z_dim, w_dim: widths of the two latent spaces.
    mapping_layers: depth of the mapping network; 0 when the file has none.
    channels: width of the features at each resolution.
    architecture: "skip", "resnet" or "orig".
    image_channels: 3 for RGB.
    centre_rows: rows of the truncation centre: 1, or one per row of W+.
    filter_taps: edge of the resampling filter.
    clamp: limit of the activations, or None.
    """

    resolution: int
    z_dim: int
    w_dim: int
    mapping_layers: int
    channels: Mapping[int, int]
    architecture: str
    image_channels: int = 3
    centre_rows: int = 1
    filter_taps: int = 4
    clamp: float | None = None

    @property
    def resolutions(self) -> list[int]:
        """4, 8, ... up to the resolution."""
        return [2**k for k in range(2, int(math.log2(self.resolution)) + 1)]

    @property
    def rows(self) -> int:
        """Rows of W+."""
        return 2 * int(math.log2(self.resolution)) - 2


def config_from_tensors(tensors: Mapping[str, Sequence[int]], clamp: float | None = None) -> GeneratorConfig:
    """Infer a generator's shape.

    tensors: the shape of every tensor by name.
    clamp: the activations' limit, which no tensor tells.

    Raises ValueError for tensors that are not a StyleGAN2 generator's.
    """
    channels: dict[int, int] = {}
    while (name := f"synthesis.blocks.{4 << len(channels)}.conv1.weight") in tensors:
        channels[4 << len(channels)] = tensors[name][0]
    if not channels:
        raise ValueError("the tensors hold no synthesis.blocks.4.conv1.weight: not a StyleGAN2 generator")
    last = max(channels)
    if "synthesis.blocks.4.rgb.weight" in tensors and last > 4:
        architecture = "skip"
    else:
        architecture = "resnet" if f"synthesis.blocks.{last}.skip.weight" in tensors else "orig"
    layers = 0
    while f"mapping.layers.{layers}.weight" in tensors:
        layers += 1
    w_dim = tensors["synthesis.blocks.4.conv1.affine.weight"][1]
    return GeneratorConfig(
        resolution=last,
        z_dim=tensors["mapping.layers.0.weight"][1] if layers else w_dim,
        w_dim=w_dim,
        mapping_layers=layers,
        channels=channels,
        architecture=architecture,
        image_channels=tensors[f"synthesis.blocks.{last}.rgb.weight"][0],
        centre_rows=tensors["centre"][0],
        filter_taps=tensors["synthesis.filter"][0],
        clamp=clamp,
    )

"""What the formats are converted to: networks as named float32 tensors, and helpers to read named tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.checkpoints.errors import CheckpointError
from engines.checkpoints.tensors import float32_array

Floats = npt.NDArray[np.float32]
GENERATOR, ENCODER = "generator", "encoder"
MEAN_LATENT_SAMPLES = 4096
MEAN_LATENT_SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """One network of a checkpoint.

    role: "generator" or "encoder".
    tensors: effective weights by the names of ``engines.stylegan2`` or ``engines.encoders``.
    settings: what no tensor tells: "clamp" of a generator; "deltas" and "add_centre" of an encoder.
    """

    role: str
    tensors: dict[str, Floats]
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Converted:
    """A checkpoint in this project's terms.

    kind: a name of ``engines.checkpoints.identification.KINDS``.
    notes: what the user should know: what was assumed or computed.
    """

    kind: str
    networks: tuple[Network, ...]
    notes: tuple[str, ...] = ()

    def network(self, role: str) -> Network | None:
        """The network of a role, if the checkpoint has one."""
        return next((network for network in self.networks if network.role == role), None)


@dataclass(frozen=True, slots=True)
class NamedTensors:
    """The tensors of a state dictionary under a prefix."""

    values: Mapping[Any, Any]
    prefix: str = ""

    def __contains__(self, name: str) -> bool:
        return self.prefix + name in self.values

    def under(self, prefix: str) -> NamedTensors:
        """The tensors whose names go on after ``prefix``."""
        return NamedTensors(self.values, self.prefix + prefix)

    def take(self, name: str, *shape: int | None) -> Floats:
        """A tensor as float32, checked against a shape in which None stands for any size."""
        full = self.prefix + name
        if full not in self.values:
            raise CheckpointError(f"the checkpoint lacks the tensor {full!r}; it is incomplete or of another kind")
        array = float32_array(self.values[full], full)
        fits = array.ndim == len(shape) and all(w in (None, got) for w, got in zip(shape, array.shape, strict=True))
        if shape and not fits:
            wanted = ["any" if size is None else size for size in shape]
            raise CheckpointError(f"the tensor {full!r} has shape {list(array.shape)}, wanted {wanted}")
        return array

    def count(self, pattern: str, start: int = 0) -> int:
        """How many names of the pattern there are, numbered from ``start``."""
        number = start
        while pattern.format(number) in self:
            number += 1
        return number - start


def scaled(values: Floats, gain: float) -> Floats:
    """values * gain, in float32 as the original programs compute it."""
    return values * np.float32(gain)


def equalised(values: Floats, learning_rate_multiplier: float = 1.0) -> Floats:
    """Effective weights of a layer with an equalised learning rate: times the multiplier over sqrt(fan-in).

    values: [out, in] or [out, in, k, k].
    """
    return scaled(values, learning_rate_multiplier / math.sqrt(math.prod(values.shape[1:])))


def resolution_of(blocks: int) -> int:
    """The resolution of a generator with that many blocks, 4 px the first."""
    if not 2 <= blocks <= 10:
        raise CheckpointError(f"the generator has {blocks} resolutions, wanted 2 to 10 (8 to 2048 px)")
    return 4 << (blocks - 1)


def mapped(tensors: Mapping[str, Floats], z: Floats) -> Floats:
    """w [N, w_dim] of z [N, z_dim] by a generator's mapping network; see ``engines.stylegan2.MappingNetwork``."""
    x = z / np.sqrt((z * z).mean(axis=1, keepdims=True) + np.float32(1e-8))
    layer = 0
    while f"mapping.layers.{layer}.weight" in tensors:
        x = x @ tensors[f"mapping.layers.{layer}.weight"].T + tensors[f"mapping.layers.{layer}.bias"]
        x = np.where(x < 0, np.float32(0.2) * x, x) * np.float32(math.sqrt(2.0))
        layer += 1
    return np.asarray(x, np.float32)


def mean_latent(tensors: Mapping[str, Floats]) -> Floats:
    """The mean w [1, w_dim] of a mapping network over normally distributed z, for files that lack it."""
    random = np.random.Generator(np.random.PCG64(MEAN_LATENT_SEED))
    z = random.standard_normal([MEAN_LATENT_SAMPLES, tensors["mapping.layers.0.weight"].shape[1]], np.float32)
    return np.asarray(mapped(tensors, z).mean(axis=0, keepdims=True), np.float32)

"""Generators in the layout of the rosinality project: its own files, JoJoGAN, Toonify, decoders of inversion projects.

``style.{i+1}`` is mapping layer i, ``conv1`` and ``to_rgb1`` the 4x4 block, ``convs.{2i}``, ``convs.{2i+1}`` and
``to_rgbs.{i}`` the block of 8 * 2^i px. Weights are stored without the gains of their equalised learning rates,
convolutions with a leading axis of 1, the resampling filter with sum 4.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engines.checkpoints.errors import CheckpointError
from engines.checkpoints.networks import (
    GENERATOR,
    Floats,
    NamedTensors,
    Network,
    equalised,
    mean_latent,
    resolution_of,
    scaled,
)
from engines.checkpoints.tensors import float32_array

MAPPING_MULTIPLIER = 0.01
MARKS = ("input.input", "conv1.conv.modulation.weight", "to_rgb1.conv.modulation.weight")


def is_generator(state: Any, prefix: str = "") -> bool:
    """Whether a state dictionary holds a generator in this layout under the prefix."""
    return isinstance(state, dict) and all(prefix + mark in state for mark in MARKS)


def read_generator(state: NamedTensors, centre: Any = None) -> tuple[Network, tuple[str, ...]]:
    """The generator and notes.

    centre: the file's ``latent_avg`` [w_dim] or [rows, w_dim], or None when it has none.
    """
    notes: list[str] = []
    ups = state.count("to_rgbs.{}.conv.weight")
    resolution_of(ups + 1)
    tensors = _mapping(state)
    tensors["synthesis.const"] = state.take("input.input", 1, None, 4, 4)[0]
    tensors["synthesis.filter"] = _filter(state)
    _block(tensors, state, 4, "to_rgb1.", ["conv1."], [0])
    for k in range(ups):
        _block(
            tensors, state, 8 << k, f"to_rgbs.{k}.", [f"convs.{2 * k}.", f"convs.{2 * k + 1}."], [2 * k + 1, 2 * k + 2]
        )
    if "noises.noise_0" not in state:
        notes.append("the file holds no noise maps; constant noise is drawn as zero")
    w_dim = tensors["synthesis.blocks.4.conv1.affine.weight"].shape[1]
    if centre is not None:
        tensors["centre"] = centre_rows(centre, w_dim)
    elif "mapping.layers.0.weight" in tensors:
        tensors["centre"] = mean_latent(tensors)
        notes.append("the file holds no mean latent; it was computed from the mapping network")
    else:
        raise CheckpointError("the file holds neither a mean latent nor a mapping network; truncation has no centre")
    return Network(GENERATOR, tensors, {"clamp": None}), tuple(notes)


def centre_rows(centre: Any, w_dim: int) -> Floats:
    """A mean latent as [1 or rows, w_dim]."""
    array = float32_array(centre, "latent_avg")
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    array = np.atleast_2d(array)
    if array.ndim != 2 or array.shape[1] != w_dim:
        raise CheckpointError(f"latent_avg has shape {list(array.shape)}, wanted [{w_dim}] or [rows, {w_dim}]")
    return array


def _mapping(state: NamedTensors) -> dict[str, Floats]:
    tensors = {}
    for i in range(state.count("style.{}.weight", start=1)):
        layer = state.under(f"style.{i + 1}.")
        weight = layer.take("weight", None, None)
        tensors[f"mapping.layers.{i}.weight"] = equalised(weight, MAPPING_MULTIPLIER)
        tensors[f"mapping.layers.{i}.bias"] = scaled(layer.take("bias", len(weight)), MAPPING_MULTIPLIER)
    return tensors


def _filter(state: NamedTensors) -> Floats:
    """The resampling filter with sum 1."""
    name = "convs.0.conv.blur.kernel"
    taps = state.take(name, None, None) if name in state else np.outer([1, 3, 3, 1], [1, 3, 3, 1])
    return np.asarray(taps / taps.sum(), np.float32)


def _block(
    tensors: dict[str, Floats], state: NamedTensors, resolution: int, colour: str, convs: list[str], noises: list[int]
) -> None:
    """Add the tensors of one resolution."""
    target = f"synthesis.blocks.{resolution}"
    for conv, noise, number in zip(convs, noises, (1,) if len(convs) == 1 else (0, 1), strict=True):
        layer, name = state.under(conv), f"{target}.conv{number}"
        weight = layer.take("conv.weight", 1, None, None, 3, 3)[0]
        tensors[f"{name}.weight"] = equalised(weight)
        tensors[f"{name}.bias"] = layer.take("activate.bias", len(weight))
        tensors[f"{name}.noise_strength"] = layer.take("noise.weight", 1).reshape(())
        maps = f"noises.noise_{noise}"
        shape = (resolution, resolution)
        tensors[f"{name}.noise"] = (
            state.take(maps, 1, 1, *shape)[0, 0] if maps in state else np.zeros(shape, np.float32)
        )
        _affine(tensors, layer, name)
    layer, name = state.under(colour), f"{target}.rgb"
    weight = layer.take("conv.weight", 1, None, None, 1, 1)[0]
    tensors[f"{name}.weight"] = equalised(weight)
    tensors[f"{name}.bias"] = layer.take("bias", 1, len(weight), 1, 1).reshape(-1)
    _affine(tensors, layer, name)


def _affine(tensors: dict[str, Floats], layer: NamedTensors, name: str) -> None:
    """Add the map from a row of W+ to a layer's styles."""
    tensors[f"{name}.affine.weight"] = equalised(layer.take("conv.modulation.weight", None, None))
    tensors[f"{name}.affine.bias"] = layer.take("conv.modulation.bias", None)

"""The original TensorFlow pickles of StyleGAN2 (2019 and 2020), read without TensorFlow.

The pickle is a tuple (G, D, Gs) of ``dnnlib.tflib.network.Network`` objects with components "mapping" and "synthesis",
each a list of (name, numpy array). Linear weights are [in, out], convolutions [k, k, in, out]; those of upsampling
layers are mirrored on both axes; the styles' biases lack the one that is added at run time. Gs is the average to use.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engines.checkpoints.errors import CheckpointError
from engines.checkpoints.networks import (
    GENERATOR,
    Converted,
    Floats,
    NamedTensors,
    Network,
    equalised,
    resolution_of,
    scaled,
)
from engines.checkpoints.values import Record

KIND = "tensorflow-stylegan2"
NETWORK = "dnnlib.tflib.network.Network"
MAPPING_MULTIPLIER = 0.01


def is_network_tuple(root: Any) -> bool:
    """Whether a file's root is (G, D, Gs)."""
    return isinstance(root, tuple) and len(root) == 3 and all(isinstance(n, Record) and n.name == NETWORK for n in root)


def matches(root: Any) -> bool:
    """Whether a file's root holds a TensorFlow StyleGAN2 generator."""
    return is_network_tuple(root) and "4x4/Conv/mod_weight" in _variables(_components(root[2]).get("synthesis"))


def refusal(root: Any) -> str | None:
    """Why a TensorFlow pickle cannot be imported, or None when it is not one."""
    if not is_network_tuple(root):
        return None
    return "this is a TensorFlow network pickle, but not of StyleGAN2 (it has no modulated layers); it is unsupported"


def _components(network: Record) -> dict[str, Any]:
    components = network.state.get("components") if isinstance(network.state, dict) else None
    return components if isinstance(components, dict) else {}


def _variables(network: Any) -> dict[str, Any]:
    variables = (
        network.state.get("variables") if isinstance(network, Record) and isinstance(network.state, dict) else None
    )
    pairs = variables if isinstance(variables, list) else []
    return {str(p[0]): p[1] for p in pairs if isinstance(p, (tuple, list)) and len(p) == 2}


def read(root: Any) -> Converted:
    """The averaged generator Gs."""
    network = root[2]
    _check_settings(network)
    components = _components(network)
    mapping = NamedTensors(_variables(components.get("mapping")))
    state = NamedTensors(_variables(components["synthesis"]))
    tensors: dict[str, Floats] = {}
    for i in range(mapping.count("Dense{}/weight")):
        weight = mapping.take(f"Dense{i}/weight", None, None)
        tensors[f"mapping.layers.{i}.weight"] = equalised(np.ascontiguousarray(weight.T), MAPPING_MULTIPLIER)
        tensors[f"mapping.layers.{i}.bias"] = scaled(
            mapping.take(f"Dense{i}/bias", weight.shape[1]), MAPPING_MULTIPLIER
        )
    tensors["centre"] = NamedTensors(_variables(network)).take("dlatent_avg", None)[None]
    tensors["synthesis.const"] = state.take("4x4/Const/const", 1, None, 4, 4)[0]
    taps = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32)
    tensors["synthesis.filter"] = taps / taps.sum()
    _conv(tensors, state, "4x4/Conv/", "synthesis.blocks.4.conv1", "noise0", 4)
    _colour(tensors, state, 4)
    resolution = 8
    while f"{resolution}x{resolution}/Conv0_up/weight" in state:
        _block(tensors, state, resolution)
        resolution *= 2
    resolution_of(int(np.log2(resolution)) - 2)
    return Converted(KIND, (Network(GENERATOR, tensors, {"clamp": None}),))


def _check_settings(network: Record) -> None:
    settings = network.state.get("static_kwargs")
    settings = settings if isinstance(settings, dict) else {}
    if settings.get("label_size") not in (None, 0):
        raise CheckpointError("the TensorFlow network is conditioned on classes; only unconditional ones are supported")
    for name, wanted in (("nonlinearity", "lrelu"), ("resample_kernel", [1, 3, 3, 1])):
        if settings.get(name, wanted) not in (wanted, None):
            raise CheckpointError(f"the TensorFlow network has {name} {str(settings[name])[:40]}; wanted {wanted}")


def _block(tensors: dict[str, Floats], state: NamedTensors, resolution: int) -> None:
    """Add the tensors of one resolution from 8 on."""
    source, target = f"{resolution}x{resolution}/", f"synthesis.blocks.{resolution}"
    first = 2 * int(np.log2(resolution)) - 5
    _conv(tensors, state, f"{source}Conv0_up/", f"{target}.conv0", f"noise{first}", resolution)
    _conv(tensors, state, f"{source}Conv1/", f"{target}.conv1", f"noise{first + 1}", resolution)
    _colour(tensors, state, resolution)
    if f"{source}Skip/weight" in state:
        weight = state.take(f"{source}Skip/weight", 1, 1, None, None).transpose(3, 2, 0, 1)
        tensors[f"{target}.skip.weight"] = equalised(np.ascontiguousarray(weight))


def _conv(
    tensors: dict[str, Floats], state: NamedTensors, source: str, target: str, noise: str, resolution: int
) -> None:
    layer = state.under(source)
    weight = layer.take("weight", 3, 3, None, None).transpose(3, 2, 0, 1)
    if source.endswith("Conv0_up/"):
        weight = weight[:, :, ::-1, ::-1]
    tensors[f"{target}.weight"] = np.ascontiguousarray(weight)
    tensors[f"{target}.bias"] = layer.take("bias", len(weight))
    tensors[f"{target}.noise_strength"] = layer.take("noise_strength").reshape(())
    tensors[f"{target}.noise"] = state.take(noise, 1, 1, resolution, resolution)[0, 0]
    _affine(tensors, layer, target)


def _colour(tensors: dict[str, Floats], state: NamedTensors, resolution: int) -> None:
    layer, target = state.under(f"{resolution}x{resolution}/ToRGB/"), f"synthesis.blocks.{resolution}.rgb"
    if "weight" in layer:
        weight = layer.take("weight", 1, 1, None, None).transpose(3, 2, 0, 1)
        tensors[f"{target}.weight"] = equalised(np.ascontiguousarray(weight))
        tensors[f"{target}.bias"] = layer.take("bias", len(weight))
        _affine(tensors, layer, target)


def _affine(tensors: dict[str, Floats], layer: NamedTensors, target: str) -> None:
    weight = np.ascontiguousarray(layer.take("mod_weight", None, None).T)
    tensors[f"{target}.affine.weight"] = equalised(weight)
    tensors[f"{target}.affine.bias"] = layer.take("mod_bias", len(weight)) + np.float32(1)

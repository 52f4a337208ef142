"""Checkpoints of the inversion projects pSp, e4e and ReStyle: an IR-SE encoder and a generator in rosinality's layout.

The file is {"state_dict": encoder.* and decoder.*, "latent_avg": [rows, w_dim], "opts": plain settings}. Structure
tells the backbone and the feature pyramid; whether rows are offsets to row 0 (e4e) is only told by opts.encoder_type.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engines.checkpoints.errors import CheckpointError
from engines.checkpoints.networks import ENCODER, Converted, Floats, NamedTensors, Network, equalised
from engines.checkpoints.rosinality import centre_rows, is_generator, read_generator
from engines.checkpoints.values import Record

BATCH_NORM_EPSILON = 1e-5
PSP, E4E, RESTYLE_PSP, RESTYLE_E4E = "psp", "e4e", "restyle-psp", "restyle-e4e"
# encoder_type: whether rows from 1 on are offsets to row 0
ENCODER_TYPES = {
    "Encoder4Editing": True,
    "GradualStyleEncoder": False,
    "ProgressiveBackboneEncoder": True,
    "BackboneEncoder": False,
}
KINDS = {(False, 3): PSP, (True, 3): E4E, (False, 6): RESTYLE_PSP, (True, 6): RESTYLE_E4E}


def matches(root: Any) -> bool:
    """Whether a file's root holds an IR-SE encoder and a generator."""
    state = root.get("state_dict") if isinstance(root, dict) else None
    heads = ("encoder.input_layer.0.weight", "encoder.styles.0.linear.weight")
    return isinstance(state, dict) and is_generator(state, "decoder.") and all(name in state for name in heads)


def refusal(root: Any) -> str | None:
    """Why a file with encoder and decoder cannot be imported, or None when it is not one."""
    state = root.get("state_dict") if isinstance(root, dict) else None
    if not isinstance(state, dict) or not any(str(key).startswith("encoder.") for key in state):
        return None
    if "encoder.conv1.weight" in state:
        return "this encoder has a ResNet backbone, which is unsupported; wanted an IR-SE backbone (pSp, e4e, ReStyle)"
    return "this encoder is of an unsupported kind; wanted an IR-SE backbone with one head per row (pSp, e4e, ReStyle)"


def settings(root: dict[Any, Any]) -> dict[str, Any]:
    """The file's training options."""
    opts = root.get("opts")
    opts = opts.state if isinstance(opts, Record) else opts
    return {str(k): v for k, v in opts.items()} if isinstance(opts, dict) else {}


def read(root: Any, wanted: str | None = None) -> Converted:
    """Encoder and generator.

    wanted: a kind that the user named, for files that do not tell theirs.
    """
    state, opts = NamedTensors(root["state_dict"]), settings(root)
    tensors = _encoder(state.under("encoder."))
    inputs = tensors["stem.weight"].shape[1]
    deltas = _deltas(opts, wanted)
    kind = KINDS.get((deltas, inputs))
    if kind is None:
        raise CheckpointError(f"the encoder takes {inputs} channels; wanted 3 (RGB) or 6 (ReStyle)")
    centre = root.get("latent_avg")
    generator, notes = read_generator(state.under("decoder."), centre)
    rows, w_dim = tensors_rows(tensors), tensors["heads.0.linear.weight"].shape[0]
    if centre is not None and len(centre_rows(centre, w_dim)) not in (1, rows):
        raise CheckpointError(
            f"latent_avg has {len(centre_rows(centre, w_dim))} rows, the encoder {rows}; wanted as many"
        )
    add_centre = opts.get("start_from_latent_avg") is not False
    encoder = Network(ENCODER, tensors, {"deltas": deltas, "add_centre": add_centre})
    return Converted(kind, (encoder, generator), notes)


def tensors_rows(tensors: dict[str, Floats]) -> int:
    """The number of heads."""
    return sum(name.endswith(".linear.weight") for name in tensors)


def _deltas(opts: dict[str, Any], wanted: str | None) -> bool:
    named = opts.get("encoder_type")
    if named in ENCODER_TYPES:
        return ENCODER_TYPES[named]
    if wanted in KINDS.values():
        return wanted in (E4E, RESTYLE_E4E)
    raise CheckpointError(
        f"the file does not tell whether its encoder is pSp or e4e (encoder_type is {str(named)[:40]!r}); "
        f"name it with --kind {PSP} or --kind {E4E} (ReStyle: {RESTYLE_PSP}, {RESTYLE_E4E})"
    )


def _encoder(state: NamedTensors) -> dict[str, Floats]:
    """The effective weights of an IR-SE encoder."""
    tensors: dict[str, Floats] = {}
    scale, shift = _affine(state.under("input_layer.1."))
    _conv(tensors, "stem", state.take("input_layer.0.weight", None, None, 3, 3), scale, shift)
    tensors["slope"] = state.take("input_layer.2.weight", None)
    for k in range(state.count("body.{}.res_layer.1.weight")):
        _block(tensors, state.under(f"body.{k}."), f"body.{k}.")
    for k in range(state.count("styles.{}.linear.weight")):
        _head(tensors, state.under(f"styles.{k}."), f"heads.{k}.")
    for number, size in ((1, 32), (2, 64)):
        if f"latlayer{number}.weight" in state:
            layer = state.under(f"latlayer{number}.")
            tensors[f"lateral{size}.weight"] = layer.take("weight", None, None, 1, 1)
            tensors[f"lateral{size}.bias"] = layer.take("bias", None)
    return tensors


def _affine(norm: NamedTensors) -> tuple[Floats, Floats]:
    """Batch normalisation at run time as scale and shift."""
    weight = norm.take("weight", None).astype(np.float64)
    size = len(weight)
    variance = norm.take("running_var", size).astype(np.float64)
    if (variance < 0).any():
        raise CheckpointError("a batch normalisation has a negative variance; the weights are damaged")
    scale = weight / np.sqrt(variance + BATCH_NORM_EPSILON)
    shift = norm.take("bias", size) - norm.take("running_mean", size) * scale
    return scale.astype(np.float32), shift.astype(np.float32)


def _conv(tensors: dict[str, Floats], name: str, weight: Floats, scale: Floats, shift: Floats) -> None:
    """A convolution with the batch normalisation after it folded in."""
    tensors[f"{name}.weight"] = weight * scale[:, None, None, None]
    tensors[f"{name}.bias"] = shift


def _block(tensors: dict[str, Floats], block: NamedTensors, name: str) -> None:
    layers = block.under("res_layer.")
    tensors[f"{name}scale"], tensors[f"{name}shift"] = _affine(layers.under("0."))
    tensors[f"{name}conv1.weight"] = layers.take("1.weight", None, None, 3, 3)
    tensors[f"{name}slope"] = layers.take("2.weight", None)
    _conv(tensors, f"{name}conv2", layers.take("3.weight", None, None, 3, 3), *_affine(layers.under("4.")))
    if "5.fc1.weight" in layers:
        tensors[f"{name}squeeze.weight"] = layers.take("5.fc1.weight", None, None, 1, 1)
        tensors[f"{name}excite.weight"] = layers.take("5.fc2.weight", None, None, 1, 1)
    if "shortcut_layer.0.weight" in block:
        short = block.under("shortcut_layer.")
        _conv(tensors, f"{name}shortcut", short.take("0.weight", None, None, 1, 1), *_affine(short.under("1.")))


def _head(tensors: dict[str, Floats], head: NamedTensors, name: str) -> None:
    number = 0
    while f"convs.{2 * number}.weight" in head:  # the odd numbers are activations
        layer = head.under(f"convs.{2 * number}.")
        tensors[f"{name}convs.{number}.weight"] = layer.take("weight", None, None, 3, 3)
        tensors[f"{name}convs.{number}.bias"] = layer.take("bias", None)
        number += 1
    tensors[f"{name}linear.weight"] = equalised(head.take("linear.weight", None, None))
    tensors[f"{name}linear.bias"] = head.take("linear.bias", None)

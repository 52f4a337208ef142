"""Which kind of checkpoint a file is, told by its structure and never by its name."""

from __future__ import annotations

from typing import Any

import numpy as np

from engines.checkpoints import inversion, nvlabs, rosinality, tensorflow_legacy
from engines.checkpoints.errors import CheckpointError
from engines.checkpoints.networks import Converted, NamedTensors
from engines.checkpoints.tensors import NumpyArray, Tensor
from engines.checkpoints.values import Record

ROSINALITY = "rosinality"
KINDS = {
    ROSINALITY: "StyleGAN2 generator in the layout of rosinality/stylegan2-pytorch (also JoJoGAN, Toonify)",
    inversion.PSP: "pSp encoder with its generator",
    inversion.E4E: "e4e encoder with its generator",
    inversion.RESTYLE_PSP: "ReStyle encoder (pSp heads) with its generator",
    inversion.RESTYLE_E4E: "ReStyle encoder (e4e heads) with its generator",
    nvlabs.KIND: "StyleGAN2 pickle of stylegan2-ada-pytorch or the stylegan3 repository",
    tensorflow_legacy.KIND: "original TensorFlow StyleGAN2 pickle",
}
# Where a generator's state dictionary may lie in a file, best first, and the prefix of its names.
GENERATOR_PLACES = ("g_ema", "g", "generator", "state_dict", None)
GENERATOR_PREFIXES = ("", "module.", "generator.", "decoder.")


def convert(root: Any, kind: str = "auto") -> Converted:
    """The networks in a file's content.

    kind: "auto", or the kind that the file must be.

    Raises CheckpointError for unknown or unsupported content and for a file of another kind than asked for.
    """
    if kind != "auto" and kind not in KINDS:
        raise CheckpointError(f"unknown kind {kind!r}; wanted auto or one of {', '.join(KINDS)}")
    with np.errstate(all="ignore"):  # damaged weights are found below
        converted = _convert(root, kind)
    for network in converted.networks:
        for name, array in network.tensors.items():
            if not np.isfinite(array).all():
                raise CheckpointError(f"the {network.role}'s {name} is not finite; the weights are damaged")
    if kind not in ("auto", converted.kind):
        raise CheckpointError(f"the file is of kind {converted.kind!r}, not {kind!r}; leave the kind to 'auto'")
    return converted


def _convert(root: Any, kind: str) -> Converted:
    if nvlabs.matches(root):
        return nvlabs.read(root)
    if tensorflow_legacy.matches(root):
        return tensorflow_legacy.read(root)
    if inversion.matches(root):
        return inversion.read(root, kind)
    if reason := inversion.refusal(root):  # before its generator would be taken alone
        raise CheckpointError(f"{reason}; supported kinds: {', '.join(KINDS)}")
    place = generator_place(root)
    if place is not None:
        state, centre = place
        network, notes = rosinality.read_generator(state, centre)
        return Converted(ROSINALITY, (network,), (*notes, *left_out(state)))
    for module in (nvlabs, tensorflow_legacy):
        if reason := module.refusal(root):
            raise CheckpointError(f"{reason}; supported kinds: {', '.join(KINDS)}")
    raise CheckpointError(
        f"the file holds {describe(root)}: not a network that is known here; supported kinds: {', '.join(KINDS)}"
    )


def generator_place(root: Any) -> tuple[NamedTensors, Any] | None:
    """A generator's tensors in rosinality's layout and its mean latent (or None), wherever the file keeps them."""
    if not isinstance(root, dict):
        return None
    for place in GENERATOR_PLACES:
        state = root if place is None else root.get(place)
        for prefix in GENERATOR_PREFIXES:
            if isinstance(state, dict) and rosinality.is_generator(state, prefix):
                return NamedTensors(state, prefix), root.get("latent_avg")
    return None


def left_out(state: NamedTensors) -> tuple[str, ...]:
    """A note on what else lies in a state dictionary beside a generator whose names have a prefix."""
    beside = {str(name).partition(".")[0] for name in state.values if not str(name).startswith(state.prefix)}
    return (f"the file also holds {', '.join(sorted(beside)[:5])}, which was left out",) if beside else ()


def describe(root: Any) -> str:
    """A short description of a file's content, for messages."""
    if isinstance(root, dict):
        keys = ", ".join(repr(key)[:40] for key in list(root)[:5])
        return f"a dictionary with {len(root)} entries ({keys}{', ...' if len(root) > 5 else ''})"
    if isinstance(root, (Tensor, NumpyArray)):
        return f"one tensor of shape {list(root.shape)} (a direction or latent?)"
    if isinstance(root, Record):
        return f"an object of class {root.name[:60]}"
    return f"a {type(root).__name__}"

"""Two generators of one family made into one: the shapes of the first, from a resolution on the looks of the second.

Coarse layers decide pose and shape, fine layers colour and texture; fine-tuning keeps a family's layers compatible, so
that they can be swapped or mixed (Pinkney & Adler 2020, "Resolution Dependent GAN Interpolation for Controllable Image
Synthesis Between Domains").
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from engines.checkpoints.errors import CheckpointError
from engines.checkpoints.importing import ImportReport, Source, check_name, install
from engines.checkpoints.installed import load_model, read_manifest, verify_model
from engines.checkpoints.networks import GENERATOR, Converted, Network
from engines.stylegan2_config import config_from_tensors


def blend_generators(a: Network, b: Network, from_px: int, amount: float = 1.0) -> Network:
    """Generator ``a`` whose blocks from a resolution on are mixed with those of ``b``.

    from_px: the first resolution that changes, a power of two from 4 on; 4 mixes all blocks.
    amount: 0 keeps a, 1 takes b, between them weights are interpolated.

    Mapping, truncation centre and constant stay those of ``a``. Raises CheckpointError for generators of different
    shape and for values out of range.
    """
    shapes = [{n: v.shape for n, v in network.tensors.items() if n.startswith("synthesis.")} for network in (a, b)]
    if shapes[0] != shapes[1]:
        raise CheckpointError("the two generators differ in size, width or architecture; wanted two of one family")
    resolutions = config_from_tensors({name: values.shape for name, values in a.tensors.items()}).resolutions
    if from_px not in resolutions:
        raise CheckpointError(f"from {from_px} px; wanted one of {', '.join(map(str, resolutions))}")
    if not 0.0 <= amount <= 1.0:
        raise CheckpointError(f"the amount is {amount}; wanted 0 to 1")
    share = np.float32(amount)
    mixed = {
        name: np.asarray((1 - share) * values + share * b.tensors[name]) if _resolution(name) >= from_px else values
        for name, values in a.tensors.items()
    }
    return Network(GENERATOR, mixed, a.settings)


def _resolution(name: str) -> int:
    """The resolution of the block that a tensor belongs to; 0 for the mapping network and what is shared."""
    return int(name.split(".")[2]) if name.startswith("synthesis.blocks.") else 0


def blend_models(
    a: Path, b: Path, *, from_px: int, amount: float = 1.0, out_dir: Path, name: str, replace: bool = False
) -> ImportReport:
    """Blend the generators of two imported models into a new one, which keeps a's encoder.

    a, b: folders of imported models.

    Raises CheckpointError as :func:`blend_generators` and importing do.
    """
    check_name(out_dir, name, replace)
    for folder in (a, b):
        verify_model(folder)
    first, second = load_model(a), load_model(b)
    rows = [read_manifest(folder) for folder in (a, b)]
    generators = [model.network(GENERATOR) for model in (first, second)]
    if generators[0] is None or generators[1] is None:
        raise CheckpointError("one of the models has no generator; import it again")
    blended = blend_generators(generators[0], generators[1], from_px, amount)
    networks = tuple(blended if network.role == GENERATOR else network for network in first.networks)
    recipe = f"{rows[0]['name']} + {rows[1]['name']} from {from_px} px, amount {amount:g}"
    hashes = "".join(entry["sha256"] for row in rows for entry in row["files"])
    source = Source(recipe, 0, hashlib.sha256(f"{recipe}\n{hashes}".encode()).hexdigest())
    return install(Converted(first.kind, networks, (f"blended: {recipe}",)), source, out_dir, name)

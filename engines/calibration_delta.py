"""What calibration changes in a generator, as a small file: low-rank steps of convolutions, plain steps of the rest.

``NAME.left`` [outputs, rank] times ``NAME.right`` [rank, rest] is added to the weight NAME, seen as [outputs, rest];
``NAME.add`` is added as it is (after Hu et al. 2021, "LoRA"). Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file

from engines.checkpoints.errors import CheckpointError

Floats = npt.NDArray[np.float32]
LEFT, RIGHT, ADD = ".left", ".right", ".add"


def load_delta(path: Path) -> dict[str, Floats]:
    """The tensors of a delta. Raises CheckpointError for a file that is missing or damaged."""
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot load {path}: {str(error)[:200]}; calibrate again") from None


def apply_delta(tensors: Mapping[str, Floats], delta: Mapping[str, Floats]) -> dict[str, Floats]:
    """A generator's tensors with a delta added. Raises CheckpointError when it belongs to another generator."""
    changed = dict(tensors)
    try:
        for key, values in delta.items():
            if key.endswith(ADD):
                name, step = key.removesuffix(ADD), values
            elif key.endswith(LEFT):
                name = key.removesuffix(LEFT)
                step = (values @ delta[name + RIGHT]).reshape(tensors[name].shape)
            else:
                continue
            if step.shape != tensors[name].shape:
                raise ValueError(name)
            changed[name] = np.asarray(tensors[name] + step, np.float32)
    except (KeyError, ValueError):
        raise CheckpointError("the calibration belongs to another generator; calibrate again") from None
    return changed

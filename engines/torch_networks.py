"""Imported networks as torch modules, for what needs gradients. Drawing needs no torch: see ``engines.imported``."""

from __future__ import annotations

import torch

from engines.checkpoints.networks import Network
from engines.encoders import StyleEncoder, encoder_from_tensors
from engines.stylegan2 import Generator, generator_from_tensors


def generator_from_network(network: Network) -> Generator:
    """A runnable generator."""
    return generator_from_tensors(torch_tensors(network), network.settings["clamp"])


def encoder_from_network(network: Network) -> StyleEncoder:
    """A runnable encoder."""
    return encoder_from_tensors(torch_tensors(network), network.settings["deltas"])


def torch_tensors(network: Network) -> dict[str, torch.Tensor]:
    """The tensors of a network as torch tensors, copied where the array is read-only."""
    return {
        name: torch.from_numpy(array if array.flags.writeable else array.copy())
        for name, array in network.tensors.items()
    }

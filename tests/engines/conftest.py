"""What the tests of models share: reading a checkpoint straight into runnable networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from engines.checkpoints.containers import read_file
from engines.checkpoints.identification import convert
from engines.checkpoints.networks import Converted
from engines.encoders import StyleEncoder, encoder_from_tensors
from engines.stylegan2 import Generator, generator_from_tensors
from tests.golden import golden

__all__ = ["golden"]


class Runnable:
    """The networks of one converted checkpoint."""

    def __init__(self, converted: Converted) -> None:
        self.converted = converted

    def tensors(self, role: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        network = self.converted.network(role)
        assert network is not None
        return {name: torch.tensor(value) for name, value in network.tensors.items()}, network.settings

    @property
    def generator(self) -> Generator:
        tensors, settings = self.tensors("generator")
        return generator_from_tensors(tensors, settings["clamp"])

    @property
    def encoder(self) -> StyleEncoder:
        tensors, settings = self.tensors("encoder")
        return encoder_from_tensors(tensors, settings["deltas"])


@pytest.fixture(scope="session")
def run_converted():
    """Runnable networks of a converted checkpoint."""
    return Runnable


@pytest.fixture(scope="session")
def load_checkpoint():
    """Runnable networks of a checkpoint file."""
    return lambda path: Runnable(convert(read_file(Path(path)).root))

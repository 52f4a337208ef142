"""What the tests of training share: a few small drawn heads."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.golden import golden

__all__ = ["golden"]


@pytest.fixture(scope="session")
def face_world():
    """The package that draws heads; skipped where it cannot be built."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is missing; the face world is built with it")
    import tools.face_world

    return tools.face_world


@pytest.fixture(scope="session")
def heads(face_world, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight heads of 64 px to train on and four that are held out, as ``render_faces`` writes them."""
    return drawn(face_world, tmp_path_factory.mktemp("heads"), {"train": 8, "held_out": 4}, 64)


@pytest.fixture
def faces(heads: Path):
    """The eight, as the trainings read them."""
    from tools.train_generator import Faces

    return Faces(heads, "train")


@pytest.fixture(scope="session")
def pictures(face_world):
    """What makes pictures for the encoder of them."""
    from tools import encoder_pictures

    return encoder_pictures


@pytest.fixture(scope="session")
def large_heads(face_world, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two heads of 512 px to train on and one that is held out."""
    return drawn(face_world, tmp_path_factory.mktemp("large"), {"train": 2, "held_out": 1}, 512)


def drawn(face_world, folder: Path, counts: dict[str, int], size: int) -> Path:
    """A folder of shards."""
    from tools.face_world.sampling import perform, person

    for split, count in counts.items():
        random = np.random.default_rng(count)
        rows = np.stack([perform(person(random), random) for _ in range(count)])
        np.save(folder / f"{split}-0000.parameters.npy", rows)
        np.save(folder / f"{split}-0000.npy", face_world.draw(rows, size))
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch on one thread, with its seed set; training's flushing of denormals does not outlive the test."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)
    torch.set_flush_denormal(False)

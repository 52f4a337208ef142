"""A small e4e checkpoint with random weights, imported as a user would, for the tests of photographic stages."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engines.checkpoints import import_checkpoint
from tools.random_e4e import checkpoint


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models: "tiny" (e4e, 32 px), "toon" (a generator of its family), "plain" (of another family)."""
    folder = tmp_path_factory.mktemp("models")
    root = checkpoint(32, widths=0.0625)
    torch.save(root, folder / "tiny.pt")
    decoder = {name[8:]: value for name, value in root["state_dict"].items() if name.startswith("decoder.")}
    tuned = {name: value + 0.2 if name.endswith("to_rgbs.2.bias") else value for name, value in decoder.items()}
    torch.save({"g_ema": tuned}, folder / "toon.pt")
    other = checkpoint(32, widths=0.08)["state_dict"]
    torch.save({"g": {n[8:]: v for n, v in other.items() if n.startswith("decoder.")}}, folder / "plain.pt")
    for name in ("tiny", "toon", "plain"):
        import_checkpoint(folder / f"{name}.pt", out_dir=folder)
    return folder


@pytest.fixture
def models(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, as the one that the program looks into."""
    monkeypatch.setenv("AVATAR_LIVE_MODELS", str(tiny_models))
    return tiny_models

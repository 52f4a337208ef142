from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.blending import blend_generators, blend_models
from engines.checkpoints import CheckpointError, import_checkpoint, load_model, read_manifest
from engines.checkpoints.networks import Network


@pytest.fixture
def two(golden, load_checkpoint):
    """A generator and a fine-tuned copy."""
    a = load_checkpoint(golden("rosinality-64").path("checkpoint.pt")).converted.network("generator")
    random = np.random.default_rng(0)
    moved = {name: np.asarray(v + random.normal(0, 0.1, v.shape), np.float32) for name, v in a.tensors.items()}
    return a, Network("generator", moved, a.settings)


def test_layers_from_a_resolution_on_are_swapped(two):
    a, b = two
    blended = blend_generators(a, b, 32)
    for name, values in blended.tensors.items():
        fine = name.startswith(("synthesis.blocks.32.", "synthesis.blocks.64."))
        np.testing.assert_array_equal(values, (b if fine else a).tensors[name])


def test_the_amount_goes_from_one_to_the_other(two):
    a, b = two
    name = "synthesis.blocks.64.conv1.weight"
    for amount in (0.0, 0.25, 1.0):
        expected = (1 - amount) * a.tensors[name] + amount * b.tensors[name]
        np.testing.assert_allclose(blend_generators(a, b, 4, amount).tensors[name], expected, atol=1e-6)


def test_two_imported_models_are_blended(golden, tmp_path):
    path = golden("rosinality-64").path("checkpoint.pt")
    a = import_checkpoint(path, out_dir=tmp_path, name="face").folder
    state = torch.load(path, weights_only=True)
    state["g_ema"]["convs.7.activate.bias"] += 1
    torch.save(state, tmp_path / "toon.pt")
    b = import_checkpoint(tmp_path / "toon.pt", out_dir=tmp_path).folder
    report = blend_models(a, b, from_px=64, amount=0.5, out_dir=tmp_path, name="mixed")
    assert report.notes == ("blended: face + toon from 64 px, amount 0.5",)
    assert read_manifest(report.folder)["source"]["name"] == "face + toon from 64 px, amount 0.5"
    name = "synthesis.blocks.64.conv1.bias"
    mixed, first = (load_model(folder).network("generator").tensors[name] for folder in (report.folder, a))
    np.testing.assert_allclose(mixed, first + 0.5, atol=1e-6)
    with pytest.raises(CheckpointError, match="a model 'mixed' exists"):
        blend_models(a, b, from_px=64, out_dir=tmp_path, name="mixed")


def test_errors_say_what_was_wanted(two):
    a, b = two
    with pytest.raises(CheckpointError, match="from 128 px; wanted one of 4, 8, 16, 32, 64"):
        blend_generators(a, b, 128)
    with pytest.raises(CheckpointError, match="the amount is nan; wanted 0 to 1"):
        blend_generators(a, b, 32, float("nan"))
    kept = Network("generator", {**b.tensors, "centre": np.zeros([10, 64], np.float32)}, b.settings)
    assert blend_generators(a, kept, 32).tensors["centre"] is a.tensors["centre"], "mapping and centre may differ"
    other = Network("generator", {**b.tensors, "synthesis.const": np.zeros([8, 4, 4], np.float32)}, b.settings)
    with pytest.raises(CheckpointError, match="wanted two of one family"):
        blend_generators(a, other, 32)

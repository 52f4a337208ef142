"""Exported models draw what the trained ones draw, and the program can load them with their manifest."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from engines.bundled import load
from engines.drawings import DrawingEngine
from engines.motion import MOTION
from engines.openvino_engine import OpenVinoEngine
from engines.portrait import DIM, LAYERS

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore:Constant folding:UserWarning"),
]


@pytest.fixture(scope="module")
def checkpoints(face_world, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained networks as checkpoints; their weights are exact in half precision, so that export loses nothing."""
    from tools.train_encoder import AttributeEncoder
    from tools.train_generator import Model

    torch.manual_seed(3)
    folder, model, encoder = tmp_path_factory.mktemp("checkpoints"), Model(), AttributeEncoder()
    for parameter in (*model.parameters(), *encoder.parameters()):
        parameter.data = parameter.data.half().float()
    average = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"average": {**average, "n_averaged": torch.tensor(1)}}, folder / "generator.pt")
    torch.save({"average": encoder.state_dict()}, folder / "encoder.pt")
    return folder


@pytest.fixture
def exported(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of exported models, written once."""
    from tools import export_models, find_directions

    weights = checkpoints / "weights"
    if not weights.exists():
        weights.mkdir()
        generator = ["--generator", str(checkpoints / "generator.pt"), "--out"]
        directions = weights / "directions.safetensors"
        monkeypatch.setattr(sys, "argv", ["", *generator, str(directions), "--people", "20"])
        find_directions.main()
        monkeypatch.setattr(sys, "argv", ["", *generator, str(weights), "--encoder", str(checkpoints / "encoder.pt")])
        export_models.main()
    return weights


@torch.no_grad()
def test_exported_networks_equal_the_trained_ones(exported: Path, checkpoints: Path) -> None:
    from tools.export_models import load_generator

    model = load_generator(checkpoints / "generator.pt").eval()
    wplus, motion = torch.randn(1, LAYERS, DIM), torch.randn(1, len(MOTION)) * 0.2
    attributes = torch.rand(1, model.mapping.mean.shape[0])
    want = model.generator(wplus, motion)[0][-1].numpy()
    engines = {name: OpenVinoEngine(exported / f"{name}.onnx") for name in ("mapping", "synthesis")}
    np.testing.assert_allclose(engines["mapping"].infer(attributes.numpy())[0], model.mapping(attributes), atol=1e-3)
    codes = DrawingEngine(exported / "motion_code.onnx").infer(wplus[:, 0].numpy(), motion.numpy())
    drawn = [code.numpy() for code in model.generator.motion_code(wplus[:, 0], motion)]
    for got, code in zip(codes, drawn, strict=True):
        error = np.abs(got - code)
        # At the silhouette the depth is a steep root, and the finest waves multiply its rounding by a hundred.
        # Patterns are drawn with parabolas instead of sines: up to 0.006 off where three are added.
        assert error.max() < 2e-2 and np.quantile(error, 0.999) < 6e-3
    (rgba,) = engines["synthesis"].infer(wplus.numpy(), *drawn)
    np.testing.assert_allclose(rgba, want, atol=1e-3)
    (fast,) = OpenVinoEngine(exported / "synthesis_int8.onnx").infer(wplus.numpy(), *drawn)
    error = np.abs(fast - want) / want.std()
    assert 0 < error.mean() < 0.2  # random weights and codes: far from what it was calibrated on


def test_the_gpus_file_holds_the_trained_generator(exported: Path, checkpoints: Path) -> None:
    from engines.bundled import manifest, verify
    from engines.cuda_bundled import portrait_network
    from tools.export_models import load_generator

    trained = load_generator(checkpoints / "generator.pt").generator.state_dict()
    got = portrait_network(verify(manifest(exported)["portrait"], exported)).state_dict()
    assert got.keys() == trained.keys()
    for name, value in got.items():
        assert torch.equal(value, trained[name]), name


@torch.no_grad()
def test_the_exported_encoder_equals_the_trained_one(exported: Path, checkpoints: Path) -> None:
    from tools.train_encoder import load_encoder

    crop = torch.randint(0, 256, (1, 256, 256, 3), dtype=torch.uint8)
    (got,) = OpenVinoEngine(exported / "encoder.onnx").infer(crop.numpy())
    np.testing.assert_allclose(got, load_encoder(checkpoints / "encoder.pt")(crop).numpy(), atol=1e-2)


def test_an_encoder_without_a_checkpoint_stays_as_it_is(
    exported: Path,
    checkpoints: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from tools import export_models

    folder = Path(shutil.copytree(exported, tmp_path / "weights"))
    (folder / "encoder.onnx").write_bytes(b"as it was")
    arguments = ["--generator", str(checkpoints / "generator.pt"), "--encoder", str(tmp_path / "none.pt")]
    monkeypatch.setattr(sys, "argv", ["", *arguments, "--out", str(folder)])
    export_models.main()
    assert (folder / "encoder.onnx").read_bytes() == b"as it was"
    assert "none.pt: " in capsys.readouterr().out and "bytes = 9" in (folder / "manifest.toml").read_text()


def test_the_program_loads_what_was_exported(exported: Path) -> None:
    from tools import find_directions

    model = load("toon", "auto", exported)
    assert set(model.directions) == {*find_directions.EDITS, "smile"}
    hair, smile = model.directions["hair"], model.directions["smile"]
    assert np.abs(hair.wplus[:5]).max() == 0 < np.abs(hair.wplus[5:]).max(), "hair colour is for layers of colour"
    assert np.abs(smile.wplus).max() == 0 < smile.motion[MOTION.index("corner_l")]

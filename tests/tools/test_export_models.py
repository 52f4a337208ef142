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
from engines.errors import EngineError, ModelError
from engines.motion import MOTION
from engines.openvino_engine import OpenVinoEngine
from engines.portrait import DIM, LAYERS
from engines.portrait_top import LargeGenerator, Top, begin
from realtime.frames import Latent
from realtime.generating import Generator

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
    top = Top()
    begin(top, model.generator)
    for parameter in top.parameters():
        parameter.data = (parameter.data + 0.01 * torch.randn(parameter.shape)).half().float()
    average = {f"module.{name}": tensor for name, tensor in top.state_dict().items()}
    torch.save({"average": {**average, "n_averaged": torch.tensor(1)}}, folder / "top.pt")
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
        arguments = ["--encoder", str(checkpoints / "encoder.pt"), "--top", str(checkpoints / "top.pt")]
        monkeypatch.setattr(sys, "argv", ["", *generator, str(weights), *arguments])
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
        # Patterns are drawn with parabolas instead of sines: up to 0.006 off where three are added. The edge of a hoop
        # is steep too, for rays that the file makes itself.
        assert error.max() < 4e-2 and np.quantile(error, 0.999) < 6e-3
    plain = DrawingEngine(exported / "motion_code.onnx", channels_last=False)
    for got, code in zip(codes, plain.infer(wplus[:, 0].numpy(), motion.numpy()), strict=True):
        np.testing.assert_array_equal(got, code)
        assert code.flags.c_contiguous and not got.flags.c_contiguous, "each as its networks read it"
    (rgba,) = engines["synthesis"].infer(wplus.numpy(), *drawn)
    np.testing.assert_allclose(rgba, want, atol=1e-3)
    (fast,) = OpenVinoEngine(exported / "synthesis_int8.onnx").infer(wplus.numpy(), *drawn)
    error = np.abs(fast - want) / want.std()
    assert 0 < error.mean() < 0.2  # random weights and codes: far from what it was calibrated on


@torch.no_grad()
def test_the_exported_top_draws_what_the_trained_one_does(exported: Path, checkpoints: Path) -> None:
    from engines.bundled import manifest, verify
    from engines.cuda_bundled import top_network
    from tools.export_models import load_generator
    from tools.train_top import load_top

    model, top = load_generator(checkpoints / "generator.pt").eval(), load_top(checkpoints / "top.pt")
    large = LargeGenerator(model.generator, top)
    wplus, motion = torch.randn(1, LAYERS, DIM), torch.randn(1, len(MOTION)) * 0.2
    codes = DrawingEngine(exported / "motion_code_512.onnx").infer(wplus[:, 0].numpy(), motion.numpy())
    drawn = [code.numpy() for code in large.motion_code(wplus[:, 0], motion)]
    for got, code in zip(codes, drawn, strict=True):
        assert got.shape == code.shape and np.quantile(np.abs(got - code), 0.999) < 6e-3
    (rgba,) = OpenVinoEngine(exported / "synthesis_512.onnx").infer(wplus.numpy(), *drawn)
    np.testing.assert_allclose(rgba, large(wplus, motion).numpy(), atol=2e-3)
    told = top_network(verify(manifest(exported)["portrait_top"], exported)).state_dict()
    assert all(torch.equal(value, told[name]) for name, value in large.top.state_dict().items())


def test_512_px_are_drawn_where_they_are_asked_for(exported: Path, tmp_path: Path) -> None:
    model = load("toon", "cpu", exported, resolution="512")
    assert model.size_px == 512 and model.describe().startswith("toon at 512 px: OpenVINO")
    usual = load("toon", "cpu", exported)
    assert usual.size_px == 256 and usual.describe().startswith("toon at 256 px: ")
    with pytest.raises(EngineError, match="--precision int8 draws 256 px; wanted --resolution 256, or f32"):
        load("toon", "cpu", exported, "int8", "512")
    latent = Latent(0, 0, np.zeros((LAYERS, DIM), np.float32), np.zeros(len(MOTION), np.float32), np.eye(2, 3), True)
    large, small = (Generator(each).generate(latent) for each in (model, usual))
    assert large.pixels.shape == (512, 512, 4)
    for corner in ((-0.5, -0.5), (255.5, 100.0)):  # the same square: edges of crop pixels
        there = large.transform @ [2 * corner[0] + 0.5, 2 * corner[1] + 0.5, 1]
        np.testing.assert_allclose(there, small.transform @ [*corner, 1])
    folder = Path(shutil.copytree(exported, tmp_path / "weights"))
    listed = (folder / "manifest.toml").read_text()
    (folder / "manifest.toml").write_text(listed.replace("[synthesis_512]", "[another]"))
    with pytest.raises(ModelError, match="the installed weights draw 256 px, not 512; wanted --resolution 256 or auto"):
        load("toon", "cpu", folder, resolution="512")


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
    assert "[synthesis_512]" in (folder / "manifest.toml").read_text(), "it stays as it is"
    assert "none.pt: " in capsys.readouterr().out and "bytes = 9" in (folder / "manifest.toml").read_text()


def test_the_program_loads_what_was_exported(exported: Path) -> None:
    from tools import find_directions

    model = load("toon", "auto", exported)
    assert set(model.directions) == {*find_directions.EDITS, "smile"}
    hair, smile = model.directions["hair"], model.directions["smile"]
    assert np.abs(hair.wplus[:5]).max() == 0 < np.abs(hair.wplus[5:]).max(), "hair colour is for layers of colour"
    assert np.abs(smile.wplus).max() == 0 < smile.motion[MOTION.index("corner_l")] and smile.gauge is None
    assert hair.gauge is not None and hair.gauge.weights.shape == (256,) and hair.gauge.most >= 1


def test_what_is_computed_inside_a_file_has_short_names_and_weights_and_ends_keep_theirs(tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    from tools.export_models import to_onnx

    network = torch.nn.Sequential(torch.nn.Linear(32, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4)).eval()
    given = torch.randn(1, 32)
    to_onnx(network, (given,), ["given"], ["told"], tmp_path / "x.onnx", short=True)
    graph = onnx.load(tmp_path / "x.onnx").graph
    weights = {tensor.name for tensor in graph.initializer}
    cast = {node.output[0] for node in graph.node if node.op_type == "Cast"}
    made = {name for node in graph.node for name in node.output} - {"told"} - cast
    assert len(made) >= 2 and max(map(len, made)) <= 3
    assert {"0.weight", "2.weight"} <= weights | cast
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx", providers=["CPUExecutionProvider"])
    (told,) = session.run(["told"], {"given": given.numpy()})
    np.testing.assert_allclose(told, network(given).detach().numpy(), atol=1e-3)


def test_a_constant_stands_once_in_a_short_file(tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    from tools.export_models import to_onnx

    class Sums(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x + 2.5) * 3.5 + (x * 2.5 + 3.5) * (x - 2.5)

    given = torch.randn(1, 8)
    for short, constants in ((False, 5), (True, 2)):
        to_onnx(Sums(), (given,), ["given"], ["told"], tmp_path / "x.onnx", short=short)
        graph = onnx.load(tmp_path / "x.onnx").graph
        assert sum(node.op_type == "Constant" for node in graph.node) == constants
        session = onnxruntime.InferenceSession(tmp_path / "x.onnx", providers=["CPUExecutionProvider"])
        (told,) = session.run(["told"], {"given": given.numpy()})
        np.testing.assert_allclose(told, Sums()(given).numpy(), rtol=1e-5)

"""Imported models worn live: encoding, editing and generating, and the whole command on a real clip."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from engines.checkpoints import import_checkpoint
from engines.devices import gpu_facts
from engines.errors import EngineError, ModelError
from engines.imported import load_imported
from engines.installed_directions import install_directions
from realtime import photographic
from realtime.building import build_stages
from realtime.cli import app
from realtime.errors import UsageError
from realtime.frames import Crop, Face, Latent
from realtime.settings import EditingSettings, GeneratingSettings, Settings, SmoothingSettings, TrackingSettings
from realtime.strengths import Sweep
from tests.golden import golden
from tests.realtime.imported_model import models, tiny_models

__all__ = ["golden", "models", "tiny_models"]


def settings(**generating: object) -> GeneratingSettings:
    return GeneratingSettings(**{"model": "tiny", **generating})


def crop(pixels: np.ndarray, number: int = 0) -> Crop:
    step = np.array([[1.5, 0.0, 10.0], [0.0, 1.5, 20.0]])
    return Crop(number, number * 33_000_000, pixels, step, np.eye(3))


def face(number: int = 0, fresh: bool = False) -> Face:
    return Face(number, number * 33_000_000, np.zeros((478, 3), np.float32), fresh)


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (256, 256, 3), np.uint8)


def test_a_code_is_the_encoders_and_says_where(models):
    model = photographic.load(settings(), 1.0)
    latent = photographic.PhotographicEncoder(model).encode(face(3, fresh=True), crop(pixels(0), 3))
    assert latent.wplus.shape == model.centre.shape and latent.motion.size == 0
    assert (latent.frame_id, latent.captured_ns, latent.fresh) == (3, 99_000_000, True)
    np.testing.assert_array_equal(latent.wplus, model.encode(pixels(0)))


def test_refinements_are_spread_over_frames(golden, tmp_path):
    case = golden("restyle-e4e-small-32")
    model = load_imported(import_checkpoint(case.path("checkpoint.pt"), out_dir=tmp_path).folder, precision="f32")
    picture = np.ascontiguousarray(case.io["image_u8"][0].transpose(1, 2, 0)[..., ::-1])
    encoder = photographic.PhotographicEncoder(model)
    first = encoder.encode(face(0, fresh=True), crop(picture))
    np.testing.assert_allclose(first.wplus, case.io["iter2.wplus"][0], atol=5e-4)
    second = encoder.encode(face(1), crop(picture, 1)).wplus
    np.testing.assert_array_equal(second, model.encode(picture, first.wplus))
    again = encoder.encode(face(2, fresh=True), crop(picture, 2)).wplus
    np.testing.assert_array_equal(again, first.wplus)


def test_published_directions_and_sweeps_edit_codes(models, golden, tmp_path):
    model = photographic.load(settings(), 1.0)
    np.save(tmp_path / "older.npy", np.ones([1, model.centre.shape[1]], np.float32))
    install_directions(tmp_path / "older.npy", tmp_path, "older")
    latent = Latent(0, 1_000_000_000, model.centre, np.zeros(0, np.float32), np.eye(3)[:2], False)
    edits = {"older": 0.5, "older.1-2": Sweep(0.0, 1.0, 4.0)}
    moved = photographic.PhotographicEditor(edits, tmp_path, model.centre).edit(latent).wplus - model.centre
    expected = np.full(model.centre.shape, 1.5)
    expected[1] += 1.5  # half a strength, a quarter of the period
    np.testing.assert_allclose(moved, expected, atol=1e-5)
    assert photographic.PhotographicEditor({}, tmp_path, model.centre).edit(latent).wplus is model.centre
    with pytest.raises(ModelError, match="no edit 'age' for this model; imported directions: older; add one with"):
        photographic.PhotographicEditor({"age": 1.0}, tmp_path, model.centre)
    install_directions(golden("edit-directions").path("age.pt"), tmp_path, "age")
    with pytest.raises(ModelError, match="it belongs to another generator"):
        photographic.PhotographicEditor({"age": 1.0}, tmp_path, model.centre)


def test_a_portrait_covers_the_square_of_its_crop(models):
    model = photographic.load(settings(), 1.0)
    generator = photographic.PhotographicGenerator(model)
    transform = crop(pixels(0)).transform
    portrait = generator.generate(Latent(5, 7, model.centre, np.zeros(0, np.float32), transform, False))
    assert (portrait.frame_id, portrait.captured_ns, portrait.pixels.shape) == (5, 7, (32, 32, 4))
    assert portrait.pixels[..., 3].min() == 255
    for ours, theirs in ((-0.5, -0.5), (31.5, 255.5)):  # corners, not centres of corner pixels
        np.testing.assert_allclose(portrait.transform @ [ours, ours, 1], transform @ [theirs, theirs, 1])


def test_the_looks_of_another_generator_come_in_by_strength(models):
    plain, half, full = (photographic.load(settings(blend="toon", blend_from=16), s) for s in (0.0, 0.5, 1.0))
    pictures = [model.draw(plain.centre).astype(int) for model in (plain, half, full)]
    change = [np.mean(picture - pictures[0]) for picture in pictures]
    assert change[0] == 0 < change[1] < change[2]
    assert plain.name == "tiny" and full.name == "tiny with the looks of toon from 16 px, amount 1"
    assert photographic.load(settings(), 1.0) is photographic.load(settings(), 1.0), "loaded once"


def test_what_cannot_be_worn_says_what_to_do(models):
    cases = [
        (
            settings(model="tny"),
            ModelError,
            "no imported model 'tny' in .*; did you mean tiny\\? known: plain, tiny, toon",
        ),
        (settings(model="toon"), ModelError, "'toon' has no encoder.*--model tiny --blend toon"),
        (settings(blend="plain"), ModelError, "wanted two of one family"),
    ]
    if gpu_facts().problem is not None:
        cases.append((settings(device="cuda"), EngineError, "--device cuda cannot be used: .*; or use --device auto"))
    for given, error, message in cases:
        with pytest.raises(error, match=message):
            photographic.load(given, 1.0)
    for given, message in (
        (Settings(generating=settings(), tracking=TrackingSettings(faces=2)), "'tiny' draws one face; with --faces 2"),
        (
            Settings(generating=settings(), editing=EditingSettings(attributes={"age": 1.0})),
            "sets attributes of bundled",
        ),
    ):
        with pytest.raises(UsageError, match=message):
            build_stages(given, (64, 64))


def test_filters_are_quicker_unless_the_user_says_otherwise():
    ours = photographic.smoothing(SmoothingSettings(coarse_beta=9.0))
    assert (ours.coarse_beta, ours.middle_beta) == (9.0, photographic.FILTERS["middle_beta"])
    assert ours.head_beta == SmoothingSettings().head_beta


@pytest.fixture
def clip(media: Path) -> Path:
    return media / "clips" / "d0.mp4"


def avatar_live(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("choice", [["--model", "tiny"], ["--style", "tiny"], ["--model", "tiny", "--mode", "crop"]])
def test_an_imported_model_wears_the_face_of_a_clip(models, clip, tmp_path, monkeypatch, choice):
    monkeypatch.chdir(tmp_path)
    code, _, said = avatar_live(
        *choice, "--source", clip, "--duration", "0.2", "--output", "o.mp4", "--stats", "s.json"
    )
    assert code == 0, said
    assert "model  tiny, 32 px: OpenVINO" in said
    figures = json.loads((tmp_path / "s.json").read_text())
    assert figures["frames_in"] == figures["frames_out"] >= 5 and figures["frames_without_face"] == 0


def test_unknown_names_on_the_command_line(models, clip):
    code, _, said = avatar_live("--model", "tinny", "--source", clip, "--output", "null")
    assert code == 2 and "unknown style 'tinny'; did you mean tiny?" in said
    code, _, said = avatar_live("--model", "tiny", "--edit", "age=1", "--source", clip, "--output", "null")
    assert code == 1 and "no edit 'age' for this model; imported directions: none; add one with" in said
    assert "imported e4e, 32 px" in avatar_live("styles")[1]


def test_wearing_an_imported_model_loads_no_torch(models):
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from realtime.settings import GeneratingSettings, Settings\n"
        "from realtime.building import build_stages\n"
        "stages, model = build_stages(Settings(generating=GeneratingSettings(model='tiny')), (64, 48))\n"
        "stages.tracker.close(); print(model)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.startswith("tiny, 32 px: OpenVINO"), done.stderr

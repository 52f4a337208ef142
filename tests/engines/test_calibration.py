"""Pivotal tuning at a small size: it learns, stops, goes on where it was, and becomes a model."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from engines.calibration import Errors, Frames, Options, Tuner
from engines.calibration_check import check_edits
from engines.calibration_delta import apply_delta, load_delta
from engines.calibration_model import install_calibration
from engines.checkpoints import CheckpointError, import_checkpoint, load_model, verify_model
from engines.imported import load_imported
from engines.stylegan2 import generator_from_tensors
from tools.random_e4e import checkpoint

QUICK = Options(rank=2, steps=8, watch_every=4, rate=0.02)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A small random e4e model."""
    folder = tmp_path_factory.mktemp("models")
    torch.save(checkpoint(16, widths=0.02), folder / "base.pt")
    return import_checkpoint(folder / "base.pt", out_dir=folder).folder


@pytest.fixture(scope="module")
def frames(base):
    """Twenty frames of one smooth picture in changing light, at codes around the mean."""
    chance = np.random.default_rng(0)
    centre = load_imported(base).centre
    y, x = np.mgrid[0:16, 0:16] / 15
    light = chance.uniform(0.8, 1.2, 20)
    pixels = [(np.stack([80 + 60 * x, 120 + 40 * y, 60 + 0 * x], 2) * v).clip(0, 255) for v in light]
    pivots = [centre + v - 1 + chance.normal(0, 0.02, centre.shape) for v in light]
    return Frames(np.stack(pixels).astype(np.uint8), np.stack(pivots).astype(np.float32))


def new(base, frames, options=QUICK):
    networks = load_model(base)
    return Tuner(networks.network("generator"), networks.network("encoder"), frames, options, "cpu")


def test_frames_that_took_no_part_get_better(base, frames):
    tuner = new(base, frames, Options(rank=2, steps=30, watch_every=10, rate=0.02))
    before, told = tuner.errors("held", None), []
    assert before == tuner.errors("held", tuner.params), "no steps, no change"
    tuner.run(lambda now: told.append(now.step))
    after = tuner.errors("held", tuner.best)
    assert after.pixels < 0.8 * before.pixels and after.features < before.features
    assert told == list(range(1, 31))


def test_the_delta_draws_what_the_tuner_drew(base, frames):
    tuner = new(base, frames)
    tuner.run(lambda now: None)
    tensors = apply_delta(load_model(base).network("generator").tensors, tuner.delta())
    generator = generator_from_tensors({name: torch.from_numpy(value) for name, value in tensors.items()})
    wplus = torch.from_numpy(frames.pivots[:2])
    torch.testing.assert_close(generator.synthesis(wplus), tuner.draw(wplus, tuner.best), atol=1e-5, rtol=1e-4)
    size = sum(value.size for value in tuner.delta().values())
    assert size < 0.8 * sum(value.size for value in tensors.values())


def test_a_broken_run_goes_on_to_the_same_result(base, frames, tmp_path):
    whole, half = new(base, frames), new(base, frames, Options(**{**vars_of(QUICK), "steps": 4}))
    whole.run(lambda now: None)
    half.run(lambda now: None, tmp_path / "state")
    again = new(base, frames)
    assert again.resume(tmp_path / "state") and again.progress.step == 4
    again.run(lambda now: None)
    for name, value in whole.params.items():
        torch.testing.assert_close(again.params[name], value, atol=1e-6, rtol=1e-5)
    assert not new(base, frames, Options(rank=3)).resume(tmp_path / "state")
    assert not new(base, frames).resume(tmp_path / "none")


def vars_of(options):
    return {name: getattr(options, name) for name in options.__slots__}


def test_it_stops_when_nothing_is_gained(base, frames):
    tuner = new(base, frames, Options(rank=2, steps=100, watch_every=1, patience=3, rate=1e-12))
    tuner.run(lambda now: None)
    assert tuner.progress.step == 4, "the first look is a gain, three are not"


def test_edits_are_compared_before_and_after(base, frames):
    tuner = new(base, frames)
    edits = {"up": lambda wplus, strength: wplus + np.float32(strength)}
    (same,) = check_edits(tuner, edits)
    assert same.alike == pytest.approx(1) and same.size == pytest.approx(1) and same.works
    chance = torch.Generator().manual_seed(0)
    tuner.best = {name: value + torch.randn(value.shape, generator=chance) for name, value in tuner.best.items()}
    (broken,) = check_edits(tuner, edits)
    assert broken.alike < 0.8 and not broken.works


def test_a_calibration_is_a_model_of_its_own(base, frames):
    tuner = new(base, frames)
    tuner.run(lambda now: None)
    done = install_calibration(tuner, check_edits(tuner, {}), base, "me")
    assert isinstance(done.before, Errors) and done.contact_sheet.is_file() and done.folder == base.parent / "me"
    model, plain = load_imported(done.folder, precision="f32"), load_imported(base, precision="f32")
    rgb = tuner.draw(torch.from_numpy(frames.pivots[:1]), tuner.best)[0].permute(1, 2, 0).detach().numpy()
    expected = (rgb[..., ::-1] * 127.5 + 128).clip(0, 255)
    assert np.abs(model.draw(frames.pivots[0]) - expected).max() <= 1.1
    assert np.abs(plain.draw(frames.pivots[0]) - expected).max() > 5
    assert model.encoder is not None and (done.folder / "delta.safetensors").stat().st_size < 100_000
    row = json.loads((done.folder / "model.json").read_text())
    assert row["base"] == "base" and row["calibration"]["held_out_after"]["pixels"] == pytest.approx(done.after.pixels)


def test_a_calibration_of_another_model_is_refused(base, frames, tmp_path):
    tuner = new(base, frames)
    done = install_calibration(tuner, [], base, "you")
    manifest = base / "model.json"
    text = manifest.read_text()
    manifest.write_text(text.replace('"bytes": ', '"bytes": 1'))
    with pytest.raises(CheckpointError, match="base is not the model that 'you' was calibrated on; calibrate again"):
        load_model(done.folder)
    manifest.write_text(text)
    (done.folder / "delta.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="delta.safetensors is damaged"):
        verify_model(done.folder)
    with pytest.raises(CheckpointError, match="cannot load .*delta.safetensors.*calibrate again"):
        load_delta(done.folder / "delta.safetensors")
    with pytest.raises(CheckpointError, match="belongs to another generator"):
        apply_delta({"synthesis.x": np.zeros([2, 2], np.float32)}, {"synthesis.x.add": np.zeros([3], np.float32)})

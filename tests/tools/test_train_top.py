"""Training of the top: windows of whole heads, nothing below changes, a stopped training goes on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.usefixtures("face_world", "one_thread")


@pytest.fixture(scope="module")
def training(face_world):
    from tools import train_top

    return train_top


@pytest.fixture
def run(training, large_heads: Path, monkeypatch: pytest.MonkeyPatch):
    from tools.train_generator import Faces, Model, initialise

    monkeypatch.setattr(training, "HEADS", 1)
    monkeypatch.setattr(training, "EDGE", 32)
    faces, model = Faces(large_heads, "train"), Model()
    initialise(model, faces)
    return training.Training(model, faces, "cpu", eager=True)


def test_windows_are_cut_in_order(training) -> None:
    pictures = torch.arange(2 * 64.0).view(2, 1, 8, 8)
    windows = training.cut(pictures, torch.tensor([[0, 0], [2, 4], [1, 1], [6, 6]]), 2)
    torch.testing.assert_close(windows[1], pictures[0, :, 2:4, 4:6])
    torch.testing.assert_close(windows[2], pictures[1, :, 1:3, 1:3])


@torch.no_grad()
def test_a_window_is_drawn_as_the_whole_but_for_its_border(training, run) -> None:
    from engines.portrait_top import LargeGenerator, window_map

    attributes, motion, _, _ = run.faces.batch([0], 512)
    below = run.below(attributes, motion, False)
    whole = LargeGenerator(run.model.generator, run.top)(below.wplus, motion)
    place = torch.tensor([[90, 112]])
    maps = window_map(below.rest, motion, place, 32)
    x, bare = training.cut(below.x, place // 2, 16), training.cut(below.bare, place, 32)
    made = run.top(x, bare, maps, below.wplus)
    border = 2 * training.MARGIN
    wanted = training.cut(whole, 2 * place, 64)
    inner = (..., slice(border, -border), slice(border, -border))
    torch.testing.assert_close(made[inner], wanted[inner], atol=1e-3, rtol=1e-3)


def test_a_step_changes_the_top_alone_and_steps_learn(training, run) -> None:
    below = {name: value.clone() for name, value in run.model.state_dict().items()}
    before = {name: value.clone() for name, value in run.top.named_parameters()}
    losses = []
    for _ in range(3):
        run.step = 0  # the same windows
        run.take(1e-6)
        losses.append(run.loss)
    assert losses[-1] < losses[0]
    assert all(torch.equal(value, below[name]) for name, value in run.model.state_dict().items())
    still = [name for name, value in run.top.named_parameters() if torch.equal(value, before[name])]
    assert not still, f"{still} did not learn"


def test_a_stopped_training_goes_on(
    training, large_heads: Path, tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    generator, file = tmp_path / "generator.pt", tmp_path / "checkpoint.pt"
    torch.save({"average": {f"module.{n}": v for n, v in run.model.state_dict().items()}}, generator)

    def go(minutes: float) -> dict:
        arguments = ["--generator", str(generator), "--data", str(large_heads), "--out", str(tmp_path)]
        arguments += ["--minutes", str(minutes), "--eager", "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", ["train_top", *arguments])
        training.main()
        return torch.load(file, weights_only=True)

    first = go(1e-4)
    assert first["step"] == 1 and first["spent"] >= 0.006
    second = go(first["spent"] / 60 + 1e-4)
    assert second["step"] == 2 and {int(s["step"]) for s in second["optimiser"]["state"].values()} == {2}
    assert go(1e-4)["step"] == 2, "a training that is done stays as it is"
    top = training.load_top(file)
    torch.testing.assert_close(top.rgb.bias.data, second["average"]["module.rgb.bias"])
    assert "step 2, loss" in (out := capsys.readouterr().out) and "the doubled picture's" in out


@torch.no_grad()
def test_a_top_reads_w_as_its_generator_does_when_that_was_trained_on(training, run, tmp_path: Path) -> None:
    file, own, theirs = tmp_path / "checkpoint.pt", run.top.cover.colours, run.model.generator.cover.colours
    own.bias += 0.01  # as training does
    run.save(file)
    run.load(file)
    torch.testing.assert_close(own.bias, theirs.bias + 0.01)
    theirs.weight += 0.1
    run.load(file)
    torch.testing.assert_close(own.weight, theirs.weight)
    torch.testing.assert_close(run.average.module.cover.colours.bias, theirs.bias)


@torch.no_grad()
def test_a_top_paints_as_its_generator_does_what_no_convolution_reads(run) -> None:
    from engines.portrait_top import follow

    below, row = run.model.generator, 60
    for layer in below.inject:
        layer.weight[:, row] = 0
    below.painted.affine.bias[16 * row : 16 * row + 16] = torch.arange(16.0)
    before = run.top.painted.affine.bias.clone()
    follow(run.top, below)
    painted = run.top.painted.affine.bias
    torch.testing.assert_close(
        painted[16 * row : 16 * row + 16].view(4, 4).mean(1), torch.tensor([1.5, 5.5, 9.5, 13.5])
    )
    assert torch.equal(painted[: 16 * row], before[: 16 * row])
    assert all(not layer.weight[:, row].any() and layer.weight[:, row - 1].any() for layer in run.top.inject)

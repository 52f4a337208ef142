"""Training of the encoder: augmented pictures stay pictures, answers are probabilities, a stopped training goes on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from engines.attributes import HAIR_STYLES, PERSONAL

pytestmark = pytest.mark.usefixtures("face_world", "one_thread")


@pytest.fixture(scope="module")
def training(face_world):
    from tools import train_encoder

    return train_encoder


@pytest.fixture
def faces(training, heads: Path):
    return training.Faces(heads, "train")


def test_every_attribute_is_asked_for_once(training) -> None:
    columns = sorted([*training.STYLE_COLUMNS, *training.YES_COLUMNS, *training.MEASURES])
    assert columns == list(range(len(PERSONAL)))


@torch.no_grad()
def test_answers_are_probabilities_where_they_should_be(training) -> None:
    model = training.AttributeEncoder().eval()
    crop = torch.randint(0, 256, (2, 256, 256, 3), dtype=torch.uint8)
    answer = model(crop)
    assert answer.shape == (2, len(PERSONAL))
    torch.testing.assert_close(answer[:, [PERSONAL.index(name) for name in HAIR_STYLES]].sum(1), torch.ones(2))
    yes = answer[:, training.YES_COLUMNS]
    assert (yes > 0).all() and (yes < 1).all()
    model.mean.data += 1
    torch.testing.assert_close(model(crop)[:, training.MEASURES], answer[:, training.MEASURES] + 1)


@torch.no_grad()
def test_only_the_head_is_looked_at(training) -> None:
    model = training.AttributeEncoder().eval()
    top, left, side = training.SEEN
    crop = torch.full((1, 256, 256, 3), 128, dtype=torch.uint8)
    changed = crop.clone()
    changed[:, :top], changed[:, :, :left], changed[:, top + side :] = 0, 255, 7
    torch.testing.assert_close(model(changed), model(crop))


def test_pictures_are_reduced_and_premultiplied(training, faces) -> None:
    small = training.reduced(faces)
    assert small.shape == (8, 4, training.SIZE, training.SIZE) and small.dtype == torch.uint8
    assert (small[:, :3] <= small[:, 3:].int() + 1).all()


def test_augmented_pictures_are_pictures(training, faces) -> None:
    generator = torch.Generator().manual_seed(1)
    scenery = training.backgrounds(6, generator)
    rgba = training.reduced(faces).float() / 255
    pictures = training.augment(rgba, scenery, generator)
    assert pictures.shape == (8, 3, training.SIZE, training.SIZE)
    assert pictures.min() >= 0 and pictures.max() <= 1 and torch.isfinite(pictures).all()
    again = torch.Generator().manual_seed(1)
    torch.testing.assert_close(training.augment(rgba, training.backgrounds(6, again), again), pictures)
    middle = slice(training.SIZE // 3, training.SIZE // 2)
    assert (pictures - rgba[:, :3])[:, :, middle, middle].abs().mean() < 0.35, "the head is still there"


def test_a_few_steps_learn(training, faces) -> None:
    model = training.AttributeEncoder()
    attributes = training.truth(faces)
    model.mean.data, model.spread.data = attributes.mean(0), attributes.std(0) + 0.02
    rgba = training.reduced(faces).float() / 255
    optimiser, losses = torch.optim.AdamW(model.parameters(), lr=1.5e-3), []
    for _ in range(10):
        loss = training.loss_of(model, rgba[:, :3], attributes)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_a_stopped_training_goes_on(
    training, heads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "checkpoint.pt"

    def run(minutes: float) -> dict:
        arguments = ["--data", str(heads), "--out", str(tmp_path), "--minutes", str(minutes), "--batch", "4"]
        monkeypatch.setattr(sys, "argv", ["train_encoder", *arguments])
        training.main()
        return torch.load(file, weights_only=True)

    first = run(1e-5)
    second = run(first["spent"] / 60 + 1e-5)
    assert second["spent"] > first["spent"] > 0
    assert {int(state["step"]) for state in second["optimiser"]["state"].values()} == {2}
    figures = capsys.readouterr().out.splitlines()[-1]
    for name in ("hair_style", "glasses", "beard", "age_within_0.15", "skin_mean_error"):
        assert f"{name} " in figures
    with torch.no_grad():
        answer = training.load_encoder(file)(torch.zeros(1, 256, 256, 3, dtype=torch.uint8))
    assert torch.isfinite(answer).all()

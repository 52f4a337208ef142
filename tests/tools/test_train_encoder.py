"""Training of the encoder: augmented pictures stay pictures, answers are probabilities, a stopped training goes on."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import pytest
import torch

from engines.attributes import HAIR_STYLES, PERSONAL

pytestmark = pytest.mark.usefixtures("face_world", "one_thread")


@pytest.fixture(scope="module")
def training(face_world):
    from tools import train_encoder

    return train_encoder


@pytest.fixture(scope="module")
def network(face_world):
    from tools import encoder_network

    return encoder_network


def test_every_attribute_is_asked_for_once(training) -> None:
    columns = sorted([*training.STYLE_COLUMNS, *training.YES_COLUMNS, *training.SOME_COLUMNS, *training.MEASURES])
    assert columns == list(range(len(PERSONAL)))


@torch.no_grad()
def test_answers_are_probabilities_where_they_should_be(training) -> None:
    model = training.AttributeEncoder().eval()
    crop = torch.randint(0, 256, (2, 256, 256, 3), dtype=torch.uint8)
    answer = model(crop)
    assert answer.shape == (2, len(PERSONAL))
    torch.testing.assert_close(answer[:, [PERSONAL.index(name) for name in HAIR_STYLES]].sum(1), torch.ones(2))
    yes, some = answer[:, training.YES_COLUMNS], answer[:, training.SOME_COLUMNS]
    assert (yes > 0).all() and (yes < 1).all() and (some >= 0).all() and (some <= 1.5).all()
    model.mean.data += 1
    torch.testing.assert_close(model(crop)[:, training.MEASURES], answer[:, training.MEASURES] + 1)


@torch.no_grad()
def test_only_the_head_is_looked_at(training, network) -> None:
    model = training.AttributeEncoder().eval()
    top, left, side = network.SEEN
    crop = torch.full((1, 256, 256, 3), 128, dtype=torch.uint8)
    changed = crop.clone()
    changed[:, :top], changed[:, :, :left], changed[:, top + side :] = 0, 255, 7
    torch.testing.assert_close(model(changed), model(crop))


def test_what_is_not_a_number_is_not_asked_for(training, pictures, faces) -> None:
    model, truth = training.AttributeEncoder().eval(), training.truth(faces)
    rgb = torch.rand(8, 3, pictures.SIZE, pictures.SIZE)
    unknown = truth.clone()
    unknown[::2, pictures.PAINTED] = torch.nan
    loss = training.loss_of(model, rgb, unknown)
    model.answers.bias.grad = None
    loss.backward()
    assert torch.isfinite(loss) and all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    all_unknown = truth.clone()
    all_unknown[:, pictures.PAINTED] = torch.nan
    other = training.loss_of(model, rgb, all_unknown)
    model.answers.bias.data[pictures.PAINTED] += 3
    torch.testing.assert_close(training.loss_of(model, rgb, all_unknown), other)


def test_what_does_not_show_is_not_asked_for(training, pictures, faces) -> None:
    model, truth = training.AttributeEncoder().eval(), training.truth(faces)
    truth[:, [PERSONAL.index(name) for name in (*training.GEAR, *training.GLASSES)]] = 0
    rgb = torch.rand(8, 3, pictures.SIZE, pictures.SIZE)
    other = truth.clone()
    other[:, [PERSONAL.index(name) for name in training.SHOWN_BY]] += 5
    torch.testing.assert_close(training.loss_of(model, rgb, other), training.loss_of(model, rgb, truth))


def exported(training, folder: Path):
    """An encoder and the file that it was exported to."""
    from tools.export_models import to_onnx

    old, file = training.AttributeEncoder(), folder / "encoder.onnx"
    for part in old.modules():  # as if it were trained
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.3), part.running_var.uniform_(0.5, 2), part.weight.uniform_(0.5, 1.5)
    to_onnx(old.eval(), (torch.zeros(1, 256, 256, 3, dtype=torch.uint8),), ["crop"], ["attributes"], file)
    return old, file


@torch.no_grad()
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_exported_encoder_is_begun_with(training, pictures, tmp_path: Path) -> None:
    old, file = exported(training, tmp_path)
    rgb, wanted = torch.rand(40, 3, pictures.SIZE, pictures.SIZE), torch.rand(40, len(PERSONAL))
    new = training.AttributeEncoder()
    training.begin_with(new, file, rgb, wanted)
    seen = old.seen(rgb)
    torch.testing.assert_close(new.eval().seen(rgb), seen, rtol=0.05, atol=0.05 * float(seen.std()))
    # The measures mean what they meant, so training goes on from the same answers.
    torch.testing.assert_close(new.values(new.raw(rgb)), old.values(old.raw(rgb)), rtol=0.05, atol=0.02)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_answers_that_an_exported_encoder_lacks_are_fitted(training, pictures, tmp_path: Path) -> None:
    """As after an attribute was added: another number of answers, which are found anew."""
    _, file = exported(training, tmp_path)
    graph = onnx.load(file)
    (answers,) = [t for t in graph.graph.initializer if t.name.startswith("answers.weight")]
    answers.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(answers)[:-1], answers.name))
    onnx.save(graph, file)
    rgb = torch.rand(600, 3, pictures.SIZE, pictures.SIZE) * torch.linspace(0.2, 1, 600)[:, None, None, None]
    wanted = torch.linspace(0, 1, 600)[:, None].expand(600, len(PERSONAL)).contiguous()
    new = training.AttributeEncoder()
    new.mean.data, new.spread.data = wanted.mean(0), wanted.std(0)
    training.begin_with(new, file, rgb, wanted)
    age = PERSONAL.index("age")
    got = new.eval().values(new.raw(rgb))[:, age]
    assert torch.corrcoef(torch.stack([got, wanted[:, age]]))[0, 1] > 0.9


@torch.no_grad()
def test_the_face_is_seen_finer_than_the_whole(training, pictures, network) -> None:
    """Stripes of one pixel are grey to the first look and not to the second, which sees nothing around the face."""
    model = training.AttributeEncoder().eval()
    grey, size = torch.full((1, 3, pictures.SIZE, pictures.SIZE), 0.5), pictures.SIZE
    striped = (torch.arange(size) % 2).float().expand(1, 3, size, size)
    whole = len(model.features(torch.zeros(1, 3, 64, 64))[0])
    torch.testing.assert_close(model.seen(striped)[:, :whole], model.seen(grey)[:, :whole])
    assert (model.seen(striped) - model.seen(grey))[:, whole:].abs().max() > 1e-4
    top, left, side = network.FACE
    around = striped.clone()
    around[:, :, top : top + side, left : left + side] = 0.5
    torch.testing.assert_close(model.seen(around)[:, whole:], model.seen(grey)[:, whole:])


def test_a_few_steps_learn(training, pictures, faces) -> None:
    model = training.AttributeEncoder()
    attributes = training.truth(faces)
    model.mean.data, model.spread.data = attributes.mean(0), attributes.std(0) + 0.02
    rgba = pictures.reduced(faces).float() / 255
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
    for name in ("hair_style", "glasses", "beard", "hat", "headphones", "natural_glasses", "skin_mean_error"):
        assert f"{name} " in figures
    with torch.no_grad():
        answer = training.load_encoder(file)(torch.zeros(1, 256, 256, 3, dtype=torch.uint8))
    assert torch.isfinite(answer).all()


def test_a_training_begins_with_a_checkpoint_and_further_heads(training, heads: Path, tmp_path: Path) -> None:
    model = training.AttributeEncoder()
    torch.save({"average": model.state_dict()}, tmp_path / "old.pt")
    both = training.Heads(heads, heads)
    assert len(both.small) == len(both.attributes) == len(both.often) == 16
    torch.testing.assert_close(both.often[8:], training.FURTHER * both.often[:8])
    begun = training.begun(tmp_path / "old.pt", both)
    assert begun.training
    torch.testing.assert_close(begun.state_dict(), model.state_dict())
    fresh = training.begun(None, both)
    assert torch.isfinite(fresh.mean).all() and (fresh.spread > 0).all()


def test_people_like_real_ones(training) -> None:
    import numpy as np

    from tools.face_world.sampling import near

    random = np.random.default_rng(5)
    rows = np.stack([near(random) for _ in range(200)])

    def column(name: str) -> np.ndarray:
        return rows[:, training.names().index(name)]

    assert (column("domain_natural") >= 0.7).all()
    assert column("eye_size").max() <= 1.0 and column("eye_size").mean() < 0.9
    worn = (column("hat_beanie") + column("hat_cap") + column("headphones")) > 0.5
    assert 0.02 < worn.mean() < 0.25
    assert (column("hair_r") < 0.3).mean() > 0.6 and np.abs(column("yaw")).std() < 0.25
    styles = rows[:, [training.names().index(name) for name in HAIR_STYLES]]
    np.testing.assert_array_equal(styles.sum(1), 1)

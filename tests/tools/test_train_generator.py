"""Training of the generator: what a batch is, what the loss looks at, and that a stopped training goes on."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from engines.map_order import COARSE, COORDINATES
from engines.motion import MOTION
from engines.portrait import INPUT
from engines.spatial_code import FEATURES

pytestmark = pytest.mark.usefixtures("face_world", "one_thread")


@pytest.fixture(scope="module")
def training(face_world):
    from tools import train_generator

    return train_generator


@pytest.fixture
def model(training, faces):
    made = training.Model()
    training.initialise(made, faces)
    return made


def test_shards_are_read_with_their_parameters(training, faces) -> None:
    attributes, motion, at_rest, rgba = faces.batch(np.array([3, 3, 5]), 32)
    assert len(faces) == 8 and rgba.shape == (3, 4, 32, 32) and at_rest.shape == (3, 48, 3)
    assert attributes.shape == (3, len(training.attribute_names())) and motion.shape == (3, len(MOTION))
    torch.testing.assert_close(rgba[0], rgba[1])
    assert (rgba[:, :3] <= rgba[:, 3:] + 1e-6).all(), "colours are premultiplied"


def test_a_folder_without_shards_says_how_to_draw_them(training, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"holds no train shards; draw them first: python -m tools.render_faces --out"):
        training.Faces(tmp_path, "train")


@torch.no_grad()
def test_a_fresh_generator_knows_who_wears_what(training, faces, model) -> None:
    from tools.face_world.sampling import plain
    from tools.gates import SHINE

    names = training.attribute_names()
    people = [plain(), plain(headphones=1.0), plain(hair_short=0.0, hair_curly=1.0), plain(glasses_square=1.0)]
    attributes = torch.from_numpy(np.stack(people))[:, faces.attribute]
    w = model.mapping(attributes)
    for gate in model.generator.worn:
        worn = gate(w)[:, COORDINATES:]
        np.testing.assert_allclose(worn[:, 41], [0, 1, 0, 0], atol=1e-4)
        np.testing.assert_allclose(worn[:, 10], [0, 0, 1, 0], atol=1e-4)
        np.testing.assert_allclose(worn[:, (18, 19, 20)].T, [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]], atol=1e-4)
    start = model.generator.convs[0].affine(w)[:, INPUT - len(COARSE) :]
    np.testing.assert_allclose(start[:, COARSE.index(41)], [0, 1, 0, 0], atol=1e-4)
    cover, maps = model.generator.cover, torch.zeros(4, FEATURES, 1, 1)
    maps[:, COORDINATES + 19] = maps[:, COORDINATES + 41] = 1.0  # where a square rim and the band of headphones are
    hiding = cover.hiding(torch.zeros(4, 48, 1, 1), maps, w)[:, :, 0, 0]
    np.testing.assert_allclose(hiding[:, ::4], [[0, 0], [0, 1], [0, 0], [1, 0]], atol=0.02)
    shown = cover.colour(w)[1][1] - cover.colour(w)[1][0]
    told = [attributes[1, names.index(f"gear_{c}")] for c in "rgb"]
    np.testing.assert_allclose(shown[:3], SHINE * np.array(told), atol=1e-3)
    painted = attributes[:2].clone()
    painted[:, names.index("gear_r")] = 0.7
    same = (model.mapping(painted) - w[:2]).abs().amax(1)
    assert same[0] < 1e-5 and same[1] > 0.01, "the colour of a hat is told only where one is worn"


@torch.no_grad()
def test_mixing_gives_half_of_the_batch_two_people(training, faces, model) -> None:
    attributes = faces.batch(np.arange(6), 32)[0]
    plain, mixed = (training.mixed_codes(model, attributes, mix) for mix in (False, True))
    torch.testing.assert_close(plain, model.mapping(attributes)[:, None].expand(-1, 10, -1))
    torch.testing.assert_close(mixed[3:], plain[3:])
    assert not torch.allclose(mixed[:3, 0], mixed[:3, 9]), "shape and colour come from different people"
    torch.testing.assert_close(mixed[:, 0], mixed[:, 4])
    torch.testing.assert_close(mixed[:, 5], mixed[:, 9])


def test_eyes_and_mouth_matter_most(training, faces) -> None:
    _, motion, at_rest, _ = faces.batch(np.arange(2), 32)
    weight = training.weights(at_rest, motion, 64)
    assert weight.shape == (2, 1, 64, 64) and weight.min() >= 1 and 3.5 < weight.max() <= 4
    assert weight[:, :, :10].max() < 1.1


def test_distance_is_zero_only_for_the_same_picture(training) -> None:
    a, weight = torch.rand(1, 4, 8, 8), torch.ones(1, 1, 8, 8)
    assert training.distance(a, a, weight) == 0
    flat = training.distance(a, a + 0.1, weight)
    assert flat.item() == pytest.approx(0.1, abs=1e-5)
    assert training.distance(a, a + 0.1 * torch.rand(1, 4, 8, 8).sign() * (-1) ** torch.arange(8), weight) > flat


def test_sizes_follow_the_time_spent(training) -> None:
    minutes = [1.0, 2.0, 4.0]
    assert training.stage_of(0, minutes) == (0, 0)
    assert training.stage_of(60, minutes) == (1, 0)
    assert training.stage_of(120, minutes) == (1, 0.5)
    assert training.stage_of(60 * 7, minutes) == (2, 1.0)


def test_a_few_steps_learn(training, faces, model) -> None:
    optimiser = torch.optim.Adam(model.parameters(), lr=4e-4, betas=(0.5, 0.99))
    losses = []
    for _ in range(8):
        loss = training.loss_of(model, faces, np.arange(8), 64).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_the_critic_takes_its_share_of_the_gradient_and_learns_to_tell_apart(training, faces, model) -> None:
    run = training.Training(faces, "cpu", eager=True)
    made = torch.rand(2, 4, 64, 64, requires_grad=True)
    wanted = torch.rand(2, 4, 64, 64)
    far = (made - wanted).abs().mean()
    both = critic_module().balanced(far, run.critic(made, wanted).mean(), made, 0.1)
    alone, together = (torch.autograd.grad(loss, made, retain_graph=True)[0] for loss in (far, both))
    torch.testing.assert_close((together - alone).norm(), 0.1 * alone.norm(), rtol=1e-3, atol=0)
    told = []
    for _ in range(12):
        run.critic_optimiser.zero_grad()
        loss = critic_module().telling_apart(run.critic, wanted, made.detach())
        loss.backward()
        run.critic_optimiser.step()
        told.append(loss.item())
    assert told[-1] < told[0]


@pytest.mark.parametrize("bf16", [False, True])
def test_a_step_with_the_critic_changes_both_networks(training, faces, bf16: bool) -> None:
    run = training.Training(faces, "cpu", eager=True, bf16=bf16)
    before = [part.detach().clone() for part in (run.model.generator.convs[0].weight, next(run.critic.parameters()))]
    run.take(64, 2, 1e-3, sharpen=True)
    weights = [run.model.generator.convs[0].weight, *run.critic.parameters()]
    assert run.step == 1 and np.isfinite(run.loss) and all(w.grad is not None for w in weights)
    assert not torch.equal(before[0], weights[0]) and not torch.equal(before[1], next(run.critic.parameters()))


@torch.no_grad()
def test_only_what_is_convolved_is_in_bfloat16(training, faces) -> None:
    torch.manual_seed(1)
    exact = training.Training(faces, "cpu", eager=True)
    rounded = training.Training(faces, "cpu", eager=True, bf16=True)
    rounded.model.load_state_dict(exact.model.state_dict())
    attributes, motion, _, _ = faces.batch(np.arange(2), 128)
    (want, points), (got, same) = (
        run.model.generator(training.mixed_codes(run.model, attributes, False), motion, 128) for run in (exact, rounded)
    )
    torch.testing.assert_close(same, points, rtol=0, atol=0)
    for one, other in zip(got, want, strict=True):
        assert one.dtype == torch.float32 and 0 < (one - other).abs().mean() < 0.02 * other.std()


def critic_module():
    from tools import critic

    return critic


def test_quality_is_told_on_people_who_were_held_out(training, heads: Path, model) -> None:
    ratio, iou = training.evaluate(model, training.Faces(heads, "held_out"), 64)
    assert 0 < ratio < 60 and 0 <= iou <= 1


def test_a_stopped_training_goes_on(
    training, heads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "checkpoint.pt"

    def run(minutes: float) -> dict:
        arguments = ["--eager", "--data", str(heads), "--out", str(tmp_path), "--minutes", str(minutes), "0", "0"]
        monkeypatch.setattr(sys, "argv", ["train_generator", *arguments])
        training.main()
        return torch.load(file, weights_only=True)

    first = run(1e-4)
    assert first["step"] == 1 and first["spent"] >= 0.006
    second = run(first["spent"] / 60 + 1e-4)
    assert second["step"] == 2 and second["spent"] > first["spent"]
    steps = {int(state["step"]) for state in second["optimiser"]["state"].values()}
    assert max(steps) == 2, "the optimiser's memory goes on too"
    third = run(1e-4)
    assert third["step"] == 2, "a training that is done stays as it is"
    assert set(second["average"]) == {"n_averaged", *(f"module.{name}" for name in second["model"])}
    assert "64 px, step 2, loss" in capsys.readouterr().out and not list(tmp_path.glob("*.new"))

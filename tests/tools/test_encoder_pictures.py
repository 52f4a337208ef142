"""Pictures that the encoder is trained on: still pictures, still the same people, filmed otherwise."""

from __future__ import annotations

import pytest
import torch

from engines.attributes import PERSONAL

pytestmark = pytest.mark.usefixtures("face_world", "one_thread")


@pytest.fixture(scope="module")
def training(face_world):
    from tools import train_encoder

    return train_encoder


@pytest.fixture(scope="module")
def rooms(face_world):
    from tools import encoder_rooms

    return encoder_rooms


def test_pictures_are_reduced_and_premultiplied(pictures, faces) -> None:
    small = pictures.reduced(faces)
    assert small.shape == (8, 4, pictures.SIZE, pictures.SIZE) and small.dtype == torch.uint8
    assert (small[:, :3] <= small[:, 3:].int() + 1).all()


def test_what_is_around_has_the_ranges_it_says(pictures, rooms) -> None:
    around, again = (rooms.surroundings(6, torch.Generator().manual_seed(4)) for _ in range(2))
    size = pictures.SIZE
    assert around.rooms.shape == around.noise.shape == (6, 3, size, size)
    assert around.light.shape == around.texture.shape == (6, 1, size, size)
    assert around.rooms.min() >= 0 and around.rooms.max() <= 1
    assert max(around.light.abs().max(), around.texture.abs().max()) <= 1
    for one, other in zip(around, again, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_augmented_pictures_are_pictures(training, pictures, rooms, faces) -> None:
    rgba, truth = pictures.reduced(faces).float() / 255, training.truth(faces)

    def seen_by(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        around = rooms.surroundings(6, generator)
        return pictures.augment(rgba.repeat(8, 1, 1, 1), truth.repeat(8, 1), around, generator)

    seen, wanted = seen_by(1)
    assert seen.shape == (64, 3, pictures.SIZE, pictures.SIZE)
    assert seen.min() >= 0 and seen.max() <= 1 and torch.isfinite(seen).all()
    torch.testing.assert_close(seen_by(1)[0], seen)
    middle = slice(pictures.SIZE // 3, pictures.SIZE // 2)
    off = (seen.median(0).values - rgba[:, :3].repeat(8, 1, 1, 1).median(0).values)[:, middle, middle]
    assert off.abs().mean() < 0.2, "the heads are still there"
    same = [i for i in range(len(PERSONAL)) if i not in (pictures.LIGHT_X, *pictures.PAINTED)]
    torch.testing.assert_close(wanted[:, same], truth.repeat(8, 1)[:, same])
    unknown = wanted.isnan()
    assert 0 < unknown[:, pictures.PAINTED].float().mean() < 0.5, "other colours, which are not asked for"
    assert not unknown[:, same].any()


def test_some_pictures_stay_as_drawn(pictures, rooms) -> None:
    size = pictures.SIZE
    rgba = torch.zeros(96, 4, size, size)
    rgba[:, :, 40:90, 50:60], rgba[:, :3, 40:90, 50:60] = 1, 0.25
    generator = torch.Generator().manual_seed(2)
    seen, _ = pictures.augment(rgba, torch.zeros(96, len(PERSONAL)), rooms.surroundings(4, generator), generator)
    box = torch.stack([seen, seen.flip(3)])[:, :, :, 41:89, 51:59]
    exact = ((box - 0.25).abs().amax((2, 3, 4)) < 1e-3).any(0).float().mean()
    assert 0.3 * pictures.PLAIN < exact < 3 * pictures.PLAIN


def test_smoothing_takes_strands_away_and_keeps_edges(pictures, rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "SMOOTHED", 1.0)
    size = pictures.SIZE
    none = torch.zeros(1, 1, size, size)
    around = rooms.Surroundings(none, none, none, none)
    head = 0.3 + 0.04 * (torch.arange(size) // 2 % 2).float().expand(4, 3, size, size)
    head[:, :, :, size // 2 :] += 0.5
    smooth = pictures.textured(head, around, torch.Generator().manual_seed(1))
    strands, edge = slice(8, size // 2 - 8), slice(size // 2 - 1, size // 2 + 1)
    assert (smooth[..., strands].std(3) < 0.75 * head[..., strands].std(3)).all()
    assert (smooth[..., edge].diff(dim=3) > 0.8 * head[..., edge].diff(dim=3)).all()


def test_hair_along_the_sides_is_no_headphones(pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "OVERGROWN", 1.0)
    size = pictures.SIZE
    opaque = torch.zeros(4, 1, size, size)
    opaque[:, :, 20:, 30:98] = 1
    head, wanted = opaque.expand(-1, 3, -1, -1) * 0.8, torch.zeros(4, len(PERSONAL))
    wanted[:, pictures.HAIR], wanted[2, pictures.EARS_SHOW[0]], wanted[3, pictures.EARS_SHOW[1]] = 0.02, 1.0, 1.0
    grown = pictures.overgrown(head, opaque, wanted, torch.Generator().manual_seed(1))
    changed = (grown - head).abs().amax(1) > 0.3
    assert changed[:2, 40, 30].all() and not changed[:, 40:, 50:78].any() and not changed[:, 115:].any()
    assert not changed[2:].any(), "headphones and bald heads stay as they are"
    assert (grown <= opaque).all()


def test_a_wide_open_mouth_is_no_beard(pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "GAPING", 1.0)
    head, wanted = torch.full((6, 3, pictures.SIZE, pictures.SIZE), 0.6), torch.zeros(6, len(PERSONAL))
    wanted[4, pictures.BEARDS[0]], wanted[5, pictures.BEARDS[2]] = 1.0, 0.5
    seen = pictures.gaping(head, wanted, torch.Generator().manual_seed(1))
    dark = seen.amax(1) < 0.35
    assert dark[:4].flatten(1).any(1).all() and not dark[4:].any(), "bearded ones keep what is asked for"
    assert not dark[:, : pictures.SIZE // 3].any() and seen.min() >= 0 and seen.max() <= 1


def test_a_random_filter_keeps_shapes_and_changes_colours(pictures) -> None:
    size = pictures.SIZE
    picture = torch.full((8, 3, size, size), 0.2)
    picture[:, 0, 30:90, 30:90] = 0.9
    other = pictures.refiltered(picture, torch.Generator().manual_seed(3))
    assert other.min() >= 0 and other.max() <= 1 and pictures.refiltered(picture[:0], torch.Generator()).shape[0] == 0
    inside, outside = other[:, :, 40:80, 40:80], other[:, :, 100:120, 100:120]
    assert max(inside.std((2, 3)).max(), outside.std((2, 3)).max()) < 1e-3
    assert ((inside.mean((2, 3)) - outside.mean((2, 3))).abs().amax(1) > 0.1).all()
    assert (other - picture).abs().mean((2, 3)).amax(1).min() > 0.01


def test_mirrored_heads_have_the_light_from_the_other_side(pictures, rooms) -> None:
    size = pictures.SIZE
    rgba = torch.zeros(64, 4, size, size)
    rgba[:, :, :, : size // 2] = 1  # all on the left
    truth = torch.ones(64, len(PERSONAL))
    black = torch.zeros(1, 3, size, size)
    around = rooms.Surroundings(black, black[:, :1], black[:, :1], black)
    seen, wanted = pictures.augment(rgba, truth, around, torch.Generator().manual_seed(2))
    light = wanted[:, pictures.LIGHT_X]
    assert set(light.tolist()) == {-1.0, 1.0}
    rows = seen[:, :, size // 4 : size // 2].mean((1, 2))
    left = rows[:, size // 8 : size // 4].mean(1) > rows[:, -size // 4 : -size // 8].mean(1)
    assert ((light > 0) == left).float().mean() > 0.9

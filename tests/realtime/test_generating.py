"""The generator: a head that does what its code says, where its code says."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engines.attributes import ATTRIBUTES
from engines.bundled import LAYERS, load
from engines.motion import AT_REST
from realtime.demo import ACTOR
from realtime.frames import Latent
from realtime.generating import Generator, of_portrait
from realtime.painting import draw as put

PLACE = np.array([[1.5, 0, 20], [0, 1.5, 30]])
EYES, TORSO = (slice(92, 130), slice(75, 181)), (slice(218, 256), slice(60, 196))


@pytest.mark.parametrize("scale", [2.3, 1.0, 0.4])
def test_a_finer_portrait_lies_where_the_coarse_one_does(scale: float) -> None:
    small = np.zeros((256, 256, 4), np.uint8)
    cv2.circle(small, (110, 140), 70, (40, 160, 220, 255), -1, cv2.LINE_AA)
    small = cv2.GaussianBlur(small, (0, 0), 3)
    large = cv2.resize(small, (512, 512), interpolation=cv2.INTER_LINEAR)
    place, pictures = np.array([[scale, 0, 20.3], [0, scale, 31.7]]), []
    for portrait in (small, large):
        pictures.append(np.full((700, 700, 3), 90, np.uint8))
        put(pictures[-1], np.asarray(portrait, np.uint8), of_portrait(place, 256, portrait.shape[0]))
    one, two = (picture.mean(2) - 90 for picture in pictures)
    for axis in (0, 1):  # the middle of what was drawn
        at = np.arange(700)
        middles = [(each.sum(1 - axis) @ at) / each.sum() for each in (one, two)]
        assert abs(middles[0] - middles[1]) < 0.06 + 0.02 * scale
    assert np.abs(one - two).max() < 12
    assert of_portrait(place, 256, 256) is place


@pytest.fixture(scope="module")
def actor() -> np.ndarray:
    person = np.array([[ACTOR.get(name, 0.0) for name in ATTRIBUTES]], np.float32)
    return np.repeat(load("toon").mapping.infer(person)[0], LAYERS, axis=0)


def draw(wplus: np.ndarray, **motion: float) -> np.ndarray:
    """What is seen on grey, float [256, 256, 4]: BGR over grey and alpha."""
    code = np.array(list({**AT_REST, **motion}.values()), np.float32)
    pixels = Generator(load("toon")).generate(Latent(7, 8, wplus, code, PLACE, False)).pixels.astype(float)
    alpha = pixels[..., 3:] / 255
    return np.concatenate([pixels[..., :3] * alpha + 128 * (1 - alpha), pixels[..., 3:]], -1)


def change(a: np.ndarray, b: np.ndarray, where: tuple[slice, slice]) -> float:
    return float(np.abs(a - b)[where].mean())


def test_a_portrait_carries_its_frame_and_place(actor: np.ndarray) -> None:
    latent = Latent(7, 8, actor, np.array(list(AT_REST.values()), np.float32), PLACE, True)
    portrait = Generator(load("toon")).generate(latent)
    assert (portrait.frame_id, portrait.captured_ns) == (7, 8) and portrait.transform is PLACE
    assert portrait.pixels.shape == (256, 256, 4) and portrait.pixels.dtype == np.uint8


def test_portraits_drawn_together_are_those_drawn_one_by_one(actor: np.ndarray) -> None:
    rest, generator = np.array(list(AT_REST.values()), np.float32), Generator(load("toon"))
    latents = [Latent(k, 8, actor * (1 - k / 4), rest * (1 - k / 2), PLACE + k, True) for k in range(3)]
    together = generator.generate_all(latents)
    for latent, portrait in zip(latents, together, strict=True):
        alone = generator.generate(latent)
        assert portrait.frame_id == latent.frame_id and portrait.transform is latent.transform
        np.testing.assert_array_equal(portrait.pixels, alone.pixels)
    assert not np.array_equal(together[0].pixels, together[1].pixels)


def test_alpha_is_a_head_in_the_middle(actor: np.ndarray) -> None:
    alpha = draw(actor)[..., 3]
    assert alpha[80:165, 105:151].min() > 200
    assert max(alpha[:20, :60].max(), alpha[:20, -60:].max(), alpha[100:150, :20].max(), alpha[:4].max()) < 60
    assert alpha[-4:, 100:156].min() > 200, "the shoulders reach the lower edge"


def test_eyes_close(actor: np.ndarray) -> None:
    open_, closed = draw(actor), draw(actor, eye_l=0.0, eye_r=0.0)
    assert change(open_, closed, EYES) > 3 * change(open_, closed, TORSO)
    assert change(open_, closed, EYES) > 1


def test_turning_the_head_moves_its_silhouette(actor: np.ndarray) -> None:
    left, right = (draw(actor, roll=roll)[:90, :, 3] > 128 for roll in (0.4, -0.4))
    columns = np.arange(256)
    assert (left * columns).sum() / left.sum() < (right * columns).sum() / right.sum() - 8


def test_glasses_change_the_eyes_more_than_the_torso(actor: np.ndarray) -> None:
    direction = load("toon").directions["glasses"]
    bare, worn = draw(actor), draw(actor + direction.wplus)
    assert change(bare, worn, EYES) > 2 * change(bare, worn, TORSO)

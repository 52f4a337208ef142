"""Edges of drawn heads: the colour of what is opaque beside them."""

import cv2
import numpy as np
import pytest
import torch

from engines.edges import clean_edges, clean_edges_of

SKIN = np.array([110, 150, 200], np.uint8)


def disc(size=64, radius=20.0, soft=1.5):
    """Alpha of a disc, uint8."""
    y, x = np.mgrid[:size, :size] - size / 2
    return np.round(255 * np.clip((radius - np.hypot(x, y)) / soft + 0.5, 0, 1)).astype(np.uint8)


def head(fringe=(20, 20, 20)):
    """A head of one colour whose partly clear pixels have another."""
    alpha = disc()
    bgra = np.empty((*alpha.shape, 4), np.uint8)
    bgra[..., :3] = np.where(alpha[..., None] > 180, SKIN, np.array(fringe, np.uint8))
    bgra[..., 3] = alpha
    return bgra


def premultiplied(bgra):
    alpha = bgra[..., 3:] / np.float32(255)
    return torch.from_numpy(np.concatenate([bgra[..., 2::-1] / np.float32(255) * alpha, alpha], 2))[None]


def over(bgra, under):
    alpha = bgra[..., 3:] / 255
    return bgra[..., :3] * alpha + under * (1 - alpha)


@pytest.mark.parametrize("fringe", [(20, 20, 20), (255, 255, 255)])
@pytest.mark.parametrize("under", [0.0, 255.0])
def test_a_fringe_takes_the_colour_of_the_head(fringe, under) -> None:
    true = head(SKIN)
    before, after = (
        np.abs(over(one, under) - over(true, under)).max() for one in (head(fringe), clean_edges(head(fringe)))
    )
    assert before > 50 and after < before / 4


def test_what_is_opaque_and_alpha_stay_as_they_are() -> None:
    random = np.random.default_rng(0)
    bgra = head()
    bgra[..., :3] = random.integers(0, 256, (64, 64, 3))
    bgra[..., :3] = cv2.blur(bgra[..., :3], (3, 3))
    got = clean_edges(bgra)
    opaque = bgra[..., 3] == 255
    assert np.array_equal(got[opaque], bgra[opaque]) and np.array_equal(got[..., 3], bgra[..., 3])


def test_what_is_thin_keeps_its_colour() -> None:
    """A hoop's wire is nowhere opaque."""
    bgra = np.zeros((32, 32, 4), np.uint8)
    bgra[10:12] = (40, 180, 220, 120)
    assert np.abs(clean_edges(bgra)[10:12].astype(int) - bgra[10:12]).max() <= 5


def test_a_gpu_does_the_same() -> None:
    bgra = head()
    bgra[..., :3] = cv2.add(bgra[..., :3], np.mgrid[:64, :64][1][..., None].repeat(3, 2).astype(np.uint8))
    wanted, got = premultiplied(clean_edges(bgra)), clean_edges_of(premultiplied(bgra))
    assert (got - wanted)[..., :3].abs().max() < 4 / 255 and torch.equal(got[..., 3], wanted[..., 3])


def test_what_is_beyond_the_range_is_limited() -> None:
    rgba = torch.randn(2, 16, 16, 4, generator=torch.Generator().manual_seed(0)) * 2
    got = clean_edges_of(rgba)
    assert got.isfinite().all() and got.min() >= 0 and (got[..., :3] <= got[..., 3:] + 1e-5).all() and got.max() <= 1

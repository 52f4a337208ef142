"""Inversion on a small linear generator, where the best code is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from engines import inversion

ROWS, DIM, SIZE = 3, 6, 16


class Linear:
    """Each row of W+ adds a picture of its own; W lies in an ellipsoid."""

    def __init__(self) -> None:
        random = torch.Generator().manual_seed(0)
        self.module: nn.Module = nn.Linear(ROWS * DIM, 3 * SIZE * SIZE)
        nn.init.normal_(self.module.weight, std=0.05, generator=random)
        nn.init.constant_(self.module.bias, 0.5)
        self.module.requires_grad_(False)
        self.spread = torch.linspace(0.5, 2.0, DIM)

    def draw(self, wplus: Tensor) -> Tensor:
        return self.module(wplus.flatten(1)).view(-1, 3, SIZE, SIZE)

    def samples(self, count: int, seed: int) -> Tensor:
        return 1 + self.spread * torch.randn(count, DIM, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def generator() -> Linear:
    return Linear()


@pytest.fixture
def region(generator: Linear) -> inversion.Region:
    return inversion.region_of(generator.samples(4000, 0))


MASK = torch.ones(1, 1, SIZE, SIZE)


def find(generator: Linear, region: inversion.Region, editability: float, far: float = 2.0) -> inversion.Inverted:
    """Invert the picture of a code whose rows differ and lie far out."""
    random = torch.Generator().manual_seed(5)
    target = generator.draw(region.code(far * torch.randn(ROWS, DIM, generator=random))[None])
    start = region.mean.expand(ROWS, -1).clone()
    return inversion.invert(generator, target, MASK, start, region, editability=editability, steps=150)


def test_usual_codes_are_one_away_from_the_centre(generator: Linear, region: inversion.Region) -> None:
    assert region.distance(generator.samples(500, 3)) == pytest.approx(1.0, abs=0.05)
    assert region.distance(region.mean[None]) == pytest.approx(0.0, abs=1e-4)
    code = generator.samples(4, 1)
    torch.testing.assert_close(region.code(region.whitened(code)), code, rtol=1e-4, atol=1e-4)


def test_a_region_needs_codes() -> None:
    with pytest.raises(ValueError, match=r"codes have shape \[1, 6\]; wanted \[n, dim\] with n of 2 or more"):
        inversion.region_of(torch.zeros(1, DIM))


def test_without_a_price_the_picture_is_found(generator: Linear, region: inversion.Region) -> None:
    found = find(generator, region, 0.0)
    assert found.error < 0.1 * found.start_error
    assert found.start_distance == pytest.approx(0, abs=1e-4) and found.distance > 1.5


def test_editability_keeps_codes_near_and_rows_together(generator: Linear, region: inversion.Region) -> None:
    results = [find(generator, region, editability) for editability in (0.0, 0.5, 1.0)]
    errors, distances = [r.error for r in results], [r.distance for r in results]
    spreads = [float(region.whitened(r.wplus).std(0).mean()) for r in results]
    assert errors[0] - 1e-3 < errors[1] < errors[2]
    assert distances == sorted(distances, reverse=True) and distances[2] < 0.9 * distances[0]
    assert spreads == sorted(spreads, reverse=True) and spreads[2] < 0.8 * spreads[0]


def test_only_what_the_mask_shows_counts(generator: Linear, region: inversion.Region) -> None:
    mask = torch.zeros(1, 1, SIZE, SIZE)
    mask[..., :8] = 1
    one, other = torch.rand(1, 3, SIZE, SIZE), torch.rand(1, 3, SIZE, SIZE)
    mixed = torch.where(mask > 0, one, other)
    assert inversion.mean_error(mixed, one, mask) == 0
    assert float(inversion.difference(one, one, MASK)) == 0
    assert float(inversion.difference(mixed, other, mask)) > 0


@pytest.mark.parametrize("editability", [-0.1, 1.1, math.nan])
def test_editability_has_a_range(generator: Linear, region: inversion.Region, editability: float) -> None:
    with pytest.raises(ValueError, match="editability is .*; wanted 0 to 1"):
        find(generator, region, editability)


@pytest.mark.parametrize("mask", [torch.zeros(1, 1, SIZE, SIZE), torch.ones(1, 1, 8, 8)])
def test_a_mask_must_fit(generator: Linear, region: inversion.Region, mask: Tensor) -> None:
    with pytest.raises(ValueError, match="the mask has shape .* not all zero"):
        inversion.invert(generator, torch.zeros(1, 3, SIZE, SIZE), mask, region.mean.expand(ROWS, -1), region)


def test_effects_of_edits_are_shares_of_the_usual() -> None:
    def squashed(wplus: Tensor) -> Tensor:
        return torch.tanh(wplus)

    usual, far, direction = torch.zeros(ROWS, DIM), torch.full((ROWS, DIM), 2.0), torch.full((ROWS, DIM), 0.1)
    assert inversion.edit_effect(squashed, usual, usual, direction) == pytest.approx(1.0)
    assert 0.0 < inversion.edit_effect(squashed, far, usual, direction) < 0.2
    assert inversion.edit_effect(lambda w: w.abs(), far - 4, usual, direction) == pytest.approx(-1.0, rel=1e-4)


def test_tuning_draws_the_target_and_locality_keeps_other_codes(region: inversion.Region) -> None:
    changes = []
    for locality in (0.0, 3.0):
        generator = Linear()
        pivot = region.mean.expand(ROWS, -1).clone()
        random = torch.Generator().manual_seed(1)
        target = generator.draw(pivot[None]) + 0.2 * torch.rand(1, 3, SIZE, SIZE, generator=random)
        others = generator.samples(20, 9)[:, None].expand(-1, ROWS, -1)
        before, start = generator.draw(others), inversion.mean_error(generator.draw(pivot[None]), target, MASK)
        after = inversion.tune(generator, pivot, target, MASK, steps=60, locality=locality)
        assert after < start
        changes.append(float((generator.draw(others) - before).abs().mean()))
        assert not any(p.requires_grad for p in generator.module.parameters())
    assert changes[1] < 0.9 * changes[0]

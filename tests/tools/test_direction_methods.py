"""Each method finds what was put into made-up codes."""

from __future__ import annotations

import numpy as np
import pytest

from tools.direction_methods import boundary, channel_scores, channel_step, components, paired, without

RNG = np.random.default_rng(0)
DIM = 24
AXES = np.linalg.qr(RNG.normal(size=(DIM, DIM)))[0].T.astype(np.float32)  # rows are orthonormal


def codes(count: int, spreads: np.ndarray) -> np.ndarray:
    return (RNG.normal(size=(count, DIM)) * spreads @ AXES + 0.7).astype(np.float32)


def test_pairs_give_their_mean_difference_and_how_alike_they_are() -> None:
    low = codes(200, np.ones(DIM))
    direction, alike = paired(low, low + 3 * AXES[0])
    np.testing.assert_allclose(direction, 3 * AXES[0], atol=1e-5)
    assert alike == pytest.approx(1, abs=1e-5)
    direction, alike = paired(low, low + 3 * AXES[0] + RNG.normal(0, 2, low.shape).astype(np.float32))
    assert 0.2 < alike < 0.5 and direction @ AXES[0] > 2.5


def test_a_boundary_is_found_and_judged_on_codes_it_has_not_seen() -> None:
    known = codes(800, np.linspace(0.2, 3, DIM))
    along = (known - 0.7) @ AXES[5]
    found = boundary(known, along > 0.1)
    assert found.normal @ AXES[5] > 0.97 and found.accuracy > 0.9
    assert np.linalg.norm(found.normal) == pytest.approx(1, abs=1e-5)
    assert found.spread == pytest.approx(along.std(), rel=0.15)
    chance = boundary(known, RNG.random(800) > 0.5)
    assert abs(chance.accuracy - 0.5) < 0.12, "labels that mean nothing cannot be told"


def test_rare_labels_count_as_much_as_frequent_ones() -> None:
    known = codes(1000, np.ones(DIM))
    found = boundary(known, (known - 0.7) @ AXES[2] > 1.6)
    assert found.normal @ AXES[2] > 0.8 and found.accuracy > 0.85


def test_a_boundary_needs_codes_of_both_kinds() -> None:
    for labels in (np.zeros(50, bool), np.arange(50) < 3, np.zeros(49, bool)):
        with pytest.raises(ValueError, match="wanted one label a code, and four or more codes of each kind"):
            boundary(codes(50, np.ones(DIM)), labels)


def test_what_is_taken_out_is_out() -> None:
    mixed = AXES[0] + 0.8 * AXES[1] - 0.3 * AXES[2]
    pure = without(mixed, [AXES[1], AXES[1] + AXES[2]])
    np.testing.assert_allclose(pure, AXES[0], atol=1e-5)
    assert without(mixed, []) is mixed


def test_principal_components_come_strongest_first() -> None:
    spreads = np.linspace(0.1, 4, DIM)[::-1]
    found = components(codes(5000, spreads), 3)
    np.testing.assert_allclose(np.abs(np.sum(found.components * AXES[:3], axis=1)), 1, atol=0.1)
    np.testing.assert_allclose(found.std, spreads[:3], rtol=0.06)
    np.testing.assert_allclose(found.mean, 0.7, atol=0.2)


def test_the_channel_that_tells_a_label_comes_first_and_a_step_moves_it_alone() -> None:
    known = codes(600, np.ones(DIM))
    layers = [RNG.normal(size=(12, DIM)).astype(np.float32) for _ in range(3)]
    styles = known @ layers[1].T
    found = channel_scores(known, styles[:, 7] > np.median(styles[:, 7]), layers)
    assert (found[0].layer, found[0].number) == (1, 7) and found[0].score > 1.4
    assert len(found) == 36 and abs(found[1].score) < found[0].score
    moved = layers[1] @ channel_step(layers[1], 7)
    np.testing.assert_allclose(moved, np.eye(12)[7], atol=1e-4)


def test_a_layer_with_more_styles_than_dimensions_is_moved_as_well_as_can_be() -> None:
    wide = RNG.normal(size=(60, DIM)).astype(np.float32)
    moved = wide @ channel_step(wide, 11)
    assert moved[11] == moved.max() > 0.2 and np.abs(np.delete(moved, 11)).max() < moved[11]

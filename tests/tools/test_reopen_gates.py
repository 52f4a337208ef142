"""What a trained generator lost is told to it again: exactly, and without a change to anybody else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.attributes import column
from engines.map_order import COORDINATES
from engines.portrait import DIM

pytestmark = [pytest.mark.usefixtures("face_world"), pytest.mark.usefixtures("one_thread")]


def people(count: int) -> torch.Tensor:
    from tools.face_world import index
    from tools.face_world.sampling import person
    from tools.train_generator import attribute_names

    rows = np.stack([person(np.random.default_rng(seed)) for seed in range(count)])
    return torch.from_numpy(rows[:, [index(name) for name in attribute_names()]])


def test_unused_directions_are_where_codes_do_not_move_and_not_their_mean() -> None:
    from tools.reopen_gates import unused

    codes = torch.randn(500, DIM, generator=torch.Generator().manual_seed(0))
    codes[:, 7], codes[:, 9] = 0.001 * codes[:, 7], 40.0
    found = unused(codes, 2)
    torch.testing.assert_close(found @ found.T, torch.eye(2), atol=1e-4, rtol=0)
    assert abs(float(found[0, 7])) > 0.99 and float(found[:, 9].abs().max()) < 0.05


def test_what_is_blind_sees_the_mean_whatever_is_there() -> None:
    from engines.portrait import PortraitGenerator
    from tools.reopen_gates import blind

    torch.manual_seed(0)
    generator, mean = PortraitGenerator().eval(), torch.randn(DIM)
    directions = torch.linalg.qr(torch.randn(DIM, 2))[0].T.contiguous()
    usual = torch.randn(3, DIM)
    usual += (mean - usual) @ directions.T @ directions  # along the directions as the mean is
    moved = usual + torch.randn(3, 2) @ directions
    layers = [generator.convs[3].affine, generator.painted.affine, generator.worn[1], generator.cover.colours]
    before = [layer(usual) for layer in layers]
    rest = generator.geometry(usual, torch.zeros(3, 21))
    blind(generator, directions, mean)
    for layer, was in zip(layers, before, strict=True):
        torch.testing.assert_close(layer(usual), was, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(layer(moved), was, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(generator.geometry(moved, torch.zeros(3, 21)), rest, atol=1e-4, rtol=1e-4)


def test_gates_become_the_attribute_and_paint_follows() -> None:
    from tools.reopen_gates import MAPS_OF, reopen, unused
    from tools.train_generator import Model

    torch.manual_seed(0)
    model, attributes = Model().eval(), people(300)
    model.mapping.mean.data, model.mapping.spread.data = attributes.mean(0), attributes.std(0) + 0.02
    paints = {name: torch.rand(len(rows), 16) for name, rows in MAPS_OF.items()}
    directions = unused(model.mapping(attributes).detach(), len(paints))
    reopen(model, attributes, directions, paints)
    codes = model.mapping(attributes)
    for name, rows in MAPS_OF.items():
        amount = attributes[:, column(name)]
        for number, paint in zip(rows, paints[name], strict=True):
            row = COORDINATES + number
            for gate in model.generator.worn:
                torch.testing.assert_close(gate(codes)[:, row], amount, atol=2e-3, rtol=1e-3)
            painted = model.generator.painted.affine(codes)[:, 16 * row : 16 * row + 16]
            torch.testing.assert_close(painted, amount[:, None] * paint, atol=2e-3, rtol=1e-2)


def test_freckles_darken_and_earrings_are_gold_and_opaque_each_at_its_own_sub_pixel() -> None:
    from tools.reopen_gates import differences

    freckles, earrings = differences("freckles").view(4, 4).mean(1), differences("earrings").view(5, 4, 4)
    assert freckles[:3].max() < -0.05 and abs(float(freckles[3])) < 0.01
    own = torch.stack([earrings[i, :, i] for i in range(4)])
    assert (own[:, 3] > 0.85).all() and (own[:, 0] > own[:, 1]).all() and (own[:, 1] > own[:, 2]).all()
    assert torch.equal(earrings[:4] != 0, torch.eye(4, dtype=torch.bool)[:, None].expand(-1, 4, -1))
    assert 0 <= earrings[4, 3].mean() < 0.6 * own[:, 3].mean(), "on a head they hide what is drawn, not what is empty"

"""What a trained generator lost is told to it again: exactly, and without a change to anybody else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.attributes import column
from engines.map_order import WAVES
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
    from tools.reopen_gates import MAP_OF, reopen, unused
    from tools.train_generator import Model

    torch.manual_seed(0)
    model, attributes = Model().eval(), people(300)
    model.mapping.mean.data, model.mapping.spread.data = attributes.mean(0), attributes.std(0) + 0.02
    paint = torch.arange(16.0) / 16
    directions = unused(model.mapping(attributes).detach(), 2)
    reopen(model, attributes, directions, {"freckles": paint, "earrings": -paint})
    codes = model.mapping(attributes)
    for name, sign in (("freckles", 1), ("earrings", -1)):
        row, amount = WAVES + MAP_OF[name], attributes[:, column(name)]
        for gate in model.generator.worn:
            torch.testing.assert_close(gate(codes)[:, row], amount, atol=2e-3, rtol=1e-3)
        painted = model.generator.painted.affine(codes)[:, 16 * row : 16 * row + 16]
        torch.testing.assert_close(painted, sign * amount[:, None] * paint, atol=2e-3, rtol=1e-2)


def test_freckles_darken_and_earrings_are_gold_and_opaque() -> None:
    from tools.reopen_gates import differences

    freckles, earrings = (differences(name).view(4, 4).mean(1) for name in ("freckles", "earrings"))
    assert freckles[:3].max() < -0.05 and abs(float(freckles[3])) < 0.01
    assert earrings[3] > 0.9 and earrings[0] > earrings[1] > earrings[2] > 0.3

"""The spatial motion code: rotations, projection, the head's own coordinates, the drawn points."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from engines.motion import MOTION
from engines.rays import Rays
from engines.spatial_code import (
    CAMERA_Y,
    CAMERA_Z,
    FEATURES,
    GRID,
    POINTS,
    TILT,
    VIEW,
    drawing,
    head_coordinates,
    head_map,
    project,
    rays_of,
    rotation,
    slow_waves,
    torso_coordinates,
)  # fmt: skip


def motion(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> torch.Tensor:
    code = torch.zeros(1, len(MOTION))
    code[0, :3] = torch.tensor([yaw, pitch, roll])
    return code


def angle(value: float) -> torch.Tensor:
    return torch.tensor([value])


def test_rotations_are_rotations() -> None:
    turn = rotation(angle(0.4), angle(-0.2), angle(0.7))[0]
    torch.testing.assert_close(turn @ turn.T, torch.eye(3))
    assert torch.linalg.det(turn).item() == pytest.approx(1.0, abs=1e-5)


def test_angles_turn_the_way_they_are_said_to() -> None:
    zero, half = angle(0.0), angle(0.5)
    nose, crown = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([0.0, 1.0, 0.0])
    assert (rotation(half, zero, zero)[0] @ nose)[0] > 0.4, "yaw takes the nose to the picture's right"
    assert (rotation(zero, half, zero)[0] @ nose)[1] < -0.4, "pitch takes the nose down"
    assert (rotation(zero, zero, half)[0] @ crown)[0] < -0.4, "roll is counter-clockwise"


def test_the_camera_is_a_pinhole() -> None:
    points = torch.zeros(1, 4, 3)
    points[0, 0] = torch.tensor([0.3, 0.4, 0.5])
    x, y, depth = project(points, motion())[0, 0].tolist()
    away = CAMERA_Z - 0.5
    assert (x, y, depth) == pytest.approx((0.3 / away / VIEW, ((0.4 - CAMERA_Y) / away - TILT) / VIEW, 0.5))


def test_the_torso_follows_the_head_only_a_little() -> None:
    points = torch.zeros(1, POINTS, 3)
    points[0, 0] = points[0, -1] = torch.tensor([0.0, -1.2, 0.6])
    moved = project(points, motion(yaw=0.6))[0, :, 0] - project(points, motion())[0, :, 0]
    assert 0 < moved[-1] < 0.5 * moved[0]


def test_a_ray_through_the_middle_meets_the_proxy_in_front() -> None:
    rays = rays_of(motion(), 65)
    head, torso = head_coordinates(rays[0], 65), torso_coordinates(rays[1], 65)
    assert head.shape == torso.shape == (1, 4, 65, 65)
    x, y, z, half = head[0, :, 32, 32].tolist()
    assert abs(x) < 1e-3 and x * x + y * y + z * z == pytest.approx(1.0, abs=0.02) and z > 0.9 and half > 0.3
    assert head[0, 3, 0, 0] < 0.01, "outside of the head there is no chord"
    assert torso[0, 3, -1, 32] > 0.05 > torso[0, 3, 5, 32]


def test_coordinates_stick_to_the_turned_head() -> None:
    turned = head_coordinates(rays_of(motion(yaw=0.5), 65)[0], 65)[0, :3, 32, 32]
    assert turned[0] < -0.3, "the middle of the picture shows the side that came round"


def test_octaves_are_sines_of_doubled_angles() -> None:
    head = torch.rand(2, 4, 3, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    rows = slow_waves(head)
    assert rows.shape == (2, 18, 3, 3)
    for octave in range(3):
        phase = head[:, :3] * (math.pi * 2**octave)
        torch.testing.assert_close(rows[:, 6 * octave : 6 * octave + 3], phase.sin(), atol=1e-5, rtol=0)
        torch.testing.assert_close(rows[:, 6 * octave + 3 : 6 * octave + 6], phase.cos(), atol=1e-5, rtol=0)
    assert head_map(torch.rand(1, 48, 3), motion(), 8).shape == (1, FEATURES, 8, 8)


def test_a_quarter_of_a_pixel_leads_to_the_rays_of_a_picture_twice_as_large() -> None:
    """In a window of a picture, too."""
    turned, size = motion(yaw=0.4, roll=0.2), 32
    rays, twice = (rays_of(turned, s)[0] for s in (size, 2 * size))
    finer = twice.way.view(3, 2 * size, 2 * size)
    wanted = F.pixel_unshuffle(finer, 2).view(3, 4, size, size)

    def four(of: Rays, edge: int) -> torch.Tensor:
        right, down = (step[..., None] for step in of.quarters())
        ways = torch.stack([of.way + y * down + x * right for y in (-1, 1) for x in (-1, 1)], 2)
        return F.normalize(ways.view(3, 4, edge, edge), dim=0)

    assert float((four(rays, size) - wanted).abs().max()) < 4e-4 < 0.1 * VIEW / size
    window = rays.way.view(1, 3, size, size)[..., 8:20, 4:16].reshape(1, 3, -1)
    assert float((four(Rays(rays.start, window, rays.turn), 12) - wanted[..., 8:20, 4:16]).abs().max()) < 4e-4


def test_a_point_is_drawn_where_it_is() -> None:
    points = torch.zeros(1, 4, 3)
    points[0, 1] = torch.tensor([0.53, -0.22, 2.0])
    maps = drawing(points, motion(), torch.rand(1, FEATURES, 64, 64))
    assert maps.shape == (1, 2 * 4 + 48, GRID, GRID)
    place = int(maps[0, 1].argmax())
    assert (place % GRID, place // GRID) == (round((0.53 + 1) * 16 - 0.5), round((0.22 + 1) * 16 - 0.5))
    assert maps[0, 5].max() > 1.9, "the broad dot is weighted by depth"
    assert maps[0, 4].abs().max() == 0

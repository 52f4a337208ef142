"""The spatial motion code: where a pose and an expression put the head, drawn as maps for the portrait generator.

Tracked points become soft dots; the rest is where each picture point's ray meets a proxy of the head, in the head's own
coordinates, with Fourier features of these. The camera, the joints and the order of rotations are those of
``tools/face_world``. Torch only; run time uses the exported ONNX file.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

GRID, TORSO_POINTS = 32, 3
VIEW, CAMERA_Y, CAMERA_Z, TILT = 0.31, -0.02, 5.2, -0.03  # the camera of tools/face_world/world.h


def rotation(yaw: Tensor, pitch: Tensor, roll: Tensor) -> Tensor:
    """Rz(roll) Rx(pitch) Ry(yaw): float32 [N], [N], [N] -> [N, 3, 3], head to camera."""
    cy, sy, cp, sp, cr, sr = yaw.cos(), yaw.sin(), pitch.cos(), pitch.sin(), roll.cos(), roll.sin()
    rows = [
        cr * cy - sr * sp * sy,
        -sr * cp,
        cr * sy + sr * sp * cy,
        sr * cy + cr * sp * sy,
        cr * cp,
        sr * sy - cr * sp * cy,
        -cp * sy,
        sp,
        cp * cy,
    ]
    return torch.stack(rows, 1).view(-1, 3, 3)


def head_and_torso(motion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rotations of head and torso [N, 3, 3] and the neck joint's place [N, 3] for a motion code [N, motion]."""
    yaw, pitch, roll = motion[:, 0], motion[:, 1], motion[:, 2]
    head = rotation(yaw, pitch, roll)
    torso = rotation(0.30 * yaw, 0.12 * pitch, 0.22 * roll)
    return head, torso, head @ motion.new_tensor([0.0, -0.92, -0.12])


def project(points: Tensor, motion: Tensor) -> Tensor:
    """Points at rest [N, points, 3], the last three in the torso's frame -> posed and projected [N, points, 3].

    The picture's x and y are -1..1 with y up; depth is in head units, towards the camera.
    """
    head, torso, joint = head_and_torso(motion)
    posed_head = points[:, :-TORSO_POINTS] @ head.transpose(1, 2)
    neck = points.new_tensor([0.0, 0.92, 0.12])
    posed_torso = (points[:, -TORSO_POINTS:] + neck) @ torso.transpose(1, 2) + joint[:, None]
    x, y, z = torch.cat([posed_head, posed_torso], 1).unbind(-1)
    depth = CAMERA_Z - z
    return torch.stack([x / depth / VIEW, ((y - CAMERA_Y) / depth - TILT) / VIEW, z], -1)


def ellipsoid_coordinates(motion: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Where each picture point's ray meets a proxy of the head, and of the torso, in that part's own frame.

    [N, motion] -> two maps [N, 4, size, size]: x, y, z of the first meeting (of the nearest approach where it misses)
    and the half chord, which is 0 outside. Smooth in the pose, so that what is painted with it sticks to the head.
    """
    axis = (torch.arange(size, device=motion.device, dtype=motion.dtype) + 0.5) / size * 2 - 1
    gx, gy = axis[None, :].expand(size, size), -axis[:, None].expand(size, size)
    ray = F.normalize(torch.stack([gx * VIEW, gy * VIEW + TILT, -torch.ones_like(gx)], -1).reshape(1, -1, 3), dim=-1)
    head, torso, joint = head_and_torso(motion)
    eye = motion.new_tensor([0.0, CAMERA_Y, CAMERA_Z])
    centre = motion.new_tensor([0.0, 0.92, 0.12])
    maps = []
    for turn, origin, middle, radii in (
        (head, eye @ head, (0.0, 0.05, -0.10), (0.92, 1.08, 0.98)),
        (torso, torch.einsum("ni,nij->nj", eye - joint, torso) - centre, (0.0, -1.95, -0.20), (1.25, 0.75, 0.55)),
    ):
        scale = 1 / motion.new_tensor(radii)
        o = ((origin - motion.new_tensor(middle)) * scale)[:, None]  # [N, 1, 3]
        d = (ray @ turn) * scale  # [N, pixels, 3]
        dd, od, oo = (d * d).sum(-1), (o * d).sum(-1), (o * o).sum(-1)
        half = (F.relu(od * od - dd * (oo - 1)) + 1e-6).sqrt() / dd
        t = -od / dd - half
        met = torch.cat([(o + d * t[..., None]), half[..., None] * 0.5], -1)
        maps.append(met.transpose(1, 2).reshape(-1, 4, size, size))
    return maps[0], maps[1]


def waves(head: Tensor, octaves: int) -> Tensor:
    """Fourier features of the head's coordinates: [N, 4, s, s] -> [N, 6 * octaves + 4, s, s].

    Sines and cosines of 2 pi, 4 pi, ... times x, y, z (octaves by the double-angle formulas), then of 26 times the
    angle along combed and along hanging hair.
    """
    angle = head[:, :3] * (2 * math.pi)
    sine, cosine = angle.sin(), angle.cos()
    rows = [sine, cosine]
    for _ in range(octaves - 1):
        sine, cosine = 2 * sine * cosine, 1 - 2 * sine * sine
        rows += [sine, cosine]
    comb = torch.atan2(head[:, :1] * 0.92, head[:, 1:2] * 1.08 + 0.20)
    hang = torch.atan2(head[:, :1] * 0.92, head[:, 2:3] + 0.05)
    strands = torch.cat([comb, hang], 1) * 26
    return torch.cat([*rows, *(f(a) for a in (strands[:, :1], strands[:, 1:]) for f in (torch.sin, torch.cos))], 1)


def slow_waves(head: Tensor) -> Tensor:
    """Three octaves from pi times the coordinates: [N, 4, s, s] -> [N, 18, s, s]."""
    angle = head[:, :3] * math.pi
    sine, cosine = angle.sin(), angle.cos()
    rows = [sine, cosine]
    for _ in range(2):
        sine, cosine = 2 * sine * cosine, 1 - 2 * sine * sine
        rows += [sine, cosine]
    return torch.cat(rows, 1)


def drawing(points: Tensor, motion: Tensor) -> Tensor:
    """The spatial motion code: [N, 2 * points + 26, 32, 32].

    Per tracked point a soft dot placed with sub-pixel precision and a broad one weighted by depth; then the coordinates
    of the head and torso proxies with three octaves of Fourier features.
    """
    axis = (torch.arange(GRID, device=motion.device, dtype=motion.dtype) + 0.5) / GRID * 2 - 1
    dx2 = (axis - points[..., 0:1]) ** 2  # [N, points, 32]
    dy2 = (-axis - points[..., 1:2]) ** 2
    narrow = torch.exp(dy2 * (-1 / (2 * 0.06**2)))[..., :, None] * torch.exp(dx2 * (-1 / (2 * 0.06**2)))[..., None, :]
    broad = torch.exp(dy2 * (-1 / (2 * 0.25**2)))[..., :, None] * torch.exp(dx2 * (-1 / (2 * 0.25**2)))[..., None, :]
    head, torso = ellipsoid_coordinates(motion, GRID)
    return torch.cat([narrow, broad * points[..., 2, None, None], head, torso, slow_waves(head)], 1)


def head_map(motion: Tensor, size: int) -> Tensor:
    """The head's coordinates with four octaves of Fourier features: [N, motion] -> [N, 32, size, size]."""
    head = ellipsoid_coordinates(motion, size)[0]
    return torch.cat([head, waves(head, 4)], 1)

"""The spatial motion code: where a pose and an expression put the head, drawn as maps for the portrait generator.

Tracked points become soft dots; the rest is where each picture point's ray meets a proxy of the head, in the head's own
coordinates, and what lies there. The camera, the joints and the order of rotations are those of
``tools/face_world``. Torch only; run time uses the exported ONNX file.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from engines import waveforms
from engines.detail_maps import MAPS, detail_maps
from engines.map_order import COARSE, COORDINATES
from engines.motion import MOTION
from engines.person import Person
from engines.rays import Rays

GRID, POINTS, TORSO_POINTS = 32, 44, 3
FEATURES = COORDINATES + MAPS
BROWS, MOUTH = (
    ("brow_l", "brow_r", "furrow"),
    ("jaw_open", "corner_l", "corner_r", "lip_upper", "lip_lower", "mouth_wide"),
)  # of the motion code
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
    """Points at rest [N, 44 or more, 3], the last three of 44 in the torso's frame -> posed and projected [N, 44, 3].

    The picture's x and y are -1..1 with y up; depth is in head units, towards the camera.
    """
    head, torso, joint = head_and_torso(motion)
    of_torso = POINTS - TORSO_POINTS
    posed_head = points[:, :of_torso] @ head.transpose(1, 2)
    neck = points.new_tensor([0.0, 0.92, 0.12])
    posed_torso = (points[:, of_torso:POINTS] + neck) @ torso.transpose(1, 2) + joint[:, None]
    x, y, z = torch.cat([posed_head, posed_torso], 1).unbind(-1)
    depth = CAMERA_Z - z
    return torch.stack([x / depth / VIEW, ((y - CAMERA_Y) / depth - TILT) / VIEW, z], -1)


def middles(like: Tensor, size: int) -> Tensor:
    """Where the middles of pixels lie along a picture's edge: [size], -1 to 1."""
    return (torch.arange(size, device=like.device, dtype=like.dtype) + 0.5) / size * 2 - 1


def rays_of(motion: Tensor, size: int, axis: Tensor | None = None) -> tuple[Rays, Rays]:
    """The rays of a picture of ``size``, in the head's frame and in the torso's (points at rest are shared).

    ``axis``: the pixels' middles [size], -1 to 1, where the caller made them.
    """
    axis = middles(motion, size) if axis is None else axis
    gx, gy = axis[None, :].expand(size, size), -axis[:, None].expand(size, size)
    ahead = 0 * gx - 1  # of gx, so that a file whose axis is given holds no plane of ones
    ray = F.normalize(torch.stack([gx * VIEW, gy * VIEW + TILT, ahead]).reshape(3, -1), dim=0)
    head, torso, joint = head_and_torso(motion)
    eye = motion.new_tensor([0.0, CAMERA_Y, CAMERA_Z])
    neck = motion.new_tensor([0.0, 0.92, 0.12])
    from_torso = torch.einsum("ni,nij->nj", eye - joint, torso) - neck
    return Rays(eye @ head, head.transpose(1, 2) @ ray, head), Rays(from_torso, torso.transpose(1, 2) @ ray, torso)


def coordinates(rays: Rays, middle: tuple[float, float, float], radii: tuple[float, float, float], size: int) -> Tensor:
    """Where rays first meet a proxy, in units of its radii from its middle, and half the chord: [N, 4, size, size].

    Smooth in the pose, so that what is painted with it sticks to the head.
    """
    centre, extent = rays.way.new_tensor([middle]), rays.way.new_tensor([radii])
    distance, half = rays.ellipsoids(centre, extent)
    place = (torch.cat(rays.at(distance), 1) - centre[0, :, None]) / extent[0, :, None]
    return torch.cat([place, half * 0.5], 1).view(-1, 4, size, size)


def head_coordinates(rays: Rays, size: int) -> Tensor:
    """The head's own coordinates [N, 4, size, size]."""
    return coordinates(rays, (0.0, 0.05, -0.10), (0.92, 1.08, 0.98), size)


def torso_coordinates(rays: Rays, size: int) -> Tensor:
    """The torso's own coordinates [N, 4, size, size]."""
    return coordinates(rays, (0.0, -1.95, -0.20), (1.25, 0.75, 0.55), size)


def slow_waves(head: Tensor) -> Tensor:
    """Three octaves from pi times the coordinates: [N, 4, s, s] -> [N, 18, s, s]."""
    angle = head[:, :3] * math.pi
    sine, cosine = waveforms.sine(angle), waveforms.cosine(angle)
    rows = [sine, cosine]
    for _ in range(2):
        sine, cosine = 2 * sine * cosine, 1 - 2 * sine * sine
        rows += [sine, cosine]
    return torch.cat(rows, 1)


def dot(squared: Tensor, width: float) -> Tensor:
    """A soft dot along one axis. Far away it stays a normal number: denormal ones slow a convolution down fivefold."""
    return torch.exp((squared * (-1 / (2 * width**2))).clamp(min=-35))


def drawing(points: Tensor, motion: Tensor, maps: Tensor) -> Tensor:
    """The spatial motion code's start: [N, 2 * points + 48, 32, 32].

    What :func:`drawn_points` gives, and the coarse ones of the detail maps (``maps`` at 64 px) at half their size.
    """
    coarse = F.avg_pool2d(torch.cat([maps[:, COORDINATES + i : COORDINATES + i + 1] for i in COARSE], 1), 2)
    return torch.cat([drawn_points(points, motion), coarse], 1)


def drawn_points(points: Tensor, motion: Tensor) -> Tensor:
    """The start without the maps: [N, 2 * points + 26, 32, 32].

    Per tracked point a soft dot placed with sub-pixel precision and a broad one weighted by depth; then the coordinates
    of the head and torso proxies with three octaves of Fourier features.
    """
    axis = (torch.arange(GRID, device=motion.device, dtype=motion.dtype) + 0.5) / GRID * 2 - 1
    dx2 = (axis - points[..., 0:1]) ** 2  # [N, points, 32]
    dy2 = (-axis - points[..., 1:2]) ** 2
    narrow, broad = (dot(dy2, width)[..., :, None] * dot(dx2, width)[..., None, :] for width in (0.06, 0.25))
    rays = rays_of(motion, GRID)
    head, torso = head_coordinates(rays[0], GRID), torso_coordinates(rays[1], GRID)
    return torch.cat([narrow, broad * points[..., 2, None, None], head, torso, slow_waves(head)], 1)


def head_map(rest: Tensor, motion: Tensor, size: int) -> Tensor:
    """The head's coordinates and the detail maps: [N, 62, size, size].

    ``rest`` are the points at rest and the hair's numbers [N, 48, 3], ``motion`` is [N, motion].
    """
    return map_along(rays_of(motion, size)[0], rest, motion, size)


def map_along(rays: Rays, rest: Tensor, motion: Tensor, size: int) -> Tensor:
    """:func:`head_map` of other rays in the head's frame, a square of ``size`` by ``size``.

    A head in natural proportions is narrower by up to 8 %, which the ears' places tell; everything is mapped in the
    width of the toon's.
    """
    width = ((rest[:, 33, :1] - rest[:, 16, :1]) / (2 * 0.83)).clamp(0.9, 1.02)
    unsqueezed = torch.cat([1 / width, torch.ones_like(width), torch.ones_like(width)], 1)
    rays = Rays(rays.start * unsqueezed, F.normalize(rays.way * unsqueezed[..., None], dim=1), rays.turn)
    head = head_coordinates(rays, size)
    gaze = motion[:, MOTION.index("gaze_x") : MOTION.index("gaze_y") + 1]
    brows, mouth = (torch.stack([motion[:, MOTION.index(name)] for name in names], 1) for names in (BROWS, MOUTH))
    at_rest, hair = rest[:, :POINTS] * unsqueezed[:, None], rest[:, POINTS:].flatten(1)
    person = Person(at_rest, gaze, (1 - width) / 0.08, hair, brows, mouth)
    maps = detail_maps(rays, person, size)
    return torch.cat([head, maps], 1)

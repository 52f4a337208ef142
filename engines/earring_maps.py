"""The map of earrings, by the formulas of ``earrings_field`` in ``tools/face_world/gear.h``.

Everybody has them on the map: the generator scales them by W+. Torch only; run time uses the exported ONNX file.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engines.rays import Rays, Screen, edge

_HOOP, _TILT = (0.850, -0.300, -0.14), (0.30, 0.954)  # the right one's middle; its plane's normal in x and z
_RADIUS, _WIRE = 0.095, 0.030  # of a hoop, and half its thickness with its rim of light


def earrings(rays: Rays, before: tuple[Screen, ...], covered: Tensor, head: Tensor) -> list[Tensor]:
    """Both hoops where they hang beside the head, at four sub-pixels (upper left, upper right, lower left, lower right)
    [N, 4, pixels], and where they lie on it [N, 1, pixels].

    before: what may stand before them. covered: 1 where something surely does, [N, 1, pixels]. head: 1 on the head,
    [N, 1, pixels].
    """
    left, right = (_one(rays, before, side) for side in (-1.0, 1.0))
    hoops = (left + right) * (1 - covered)
    return [hoops * (1 - head), hoops.mean(1, keepdim=True) * head]


def _one(rays: Rays, before: tuple[Screen, ...], side: float) -> Tensor:
    """The hoop of one side [N, 4, pixels]: how far from its middle a pixel's ray meets its plane, and how much that
    changes to the sub-pixels."""
    (x0, y0, z0), (nx, nz) = _HOOP, _TILT
    start = side * nx * rays.start[:, :1, None] - nx * x0 + nz * (rays.start[:, 2:, None] - z0)
    along = side * nx * rays.way[:, :1] + nz * rays.way[:, 2:]
    # Seen from the edge a ring is a line, and where its plane is met is anywhere.
    distance = -start / torch.where(along.abs() < 0.05, 0.05, along)
    x, y, z = rays.at(distance)
    across, up = nz * (side * x - x0) - nx * (z - z0), y - y0
    seen = edge(along.abs() - 0.10, 0.02)
    for screen in before:
        seen = seen * screen.before(distance)
    far = (across.square() + up.square() + 1e-6).sqrt()
    sideways, upwards = across / far, up / far
    steps = [_moved(rays.start, step, side) for step in rays.quarters()]
    right, down = (sideways * a[:, None, None] + upwards * u[:, None, None] for a, u in steps)
    radii = torch.cat([far + below * down + beside * right for below in (-1, 1) for beside in (-1, 1)], 1)
    return edge(_WIRE - (radii - _RADIUS).abs(), 0.004) * seen


def _moved(start: Tensor, step: Tensor, side: float) -> tuple[Tensor, Tensor]:
    """Across and up in a hoop's plane, [N] each: where the ray to its middle meets it, if its direction changes by
    ``step`` [N, 3]."""
    (x0, y0, z0), (nx, nz) = _HOOP, _TILT
    ray = start.new_tensor([side * x0, y0, z0]) - start
    facing, turned = (side * nx * part[:, 0] + nz * part[:, 2] for part in (ray, step))
    shift = turned / torch.where(facing.abs() < 0.05, 0.05, facing)
    length = ray.square().sum(1).sqrt()
    x, y, z = ((step[:, i] - ray[:, i] * shift) * length for i in range(3))
    return nz * side * x - nx * z, y

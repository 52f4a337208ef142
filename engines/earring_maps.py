"""Maps of earrings: studs and hoops, by the formulas of ``earrings_field`` in ``tools/face_world/gear.h``.

Everybody has them on the maps: the generator scales them by W+. Torch only; run time uses the exported ONNX file.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engines.rays import Rays, Screen, edge

_HOOP, _TILT = (0.850, -0.300, 0.06), (0.30, 0.954)  # the right one's middle; its plane's normal in x and z
_STUD = (0.835, -0.235)  # x and y of the right one
_RADIUS, _WIRE, _BALL = 0.095, 0.022, 0.048  # of a hoop, of its wire, of a stud


def earrings(rays: Rays, face: Screen, hair: Tensor) -> list[Tensor]:
    """Studs, hoops: 2 maps, both sides in each. ``hair`` [N, 1, pixels] is what hangs before them."""
    left, right = (_one(rays, face, side) for side in (-1.0, 1.0))
    return [(a + b) * (1 - hair) for a, b in zip(left, right, strict=True)]


def _one(rays: Rays, face: Screen, side: float) -> tuple[Tensor, Tensor]:
    """Stud and hoop of one side, each [N, 1, pixels]."""
    (x0, y0, z0), (nx, nz) = _HOOP, _TILT
    start = side * nx * rays.start[:, :1, None] - nx * x0 + nz * (rays.start[:, 2:, None] - z0)
    along = side * nx * rays.way[:, :1] + nz * rays.way[:, 2:]
    # Seen from the edge a ring is a line, and where its plane is met is anywhere.
    distance = -start / torch.where(along.abs() < 0.05, 0.05, along)
    x, y, z = rays.at(distance)
    seen = edge(along.abs() - 0.10, 0.02) * face.before(distance)
    across = nz * (side * x - x0) - nx * (z - z0)
    ring = _WIRE - ((across.square() + (y - y0).square() + 1e-6).sqrt() - _RADIUS).abs()
    ball = _BALL - ((side * x - _STUD[0]).square() + (y - _STUD[1]).square() + 1e-6).sqrt()
    return edge(ball, 0.006) * seen, edge(ring, 0.006) * seen

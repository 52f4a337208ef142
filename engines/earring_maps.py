"""Maps of earrings: studs and hoops, by the formulas of ``earrings_field`` in ``tools/face_world/gear.h``.

Everybody has them on the maps: the generator scales them by W+. Torch only; run time uses the exported ONNX file.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engines.rays import Rays, edge

_HOOP, _TILT = (0.850, -0.300, 0.06), (0.30, 0.954)  # the right one's middle; its plane's normal in x and z
_STUD = (0.835, -0.235)  # x and y of the right one
_RADIUS, _WIRE, _BALL = 0.095, 0.022, 0.048  # of a hoop, of its wire, of a stud


def earrings(rays: Rays) -> tuple[Tensor, Tensor]:
    """How far away both planes are [N, 2, pixels], and on them studs, then hoops, left and right [N, 4, pixels]."""
    sides = rays.way.new_tensor([[-1.0], [1.0]])
    x0, y0, z0 = _HOOP
    start = sides * _TILT[0] * (rays.start[:, :1, None] - sides * x0) + _TILT[1] * (rays.start[:, 2:, None] - z0)
    along = sides * _TILT[0] * rays.way[:, :1] + _TILT[1] * rays.way[:, 2:]
    open_ = edge(along.abs() - 0.10, 0.02)  # seen from the edge a ring is a line, and where its plane is met anywhere
    distance = -start / torch.where(along.abs() < 0.05, 0.05, along)
    x, y, z = rays.at(distance)
    across = _TILT[1] * (sides * x - x0) - _TILT[0] * (z - z0)
    ring = _WIRE - ((across.square() + (y - y0).square() + 1e-6).sqrt() - _RADIUS).abs()
    ball = _BALL - ((sides * x - _STUD[0]).square() + (y - _STUD[1]).square() + 1e-6).sqrt()
    return distance, torch.cat([edge(ball, 0.006), edge(ring, 0.006)], 1) * torch.cat([open_, open_], 1)

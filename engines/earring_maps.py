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
    """Both hoops where they hang beside the head, at four sub-pixels [N, 4, pixels] (``Rays.four``), and where they lie
    on it [N, 1, pixels].

    before: what may stand before them. covered, head: 1 where something surely does, and where there is the head or
    nothing, [N, 1, pixels].
    """
    fine = rays.four()
    screens = tuple(Screen(torch.cat([s.reached] * 4, 2), torch.cat([s.met] * 4, 2)) for s in before)
    left, right = (_one(fine, screens, side) for side in (-1.0, 1.0))
    hoops = (left + right).view(len(rays.start), 4, -1) * (1 - covered)
    return [hoops * (1 - head), hoops.mean(1, keepdim=True) * head]


def _one(rays: Rays, before: tuple[Screen, ...], side: float) -> Tensor:
    """The hoop of one side [N, 1, pixels]."""
    (x0, y0, z0), (nx, nz) = _HOOP, _TILT
    start = side * nx * rays.start[:, :1, None] - nx * x0 + nz * (rays.start[:, 2:, None] - z0)
    along = side * nx * rays.way[:, :1] + nz * rays.way[:, 2:]
    # Seen from the edge a ring is a line, and where its plane is met is anywhere.
    distance = -start / torch.where(along.abs() < 0.05, 0.05, along)
    x, y, z = rays.at(distance)
    across = nz * (side * x - x0) - nx * (z - z0)
    ring = _WIRE - ((across.square() + (y - y0).square() + 1e-6).sqrt() - _RADIUS).abs()
    seen = edge(ring, 0.004) * edge(along.abs() - 0.10, 0.02)
    for screen in before:
        seen = seen * screen.before(distance)
    return seen

"""The map of freckles, by the formulas of ``freckles`` in ``tools/face_world/textures.h``.

Everybody has them on the map: the generator scales them by W+. Torch only; run time uses the exported ONNX file.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engines.rays import Rays, sine, step

SKIN = ((0.0, -0.20, 0.10), (0.75, 0.70, 0.76))  # the body that they are painted on (before_skin in world.h)


def freckles(rays: Rays) -> Tensor:
    """How much of their colour shows on cheeks and nose, 0..1: [N, 1, pixels]."""
    distance, _ = rays.ellipsoids(*(rays.way.new_tensor([part]) for part in SKIN))
    x, y, z = rays.at(distance)
    aside, low, over = (x.abs() - 0.30).square(), (y + 0.15).square(), (y + 0.06).square()
    zone = torch.exp((aside + low) * -16) + 0.8 * torch.exp((x.square() + over) * -22)
    across = sine(40 * x + 10 * y + 1.1 * sine(17 * y + 7 * x))
    up = sine(43 * y - 13 * x + 1.1 * sine(18 * x + 0.5))
    rarer = 0.34 * sine(24 * x + 15 * y) + 0.30 * sine(13 * x - 29 * y + 1)
    spots = step((across * up + rarer - 0.45) / 0.45) * step((z - 0.15) / 0.15)  # softer: a spot is a pixel or two
    return (1.3 * zone).clamp(max=1) * (0.10 + 0.90 * spots)

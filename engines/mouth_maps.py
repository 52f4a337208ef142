"""Maps of the mouth: lips, what lies between them, teeth, by ``mouth`` in ``tools/face_world/world.h``.

Torch only; run time uses the exported ONNX file.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.person import Lips, Person
from engines.rays import Rays, edge


def mouth(rays: Rays, person: Person) -> list[Tensor]:
    """Upper lip, lower lip, what lies between them, teeth: 4 maps, by ``mouth`` in world.h."""
    left, right, low = (person.rest[:, i, :, None, None] for i in (11, 28, 37))  # [N, 3, 1, 1]
    lips = person.lips()
    half = ((right - left)[:, 0] / 2).clamp(min=0.05)
    x, y = rays.plane(0.77)
    depth = 0.77 - 0.67 * low[:, 1] - 0.23 * lips.jaw  # of lips and chin, fitted to drawn heads (0.034 off)
    for _ in range(2):
        x, y = rays.plane(depth + x.new_tensor([[-1.62, 0.67]]) @ torch.cat([x.square(), y], 1))
    u = ((x - (right + left)[:, 0] / 2) / half).clamp(-1.2, 1.2)
    square = u * u
    taper = F.relu(1 - square)
    shape = (taper + 1e-6).sqrt()
    opening = torch.lerp(taper, shape, lips.rounded)
    corner = torch.lerp(left[:, 1], right[:, 1], (0.5 + 0.5 * u).clamp(0, 1)) - lips.line
    line = lips.line + corner * square
    above, below = line + lips.above * opening, line - lips.below * opening
    top = above + lips.upper * shape * (1 - 0.24 * torch.exp(square * -36))
    bottom = below - lips.lower * shape
    across = edge(1 - u.abs(), 0.015)
    upper, lower, between = (
        edge(torch.minimum(y - down, up - y), 0.006) * across
        for down, up in ((above, top), (bottom, below), (below, above))
    )
    return [upper, lower, between, between * teeth(rays, lips)]


def teeth(rays: Rays, lips: Lips) -> Tensor:
    """The upper row [N, 1, pixels], as if no lips were before it; the tongue hides most of the lower one."""
    x, y = rays.plane(0.72)
    x, y = rays.plane(0.735 - 0.95 * x.square())
    up = y - lips.at_rest()
    return edge(torch.minimum(0.056 - up, up + lips.teeth), 0.006) * edge(0.25 - x.abs(), 0.008)

"""Maps of the hair: strands, curls, fluff, its bulk and where it ends, by the formulas of ``tools/face_world``.

A person's cap of hair is met at its own thickness, so that its outline and the hair's edge lie where they are drawn.
Torch only; run time uses the exported ONNX file.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engines.rays import Rays, cosine, sine, step
from engines.waveforms import angle_of

CURLS, FINE_CURLS, FLUFF, FINE_FLUFF = 13.0, 26.0, 26.0, 55.0  # tools/face_world/textures.h
CAP = (0.0, 0.21, -0.10)  # the middle of the hair's cap, whose radii are each person's own
# Simple surfaces that rays are met with: middle and radii, head frame.
SURFACES = (
    ((0.0, 0.05, -0.10), (0.92, 1.08, 0.98)),  # face
    ((0.0, -0.60, -0.14), (1.0, 1.9, 0.98)),  # bell of long hair
    ((0.0, 1.14, -0.28), (0.28, 0.28, 0.28)),  # bun
    ((-0.80, -0.55, 0.02), (0.13, 0.62, 0.26)),  # braids
    ((0.80, -0.55, 0.02), (0.13, 0.62, 0.26)),
    ((-0.82, -0.05, -0.06), (0.09, 0.20, 0.14)),  # ears
    ((0.82, -0.05, -0.06), (0.09, 0.20, 0.14)),
)


@dataclass(frozen=True, slots=True)
class Person:
    """What the maps depend on beside the pose: the points at rest [N, 44, 3] (order of ``points_of`` in head.h), the
    gaze [N, 2], 1 for natural proportions [N, 1], the nine numbers of the hair's shape [N, 9] (head.h)."""

    rest: Tensor
    gaze: Tensor
    natural: Tensor
    hair: Tensor

    def cap(self) -> Tensor:
        """Radii of the hair's cap [N, 1, 3]."""
        side, top = self.hair[:, 0], self.hair[:, 1]
        return torch.stack([0.81 + side, 0.80 + top, 0.85 + 0.6 * top + 0.4 * side], 1)[:, None]


def gyroids(x: Tensor, y: Tensor, z: Tensor, frequencies: Tensor) -> Tensor:
    """Schoen's minimal surface as a solid pattern, -1..1, at one frequency [K, 1] a row of x, y, z [N, K, pixels]."""
    x, y, z = x * frequencies, y * frequencies, z * frequencies
    return (sine(x) * cosine(y) + sine(y) * cosine(z) + sine(z) * cosine(x)) / 1.5


def strands(x: Tensor, y: Tensor, z: Tensor) -> list[Tensor]:
    """Sine and cosine of the phases of coarse and fine strands on cap and bell [N, 2, pixels]: 8 maps."""
    comb = angle_of(x, y + 0.15)
    hang = torch.lerp(comb[:, 1:], angle_of(x[:, 1:], z[:, 1:] + 0.17), step((0.45 - y[:, 1:]) / 0.50))
    angle = torch.cat([comb[:, :1], hang], 1)
    warp = 0.5 * sine(2 * x + 1.3 * sine(2.3 * y + 0.5)) + 0.5 * sine(2.6 * z + 1.9 * y + 1)
    phase = torch.cat([26 * angle + 2 * warp, 44 * angle + 4 * warp + 3 * z], 1)
    return [sine(phase), cosine(phase)]


def on_sphere(x: Tensor, y: Tensor, z: Tensor, height: float, radius: float) -> tuple[Tensor, Tensor, Tensor]:
    """Places [N, 1, pixels] as directions from inside the head: see ``on_sphere`` in textures.h."""
    y, z = y - height, z + 0.10
    scale = radius * (x * x + y * y + z * z + 1e-6).rsqrt()
    return x * scale, y * scale, z * scale


def curls(rays: Rays, distance: Tensor, bulk: Tensor) -> Tensor:
    """Coarse and fine curls [N, 2, pixels] of a cap of hair, met at ``distance`` with half a chord of ``bulk``.

    Curls stand out from the cap by the pattern itself (``groove_field`` in world.h), so rays meet them sooner or later;
    one step towards there doubles what the maps explain of how drawn curls look (R2 0.2 to 0.4 within three heads).
    """
    frequencies = rays.way.new_tensor([[CURLS], [FINE_CURLS]])

    def pattern(along: Tensor) -> Tensor:
        return gyroids(*on_sphere(*rays.at(along), 0.21, 0.95), frequencies)

    first = pattern(distance)
    height = 0.062 * first[:, :1] + 0.022 * first[:, 1:]
    return pattern(distance - height / (bulk / 0.95).clamp(min=0.35))


def edge_of_hair(x: Tensor, y: Tensor, z: Tensor, hair: Tensor) -> Tensor:
    """How far places [N, 1, pixels] lie above the hair's edge: ``bare`` in world.h, its opposite."""
    line, side_end, back_end, fringe, parted = (hair[:, i, None, None] for i in (2, 3, 4, 5, 6))
    across = x.abs()
    front = line + 0.10 * parted * x - 0.16 * (1 - fringe) * across * across - 0.30 * step((across - 0.46) / 0.24)
    front = front + 0.03 * (1 - fringe) * sine(7 * x + 2)
    edge = torch.lerp(front, side_end, step((0.40 - z) / 0.28))
    return y - torch.lerp(edge, back_end, step((-0.08 - z) / 0.22))


def surfaces(rays: Rays, person: Person) -> list[Tensor]:
    """Strands, fluff and curls, then the bulk of cap, bell, bun, what of the cap is hair, braids, ears: 18 maps."""
    middles, radii = (rays.way.new_tensor([s[i] for s in SURFACES]) for i in (0, 1))
    distance, bulk = rays.ellipsoids(middles, radii)
    cap_distance, cap = rays.ellipsoids(rays.way.new_tensor([CAP]), person.cap())
    x, y, z = rays.at(torch.cat([distance[:, :1], cap_distance, distance[:, 1:2]], 1))
    fluff = gyroids(*on_sphere(x[:, :1], y[:, :1], z[:, :1], -0.25, 0.80), rays.way.new_tensor([[FLUFF], [FINE_FLUFF]]))
    patterns = [fluff, curls(rays, cap_distance, cap)]
    covered = torch.sigmoid(edge_of_hair(x[:, 1:2], y[:, 1:2], z[:, 1:2], person.hair) / 0.025)
    covered = covered * torch.sigmoid((cap - 0.06) / 0.02) * person.hair[:, 7, None, None]
    pairs = [bulk[:, 3:4] + bulk[:, 4:5], bulk[:, 5:6] + bulk[:, 6:7]]
    return [*strands(x[:, 1:], y[:, 1:], z[:, 1:]), *patterns, cap, bulk[:, 1:3], covered, *pairs]

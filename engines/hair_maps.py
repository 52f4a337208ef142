"""Maps of the hair: strands, curls, fluff, its bulk and where it ends, by the formulas of ``tools/face_world``.

A person's cap of hair is met at its own thickness, so that its outline and the hair's edge lie where they are drawn.
Torch only; run time uses the exported ONNX file. OpenVINO fuses what is written there number by number into one loop:
where that would need more registers than AVX2 has, planes are mixed by products of matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engines.rays import Rays, cosine, edge, sine, step
from engines.waveforms import angle_of

CURLS, FINE_CURLS, FLUFF, FINE_FLUFF = 13.0, 26.0, 26.0, 55.0  # tools/face_world/textures.h
PARTING = -0.10  # textures.h too
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
    gaze [N, 2], 1 for natural proportions [N, 1], the twelve numbers of the hair's shape [N, 12] (head.h), how far
    the brows are raised and furrowed [N, 3], how far the jaw is open and the corners of the mouth are up [N, 3]."""

    rest: Tensor
    gaze: Tensor
    natural: Tensor
    hair: Tensor
    brows: Tensor
    mouth: Tensor

    def fall(self) -> tuple[Tensor, Tensor]:
        """How much the hair is parted and how much it is swept to a side, 0..1, each [N, 1, 1]."""
        fall = self.hair[:, 8, None, None]
        return fall.clamp(0, 1), (-fall).clamp(0, 1)

    def cap(self) -> Tensor:
        """Radii of the hair's cap [N, 1, 3]."""
        side, top = self.hair[:, 0], self.hair[:, 1]
        return torch.stack([0.81 + side, 0.80 + top, 0.85 + 0.6 * top + 0.4 * side], 1)[:, None]


def gyroids(x: Tensor, y: Tensor, z: Tensor, frequencies: Tensor) -> Tensor:
    """Schoen's minimal surface as a solid pattern, -1..1, at one frequency [K, 1] a row of x, y, z [N, K, pixels]."""
    x, y, z = x * frequencies, y * frequencies, z * frequencies
    return (sine(x) * cosine(y) + sine(y) * cosine(z) + sine(z) * cosine(x)) / 1.5


def from_parting(x: Tensor) -> Tensor:
    """How far places lie from the parting."""
    return ((x - PARTING).square() + 4e-4).sqrt()


def strands(rays: Rays, distance: Tensor, bulk: Tensor, person: Person) -> list[Tensor]:
    """Sine and cosine of the phases of coarse and fine strands, met at ``distance`` on cap and bell [N, 2, pixels].

    8 maps. What is parted or swept lies across the rays' way, so there the phases are those at the strands' own height
    on the cap, of whose chord ``bulk`` [N, 1, pixels] is half: as with :func:`curls`.
    """
    x, y, z = rays.at(distance)
    # Phases of two ways of falling have nothing in common, so between two people one of them is drawn.
    parted, swept = (torch.sigmoid((amount - 0.15) / 0.03) for amount in person.fall())
    comb = angle_of(x, y + 0.15)
    hang = torch.lerp(comb[:, 1:], angle_of(x[:, 1:], z[:, 1:] + 0.17), step((0.45 - y[:, 1:]) / 0.50))
    away = from_parting(x)
    falls = torch.cat([1.05 * parted + 0.90 * swept, 0.45 * parted, 0.60 * swept], 2)
    combed = torch.cat([comb[:, :1], hang], 1) * (1 - parted - swept)
    angle = combed + (falls @ torch.stack([z, away, x], 1).flatten(2)).view_as(x)
    warp = 0.5 * sine(2 * x + 1.3 * sine(2.3 * y + 0.5)) + 0.5 * sine(2.6 * z + 1.9 * y + 1)
    from_there = (x[:, :1] - PARTING) / away[:, :1] * rays.way[:, :1]
    slope = falls @ torch.cat([rays.way[:, 2:], from_there, rays.way[:, :1]], 1)
    height = 0.012 * sine(26 * angle[:, :1] + 2 * warp[:, :1]) + 0.010 * warp[:, :1]
    nearer = height / (bulk / 0.85).clamp(min=0.30) * slope
    angle = torch.cat([angle[:, :1] - nearer, angle[:, 1:]], 1)
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


def edge_of_hair(x: Tensor, y: Tensor, z: Tensor, person: Person, coarse: Tensor) -> Tensor:
    """How far places [N, 1, pixels] lie above the hair's edge: ``bare`` in world.h, its opposite.

    ``coarse`` are the coarse strands there, whose ends are tufts.
    """
    line, side_end, back_end, fringe, part = (person.hair[:, i, None, None] for i in (2, 3, 4, 5, 6))
    parted, swept = person.fall()
    level, free, away = 1 - parted, 1 - fringe, from_parting(x)
    of_person = [0.10 * part * level, -0.16 * free * level, 0.03 * free * level, -0.30 * level]
    of_person += [-0.36 * parted, -0.95 * parted, 0.03 * swept * free]
    of_place = [x, x * x, sine(7 * x + 2), step((x.abs() - 0.46) / 0.24), away, away * away, coarse]
    front = line + 0.11 * parted + torch.cat(of_person, 2) @ torch.cat(of_place, 1)
    low = torch.lerp(front, side_end, step((0.40 - z) / 0.28))
    return y - torch.lerp(low, back_end, step((-0.08 - z) / 0.22))


def surfaces(rays: Rays, person: Person) -> list[Tensor]:
    """Strands, fluff and curls, then the bulk of cap, bell, bun, what of the cap is hair, braids, ears: 18 maps."""
    middles, radii = (rays.way.new_tensor([s[i] for s in SURFACES]) for i in (0, 1))
    distance, bulk = rays.ellipsoids(middles, radii)
    cap_distance, cap = rays.ellipsoids(rays.way.new_tensor([CAP]), person.cap())
    x, y, z = rays.at(torch.cat([distance[:, :1], cap_distance], 1))
    fluff = gyroids(*on_sphere(x[:, :1], y[:, :1], z[:, :1], -0.25, 0.80), rays.way.new_tensor([[FLUFF], [FINE_FLUFF]]))
    patterns = [fluff, curls(rays, cap_distance, cap)]
    combed = strands(rays, torch.cat([cap_distance, distance[:, 1:2]], 1), cap, person)
    covered = edge(edge_of_hair(x[:, 1:], y[:, 1:], z[:, 1:], person, combed[0][:, :1]), 0.025)
    covered = covered * edge(cap - 0.06, 0.02) * person.hair[:, 7, None, None]
    pairs = [bulk[:, 3:4] + bulk[:, 4:5], bulk[:, 5:6] + bulk[:, 6:7]]
    return [*combed, *patterns, cap, bulk[:, 1:3], covered, *pairs]

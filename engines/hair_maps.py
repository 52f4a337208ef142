"""Maps of the hair: strands, curls, its bulk and where it ends, by the formulas of ``tools/face_world``.

A person's cap of hair is met at its own thickness, so that its outline and the hair's edge lie where they are drawn.
Torch only; run time uses the exported ONNX file. OpenVINO fuses what is written there number by number into one loop:
where that would need more registers than AVX2 has, planes are mixed by products of matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.patterns import gyroids, on_sphere
from engines.person import Person
from engines.rays import Rays, Screen, cosine, edge, sine, step
from engines.waveforms import angle_of

CURLS, FINE_CURLS = 13.0, 26.0  # tools/face_world/textures.h
PARTING = -0.10  # textures.h too
CAP = (0.0, 0.21, -0.10)  # the middle of the hair's cap, whose radii are each person's own
SKULL = ((0.0, 0.20, -0.08), (0.80, 0.81, 0.85))  # what the hair grows on, middle and radii, head frame
# Simple surfaces that rays are met with, for the bulk of what is there.
SURFACES = (
    ((0.0, -0.60, -0.14), (1.0, 1.9, 0.98)),  # bell of long hair
    ((0.0, 1.14, -0.28), (0.28, 0.28, 0.28)),  # bun
    ((-0.82, -0.05, -0.06), (0.09, 0.20, 0.14)),  # ears
    ((0.82, -0.05, -0.06), (0.09, 0.20, 0.14)),
)


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


@dataclass(frozen=True, slots=True)
class Cap:
    """The cap of hair as rays meet it, each [N, 1, pixels]: how far along them, half the chord of the bare cap, 1 where
    it is met; and the curls there, coarse and fine, [N, 2, pixels]."""

    reach: Tensor
    bulk: Tensor
    met: Tensor
    curls: Tensor


def cap_of(rays: Rays, person: Person) -> Cap:
    """Where the cap is met. Curls stand out of it by their pattern itself (``groove_field`` in world.h), so its outline
    is theirs, and rays meet them sooner or later: the pattern is looked at where the bare cap is met, then there."""
    passed = rays.approach(rays.way.new_tensor([CAP]), person.cap())
    frequencies = rays.way.new_tensor([[CURLS], [FINE_CURLS]])

    def pattern(along: Tensor) -> Tensor:
        return gyroids(*on_sphere(*rays.at(along), 0.21, 0.95), frequencies)

    inside = 1 - passed.square
    first = pattern(passed.meet(inside))
    height = (0.042 * first[:, :1] + 0.016 * first[:, 1:]) * person.curl() / person.cap()[..., :1]
    lumps = 0.02 * (person.thick() + person.curl())  # an outline is that of what stands out furthest
    reach = passed.meet((1 + height).square() - passed.square)
    outline = (1 + lumps + height).square() - passed.square
    bulk = (F.relu(inside) * passed.stretch + 1e-6).sqrt()
    return Cap(reach, bulk, edge(outline, 0.012), pattern(reach))


def edge_of_hair(x: Tensor, y: Tensor, z: Tensor, person: Person, coarse: Tensor) -> Tensor:
    """How far places [N, 1, pixels] lie above the hair's edge: ``bare`` in world.h, its opposite.

    ``coarse`` are the coarse strands there, whose ends are tufts.
    """
    line, side_end, back_end, fringe = (person.hair[:, i, None, None] for i in (2, 3, 4, 5))
    part = person.hair[:, 6, None, None].clamp(min=0)
    parted, swept = person.fall()
    level, free, away = 1 - parted, 1 - fringe, from_parting(x)
    of_person = [0.10 * part * level, -0.16 * free * level, 0.03 * free * level, -0.30 * level]
    of_person += [-0.26 * parted, -0.95 * parted, 0.03 * swept * free]
    of_place = [x, x * x, sine(7 * x + 2), step((x.abs() - 0.46) / 0.24), away, away * away, coarse]
    front = line + 0.11 * parted + torch.cat(of_person, 2) @ torch.cat(of_place, 1)
    low = torch.lerp(front, side_end, step((0.40 - z) / 0.28))
    return y - torch.lerp(low, back_end, step((-0.08 - z) / 0.22))


@dataclass(frozen=True, slots=True)
class Hair:
    """Maps of the hair and what is beside it: strands (8), the cap, the bulk of bell and bun, what is seen of cap and
    lock, the bulk of the ears."""

    strands: list[Tensor]
    cap: Cap
    bulk: Tensor
    seen: Tensor
    ears: Tensor


def hair(rays: Rays, person: Person, hanging: Tensor, muzzle: Screen) -> Hair:
    """All but what hangs. ``hanging`` [N, 1, pixels]: how far along the rays that is met, for its strands; ``muzzle``
    hides hair behind it."""
    distance, bulk = rays.ellipsoids(*(rays.way.new_tensor([s[i] for s in SURFACES]) for i in (0, 1)))
    cap = cap_of(rays, person)
    middle, radii, there = person.lock()
    passed = rays.approach(middle, radii)
    lock = edge(1 - passed.square, 0.02) * there
    nearer = cap.reach - lock * F.relu(cap.reach - passed.meet(1 - passed.square))
    combed = strands(rays, torch.cat([nearer, hanging], 1), cap.bulk, person)
    # Hair is seen where it is met, and where what it grows on is met within it: its edge is thick, and seen from below.
    skull, _ = rays.ellipsoids(*(rays.way.new_tensor([part]) for part in SKULL))
    thin = 0.03 * (1 - person.thick())  # where little hair ends it is rounded away
    coarse = combed[0][:, :1]
    above = [
        edge(edge_of_hair(*rays.at(at), person, coarse) - low, 0.012)
        for at, low in ((cap.reach, thin), (skull, thin + 0.02))
    ]
    for i in (2, 3):
        ear = Screen(distance[:, i : i + 1], edge(bulk[:, i : i + 1] - 0.03, 0.01) * (1 - person.curl().clamp(max=1)))
        above[1] = above[1] * ear.before(skull)
    above[1] = above[1] * muzzle.before(skull)
    covered = torch.maximum(torch.maximum(*above) * cap.met, lock) * person.hair[:, 7, None, None]
    return Hair(combed, cap, bulk[:, :2], covered, bulk[:, 2:3] + bulk[:, 3:])

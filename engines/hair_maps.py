"""Maps of the hair: strands, curls, fluff, its bulk and where it ends, by the formulas of ``tools/face_world``.

A person's cap of hair is met at its own thickness, so that its outline and the hair's edge lie where they are drawn.
Torch only; run time uses the exported ONNX file. OpenVINO fuses what is written there number by number into one loop:
where that would need more registers than AVX2 has, planes are mixed by products of matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.rays import Rays, Screen, cosine, edge, sine, step
from engines.waveforms import angle_of

CURLS, FINE_CURLS, FLUFF, FINE_FLUFF = 13.0, 26.0, 26.0, 55.0  # tools/face_world/textures.h
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
# A quiff and the hair beside a side part: middles, then radii, the second of which is what an amount of 1 makes it.
_LOCKS = ((0.06, 0.92, 0.38, 0.58, 0.26, 0.36), (0.20, 0.90, 0.28, 0.56, 0.20, 0.46))
# Middle and radii of a beard: by 1, the face's length, the jaw's width, how far it is open.
_BEARD = (
    (0.0, 0.0, 0.209, 0.421, 0.162, 0.826),
    (0.0, 0.457, 0.0, 0.0, 1.409, -0.093),
    (0.0, 0.0, 0.0, 0.403, 0.0, 0.0),
    (0.0, 0.028, -0.069, 0.0, 0.120, 0.050),
)


@dataclass(frozen=True, slots=True)
class Lips:
    """Of a mouth's middle, each [N, 1, 1] in head units: how high the line is where lips meet, how far they are open
    above and below it, how thick they are; and how far the jaw is open, 0..1."""

    line: Tensor
    above: Tensor
    below: Tensor
    upper: Tensor
    lower: Tensor
    jaw: Tensor

    def at_rest(self) -> Tensor:
        """The line's height with a closed jaw: where the upper teeth stay."""
        return self.line + 0.03 * self.jaw


@dataclass(frozen=True, slots=True)
class Person:
    """What the maps depend on beside the pose: the points at rest [N, 44, 3] (order of ``points_of`` in head.h), the
    gaze [N, 2], 1 for natural proportions [N, 1], the twelve numbers of the hair's shape [N, 12] (head.h), how far
    the brows are raised and furrowed [N, 3], how far the jaw is open, the corners of the mouth and the
    upper lip are up and the lower one is down [N, 5]."""

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

    def thick(self) -> Tensor:
        """0..1 for no hair to hair as thick as usual, [N, 1, 1]."""
        return (self.hair[:, :1, None] / 0.06).clamp(0, 1)

    def curl(self) -> Tensor:
        """How far curls stand out of the cap, 1 usually, [N, 1, 1]: thick hair that does not hang is curly."""
        side, curtain = self.hair[:, 0, None, None], self.hair[:, 9, None, None]
        thick = ((side - 0.09) / 0.03).clamp(0, 1) + 0.25 * ((side - 0.12) / 0.14).clamp(0, 1)
        return thick * (1 - curtain.clamp(0, 1))

    def lock(self) -> tuple[Tensor, Tensor, Tensor]:
        """A quiff, or what a side part throws over: middle and radii [N, 1, 3], and 1 where there is one [N, 1, 1]."""
        amount = self.hair[:, 6:7, None]  # of the side part; below 0 of the quiff
        aside = edge(amount, 0.01)
        quiff, part = (amount.new_tensor([_LOCKS[i]]) for i in (0, 1))
        both = torch.lerp(quiff, part, aside)
        radii = both[..., 3:] * torch.cat([torch.ones_like(amount), amount.abs(), torch.ones_like(amount)], 2)
        return both[..., :3], radii + amount.new_tensor([0, 0.02, 0]), edge(amount.abs() - 0.12, 0.02)

    def lips(self) -> Lips:
        """The mouth's measures: how far it is open tells the motion code, the rest the middles of the lips."""
        upper, lower = (self.rest[:, i, 1, None, None] for i in (36, 37))
        jaw, raised, lowered = (self.mouth[:, i, None, None] for i in (0, 3, 4))
        above, below = 0.045 * jaw + 0.05 * raised, 0.255 * jaw + 0.05 * lowered
        thick = (upper - lower - above - below).clamp(min=0.02) * 2
        return Lips(upper - above - 0.211 * thick, above, below, 0.422 * thick, 0.578 * thick, jaw)

    def beard(self) -> tuple[Tensor, Tensor]:
        """Middle and radii [N, 1, 3] of a body whose front is about where a beard's is: fitted to drawn beards by least
        distances (0.02 off in the mean), by the face's length, the jaw's width and how far it is open."""
        jaw = (self.rest[:, 31, :1] - self.rest[:, 14, :1]) / 1.12
        wide = self.mouth[:, :1]
        length = (self.rest[:, 38, 1:2] + 0.20 * wide + 0.17) / -0.69
        shape = torch.cat([torch.ones_like(jaw), length, jaw, wide], 1)[:, None] @ jaw.new_tensor(_BEARD)
        return shape[..., :3], shape[..., 3:]


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
    of_person += [-0.36 * parted, -0.95 * parted, 0.03 * swept * free]
    of_place = [x, x * x, sine(7 * x + 2), step((x.abs() - 0.46) / 0.24), away, away * away, coarse]
    front = line + 0.11 * parted + torch.cat(of_person, 2) @ torch.cat(of_place, 1)
    low = torch.lerp(front, side_end, step((0.40 - z) / 0.28))
    return y - torch.lerp(low, back_end, step((-0.08 - z) / 0.22))


def where_beards_grow(x: Tensor, y: Tensor, z: Tensor, person: Person) -> Tensor:
    """1 where a full beard is on its body [N, 1, pixels], 0 above it and on the lips: ``region`` in world.h."""
    lips = person.lips()
    half = ((person.rest[:, 28, 0] - person.rest[:, 11, 0]) / 2)[:, None, None]
    line = lips.at_rest() + 0.02 + 0.40 * step((x.abs() - 0.30) / 0.44)
    low = (y - lips.at_rest() + 0.4 * lips.below) / (0.10 + 0.55 * lips.below)
    around = ((x / half).square() * 0.85 + low.square() + 1e-6).sqrt() - 1
    return edge(torch.minimum(torch.minimum(line - y, z + 0.12), around * 0.12) - 0.01, 0.008)


def surfaces(rays: Rays, person: Person, hanging: Tensor, muzzle: Screen) -> list[Tensor]:
    """Strands, fluff and curls, then the bulk of cap, bell, bun, what is seen of the cap, beard, ears: 18 maps.

    ``hanging`` [N, 1, pixels]: how far along the rays long hair is met; ``muzzle`` hides hair behind it.
    """
    distance, bulk = rays.ellipsoids(*(rays.way.new_tensor([s[i] for s in SURFACES]) for i in (0, 1)))
    cap = cap_of(rays, person)
    chin, half = rays.ellipsoids(*person.beard())
    x, y, z = rays.at(chin)
    beard = where_beards_grow(x, y, z, person) * edge(half - 0.03, 0.01)
    fluff = gyroids(*on_sphere(x, y, z, -0.25, 0.80), rays.way.new_tensor([[FLUFF], [FINE_FLUFF]]))
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
    ears = bulk[:, 2:3] + bulk[:, 3:]
    return [*combed, fluff, cap.curls, cap.bulk, bulk[:, :2], covered, beard, ears]

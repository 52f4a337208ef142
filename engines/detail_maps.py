"""Maps of where things lie on the posed head: strands, curls, eyes, lids, brows, lips, glasses, hats, the hair's bulk.

Every picture point's ray is met with simple surfaces in the head's own frame, and what the drawn head has there is
written down by the formulas of ``tools/face_world`` (hair: ``engines/hair_maps.py``; hats, headphones and earrings:
``gear.h``). The generator modulates these maps by W+: a style without glasses scales the rims away. So a pattern need
not be learnt by heart, only its look.
Torch only; run time uses the exported ONNX file.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.age_maps import FACE, MUZZLE, jowls, lines
from engines.beard_maps import beards
from engines.earring_maps import earrings
from engines.face_maps import jaw_and_nose
from engines.freckle_maps import freckles
from engines.hair_maps import CAP, Hair, hair
from engines.long_hair_maps import braids, hanging
from engines.mouth_maps import mouth
from engines.person import Person
from engines.rays import Rays, Screen, band, cosine, edge, sine
from engines.waveforms import angle_of
from engines.waveforms import cosine as exact_cosine
from engines.waveforms import sine as exact_sine

HAT_RIBS = 34.0  # tools/face_world/gear.h
MAPS = 58
# Hat, visor, cups of headphones.
GEAR = (
    ((0.0, 0.24, -0.10), (0.95, 0.96, 1.0)),
    ((0.0, 0.42, 0.84), (0.55, 0.10, 0.46)),
    ((-0.98, -0.06, -0.02), (0.13, 0.28, 0.26)),
    ((0.98, -0.06, -0.02), (0.13, 0.28, 0.26)),
)


def before_hair(rays: Rays, person: Person, distance: Tensor) -> Tensor:
    """1 where things at a distance [N, K, pixels] along the rays are seen before a person's hair, 0 behind it."""
    screen = Screen.of(rays.ellipsoids(rays.way.new_tensor([CAP]), person.cap()))
    return 1 - (1 - screen.before(distance)) * person.hair[:, 7, None, None]


def gear(rays: Rays, person: Person, face: Screen) -> list[Tensor]:
    """Hat, sine and cosine of its ribs, its edge, visor, band and cups of headphones: 7 maps."""
    distance, bulk = rays.ellipsoids(*(rays.way.new_tensor([g[i] for g in GEAR]) for i in (0, 1)))
    x, y, z = rays.at(distance[:, :1])
    above = y - 0.315 - 0.20 * z
    hat = bulk[:, :1] * edge(above, 0.02)
    ribs = angle_of(x, z + 0.10) * HAT_RIBS
    band_distance = (0.04 - rays.start[:, 2, None, None]) / rays.way[:, 2:].clamp(max=-0.2)  # of its front edge
    across, up = rays.plane(-0.06)
    arc = ((across / 0.985).square() + ((up - 0.13) / 1.06).square() + 1e-6).sqrt() - 1
    arch = band(arc, 0.05) * edge(up + 0.10, 0.03) * before_hair(rays, person, band_distance)
    brim = band(above, 0.03) * edge(bulk[:, :1] - 0.05, 0.02)
    both = bulk[:, 2:] * face.before(distance[:, 2:])
    cups = both[:, :1] + both[:, 1:]
    return [hat, hat * sine(ribs), hat * cosine(ribs), brim, bulk[:, 1:2], arch, cups]


def glasses(rays: Rays, eye: Tensor) -> list[Tensor]:
    """Round rims, square rims, bridge: 3 maps. ``eye`` is x and y of the picture's right eye [N, 2]."""
    eye_x, eye_y = eye[:, :1, None] + 0.015, eye[:, 1:, None]
    z: Tensor | float = 0.86
    for _ in range(2):  # frames bend backwards at the sides
        x, y = rays.plane(z)
        across = x.abs() - eye_x
        z = 0.86 - 0.25 * F.relu(across).square() - 0.05 * across
    dx, dy = across, y - eye_y + 0.005
    round_rim = (dx.square() + dy.square() + 1e-6).sqrt() - 0.265
    square_rim = (F.relu(dx.abs() - 0.17).square() + F.relu(dy.abs() - 0.10).square() + 1e-6).sqrt() - 0.095
    bridge = band(y - eye_y - 0.065, 0.025) * edge(0.10 - x.abs(), 0.01)
    return [band(torch.cat([round_rim, square_rim], 1), 0.028), bridge]


def temples(rays: Rays, face: Screen, eye: Tensor) -> Tensor:
    """The glasses' arms [N, 1, pixels]: on the two upright planes from the rims' outer ends to the ears."""
    side = eye.new_tensor([[-1.0, 1.0]])
    front, back = eye[:, :1] + 0.27, 0.90
    ax, az, bz = side * front, 0.82, -0.02
    nx, nz = torch.full_like(ax, az - bz), side * back - ax  # the planes' normals in x and z, [N, 2]
    along = torch.stack([nx, torch.zeros_like(nx), nz], -1) @ rays.way
    # Seen along its plane an arm is behind its rim, and where the plane is met is anywhere, far outside of the head.
    open_ = edge(along.abs() - 0.08, 0.01)
    along = torch.where(along.abs() < 0.05, 0.05, along)
    start = (ax - rays.start[:, :1]) * nx + (az - rays.start[:, 2:]) * nz
    distance = start[..., None] / along
    _, y, z = rays.at(distance)
    inside = edge(z - bz, 0.03) * edge(az - z, 0.03)
    arms = band(y - eye[:, 1:, None] - 0.06, 0.026) * inside * face.before(distance) * open_
    return arms.sum(1, keepdim=True)


def eyes(rays: Rays, rest: Tensor, gaze: Tensor, natural: Tensor) -> list[Tensor]:
    """What of the eyeballs shows, iris, pupil, upper lid, lower lid, glint: 6 maps, both eyes in each.

    ``rest`` are the tracked points at rest [N, points, 3] (order of ``points_of`` in head.h), ``gaze`` is [N, 2];
    ``natural`` [N, 1] is 1 for natural proportions, whose irises are smaller.
    """
    look = F.normalize(torch.cat([gaze * gaze.new_tensor([0.48, 0.40]), torch.ones_like(gaze[:, :1])], 1), dim=1)
    centre, upper, lower, inner, outer = (rest[:, i : i + 18 : 17] for i in (0, 1, 2, 6, 7))  # [N, 2 sides, 3]
    radius = ((outer - inner)[..., :1].abs() / 1.72).clamp(min=0.05)  # [N, 2, 1]
    tilt = (outer - inner)[..., 1:2] / radius / 1.6
    offset = rays.start[:, None] - torch.cat([centre[..., :2], 0.775 - radius], -1)
    od, oo = offset @ rays.way, offset.square().sum(-1, keepdim=True)
    distance = -od - (F.relu(od * od - oo + radius * radius) + 1e-8).sqrt()
    d = rays.way[:, :, None]
    x, y, z = (offset[..., i : i + 1] + d[:, i] * distance for i in range(3))
    length = (x * x + y * y + z * z + 1e-8).sqrt()
    u, v = x / radius * radius.new_tensor([[-1.0], [1.0]]), y / radius
    v = v - tilt * u
    arc = 1 - 1.28 * u * u - 0.10 * u
    above = (arc * (upper - centre)[..., 1:2] / radius - v) * radius
    below = (v - arc * (lower - centre)[..., 1:2] / radius) * radius
    seen = edge(torch.minimum(above, below), 0.010)

    def facing(way: Tensor) -> Tensor:
        """Cosine of the angle between the eyeball's normal and directions [N, 3]."""
        a = way[:, :, None, None]
        return (x * a[:, 0] + y * a[:, 1] + z * a[:, 2]) / length

    angle = (2 - 2 * facing(look).clamp(-1, 1) + 1e-6).sqrt()
    on_eye = edge(0.92 - u.abs(), 0.05) * edge(1.35 - length / radius, 0.05)
    lights = F.normalize(look.new_tensor([[0.30, 0.42, 0.85], [-0.34, -0.30, 0.85]]), dim=1)
    glints = [facing(lights[i] @ rays.turn) for i in (0, 1)]  # in the camera's frame: they stay where the lights are
    glint = torch.exp((glints[0] - 1) * 160) + 0.22 * torch.exp((glints[1] - 1) * 110)
    iris = 0.62 - 0.18 * natural[..., None]  # an angle
    edges = torch.cat([iris - angle, 0.49 * iris - angle], 1) * torch.cat([radius, radius], 1)
    inner_parts = edge(edges, 0.008) * torch.cat([seen, seen], 1)
    lids = band(torch.cat([above, below], 1), 0.018) * torch.cat([on_eye, on_eye], 1)
    return [a[:, 0::2] + a[:, 1::2] for a in (seen, inner_parts, lids, seen * glint)]


def brows(rays: Rays, rest: Tensor) -> Tensor:
    """Both brows in one map [N, 1, pixels]: around the parabolas through their three points, thin towards the temples.

    They lie on the brow ridge, whose depth was fitted to drawn heads (0.018 off). How thick a brow is the generator
    makes of how fast the map falls off.
    """
    x, y = rays.plane(0.70)
    ridge = x.new_tensor([[0.217, -0.797, -0.260]])
    for _ in range(2):  # by products, since AVX2 lacks registers for all of this at once
        x, y = rays.plane(0.849 + ridge @ torch.cat([x.abs(), x.square(), y], 1))
    left, right = (_brow(x, y, *(rest[:, i : i + 1] for i in (first, first + 1, first + 2))) for first in (8, 25))
    return left + right


def _brow(x: Tensor, y: Tensor, inner: Tensor, middle: Tensor, outer: Tensor) -> Tensor:
    """The brow through three points [N, 1, 3] at places [N, 1, pixels] in front of it: see :func:`brows`."""
    t = (x - inner[..., :1]) * (outer - inner)[..., :1].reciprocal()
    c = t.clamp(0, 1)
    m = 0.593  # where the middle point lies
    parts = inner[..., 1:2] / m, middle[..., 1:2] / (m * (m - 1)), outer[..., 1:2] / (1 - m)
    bend = torch.cat([parts[0] + parts[1] + parts[2], -(m + 1) * parts[0] - parts[1] - m * parts[2]], 2)
    line = bend @ torch.cat([c * c, c], 1)
    beyond = (t - c).clamp(-0.4, 0.4)
    away = ((y - inner[..., 1:2] - line).square() + 0.18 * beyond.square() + 1e-6).sqrt()
    return band(away / (0.75 + 0.55 * c - 1.05 * c * c), 0.045)


def around_the_jaw(rays: Rays, person: Person, face: Screen, hair: Hair, hanging: Tensor) -> list[Tensor]:
    """Earrings at four sub-pixels and on the head, the jaw's bulk and the nose's: 7 maps."""
    reached, bulk = jaw_and_nose(rays, person)
    jaw = Screen(reached[:, :1], edge(bulk[:, :1] - 0.06, 0.02))
    cap = Screen(hair.cap.reach, hair.seen)
    covered = torch.maximum(hanging, edge(hair.ears - 0.06, 0.01))
    nose = bulk[:, 1:] * 3  # it is small, and what is near 0 is learnt slowly
    return [*earrings(rays, (face, jaw, cap), covered, jaw.met), bulk[:, :1], nose]


def detail_maps(rays: Rays, person: Person, size: int) -> Tensor:
    """All maps: [N, 58, size, size].

    0-7 strands, 8-11 fluff of beards and curls, 12-14 bulk of cap, bell, bun, 15 what of the cap is hair, 16 beards,
    17 bulk of ears, 18-20 glasses, 21 their arms, 22-27 eyes, 28 brows, 29-31 lips, 32-35 place on the face, 36-42
    gear, 43 teeth, 44-45 what age leaves, 46-47 hanging hair from outside and inside, 48-49 braids and their bumps, 50
    freckles, 51-55 earrings, 56 bulk of the jaw, 57 of the nose.
    """
    rest = person.rest
    eye = (rest[:, 17, :2] + rest[:, 0, :2] * rest.new_tensor([-1.0, 1.0])) / 2  # both, the left one mirrored
    face = Screen.of(rays.ellipsoids(*(rays.way.new_tensor([part]) for part in FACE)))
    long = hanging(rays, person, face)
    muzzle = Screen.of(rays.ellipsoids(*(rays.way.new_tensor([part]) for part in MUZZLE)))
    short = hair(rays, person, long.reach, muzzle)
    fluff, beard = beards(rays, person)
    *lips, white = mouth(rays, person)
    place = torch.cat(rays.plane(0.80), 1) * (math.pi / 2)
    first = [*short.strands, fluff, short.cap.curls, short.cap.bulk, short.bulk, short.seen, beard, short.ears]
    rows = [
        *first,
        *glasses(rays, eye),
        temples(rays, face, eye),
        *eyes(rays, rest, person.gaze, person.natural),
        brows(rays, rest),
        *lips,
        exact_sine(place),
        exact_cosine(place),
        *gear(rays, person, face),
        white,
        lines(rays, person),
        jowls(rays, person),
        long.outside,
        long.inside,
        *braids(rays, face),
        freckles(rays),
        *around_the_jaw(rays, person, face, short, long.outside),
    ]
    return torch.cat(rows, 1).view(-1, MAPS, size, size)

"""Maps of where things lie on the posed head: strands, curls, eyes, lids, brows, lips, glasses, hats, the hair's bulk.

Every picture point's ray is met with simple surfaces in the head's own frame, and what the drawn head has there is
written down by the formulas of ``tools/face_world`` (``textures.h`` for the patterns, ``gear.h`` for hats, headphones
and earrings). The generator modulates these maps by W+: a style without glasses scales the rims away. So a pattern need
not be learnt by heart, only its look.
Torch only; run time uses the exported ONNX file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.waveforms import angle_of
from engines.waveforms import cosine as exact_cosine
from engines.waveforms import sine as exact_sine

CURLS, FINE_CURLS, FLUFF, FINE_FLUFF = 13.0, 26.0, 26.0, 55.0  # tools/face_world/textures.h
HAT_RIBS = 34.0  # tools/face_world/gear.h
MAPS = 44
# Simple surfaces that rays are met with: middle and radii, head frame.
SURFACES = (
    ((0.0, 0.05, -0.10), (0.92, 1.08, 0.98)),  # face
    ((0.0, 0.21, -0.10), (0.88, 0.94, 0.95)),  # cap of hair
    ((0.0, -0.60, -0.14), (1.0, 1.9, 0.98)),  # bell of long hair
    ((0.0, 1.14, -0.28), (0.28, 0.28, 0.28)),  # bun
    ((0.0, 0.21, -0.10), (1.07, 1.07, 1.11)),  # afro
    ((-0.80, -0.55, 0.02), (0.13, 0.62, 0.26)),  # braids
    ((0.80, -0.55, 0.02), (0.13, 0.62, 0.26)),
    ((-0.82, -0.05, -0.06), (0.09, 0.20, 0.14)),  # ears
    ((0.82, -0.05, -0.06), (0.09, 0.20, 0.14)),
)
# Hat, visor, cups of headphones, earrings.
GEAR = (
    ((0.0, 0.24, -0.10), (0.95, 0.96, 1.0)),
    ((0.0, 0.42, 0.84), (0.55, 0.10, 0.46)),
    ((-0.98, -0.06, -0.02), (0.13, 0.28, 0.26)),
    ((0.98, -0.06, -0.02), (0.13, 0.28, 0.26)),
    ((-0.845, -0.30, -0.03), (0.06, 0.09, 0.09)),
    ((0.845, -0.30, -0.03), (0.06, 0.09, 0.09)),
)


@dataclass(frozen=True, slots=True)
class Rays:
    """Rays in a part's own frame: start [N, 3], unit directions [N, 3, pixels]; and the part's turn [N, 3, 3]."""

    start: Tensor
    way: Tensor
    turn: Tensor

    def ellipsoids(self, middles: Tensor, radii: Tensor) -> tuple[Tensor, Tensor]:
        """How far the first meeting is (the nearest approach where a ray misses) and half the chord, 0 outside.

        ``middles`` and ``radii`` are [K, 3]; both results [N, K, pixels].
        """
        scale = radii.reciprocal()
        offset = (self.start[:, None] - middles) * scale
        dd = scale.square() @ self.way.square()
        od = (offset * scale) @ self.way
        half = (F.relu(od * od - dd * (offset.square().sum(-1, keepdim=True) - 1)) + 1e-6).sqrt() / dd
        return -od / dd - half, half

    def at(self, distance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x, y and z [N, K, pixels] at a distance [N, K, pixels] along the rays."""
        s, d = self.start[:, :, None, None], self.way[:, :, None]
        return s[:, 0] + d[:, 0] * distance, s[:, 1] + d[:, 1] * distance, s[:, 2] + d[:, 2] * distance

    def plane(self, z: Tensor | float) -> tuple[Tensor, Tensor]:
        """x and y [N, 1, pixels] where the rays meet the frame's plane at z."""
        x, y, _ = self.at((z - self.start[:, 2, None, None]) / self.way[:, 2:].clamp(max=-0.2))
        return x, y


def sine(angle: Tensor) -> Tensor:
    """Sine; in an exported file two parabolas, 0.001 off at most, which runtimes fuse, unlike a sine."""
    if not torch.onnx.is_in_onnx_export():
        return angle.sin()
    turn = angle * (1 / (2 * math.pi))
    turn = turn - torch.floor(turn + 0.5)
    wave = 8 * turn - 16 * turn * turn.abs()
    return 0.225 * (wave * wave.abs() - wave) + wave


def cosine(angle: Tensor) -> Tensor:
    """Cosine by :func:`sine`."""
    return sine(angle + math.pi / 2) if torch.onnx.is_in_onnx_export() else angle.cos()


def gyroids(x: Tensor, y: Tensor, z: Tensor, frequencies: Tensor) -> Tensor:
    """Schoen's minimal surface as a solid pattern, -1..1, at one frequency [K, 1] a row of x, y, z [N, K, pixels]."""
    x, y, z = x * frequencies, y * frequencies, z * frequencies
    return (sine(x) * cosine(y) + sine(y) * cosine(z) + sine(z) * cosine(x)) / 1.5


def band(distance: Tensor, width: float) -> Tensor:
    """1 on a line, falling off over ``width``."""
    return torch.exp((distance / width).square().clamp(max=30) * -1)


def strands(x: Tensor, y: Tensor, z: Tensor) -> list[Tensor]:
    """Sine and cosine of the phases of coarse and fine strands on cap and bell [N, 2, pixels]: 8 maps."""
    comb = angle_of(x, y + 0.15)
    t = ((0.45 - y[:, 1:]) / 0.50).clamp(0, 1)
    hang = torch.lerp(comb[:, 1:], angle_of(x[:, 1:], z[:, 1:] + 0.17), t * t * (3 - 2 * t))
    angle = torch.cat([comb[:, :1], hang], 1)
    warp = 0.5 * sine(2 * x + 1.3 * sine(2.3 * y + 0.5)) + 0.5 * sine(2.6 * z + 1.9 * y + 1)
    phase = torch.cat([26 * angle + 2 * warp, 44 * angle + 4 * warp + 3 * z], 1)
    return [sine(phase), cosine(phase)]


def surfaces(rays: Rays) -> list[Tensor]:
    """Strands, curls and fluff on their surfaces, then the bulk of cap, bell, bun, afro, braids, ears: 18 maps."""
    distance, bulk = rays.ellipsoids(*(rays.way.new_tensor([s[i] for s in SURFACES]) for i in (0, 1)))
    x, y, z = rays.at(distance[:, :3])
    sx, sy, sz = (torch.cat([c[:, :1], c[:, :1], c[:, 1:2], c[:, 1:2]], 1) for c in (x, y, z))
    fluff = rays.way.new_tensor([[FLUFF], [FINE_FLUFF], [CURLS], [FINE_CURLS]])
    pairs = [bulk[:, 5:6] + bulk[:, 6:7], bulk[:, 7:8] + bulk[:, 8:9]]
    return [*strands(x[:, 1:], y[:, 1:], z[:, 1:]), gyroids(sx, sy, sz, fluff), bulk[:, 1:5], *pairs]


def gear(rays: Rays) -> list[Tensor]:
    """Hat, sine and cosine of its ribs, its edge, visor, band and cups of headphones, earrings: 8 maps."""
    distance, bulk = rays.ellipsoids(*(rays.way.new_tensor([g[i] for g in GEAR]) for i in (0, 1)))
    x, y, z = rays.at(distance[:, :1])
    above = y - 0.315 - 0.20 * z
    hat = bulk[:, :1] * torch.sigmoid(above / 0.02)
    ribs = angle_of(x, z + 0.10) * HAT_RIBS
    across, up = rays.plane(-0.06)
    arc = ((across / 0.985).square() + ((up - 0.13) / 1.06).square() + 1e-6).sqrt() - 1
    arch = band(arc, 0.05) * torch.sigmoid((up + 0.10) / 0.03)
    edge = band(above, 0.03) * torch.sigmoid((bulk[:, :1] - 0.05) / 0.02)
    pairs = [bulk[:, i : i + 1] + bulk[:, i + 1 : i + 2] for i in (2, 4)]
    return [hat, hat * sine(ribs), hat * cosine(ribs), edge, bulk[:, 1:2], arch, *pairs]


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
    bridge = band(y - eye_y - 0.065, 0.025) * torch.sigmoid((0.10 - x.abs()) / 0.01)
    return [band(torch.cat([round_rim, square_rim], 1), 0.028), bridge]


def temples(rays: Rays, eye: Tensor) -> Tensor:
    """The glasses' arms [N, 1, pixels]: on the two upright planes from the rims' outer ends to the ears."""
    side = eye.new_tensor([[-1.0, 1.0]])
    front, back = eye[:, :1] + 0.27, 0.90
    ax, az, bz = side * front, 0.82, -0.02
    nx, nz = torch.full_like(ax, az - bz), side * back - ax  # the planes' normals in x and z, [N, 2]
    along = torch.stack([nx, torch.zeros_like(nx), nz], -1) @ rays.way
    along = torch.where(along.abs() < 0.05, 0.05, along)
    start = (ax - rays.start[:, :1]) * nx + (az - rays.start[:, 2:]) * nz
    _, y, z = rays.at(start[..., None] / along)
    inside = torch.sigmoid((z - bz) / 0.03) * torch.sigmoid((az - z) / 0.03)
    arms = band(y - eye[:, 1:, None] - 0.06, 0.026) * inside
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
    seen = torch.sigmoid(torch.minimum(above, below) / 0.010)

    def facing(way: Tensor) -> Tensor:
        """Cosine of the angle between the eyeball's normal and directions [N, 3]."""
        a = way[:, :, None, None]
        return (x * a[:, 0] + y * a[:, 1] + z * a[:, 2]) / length

    angle = (2 - 2 * facing(look).clamp(-1, 1) + 1e-6).sqrt()
    on_eye = torch.sigmoid((0.92 - u.abs()) / 0.05) * torch.sigmoid((1.35 - length / radius) / 0.05)
    lights = F.normalize(look.new_tensor([[0.30, 0.42, 0.85], [-0.34, -0.30, 0.85]]), dim=1)
    glints = [facing(lights[i] @ rays.turn) for i in (0, 1)]  # in the camera's frame: they stay where the lights are
    glint = torch.exp((glints[0] - 1) * 160) + 0.22 * torch.exp((glints[1] - 1) * 110)
    iris = 0.62 - 0.18 * natural[..., None]  # an angle
    edges = torch.cat([iris - angle, 0.49 * iris - angle], 1) * torch.cat([radius, radius], 1) / 0.008
    inner_parts = torch.sigmoid(edges) * torch.cat([seen, seen], 1)
    lids = band(torch.cat([above, below], 1), 0.018) * torch.cat([on_eye, on_eye], 1)
    return [a[:, 0::2] + a[:, 1::2] for a in (seen, inner_parts, lids, seen * glint)]


def brows(rays: Rays, rest: Tensor) -> Tensor:
    """Both brows in one map [N, 1, pixels]: bands along the parabolas through their three points."""
    x, y = rays.plane(0.68)
    inner, middle, outer = (rest[:, i : i + 18 : 17] for i in (8, 9, 10))  # [N, 2, 3]
    t = ((x - inner[..., :1]) / (outer - inner)[..., :1]).clamp(-0.3, 1.3)
    m = 0.593  # where the middle point lies
    line = inner[..., 1:2] * ((t - m) * (t - 1) / m) + middle[..., 1:2] * (t * (t - 1) / (m * (m - 1)))
    line = line + outer[..., 1:2] * (t * (t - m) / (1 - m))
    both = band(y - line, 0.04) * torch.sigmoid(t / 0.05) * torch.sigmoid((1 - t) / 0.05)
    return both.sum(1, keepdim=True)


def lips(rays: Rays, rest: Tensor) -> list[Tensor]:
    """Upper lip, lower lip and what lies between them: 3 maps."""
    x, y = rays.plane(0.77)
    left, right, upper, lower = (rest[:, i : i + 1] for i in (11, 28, 36, 37))  # [N, 1, 3]
    half = ((right - left)[..., :1] / 2).clamp(min=0.05)
    u = ((x - (right + left)[..., :1] / 2) / half).clamp(-1.3, 1.3)
    square = (u * u).clamp(max=1)
    corner = torch.lerp(left[..., 1:2], right[..., 1:2], (0.5 + 0.5 * u).clamp(0, 1)) * square
    above = y - corner - upper[..., 1:2] * (1 - square)
    below = corner + lower[..., 1:2] * (1 - square) - y
    across = torch.sigmoid((1.02 - u.abs()) / 0.04)
    between = torch.sigmoid(torch.minimum(-above, -below) / 0.012)
    return [band(above, 0.032) * across, band(below, 0.038) * across, between * across]


def detail_maps(rays: Rays, rest: Tensor, gaze: Tensor, natural: Tensor, size: int) -> Tensor:
    """All maps: [N, 44, size, size].

    0-7 strands, 8-11 fluff of beards and curls, 12-17 bulk of cap, bell, bun, afro, braids, ears, 18-20 glasses, 21
    their arms, 22-27 eyes, 28 brows, 29-31 lips, 32-35 place on the face, 36-43 gear.
    """
    eye = (rest[:, 17, :2] + rest[:, 0, :2] * rest.new_tensor([-1.0, 1.0])) / 2  # both, the left one mirrored
    place = torch.cat(rays.plane(0.80), 1) * (math.pi / 2)
    rows = [
        *surfaces(rays),
        *glasses(rays, eye),
        temples(rays, eye),
        *eyes(rays, rest, gaze, natural),
        brows(rays, rest),
        *lips(rays, rest),
        exact_sine(place),
        exact_cosine(place),
        *gear(rays),
    ]
    return torch.cat(rows, 1).view(-1, MAPS, size, size)

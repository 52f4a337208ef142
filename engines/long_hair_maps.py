"""Maps of hair that hangs: the bell around the head with its ends and waves, and braids, by the formulas of
``hair_field`` in ``tools/face_world/world.h``.

Torch only; run time uses the exported ONNX file.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.person import Person
from engines.rays import Approach, Rays, Screen, edge, sine, step

_MIDDLE_Z, _THICK = -0.14, 0.10 / 0.78  # of the bell; half its thickness in units of its radii
_STRANDS = 0.02  # how far they stand out
_NEAR = 1.12  # square of a usual outside
_NECK = ((0.0, -1.25, -0.14), (0.43, 0.95, 0.43))  # and collar: middle and radii of a body about as thick


@dataclass(frozen=True, slots=True)
class Hanging:
    """The bell of long hair, each [N, 1, pixels]: what of it is seen from outside and what of its far side from inside,
    0..1, and how far along the rays it is met."""

    outside: Tensor
    inside: Tensor
    reach: Tensor


def hanging(rays: Rays, person: Person, face: Screen) -> Hanging:
    """The bell as it is seen: it hides itself, and face and neck hide it; shoulders are not looked at.

    Nothing is seen of it with people without hanging hair.
    """
    side, amount = person.hair[:, :1, None], person.hair[:, 9, None, None]
    x_scale, z_scale = (0.80 + 0.55 * side).reciprocal(), (0.76 + 0.50 * side).reciprocal()  # of the bell's middle
    u, v = rays.start[:, :1, None] * x_scale, (rays.start[:, 2:, None] - _MIDDLE_Z) * z_scale
    du, dv = rays.way[:, :1] * x_scale, rays.way[:, 2:] * z_scale
    stretch = (du.square() + dv.square()).reciprocal()
    nearest = -(u * du + v * dv) * stretch  # to the bell's axis
    passed = Approach(nearest, (u + nearest * du).square() + (v + nearest * dv).square(), stretch)
    neck = Screen.of(rays.ellipsoids(*(rays.way.new_tensor([part]) for part in _NECK)))
    outside, limit, near = _wall(rays, person, (face,), passed, -1.0)
    inside, _, far = _wall(rays, person, (face, neck), passed, 1.0)
    # What is cut open in front shows its thickness.
    front = (limit - rays.start[:, 2, None, None]) / rays.way[:, 2:].clamp(max=-0.2)
    x, y, z = rays.at(front)
    out = ((x * x_scale).square() + ((z - _MIDDLE_Z) * z_scale).square() + 1e-6).sqrt()
    cut = edge(_THICK - (out - _radius(x, y, person)).abs(), 0.012) * step((x.abs() - 0.60) / 0.10)
    cut = cut * _above_end(x, y, z, person) * face.before(front)
    reach = torch.lerp(torch.lerp(far, front, cut), near, outside)
    reach = reach + 1.2 * _above(rays, reach, person, x_scale, z_scale).clamp(-0.1, 0.1)
    return Hanging(torch.maximum(outside, cut) * amount, inside * amount, reach)


def _wall(
    rays: Rays, person: Person, before: tuple[Screen, ...], passed: Approach, side: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The near wall from outside (side -1) or the far one from inside (1), how deep the bell is open there, and how far
    along the rays that is. All [N, 1, pixels]; rays passed the bell's axis, in units of its radii."""
    x, y, _ = rays.at(passed.meet(_NEAR - passed.square, side))
    beyond = (_radius(x, y, person) - _THICK * side).square() - passed.square
    reach = passed.meet(beyond, side)
    x, y, z = rays.at(reach)
    limit = _opening(x, y)
    seen = edge(beyond, 0.02) * edge(limit - z, 0.010) * _above_end(x, y, z, person)
    for screen in before:
        seen = seen * screen.before(reach)
    return seen, limit, reach


def _above(rays: Rays, reach: Tensor, person: Person, x_scale: Tensor, z_scale: Tensor) -> Tensor:
    """How far above the bell's surface places along the rays lie [N, 1, pixels]: its edges are round."""
    x, y, z = rays.at(reach)
    out = ((x * x_scale).square() + ((z - _MIDDLE_Z) * z_scale).square() + 1e-6).sqrt()
    shell = ((out - _radius(x, y, person) + _STRANDS).abs() - _THICK) * 0.78
    ends = _rounded((y - 0.5) * 0.6, person.hair[:, 10, None, None] - y, 0.05)
    return _rounded(_rounded(shell, z - _opening(x, y), 0.16), ends, 0.14)


def _rounded(a: Tensor, b: Tensor, k: float) -> Tensor:
    """The larger one, with a fillet of ``k``: ``smooth_max`` in lanes.h."""
    return torch.maximum(a, b) + F.relu(k - (a - b).abs()).square() * (0.25 / k)


def _radius(x: Tensor, y: Tensor, person: Person) -> Tensor:
    """Of the bell's middle in units of its radii: it widens downwards, curls in at its end and has waves,
    and strands that stand out of it."""
    end, wave = (person.hair[:, i, None, None] for i in (10, 11))
    flare = 0.07 / 0.78 * step((0.25 - y) / 1.05) - 0.10 / 0.78 * (1 - wave) * step((end + 0.30 - y) / 0.40)
    return 1 + _STRANDS + flare + 0.045 / 0.78 * wave * sine(9 * y + 3 * x.abs() + 1)


def _opening(x: Tensor, y: Tensor) -> Tensor:
    """The depth in front of which the bell is open, for the face."""
    return 0.34 - 0.16 * step((-0.1 - y) / 0.8) + 0.25 * step((0.66 - x.abs()) / 0.26)


def _above_end(x: Tensor, y: Tensor, z: Tensor, person: Person) -> Tensor:
    """1 above the ends of the hair, which has nine tips around, and below its cap."""
    end = person.hair[:, 10, None, None]
    z = z - _MIDDLE_Z
    scale = (x.square() + z.square() + 1e-6).rsqrt()
    c = (z * scale).square()
    tips = x * scale * ((((256 * c - 448) * c + 240) * c - 40) * c + 1)  # sin(9 a) for x = sin(a), by Chebyshev
    return edge(y - end - 0.05 * tips, 0.008) * edge(0.45 - y, 0.03)


def braids(rays: Rays, face: Screen) -> list[Tensor]:
    """Both braids before or beside the face, and their bumps: 2 maps. Everybody has them."""
    z: Tensor | float = 0.1
    for _ in range(2):  # they come forward
        x, y = rays.plane(z)
        t = ((0.05 - y) / 1.25).clamp(0, 1)
        z = -0.12 + 0.42 * t
    bump = sine(13 * y).abs()
    inside = 0.125 - 0.05 * t * t + 0.022 * bump - (x.abs() - 0.82 - 0.06 * t + 0.14 * t * t).abs()
    both = edge(inside, 0.008) * step((0.18 - y) / 0.12) * edge(y + 1.14, 0.013)
    distance = (z - rays.start[:, 2, None, None]) / rays.way[:, 2:].clamp(max=-0.2)
    both = both * face.before(distance)
    return [both, both * bump]

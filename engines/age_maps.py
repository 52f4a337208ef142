"""Maps of what age leaves on a face: its lines, by the formulas of ``wrinkles`` in ``tools/face_world/world.h``, and
jowls.

Everybody has them on the maps, as everybody has glasses there: the generator scales them by W+. Torch only; run time
uses the exported ONNX file, and where AVX2 would lack registers planes are mixed by products of matrices.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from engines.person import Person
from engines.rays import Rays, band, edge, sine, step

# What the lines lie on, middles and radii: forehead and around the eyes (within the face: what hides things beside the
# head, too), around the mouth.
FACE, MUZZLE = ((0.0, 0.05, -0.10), (0.82, 1.00, 0.90)), ((0.0, -0.22, 0.14), (0.66, 0.58, 0.63))
JOWL = 0.18  # radius
_FAN = 0.48  # radians between the lines beside an eye
_NOSE_WIDTH = 0.99  # no point tells it; off by up to 0.013 of the head's units where the folds begin


def lines(rays: Rays, person: Person) -> Tensor:
    """Across the forehead, beside and under the eyes, from the nose past the mouth, and down: [N, 1, pixels]."""
    distance, _ = rays.ellipsoids(*(rays.way.new_tensor([FACE[i], MUZZLE[i]]) for i in (0, 1)))
    x, y, z = rays.at(distance)
    aside, high, low = x.abs(), y[:, :1], y[:, 1:]
    above = torch.maximum(_forehead(x[:, :1], high, person), _around_eyes(aside[:, :1], high, person.rest))
    both = torch.cat([above, _around_mouth(aside[:, 1:], low, person)], 1) * step((z - 0.15) / 0.15)
    return both.amax(1, keepdim=True)


def _forehead(x: Tensor, y: Tensor, person: Person) -> Tensor:
    """Three lines, which rise with the brow of their side."""
    aside = x.abs()
    raised, furrow = person.brows[:, :2], person.brows[:, 2:]
    low = person.rest[:, 8:26:17, 1] - 0.025 * raised + 0.065 * furrow  # brows as they are, and a little more
    left, right = low[:, :1, None], low[:, 1:, None]
    above = y - torch.lerp(left, right, edge(x, 0.02)) - 0.02 * sine(6 * aside)
    three = band(above - 0.075, 0.011) + 0.9 * band(above - 0.15, 0.011) + 0.7 * band(above - 0.225, 0.011)
    return three * step((0.42 - aside) / 0.20)


def _around_eyes(aside: Tensor, y: Tensor, rest: Tensor) -> Tensor:
    """A fan of three lines beside each eye and one under its bag."""
    wide = (rest[:, 24, :1] - rest[:, 23, :1]).abs()[..., None] / 1.72  # an eyeball's radius
    eye_x, eye_y = ((rest[:, 17, i] - sign * rest[:, 0, i])[:, None, None] / 2 for i, sign in ((0, 1), (1, -1)))
    out, up = aside - eye_x - 0.70 * wide, y - eye_y - 0.02
    s, c = math.sin(_FAN), math.cos(_FAN)
    across = aside.new_tensor([[-s, c], [0.0, 1.0], [s, c]]) @ torch.cat([out, up], 1)
    far = (out.square() + up.square() + 1e-6).sqrt()
    fan = band(across, 0.011).sum(1, keepdim=True) * step((far - 0.08) / 0.04) * step((0.21 - far) / 0.08)
    beside = aside - eye_x
    rim = (0.62 * beside.square() + up.square() + 1e-6).sqrt() - 1.22 * wide
    bag = band(rim, 0.014) * step((-0.06 - up) / 0.10) * step((0.24 - beside.abs()) / 0.10)
    return torch.maximum(0.75 * fan * step(out / 0.05), bag)


def _around_mouth(aside: Tensor, y: Tensor, person: Person) -> Tensor:
    """The folds from the nose past the mouth's corners, and those from the corners down."""
    rest, mouth = person.rest, person.mouth
    half = ((rest[:, 28, :1] - rest[:, 11, :1]) / 2)[..., None]
    jaw, smile = mouth[:, :1], mouth[:, 1:3].mean(1, keepdim=True)
    level = ((rest[:, 11, 1:2] + rest[:, 28, 1:2]) / 2 - 0.13 * (smile + 0.08) + 0.03 * jaw)[..., None]
    nose = rest[:, 34, 1:2, None]
    fold = aside - 0.11 * _NOSE_WIDTH - 0.045 - 0.66 * (nose + 0.02 - y)
    fold = band(fold, 0.019) * step((y - level + 0.05) / 0.09) * step((nose + 0.05 - y) / 0.07)
    sunk = level - 0.05 * jaw[..., None]
    down = band(aside - 1.04 * half - 0.30 * (level - y), 0.015)
    down = down * step((y - sunk + 0.22) / 0.12) * step((sunk - y) / 0.06)
    return torch.maximum(fold, 0.65 * down)


def jowls(rays: Rays, person: Person) -> Tensor:
    """The bulk of both: [N, 1, pixels]."""
    jaw, opened = person.rest[:, 31], 0.08 * person.mouth[:, 0]  # a point of the jaw's outline
    x, y = 0.34 / 0.56 * jaw[:, 0], 0.56 / 0.45 * (jaw[:, 1] + opened) - 1.25 * opened
    places = [torch.stack([sign * x, y, torch.full_like(x, 0.30)], 1) for sign in (-1, 1)]
    _, bulk = rays.ellipsoids(torch.stack(places, 1), rays.way.new_tensor([[JOWL, JOWL, JOWL]]))
    return bulk.sum(1, keepdim=True)

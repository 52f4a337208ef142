"""Maps of beards: where a full one grows, and its fluff, by the formulas of ``tools/face_world``.

Everybody has them on the maps: the generator scales them by W+. Torch only; run time uses the exported ONNX file.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engines.patterns import gyroids, on_sphere
from engines.person import Person
from engines.rays import Rays, edge, step

FLUFF, FINE_FLUFF = 26.0, 55.0  # tools/face_world/textures.h
# Middle and radii of a beard: by 1, the face's length, the jaw's width, how far it is open.
_BEARD = (
    (0.0, 0.0, 0.209, 0.421, 0.162, 0.826),
    (0.0, 0.457, 0.0, 0.0, 1.409, -0.093),
    (0.0, 0.0, 0.0, 0.403, 0.0, 0.0),
    (0.0, 0.028, -0.069, 0.0, 0.120, 0.050),
)


def beards(rays: Rays, person: Person) -> tuple[Tensor, Tensor]:
    """Coarse and fine fluff [N, 2, pixels], and 1 where a full beard is seen [N, 1, pixels]."""
    reached, half = rays.ellipsoids(*_body(person))
    x, y, z = rays.at(reached)
    fluff = gyroids(*on_sphere(x, y, z, -0.25, 0.80), rays.way.new_tensor([[FLUFF], [FINE_FLUFF]]))
    return fluff, _grows(x, y, z, person) * edge(half - 0.03, 0.01)


def _body(person: Person) -> tuple[Tensor, Tensor]:
    """Middle and radii [N, 1, 3] of a body whose front is about where a beard's is: fitted to drawn beards by least
    distances (0.02 off in the mean), by the face's length, the jaw's width and how far it is open."""
    (jaw, length), opened = person.jaw(), person.mouth[:, :1]
    shape = torch.cat([torch.ones_like(jaw), length, jaw, opened], 1)[:, None] @ jaw.new_tensor(_BEARD)
    return shape[..., :3], shape[..., 3:]


def _grows(x: Tensor, y: Tensor, z: Tensor, person: Person) -> Tensor:
    """1 where a full beard is on its body [N, 1, pixels], 0 above it and on the lips: ``region`` in world.h."""
    lips = person.lips()
    half = ((person.rest[:, 28, 0] - person.rest[:, 11, 0]) / 2)[:, None, None]
    line = lips.at_rest() + 0.02 + 0.40 * step((x.abs() - 0.30) / 0.44)
    low = (y - lips.at_rest() + 0.4 * lips.below) / (0.10 + 0.55 * lips.below)
    around = ((x / half).square() * 0.85 + low.square() + 1e-6).sqrt() - 1
    return edge(torch.minimum(torch.minimum(line - y, z + 0.12), around * 0.12) - 0.01, 0.008)

"""Maps of what a face consists of: the jaw's bulk and the nose's, by ``skull`` and ``world`` in
``tools/face_world/world.h``.

Torch only; run time uses the exported ONNX file.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engines.person import Person
from engines.rays import Rays

_ROUND = 0.02  # how far the jaw's body stands out where it meets the skull and the cheeks smoothly


def jaw_and_nose(rays: Rays, person: Person) -> tuple[Tensor, Tensor]:
    """How far along the rays both are met (the nearest approach where they are missed) and half the chords, 0 outside:
    [N, 2, pixels] each."""
    width, length = person.jaw()
    tip = person.rest[:, 34:35, 1]
    nothing, one = torch.zeros_like(width), torch.ones_like(width)
    middles = [nothing, -0.22 * length, 0.12 * one, nothing, tip, 0.86 * one]
    radii = [0.66 * width + _ROUND, 0.58 * length + _ROUND, (0.63 + _ROUND) * one, 0.12 * one, 0.10 * one, 0.14 * one]
    return rays.ellipsoids(*(torch.cat(part, 1).view(-1, 2, 3) for part in (middles, radii)))

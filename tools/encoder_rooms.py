"""What stands around and falls onto the heads that the encoder is trained on: rooms, light, shadow, grain.

Made once in some hundreds, float32, and drawn from by every step, because making them anew costs more than the step.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SIZE = 128
_HAIRS = ((0.07, 0.06, 0.06), (0.2, 0.13, 0.1), (0.36, 0.25, 0.17), (0.68, 0.55, 0.38), (0.5, 0.27, 0.16))


class Surroundings(NamedTuple):
    """Rooms [n, 3, 128, 128] in 0..1; light [n, 1, 128, 128], smooth, within -1..1; texture, likewise, of skin and
    strands; noise [n, 3, 128, 128] of cameras, normal."""

    rooms: Tensor
    light: Tensor
    texture: Tensor
    noise: Tensor


def surroundings(count: int, generator: torch.Generator) -> Surroundings:
    """So many of everything."""
    noise = torch.randn(count, 3, SIZE, SIZE, generator=generator)
    return Surroundings(backgrounds(count, generator), fields(count, generator), textures(count, generator), noise)


def uniform(n: int, low: float, high: float, generator: torch.Generator, channels: int = 1) -> Tensor:
    """float32 [n, channels, 1, 1] between ``low`` and ``high``."""
    return low + (high - low) * torch.rand(n, channels, 1, 1, generator=generator)


def grown(small: Tensor) -> Tensor:
    """[n, c, h, w] smoothly enlarged to [n, c, 128, 128]."""
    return F.interpolate(small, size=(SIZE, SIZE), mode="bicubic", align_corners=False)


def backgrounds(count: int, generator: torch.Generator) -> Tensor:
    """Random rooms [count, 3, 128, 128]: colours of several scales, many of them dull or dark, upright and level edges
    before them, and beside the head what has the colours of hair and is none."""
    total = uniform(count, 0, 1, generator, 3).expand(-1, -1, SIZE, SIZE)
    busy = uniform(count, 0, 1, generator)
    for scale in (2, 5, 12, 24):
        small = torch.rand(count, 3, scale, scale, generator=generator) - 0.5
        total = total + busy * uniform(count, 0, 1, generator) ** 2 * grown(small)
    axis = torch.arange(SIZE) / SIZE
    for _ in range(3):  # shelves, doors, windows
        x, y, w, h = (uniform(count, 0, 1, generator) for _ in range(4))
        there = uniform(count, 0, 1, generator) < 0.4
        inside = ((axis[None, None, None] - x).abs() < 0.5 * w**2) & ((axis[None, None, :, None] - y).abs() < 0.6 * h)
        total = torch.where(inside & there, 0.3 * total + 0.7 * uniform(count, 0, 1, generator, 3), total)
    grey = total.mean(1, keepdim=True)
    total = grey + (total - grey) * uniform(count, 0, 1, generator) ** 1.5
    bright = uniform(count, 0.3, 1.2, generator)
    bright = torch.where(uniform(count, 0, 1, generator) < 0.3, uniform(count, 0.03, 0.4, generator), bright)
    return _blobs((total * bright).clamp(0, 1), generator)


def _blobs(rooms: Tensor, generator: torch.Generator) -> Tensor:
    """Soft things of hair's colours, in half of the rooms."""
    n = len(rooms)
    shape = grown(torch.rand(n, 1, 4, 4, generator=generator))
    there = ((shape - uniform(n, 0.5, 0.8, generator)) * uniform(n, 4, 40, generator)).clamp(0, 1)
    there = there * (uniform(n, 0, 1, generator) < 0.5)
    colour = torch.tensor(_HAIRS)[torch.randint(0, len(_HAIRS), (n,), generator=generator)][:, :, None, None]
    colour = colour * uniform(n, 0.4, 1.3, generator) * (1 + 0.3 * textures(n, generator))
    return (rooms + there * (colour - rooms)).clamp(0, 1)


def fields(count: int, generator: torch.Generator) -> Tensor:
    """Smooth light and shade [count, 1, 128, 128] within -1..1: from one side to blinds and leaves."""
    total = torch.zeros(count, 1, SIZE, SIZE)
    for scale in (2, 3, 5, 9):
        small = torch.rand(count, 1, scale, scale, generator=generator) * 2 - 1
        total = total + uniform(count, 0, 1, generator) ** 2 * grown(small)
    hard = 1 + 5 * uniform(count, 0, 1, generator) ** 3  # some shadows have edges
    return torch.tanh(total * hard) / hard.sqrt()


def textures(count: int, generator: torch.Generator) -> Tensor:
    """Fine structure [count, 1, 128, 128] within -1..1: grains of one to five pixels, or strands."""
    total = torch.zeros(count, 1, SIZE, SIZE)
    for rows, columns in ((SIZE, SIZE), (64, 64), (26, 26), (8, SIZE), (10, 48)):
        amount = uniform(count, 0, 1, generator) ** 3
        total = total + amount * grown(torch.randn(count, 1, rows, columns, generator=generator))
    return total.clamp(-1, 1)

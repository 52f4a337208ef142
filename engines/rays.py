"""Rays of a picture in a part's own frame, and the functions that the detail maps are made of.

Torch only; run time uses the exported ONNX file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Approach:
    """Rays that pass a body whose middle is a unit away from its surface in every direction, each [N, K, pixels]:
    how far along a ray its nearest place is, how far that is from the middle, squared, and what turns such squares
    into squares of ways along the ray."""

    nearest: Tensor
    square: Tensor
    stretch: Tensor

    def meet(self, beyond: Tensor, side: float = -1.0) -> Tensor:
        """How far along the rays a surface is met whose own square is ``beyond`` the nearest place's: its near side,
        or with ``side`` 1 its far one. Where it is not met, the nearest place."""
        return self.nearest + side * (F.relu(beyond) * self.stretch + 1e-6).sqrt()


@dataclass(frozen=True, slots=True)
class Rays:
    """Rays in a part's own frame: start [N, 3], unit directions [N, 3, pixels]; and the part's turn [N, 3, 3]."""

    start: Tensor
    way: Tensor
    turn: Tensor

    def ellipsoids(self, middles: Tensor, radii: Tensor) -> tuple[Tensor, Tensor]:
        """How far the first meeting is (the nearest approach where a ray misses) and half the chord, 0 outside.

        ``middles`` and ``radii`` are [K, 3] or [N, K, 3]; both results [N, K, pixels].
        """
        scale = radii.reciprocal()
        offset = (self.start[:, None] - middles) * scale
        dd = scale.square() @ self.way.square()
        od = (offset * scale) @ self.way
        half = (F.relu(od * od - dd * (offset.square().sum(-1, keepdim=True) - 1)) + 1e-6).sqrt() / dd
        return -od / dd - half, half

    def approach(self, middles: Tensor, radii: Tensor) -> Approach:
        """How near the rays come to the middles of ellipsoids, ``middles`` and ``radii`` as above."""
        scale = radii.reciprocal()
        offset = (self.start[:, None] - middles) * scale
        stretch = (scale.square() @ self.way.square()).reciprocal()
        nearest = (offset * scale) @ self.way * stretch * -1
        return Approach(nearest, offset.square().sum(-1, keepdim=True) - nearest.square() / stretch, stretch)

    def at(self, distance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x, y and z [N, K, pixels] at a distance [N, K, pixels] along the rays."""
        s, d = self.start[:, :, None, None], self.way[:, :, None]
        return s[:, 0] + d[:, 0] * distance, s[:, 1] + d[:, 1] * distance, s[:, 2] + d[:, 2] * distance

    def quarters(self) -> tuple[Tensor, Tensor]:
        """How directions of a square change by a quarter of a pixel to the right and down: [N, 3] each."""
        size = math.isqrt(int(self.way.shape[2]))
        square = self.way.view(-1, 3, size, size)
        across, along = square[..., -1:] - square[..., :1], square[..., -1:, :] - square[..., :1, :]
        right, down = (way.mean((2, 3)) / (4 * (size - 1)) for way in (across, along))
        return right, down

    def plane(self, z: Tensor | float) -> tuple[Tensor, Tensor]:
        """x and y [N, 1, pixels] where the rays meet the frame's plane at z."""
        x, y, _ = self.at((z - self.start[:, 2, None, None]) / self.way[:, 2:].clamp(max=-0.2))
        return x, y


@dataclass(frozen=True, slots=True)
class Screen:
    """A body that hides what lies behind it: where rays meet it, and 1 where they do, both [N, 1, pixels]."""

    reached: Tensor
    met: Tensor

    @classmethod
    def of(cls, hit: tuple[Tensor, Tensor]) -> Screen:
        """What :meth:`Rays.ellipsoids` found of one body; where it is thinner than 0.06 it hides nothing."""
        reached, half = hit
        return cls(reached, edge(half - 0.06, 0.02))

    def before(self, distance: Tensor) -> Tensor:
        """1 where places at a distance [N, K, pixels] along the rays are seen, 0 where they are hidden."""
        return 1 - edge(distance - self.reached, 0.02) * self.met


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


def step(t: Tensor) -> Tensor:
    """A smooth step from 0 to 1."""
    t = t.clamp(0, 1)
    return t * t * (3 - 2 * t)


def edge(inside: Tensor, width: float) -> Tensor:
    """From 0 outside to 1 inside, as steep as a sigmoid of this width but without its tails, in a third of its time."""
    return step(inside * (1 / (6 * width)) + 0.5)


def band(distance: Tensor, width: float) -> Tensor:
    """1 on a line, falling off over ``width``."""
    return torch.exp((distance / width).square().clamp(max=30) * -1)

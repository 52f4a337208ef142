"""What the maps of a picture depend on beside the pose, and the measures that follow from it. Torch only."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engines.rays import edge

# A quiff and the hair beside a side part: middles, then radii, the second of which is what an amount of 1 makes it.
_LOCKS = ((0.06, 0.92, 0.38, 0.58, 0.26, 0.36), (0.20, 0.90, 0.28, 0.56, 0.20, 0.46))


@dataclass(frozen=True, slots=True)
class Lips:
    """Of a mouth's middle, each [N, 1, 1] in head units: how high the line is where lips meet, how far they are open
    above and below it, how thick they are; how far the jaw is open, 0..1; how round the opening is, 0..1; and how far
    below the line at rest the upper teeth reach."""

    line: Tensor
    above: Tensor
    below: Tensor
    upper: Tensor
    lower: Tensor
    jaw: Tensor
    rounded: Tensor
    teeth: Tensor

    def at_rest(self) -> Tensor:
        """The line's height with a closed jaw: where the upper teeth stay."""
        return self.line + 0.03 * self.jaw


@dataclass(frozen=True, slots=True)
class Person:
    """What the maps depend on beside the pose: the points at rest [N, 44, 3] (order of ``points_of`` in head.h), the
    gaze [N, 2], 1 for natural proportions [N, 1], the twelve numbers of the hair's shape [N, 12] (head.h), how far
    the brows are raised and furrowed [N, 3], how far the jaw is open, the corners of the mouth and the
    upper lip are up and the lower one is down, and how wide the mouth is [N, 6]."""

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

    def jaw(self) -> tuple[Tensor, Tensor]:
        """The jaw's width and the face's length, 1 usually, each [N, 1]."""
        wide = (self.rest[:, 31, :1] - self.rest[:, 14, :1]) / 1.12
        return wide, (self.rest[:, 38, 1:2] + 0.20 * self.mouth[:, :1] + 0.17) / -0.69

    def lips(self) -> Lips:
        """The mouth's measures: how far it is open tells the motion code, the rest the middles of the lips."""
        upper, lower = (self.rest[:, i, 1, None, None] for i in (36, 37))
        jaw, left, right, raised, lowered, wide = self.mouth[:, :, None, None].unbind(1)
        above, below = 0.045 * jaw + 0.05 * raised, 0.255 * jaw + 0.05 * lowered
        thick = (upper - lower - above - below).clamp(min=0.02) * 2
        pursed = (-wide).clamp(min=0)
        smile = (0.45 * (left + right) + 0.6 * wide.clamp(min=0) + 0.9 * raised).clamp(0, 1)
        teeth = torch.lerp(torch.full_like(jaw, 0.016), 0.068 + 0.016 * jaw, smile) - 0.030 * pursed
        line, (top, bottom) = upper - above - 0.211 * thick, (0.422 * thick, 0.578 * thick)
        return Lips(line, above, below, top, bottom, jaw, 0.35 + 0.45 * (pursed + 0.3 * jaw).clamp(0, 1), teeth)

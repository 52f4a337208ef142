"""Inversion: the code of a picture, by optimisation of W+ that stays where the generator behaves well.

    region = region_of(samples)                        # where codes of W lie
    found = invert(generator, target, mask, start, region, editability=0.5, steps=120)
    error = tune(generator, found.wplus, target, mask, steps=60)        # optional

A code is written as ``mean + A u`` with A the root of the covariance of W, so that the length of u is the distance to
the centre of W in standard deviations (Mahalanobis) and every direction is equally steep. The loss is the distance of
the pictures (pixels and their differences at several sizes) plus two penalties: the distance to the centre and how far
the rows of W+ lie apart. ``editability`` weighs them: 1 keeps one row for all layers near W, where edits do what they
do to anybody; 0 reconstructs as well as W+ can. The trade is that of Tov et al. 2021, "Designing an Encoder for
StyleGAN Image Manipulation" (distortion against editability); fine-tuning the generator around the found code with
the others kept is Roich et al. 2022, "Pivotal Tuning for Latent-based Editing of Real Images".

Torch only.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RATE, TUNING_RATE = 0.08, 1e-3
STRONGEST = 0.1  # weight of the distance to the centre at editability 1
APART = 1.0  # weight of the rows' distance from each other at editability 1
RIDGE = 0.02  # of the mean variance, added to every direction of the covariance
LEVELS = 4  # sizes at which pictures are compared, each half of the one before

Progress = Callable[[int, float], None]


class Invertible(Protocol):
    """A generator as inversion needs it."""

    @property
    def module(self) -> nn.Module:
        """What is fine-tuned."""
        ...

    def draw(self, wplus: Tensor) -> Tensor:
        """W+ float32 [N, rows, dim] to pictures [N, 3, S, S] in 0..1, on plain grey where nothing is drawn."""
        ...

    def samples(self, count: int, seed: int) -> Tensor:
        """Codes of W as training knew them, float32 [count, dim]."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Where codes of W lie.

    mean: float32 [dim]. root: float32 [dim, dim], symmetric; root @ root is the covariance. inverse: of the root.
    """

    mean: Tensor
    root: Tensor
    inverse: Tensor

    def whitened(self, w: Tensor) -> Tensor:
        """u of codes [..., dim]: standard normal where W is."""
        return (w - self.mean) @ self.inverse

    def code(self, u: Tensor) -> Tensor:
        """The inverse of :meth:`whitened`."""
        return self.mean + u @ self.root

    def distance(self, wplus: Tensor) -> float:
        """The rows' mean distance to the centre of W, over that of a usual code: about 1 inside, more outside."""
        return float(self.whitened(wplus).square().mean(-1).sqrt().mean())


def region_of(samples: Tensor) -> Region:
    """The region of codes of W, float32 [n, dim]. Raises ValueError for fewer than two."""
    if samples.ndim != 2 or len(samples) < 2:
        raise ValueError(f"codes have shape {list(samples.shape)}; wanted [n, dim] with n of 2 or more")
    mean = samples.mean(0)
    centred = (samples - mean).double()
    covariance = centred.t() @ centred / (len(samples) - 1)
    values, vectors = torch.linalg.eigh(covariance)
    values = values.clamp_min(0) + RIDGE * values.mean().clamp_min(1e-12)
    root = (vectors * values.sqrt()) @ vectors.t()
    inverse = (vectors / values.sqrt()) @ vectors.t()
    return Region(mean, root.to(samples.dtype), inverse.to(samples.dtype))


@dataclass(frozen=True, slots=True, eq=False)
class Inverted:
    """What inversion found.

    wplus: float32 [rows, dim]. error, start_error: mean absolute difference within the mask, 0..1.
    distance, start_distance: see :meth:`Region.distance`.
    """

    wplus: Tensor
    error: float
    start_error: float
    distance: float
    start_distance: float


def invert(
    generator: Invertible,
    target: Tensor,
    mask: Tensor,
    start: Tensor,
    region: Region,
    *,
    editability: float = 0.5,
    steps: int = 120,
    progress: Progress | None = None,
) -> Inverted:
    """Refine a code until its picture is like ``target``.

    target: [1, 3, S, S] in 0..1. mask: [1, 1, S, S], how much each pixel counts, 0..1. start: [rows, dim].
    editability: 0 (as like as possible) to 1 (as editable as possible).

    Raises ValueError for an editability out of range, shapes that do not fit, and an empty mask.
    """
    _check(target, mask, editability)
    u = region.whitened(start).detach().requires_grad_()
    optimiser = torch.optim.Adam([u], lr=RATE)
    strength = editability**2
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (0.05 + 0.95 * (0.5 + 0.5 * math.cos(math.pi * step / steps)))
        away = difference(generator.draw(region.code(u)[None]), target, mask)
        apart = (u - u.mean(0, keepdim=True)).square().mean()
        loss = away + strength * (STRONGEST * u.square().mean() + APART * apart)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss, inputs=[u])
        optimiser.step()
        if progress is not None:
            progress(step + 1, float(away.detach()))
    with torch.no_grad():
        wplus = region.code(u)
        error = mean_error(generator.draw(wplus[None]), target, mask)
        start_error = mean_error(generator.draw(start[None]), target, mask)
    return Inverted(wplus, error, start_error, region.distance(wplus), region.distance(start))


def _check(target: Tensor, mask: Tensor, editability: float) -> None:
    if not 0 <= editability <= 1:
        raise ValueError(f"editability is {editability}; wanted 0 to 1")
    if mask.shape != (1, 1, *target.shape[2:]) or float(mask.sum()) <= 0:
        raise ValueError(f"the mask has shape {list(mask.shape)}; wanted [1, 1, S, S] as the picture, not all zero")


def difference(picture: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference of pixels and of neighbours' differences within the mask, over several sizes."""
    total = picture.new_zeros(())
    for level in range(LEVELS):
        if level:
            picture, target, mask = (F.avg_pool2d(one, 2) for one in (picture, target, mask))
        off = (picture - target) * mask
        across, down = off[..., 1:] - off[..., :-1], off[..., 1:, :] - off[..., :-1, :]
        area = mask.sum() * picture.shape[1]
        total = total + (off.abs().sum() + across.abs().sum() + down.abs().sum()) / area
    return total / LEVELS


def mean_error(picture: Tensor, target: Tensor, mask: Tensor) -> float:
    """Mean absolute difference within the mask, 0..1."""
    return float(((picture - target).abs() * mask).sum() / (mask.sum() * picture.shape[1]))


def edit_effect(draw: Callable[[Tensor], Tensor], wplus: Tensor, usual: Tensor, direction: Tensor) -> float:
    """How much of an edit's usual effect it has on a code: 1 is all of it, 0 nothing, negative the opposite.

    The change of the picture projected onto the change of a usual code's picture, over that change's square.
    wplus, usual: [rows, dim]; direction: what strength 1 adds, [rows, dim].
    """
    with torch.no_grad():
        change, wanted = (draw((code + direction)[None]) - draw(code[None]) for code in (wplus, usual))
    return float((change * wanted).sum() / wanted.square().sum().clamp_min(1e-12))


def tune(
    generator: Invertible, wplus: Tensor, target: Tensor, mask: Tensor, *, steps: int = 60,
    locality: float = 1.0, seed: int = 0, progress: Progress | None = None,
) -> float:  # fmt: skip
    """Fine-tune the generator's weights so that the pivot ``wplus`` [rows, dim] draws the target, in place.

    Codes between the pivot and random ones must go on drawing what they did (weight ``locality``), so that edits keep
    working. Returns the mean absolute difference within the mask afterwards.
    """
    before = copy.deepcopy(generator)
    before.module.requires_grad_(False)
    generator.module.requires_grad_(True)
    parameters = list(generator.module.parameters())
    optimiser = torch.optim.Adam(parameters, lr=TUNING_RATE)
    others = generator.samples(max(steps, 1), seed)
    for step in range(steps):
        near = (0.5 * wplus + 0.5 * others[step])[None]
        with torch.no_grad():
            kept = before.draw(near)
        away = difference(generator.draw(wplus[None]), target, mask)
        loss = away + locality * F.l1_loss(generator.draw(near), kept)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        if progress is not None:
            progress(step + 1, float(away.detach()))
    generator.module.requires_grad_(False)
    with torch.no_grad():
        return mean_error(generator.draw(wplus[None]), target, mask)

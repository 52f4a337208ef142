"""Edges of drawn heads without fringes.

The generator's colours end a fraction of a pixel before or after its alpha does, so that an edge laid over a picture
has a dark line outside and a bright one inside, dotted by the 2x2 sub-pixels. What is not quite opaque therefore gets
the colour of what is, around it: a normalised convolution (Knutsson and Westin, "Normalized and differential
convolution", 1993) by a tent of 5x5 pixels, opaque pixels counting most. Where nothing around is opaque (the wire of a
hoop) the colour stays. Alpha stays everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

Pixels = npt.NDArray[np.uint8]

DOUBLINGS = 3  # a pixel counts by its alpha, squared so often
FEW = 0.02  # share of opaque pixels around at which half of the colour is theirs

_ALPHAS = np.arange(256) / 255
_COUNTS = np.round(255 * _ALPHAS ** (2**DOUBLINGS)).astype(np.uint8)
_TRUSTED = np.round(255 * _ALPHAS / (_ALPHAS + FEW)).astype(np.uint8)


def clean_edges(bgra: Pixels) -> Pixels:
    """A portrait, straight BGRA, uint8 [S, S, 4], with clean edges: another array."""
    counts = cv2.LUT(cv2.extractChannel(bgra, 3), _COUNTS)
    opaque = bgra.copy()
    opaque[..., 3] = 255
    sums = cv2.multiply(opaque, cv2.merge([counts] * 4), dtype=cv2.CV_16U)
    sums = cv2.blur(cv2.blur(sums, (3, 3)), (3, 3))
    total = cv2.extractChannel(sums, 3)
    around = cv2.divide(sums, cv2.merge([total] * 4), scale=255, dtype=cv2.CV_8U)
    trusted = cv2.LUT(cv2.convertScaleAbs(total, alpha=1 / 255), _TRUSTED)
    taken = cv2.multiply(trusted, cv2.bitwise_not(counts), scale=1 / 255)
    taken = cv2.merge([taken, taken, taken, np.zeros_like(taken)])
    own = cv2.multiply(bgra, cv2.bitwise_not(taken), scale=1 / 255)
    return np.asarray(cv2.add(own, cv2.multiply(around, taken, scale=1 / 255)), np.uint8)


def clean_edges_of(rgba: Tensor) -> Tensor:
    """The same of premultiplied RGBA, float [N, S, S, 4], around 0..1."""
    import torch
    from torch.nn.functional import avg_pool2d

    alpha = rgba[..., 3:].clamp(0.0, 1.0)
    colours = torch.minimum(rgba[..., :3].clamp_min(0.0), alpha)
    counts = alpha
    for _ in range(DOUBLINGS):
        counts = counts * counts
    sums = torch.cat([colours * counts / alpha.clamp_min(1e-3), counts], 3).permute(0, 3, 1, 2)
    for _ in range(2):
        sums = avg_pool2d(sums, 3, 1, 1)
    sums = sums.permute(0, 2, 3, 1)
    total = sums[..., 3:]
    # taken = (1 - counts) total / (total + FEW) of sums / total
    part = (1 - counts) / (total + FEW)
    return torch.cat([colours * (1 - part * total) + alpha * part * sums[..., :3], alpha], 3)

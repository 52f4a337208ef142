"""Sine, cosine and the angle of a point for exported networks: polynomials, which runtimes fuse into one loop.

OpenVINO computes ``Sin``, ``Cos`` and ``Atan`` one number at a time. Outside an export these are torch's own, so that
training and GPUs are not touched. The coefficients are least-maximum fits (Lawson's algorithm); sine and cosine are
within 1e-5 of torch's, angles within 2e-5 radians.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_SINE = (6.283055798603762, -41.331214306248135, 81.36681528952712, -74.47800453741556, 32.781400794900215)
_ANGLE = (
    0.999977218959283, -0.3326228253174467, 0.19354036120325874, -0.11642644713348885, 0.05264731598434262,
    -0.011719122644316793,
)  # fmt: skip


def _odd(x: Tensor, factors: tuple[float, ...]) -> Tensor:
    """The odd polynomial with these factors of x, x^3, x^5, ..."""
    square = x * x
    total = square * factors[-1] + factors[-2]
    for factor in reversed(factors[:-2]):
        total = total * square + factor
    return total * x


def sine(angle: Tensor) -> Tensor:
    """The sine of angles in radians."""
    if not torch.onnx.is_in_onnx_export():
        return angle.sin()
    turns = angle * (1 / (2 * math.pi))
    return _odd(turns - torch.floor(turns + 0.5), _SINE)


def cosine(angle: Tensor) -> Tensor:
    """The cosine of angles in radians."""
    return sine(angle + math.pi / 2) if torch.onnx.is_in_onnx_export() else angle.cos()


def angle_of(y: Tensor, x: Tensor) -> Tensor:
    """``atan2``: the angle of points, -pi..pi."""
    if not torch.onnx.is_in_onnx_export():
        return torch.atan2(y, x)
    along, across = x.abs(), y.abs()
    angle = _odd(torch.minimum(along, across) / torch.maximum(along, across).clamp(min=1e-20), _ANGLE)
    angle = torch.where(across > along, math.pi / 2 - angle, angle)
    angle = torch.where(x < 0, math.pi - angle, angle)
    return torch.where(y < 0, -angle, angle)

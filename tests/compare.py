"""The rule for fast paths: at most twice the error of plain PyTorch in the same precision, both against float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor


def check_close(
    fast: Tensor, plain: Tensor, exact: Tensor, what: str, factor: float = 2.0, floor: float = 2.0**-10
) -> None:
    """Fail with count, coordinates and both values where ``fast`` is worse than the rule allows.

    plain: the reference in the same precision; exact: in float64. floor: one rounding of the largest value.
    """
    assert fast.shape == exact.shape, f"{what}: got shape {list(fast.shape)}, wanted {list(exact.shape)}"
    error, usual = (fast.double() - exact).abs(), (plain.double() - exact).abs()
    assert not error.isnan().any(), f"{what}: {int(error.isnan().sum())} of {error.numel()} values are not numbers"
    allowed = factor * float(usual.max()) + floor * float(exact.abs().max())
    if float(error.max()) > allowed:
        at = tuple(int(i) for i in torch.unravel_index(error.argmax(), error.shape))
        pytest.fail(
            f"{what}: {int((error > allowed).sum())} of {error.numel()} values differ by more than {allowed:g}; worst "
            f"{float(error.max()):g} at {at}: got {float(fast[at]):g}, wanted {float(exact[at]):g}"
        )
    spread = error.square().mean().sqrt(), usual.square().mean().sqrt()
    assert spread[0] <= factor * spread[1] + floor * exact.square().mean().sqrt(), f"{what}: RMS {spread[0]:g}"

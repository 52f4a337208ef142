"""W+ between encoder and generator on the GPU: smoothed over time and edited, over static buffers.

The filter is ``realtime.smoothing``'s One-Euro filter (Casiez, Roussel, Vogel 2012, algorithm 1) with each row's own
cut-off; edits are those of ``engines.installed_directions``. Everything that changes from frame to frame is a tensor,
so that a captured graph needs no new capture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engines.installed_directions import RowEdit


@dataclass(frozen=True, slots=True)
class FilterSettings:
    """Of the One-Euro filter: hertz and 1 / value for every row of W+, and hertz for the speeds."""

    min_cutoff_hz: Sequence[float]
    beta: Sequence[float]
    derivative_cutoff_hz: float


class CodeFilter:
    """Smooths float32 [1, rows, w_dim] from frame to frame; None filters nothing."""

    def __init__(self, settings: FilterSettings | None, like: Tensor) -> None:
        self._settings = settings
        if settings is None:
            return
        rows = like.shape[1]
        if len(settings.min_cutoff_hz) != rows or len(settings.beta) != rows:
            got = f"{len(settings.min_cutoff_hz)} cut-offs, {len(settings.beta)} betas"
            raise ValueError(f"the filter has {got}; wanted {rows}, one a row of W+")
        self._min_cutoff_hz, self._beta = (
            torch.tensor(values, dtype=torch.float32, device=like.device)[:, None]
            for values in (settings.min_cutoff_hz, settings.beta)
        )
        self._filtered, self._speed = torch.zeros_like(like), torch.zeros_like(like)

    def run(self, codes: Tensor, step_s: Tensor, fresh: Tensor) -> Tensor:
        """The filtered codes; valid until the next call.

        step_s: float32 [], seconds since the last frame, 0 for a time that did not move on. fresh: float32 [], 1 starts
        anew.
        """
        if self._settings is None:
            return codes
        step = step_s.clamp_min(1e-9)
        speed = (codes - self._filtered) / step
        speed = self._speed + _weight(self._settings.derivative_cutoff_hz, step) * (speed - self._speed)
        weight = _weight(self._min_cutoff_hz + self._beta * speed.abs(), step)
        moved = self._filtered + weight * (codes - self._filtered)
        anew, goes_on = fresh > 0, step_s > 0
        self._speed.copy_(torch.where(anew, torch.zeros_like(speed), torch.where(goes_on, speed, self._speed)))
        self._filtered.copy_(torch.where(anew, codes, torch.where(goes_on, moved, self._filtered)))
        return self._filtered


def _weight(cutoff_hz: Tensor | float, step_s: Tensor) -> Tensor:
    turns = cutoff_hz * step_s * (2 * math.pi)
    return turns / (turns + 1)


class CodeEdits:
    """Edits of float32 [1, rows, w_dim], one after the other."""

    def __init__(self, edits: Sequence[RowEdit], device: torch.device) -> None:
        def there(values: object) -> Tensor:
            return torch.as_tensor(values, dtype=torch.float32).to(device)

        self._edits = [
            (there(e.step), None if e.probe is None else (there(e.probe), there(e.mean)), e.unit) for e in edits
        ]

    def __len__(self) -> int:
        return len(self._edits)

    def run(self, codes: Tensor, strengths: Tensor) -> Tensor:
        """The edited codes; strengths: float32 [edits]. A strength of 0 leaves the codes as they are."""
        for number, (step, reads, unit) in enumerate(self._edits):
            strength = strengths[number]
            amount = strength * unit
            if reads is not None:  # towards a coordinate, measured on row 0
                probe, mean = reads
                amount = torch.where(strength != 0, amount - (codes[0, 0] - mean) @ probe, torch.zeros_like(amount))
            codes = codes + amount * step
        return codes

"""W+ between encoder and generator on the GPU: smoothed over time and edited, over static buffers.

The filter is ``realtime.smoothing``'s One-Euro filter (Casiez, Roussel, Vogel 2012, algorithm 1) with each row's own
cut-off; edits are those of ``engines.installed_directions``. Everything that changes, edits themselves too, is in
tensors, so that a captured graph needs no new capture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engines.installed_directions import RowEdit
from kernels.edit_codes import EditRoom, edit_codes_into
from kernels.program import Programs, cuda_program

MOST_EDITS = 32  # room in the static buffers


@dataclass(frozen=True, slots=True)
class FilterSettings:
    """Of the One-Euro filter: hertz and 1 / value for every row of W+, and hertz for the speeds."""

    min_cutoff_hz: Sequence[float]
    beta: Sequence[float]
    derivative_cutoff_hz: float


class CodeFilter:
    """Smooths codes from frame to frame, each person's by themselves; None filters nothing.

    like: float32 [people, rows, w_dim], room for all of them.
    """

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

    def run(self, codes: Tensor, step_s: Tensor, fresh: Tensor, who: Tensor | None = None) -> Tensor:
        """The filtered codes of [faces, rows, w_dim]; valid until the next call.

        step_s: float32 [faces, 1, 1], seconds since the last frame, 0 for a time that did not move on. fresh: float32
        [faces, 1, 1], 1 starts anew. who: int64 [faces], whose codes they are; None: everyone's, in their order.
        """
        if self._settings is None:
            return codes
        step = step_s.clamp_min(1e-9)
        before, last = (values if who is None else values[who] for values in (self._filtered, self._speed))
        speed = (codes - before) / step
        speed = last + _weight(self._settings.derivative_cutoff_hz, step) * (speed - last)
        weight = _weight(self._min_cutoff_hz + self._beta * speed.abs(), step)
        moved = before + weight * (codes - before)
        anew, goes_on = fresh > 0, step_s > 0
        speed = torch.where(anew, torch.zeros_like(speed), torch.where(goes_on, speed, last))
        filtered = torch.where(anew, codes, torch.where(goes_on, moved, before))
        for kept, new in ((self._speed, speed), (self._filtered, filtered)):
            kept.copy_(new) if who is None else kept.index_copy_(0, who, new)
        return filtered


def _weight(cutoff_hz: Tensor | float, step_s: Tensor) -> Tensor:
    turns = cutoff_hz * step_s * (2 * math.pi)
    return turns / (turns + 1)


class CodeEdits:
    """Edits of float32 [N, rows, w_dim], one after the other; ``wear`` changes them without a new capture.

    rows, w_dim: of the codes. Raises ValueError for more edits than MOST_EDITS, and for those of other codes.
    """

    def __init__(
        self, edits: Sequence[RowEdit], rows: int, w_dim: int, device: torch.device, programs: Programs = cuda_program
    ) -> None:
        self._programs, self._room = programs, EditRoom(MOST_EDITS, rows, w_dim, device)
        self.wear(edits)

    def __len__(self) -> int:
        return self._count

    def wear(self, edits: Sequence[RowEdit]) -> None:
        """Put other edits in the place of those that are worn: values in the buffers that a graph reads."""
        if len(edits) > MOST_EDITS:
            raise ValueError(f"there are {len(edits)} edits; wanted at most {MOST_EDITS}")
        room, wanted = self._room, tuple(self._room.step.shape[1:])
        for edit in edits:
            if edit.step.shape != wanted:
                raise ValueError(f"an edit has shape {list(edit.step.shape)}; wanted {list(wanted)}")
        for number, edit in enumerate(edits):
            zeros = np.zeros(wanted[1], np.float32)
            reads, probe, mean = edit.probe is not None, edit.probe, edit.mean
            probe, mean = (zeros if values is None else values for values in (probe, mean))
            offset = float(np.dot(mean.astype(np.float64), probe))
            room.step[number].copy_(torch.from_numpy(np.array(edit.step, np.float32)))
            room.probe[number].copy_(torch.from_numpy(np.array(probe, np.float32)))
            room.numbers[number].copy_(torch.tensor([edit.unit, float(reads), offset]))
        room.count.fill_(len(edits))
        self._count = len(edits)

    def run(self, codes: Tensor, strengths: Tensor) -> None:
        """Edit codes in place; strengths: float32 [N, edits or more]. A strength of 0 leaves the codes as they are."""
        edit_codes_into(self._programs, codes, strengths, self._room)

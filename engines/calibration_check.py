"""Whether edits still work after calibration: the same direction must change the tuned pictures as it did before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from engines.calibration import Floats, Tuner
from engines.installed_directions import Edit


@dataclass(frozen=True, slots=True)
class EditCheck:
    """One edit before and after.

    alike: cosine between the changes of the pictures, 1 where they are the same. size: the change's size after over
    before.
    """

    name: str
    alike: float
    size: float

    @property
    def works(self) -> bool:
        """Whether the change is much the same."""
        return self.alike >= 0.8 and 0.5 <= self.size <= 2.0


@torch.no_grad()
def check_edits(tuner: Tuner, edits: Mapping[str, Edit], strength: float = 1.0) -> list[EditCheck]:
    """Every edit on the held-out frames' codes."""
    checks = []
    held = tuner.frames.part("held")
    for name, edit in edits.items():
        edited = np.stack([edit(pivot, strength) for pivot in held.pivots])
        changes = []
        for params in (None, tuner.best):
            pictures = [_drawn(tuner, codes, params) for codes in (held.pivots, edited)]
            changes.append((pictures[1] - pictures[0]).flatten().double())
        before, after = changes
        lengths = float(before.norm()), float(after.norm())
        alike = float(before @ after) / max(lengths[0] * lengths[1], 1e-12)
        checks.append(EditCheck(name, alike, lengths[1] / max(lengths[0], 1e-12)))
    return checks


def _drawn(tuner: Tuner, codes: Floats, params: dict[str, torch.Tensor] | None) -> torch.Tensor:
    pivots = torch.from_numpy(np.ascontiguousarray(codes, np.float32)).to(tuner.device)
    return torch.cat([tuner.draw(pivot[None], params) for pivot in pivots])

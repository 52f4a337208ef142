"""A calibration installed as a model: its delta, what it was made from, and what it was measured to do."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

from engines.calibration import Errors, Floats, Tuner
from engines.calibration_check import EditCheck
from engines.checkpoints.errors import CheckpointError
from engines.checkpoints.importing import CONTACT_SHEET, MANIFEST, file_sha256, put_in_place, write_contact_sheet
from engines.checkpoints.installed import CALIBRATED, DELTA, read_manifest

SHOWN = 4  # held-out frames on the contact sheet


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A finished calibration.

    before, after: errors on frames that took no part. edits: see ``engines.calibration_check``.
    """

    folder: Path
    before: Errors
    after: Errors
    steps: int
    parameters: int
    edits: tuple[EditCheck, ...]

    @property
    def contact_sheet(self) -> Path:
        """Held-out frames; below them what the generator drew before and after."""
        return self.folder / CONTACT_SHEET


def install_calibration(tuner: Tuner, edits: Sequence[EditCheck], base: Path, name: str) -> Calibrated:
    """Write the model's folder beside its base's and put it into place by one rename.

    Raises CheckpointError when it cannot be written.
    """
    folder = base.parent / name
    delta = tuner.delta()
    before, after = tuner.errors("held", None), tuner.errors("held", tuner.best)
    size = sum(values.size for values in delta.values())
    done = Calibrated(folder, before, after, tuner.progress.step, size, tuple(edits))
    try:
        work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=base.parent))
        try:
            save_file({key: np.ascontiguousarray(value) for key, value in delta.items()}, work / DELTA)
            write_contact_sheet(work / CONTACT_SHEET, _sheet(tuner))
            row = _row(done, read_manifest(base), work / DELTA, name)
            (work / MANIFEST).write_text(json.dumps(row, indent=2) + "\n", encoding="utf-8")
            put_in_place(work, folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise CheckpointError(f"cannot write the model to {folder}: {error.strerror}; free some space") from None
    return done


def _row(done: Calibrated, base: dict[str, Any], delta: Path, name: str) -> dict[str, Any]:
    file = {"role": "delta", "name": DELTA, "bytes": delta.stat().st_size, "sha256": file_sha256(delta)}
    source = {"name": f"calibration of {base['name']}", "bytes": 0, "sha256": file["sha256"]}
    kept = {key: base[key] for key in ("resolution", "rows", "w_dim", "architecture", "licence")}
    figures = {
        "held_out_before": asdict(done.before), "held_out_after": asdict(done.after), "steps": done.steps,
        "edits": [asdict(edit) for edit in done.edits],
    }  # fmt: skip
    return {
        "name": name, "kind": CALIBRATED, "base": base["name"], "base_files": base["files"], **kept,
        "parameters": done.parameters, "files": [file], "source": source, "notes": [], "calibration": figures,
    }  # fmt: skip


@torch.no_grad()
def _sheet(tuner: Tuner) -> list[Floats]:
    target, pivots = tuner.tensors(tuner.frames.part("held"))
    target, pivots = target[:SHOWN], pivots[:SHOWN]
    rows = [target, *(torch.cat([tuner.draw(one[None], params) for one in pivots]) for params in (None, tuner.best))]
    return [row.clamp(-1, 1).cpu().numpy() for row in rows]

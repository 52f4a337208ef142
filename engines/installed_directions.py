"""Published directions kept as safetensors, and the edits of a live face that they stand for.

A file holds one direction (``age``), a GANSpace basis or SeFa's directions (``ganspace``). What ``--edit`` calls them:

    age=1              the direction, on all rows of W+
    age.0-8=1          on rows 0 to 7 only
    ganspace.54.7-8=1  component 54 of a basis, on row 7 only
    sefa.3=1           SeFa's fourth direction

A strength of 1 stands for ``unit`` steps of the file's own scale, since public programs count with -5 to 5 (directions
of length 1) or more (coordinates of a basis in standard deviations).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from engines.checkpoints.errors import CheckpointError
from engines.checkpoints.importing import NAME_PATTERN, file_sha256
from engines.direction_files import DirectionFile, LatentDirection, PrincipalComponents, read_directions
from engines.errors import ModelError

Floats = npt.NDArray[np.float32]
Edit = Callable[[Floats, float], Floats]  # W+ [rows, w_dim] and a strength -> the edited W+
UNITS = {"direction": 3.0, "ganspace": 10.0, "sefa": 3.0}
NAME = r"(?P<name>[^.]+(?:\.[^.\d][^.]*)*)(?:\.(?P<number>\d+))?(?:\.(?P<first>\d+)-(?P<last>\d+))?"


@dataclass(frozen=True, slots=True, eq=False)
class RowEdit:
    """An edit that can be called as :data:`Edit`, and what a GPU does the same with: w + (strength unit - c(w)) step.

    step: float32 [rows, w_dim]. unit: what a strength of 1 stands for. probe, mean: float32 [w_dim] where the strength
    is a place to go to, c(w) = (w[0] - mean) probe; else None, c(w) = 0.
    """

    run: Edit
    step: Floats
    unit: float
    probe: Floats | None = None
    mean: Floats | None = None

    def __call__(self, wplus: Floats, strength: float) -> Floats:
        """The edited W+."""
        return self.run(wplus, strength)


def install_directions(path: Path, folder: Path, name: str, unit: float | None = None) -> tuple[Path, str]:
    """Read a published file as data and keep it; the installed file and its kind ("direction", "ganspace", "sefa").

    unit: what a strength of 1 stands for; None for the kind's usual one.

    Raises CheckpointError for damaged, hostile and other files, and for an unusable name.
    """
    if not re.fullmatch(NAME_PATTERN, name) or "." in name:
        raise CheckpointError(f"the name {name!r} is unusable for an edit; wanted letters, digits, '_' and '-'")
    content = read_directions(path)
    if isinstance(content, PrincipalComponents):
        kind = "ganspace"
        tensors = {"components": content.components, "mean": content.mean, "std": content.std}
    elif isinstance(content, LatentDirection):
        kind, tensors = "direction", {"vector": content.vector}
    else:
        kind, tensors = "sefa", {"vectors": np.concatenate([one.vector for one in content])}
    row = {"kind": kind, "unit": UNITS[kind] if unit is None else unit}
    row |= {"source": path.name, "source_sha256": file_sha256(path)}
    target = folder / f"{name}.safetensors"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f".{target.name}-{os.getpid()}")
        save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()}, new, {"row": json.dumps(row)})
        os.replace(new, target)
    except OSError as error:
        raise CheckpointError(f"cannot write {target}: {error.strerror}; choose another folder") from None
    return target, kind


def read_installed(path: Path) -> tuple[DirectionFile, dict[str, object]]:
    """Directions and the row that was kept with them. Raises CheckpointError for a damaged file."""
    try:
        with safe_open(path, framework="numpy") as stream:
            row = json.loads((stream.metadata() or {})["row"])
            t = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - not a dictionary
        if row["kind"] == "ganspace":
            return PrincipalComponents(t["components"], t["mean"], t["std"]), row
        if row["kind"] == "sefa":
            return [LatentDirection(vector[None]) for vector in t["vectors"]], row
        return LatentDirection(t["vector"]), row
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise CheckpointError(f"cannot load {path}: {str(error)[:200]}; import the directions again") from None


def list_directions(folder: Path) -> dict[str, str]:
    """Kind by name of all installed directions."""
    return {path.stem: str(read_installed(path)[1]["kind"]) for path in sorted(folder.glob("[!.]*.safetensors"))}


def find_edit(folder: Path, text: str, centre: Floats) -> RowEdit:
    """The edit that a name stands for.

    centre: float32 [rows, w_dim], a W+ of the model, which the direction must fit.

    Raises ModelError for an unknown name, one that is not understood, and a direction of another generator.
    """
    found = re.fullmatch(NAME, text)
    path = folder / f"{found['name']}.safetensors" if found else folder / "none"
    if found is None or not path.is_file():
        known = ", ".join(p.stem for p in sorted(folder.glob("[!.]*.safetensors"))) or "none"
        raise ModelError(
            f"no edit {text!r} for this model; imported directions: {known}; "
            "add one with avatar-live models pull direction-age, then avatar-live models import direction-age"
        )
    content, row = read_installed(path)
    rows = (0, len(centre)) if found["first"] is None else (int(found["first"]), int(found["last"]))
    if not 0 <= rows[0] < rows[1] <= len(centre):
        raise ModelError(f"edit {text!r} names rows {rows[0]}-{rows[1]}; wanted 0-{len(centre)} or a part of it")
    try:
        edit = _edit(text, content, found["number"], rows, float(str(row["unit"])), centre)
        edit(centre, 1.0)
    except ValueError as error:
        raise ModelError(f"edit {text!r}: {error}") from None
    return edit


def _edit(
    text: str, content: DirectionFile, number: str | None, rows: tuple[int, int], unit: float, centre: Floats
) -> RowEdit:
    if isinstance(content, LatentDirection):
        if number is not None:
            raise ModelError(f"edit {text!r} names a number, but the file holds one direction; leave the number out")
        direction = content
        step = direction.apply(np.zeros_like(centre), 1.0, range(*rows))
        return RowEdit(lambda wplus, strength: direction.apply(wplus, strength * unit, range(*rows)), step, unit)
    count = len(content) if isinstance(content, list) else len(content.components)
    if number is None or int(number) >= count:
        raise ModelError(f"edit {text!r} names none of {count} directions; wanted .0 to .{count - 1} after the name")
    if isinstance(content, list):
        return _edit(text, content[int(number)], None, rows, unit, centre)
    basis, component = content, int(number)
    run = partial(_to_coordinate, basis, component, rows, unit)
    axis, std = basis.components[component], basis.std[component]
    step = np.zeros_like(centre)
    if len(axis) == centre.shape[1]:
        step[slice(*rows)] = axis * std
    return RowEdit(run, step, unit, np.asarray(axis / std, np.float32), basis.mean)


def _to_coordinate(
    basis: PrincipalComponents, component: int, rows: tuple[int, int], unit: float, wplus: Floats, strength: float
) -> Floats:
    return basis.apply(wplus, component, strength * unit, *rows)

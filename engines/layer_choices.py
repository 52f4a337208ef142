"""What runs each layer: measured once on this GPU, kept in a file, printed by ``avatar-live doctor``.

A file belongs to one identity (GPU, driver, runtime versions, digest of the kernels' sources): another identity has
another file, so that nothing measured elsewhere is ever used.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kernels.cache import cache_folder, digest

CUDNN = "cudnn"


class LayerChoices:
    """The fastest candidate of every layer.

    folder: where the files lie. identity: what the measurements hold for.
    A file that cannot be read counts as none: everything is measured anew.
    """

    def __init__(self, folder: Path, identity: Mapping[str, str]) -> None:
        self.identity = dict(sorted(identity.items()))
        self.file = folder / f"layers-{digest(json.dumps(self.identity))}.json"
        self.layers: dict[str, dict[str, Any]] = {}
        try:
            found = json.loads(self.file.read_text(encoding="utf-8"))
            if found["identity"] == self.identity:
                self.layers = {
                    name: {"best": str(row["best"]), "ms": dict(row["ms"])} for name, row in found["layers"].items()
                }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self.layers = {}

    def choose(self, layer: str, candidates: Sequence[str], measure: Callable[[str], float]) -> str:
        """The fastest of ``candidates`` for ``layer``; ``measure`` gives milliseconds and is asked once in a lifetime.

        Ties go to the earlier candidate. Raises ValueError without candidates.
        """
        known = self.layers.get(layer)
        if known is not None and known["best"] in candidates:
            return str(known["best"])
        if not candidates:
            raise ValueError(f"layer {layer} has no candidates; wanted one or more")
        times = {candidate: float(measure(candidate)) for candidate in candidates}
        best = min(candidates, key=lambda candidate: times[candidate])
        self.layers[layer] = {"best": best, "ms": times}
        self._save()
        return best

    def lines(self) -> list[str]:
        """One line a layer, for people."""
        return [f"{name}: {row['best']}, {row['ms'][row['best']]:.4f} ms" for name, row in sorted(self.layers.items())]

    def _save(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.file.parent, suffix=".json")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"identity": self.identity, "layers": self.layers}, file, indent=1)
        os.replace(name, self.file)


def stored_choices(folder: Path | None = None) -> list[str]:
    """What was chosen on this computer so far, one line a layer under a line for each GPU and driver; for people."""
    found = []
    for file in sorted((folder or cache_folder() / "layers").glob("layers-*.json")):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            found.append(", ".join(str(value) for value in content["identity"].values()))
            found += [
                f"{name}: {row['best']}, {row['ms'][row['best']]:.4f} ms" for name, row in content["layers"].items()
            ]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            found.append(f"{file.name} cannot be read; it is measured anew when it is needed")
    return found

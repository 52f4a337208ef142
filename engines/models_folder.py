"""The folder in which a user's models lie: what was imported, what was pulled, and directions for edits.

NAME/model.json             an imported model (``engines.checkpoints``)
directions/NAME.safetensors directions for edits (``engines.installed_directions``)
downloads/NAME/             files as they were pulled (``engines.registry``)
registry.toml               the user's own entries for pulling, if there is one
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from engines.checkpoints.importing import MANIFEST, check_name
from engines.checkpoints.installed import list_models
from engines.errors import ModelError
from engines.places import default_folder
from engines.registry import Entry, ModelStore, read_registry

DOWNLOADS, DIRECTIONS, REGISTRY = "downloads", "directions", "registry.toml"


@dataclass(frozen=True, slots=True)
class ModelsFolder:
    """One such folder; it need not exist yet."""

    root: Path

    @property
    def store(self) -> ModelStore:
        """What was pulled."""
        return ModelStore(self.root / DOWNLOADS)

    @property
    def directions(self) -> Path:
        """Where directions lie."""
        return self.root / DIRECTIONS

    def models(self) -> list[dict[str, Any]]:
        """The manifest rows of all imported models."""
        return list_models(self.root)

    def model(self, name: str) -> Path:
        """The folder of an imported model. Raises ModelError with the known names when there is none."""
        known = [path.parent.name for path in sorted(self.root.glob(f"*/{MANIFEST}")) if path.parent.name[0] != "."]
        if name in known:
            return self.root / name
        raise ModelError(f"no imported model {name!r} in {self.root}; {among(name, known)}")

    def new_model(self, name: str, replace: bool = False) -> None:
        """Raise CheckpointError unless a model of this name may be made."""
        if name in (DOWNLOADS, DIRECTIONS):
            raise ModelError(f"the name {name!r} is taken by the program itself; choose another with --name")
        check_name(self.root, name, replace)

    def remove_model(self, name: str) -> None:
        """Delete an imported model."""
        shutil.rmtree(self.model(name))

    def entries(self, files: Iterable[Path] = ()) -> dict[str, Entry]:
        """What can be pulled: the bundled entries, those of the folder's own registry and of ``files``."""
        own = self.root / REGISTRY
        return read_registry([*([own] if own.is_file() else []), *files])


def models_folder() -> ModelsFolder:
    """The folder that $AVATAR_LIVE_MODELS names, or the system's place for a program's data."""
    return ModelsFolder(default_folder())


def among(name: str, known: Iterable[str]) -> str:
    """The known names, the nearest first if it may be meant."""
    names = sorted(known)
    near = get_close_matches(name, names, 1, cutoff=0.5)
    return f"{f'did you mean {near[0]}? ' if near else ''}known: {', '.join(names) or 'none'}"

"""Reference cases computed by other implementations, for the tests of kernels and engines."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

GOLDEN = Path(__file__).resolve().parents[1] / "../shared/golden"


@dataclass
class GoldenCase:
    """One folder of reference values: ``spec`` is case.json, ``io`` the tensors."""

    folder: Path
    spec: dict[str, Any]
    io: dict[str, np.ndarray] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        return self.folder / name

    def check(self, name: str, actual: Any, max_abs: float, *, index: Any = ...) -> float:
        """Compare with the tensor ``name``; on failure print count, coordinates and both values."""
        actual = actual.detach().cpu().numpy() if hasattr(actual, "detach") else np.asarray(actual)
        expected = self.io[name][index]
        assert actual.shape == expected.shape, f"{name}: got shape {actual.shape}, wanted {expected.shape}"
        error = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
        assert not np.isnan(error).any(), f"{name}: got NaN"
        if error.size and error.max() > max_abs:
            at = np.unravel_index(error.argmax(), error.shape)
            pytest.fail(
                f"{name}: {(error > max_abs).sum()} of {error.size} values differ by more than {max_abs:g}; worst "
                f"{error.max():g} at {tuple(map(int, at))}: got {actual[at]!r}, wanted {expected[at]!r}"
            )
        return float(error.max(initial=0.0))


@pytest.fixture(scope="session")
def golden():
    """Load a reference case by its folder's name; skips where the folder of cases is missing."""

    def load(name: str) -> GoldenCase:
        folder = GOLDEN / name
        if not folder.is_dir():
            pytest.skip(f"reference case {name} is missing: {GOLDEN} does not hold it")
        return GoldenCase(folder, json.loads((folder / "case.json").read_text()), load_file(folder / "io.safetensors"))

    return load

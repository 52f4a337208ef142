"""Measurements as files: docs/measurements/NAME-DATE.json, with what they were made on and from."""

from __future__ import annotations

import json
import math
import subprocess
import time
from pathlib import Path
from typing import Any

from realtime.statistics import machine, versions

ROOT = Path(__file__).resolve().parents[1]


def commit() -> str:
    """The checkout's commit, with a + where tracked files differ from it; empty outside a checkout."""
    commands = (["git", "rev-parse", "--short", "HEAD"], ["git", "status", "--porcelain", "-uno"])
    answers = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False) for command in commands]
    return "" if answers[0].returncode else answers[0].stdout.strip() + ("+" if answers[1].stdout.strip() else "")


def record(name: str, path: Path | None = None, **content: object) -> Path:
    """Write ``content`` with date, commit, machine and versions to ``path`` or to docs/measurements; where it went."""
    date = time.strftime("%Y-%m-%d", time.gmtime())
    path = path or ROOT / f"docs/measurements/{name}-{date}.json"
    made = {"date": date, "commit": commit(), "machine": machine(), "versions": versions()}
    path.write_text(json.dumps(_plain({**made, **content}), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return path


def _plain(value: Any) -> Any:
    """``value`` as JSON has it: what is not a number becomes null, floats keep six digits."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value

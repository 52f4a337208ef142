"""Measurements as files: docs/measurements/NAME-DATE.json, with what they were made on and from."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import time
from pathlib import Path
from typing import Any

from realtime.statistics import machine, versions

ROOT = Path(__file__).resolve().parents[1]
_ORDINALS = ("second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def commit() -> str:
    """The checkout's commit, with a + where tracked files differ from it; empty outside a checkout."""
    commands = (["git", "rev-parse", "--short", "HEAD"], ["git", "status", "--porcelain", "-uno"])
    answers = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False) for command in commands]
    return "" if answers[0].returncode else answers[0].stdout.strip() + ("+" if answers[1].stdout.strip() else "")


def record(name: str, path: Path | None = None, **content: object) -> Path:
    """Write ``content`` with date, commit, machine and versions to ``path`` or to docs/measurements; where it went.

    There nothing is written over: the second of a day is NAME-DATE-second.json.
    """
    date = time.strftime("%Y-%m-%d", time.gmtime())
    path = path or _unused(ROOT / f"docs/measurements/{name}-{date}.json")
    made = {"date": date, "commit": commit(), "machine": machine(), "versions": versions()}
    path.write_text(json.dumps(_plain({**made, **content}), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return path


def newest(folder: Path, name: str) -> Path | None:
    """The last NAME-DATE.json of a folder, and of those of one day the last, as :func:`record` names them."""

    def made(path: Path) -> tuple[str, int]:
        date, turn = path.stem[len(name) + 1 :][:10], path.stem[len(name) + 12 :]
        return date, _ORDINALS.index(turn) + 2 if turn in _ORDINALS else int(turn or 1)

    return max(folder.glob(f"{name}-????-??-??*.json"), key=made, default=None)


def _unused(path: Path) -> Path:
    """The path, or the first one after it that is not there."""
    further = itertools.chain(_ORDINALS, map(str, itertools.count(len(_ORDINALS) + 2)))
    names = itertools.chain([path.stem], (f"{path.stem}-{word}" for word in further))
    return next(one for name in names if not (one := path.with_stem(name)).exists())


def _plain(value: Any) -> Any:
    """``value`` as JSON has it: what is not a number becomes null, floats keep six digits."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value

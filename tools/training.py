"""What the trainings share: steps until their minutes are spent, with a checkpoint and a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

LONGEST_STEP_S = 10.0  # what takes longer was held up (compiling, a machine that slept) and is not counted in full


class Run(Protocol):
    """A training that knows how many seconds it was trained for, all its processes together."""

    spent: float


def spend(
    run: Run, total_s: float, take: Callable[[], None], save: Callable[[], None], told: Callable[[], str],
    every_s: float = 180.0,
) -> None:  # fmt: skip
    """Take steps until ``run.spent`` is ``total_s``; every ``every_s`` and at the end save, and print what is ``told``.

    What saving and telling take is not counted.
    """
    last, saved_at = time.monotonic(), run.spent
    while run.spent < total_s:
        take()
        now = time.monotonic()
        run.spent, last = run.spent + min(now - last, LONGEST_STEP_S), now
        if run.spent - saved_at > every_s or run.spent >= total_s:
            save()
            print(f"{run.spent / 60:.1f} min, {told()}", flush=True)
            saved_at, last = run.spent, time.monotonic()


def write(state: Mapping[str, Any], file: Path) -> None:
    """Write a checkpoint in one piece."""
    torch.save(dict(state), file.with_suffix(".new"))
    file.with_suffix(".new").replace(file)

"""Lag, stillness and the chart, on series with known answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tools.smoothing_chart import chart, late, measure, stiller

TIMES = (np.arange(240) * 33_333_333).astype(np.int64)
WAVE = np.sin(np.arange(240) / 9)


@pytest.mark.parametrize("frames", [0.0, 1.0, 2.4, -1.0])
def test_lag_is_found_between_frames(frames: float) -> None:
    assert late(WAVE, np.sin((np.arange(240) - frames) / 9)) == pytest.approx(frames, abs=0.05)


def test_stiller_counts_quiet_frames_only() -> None:
    quiet = np.arange(240) % 2 == 0
    half = np.cumsum(np.where(quiet, 0.5, 3.0) * np.diff(WAVE, prepend=0.0))
    assert stiller(WAVE, half, quiet) == pytest.approx(2.0, rel=0.01)


def noisy() -> list[object]:
    rng = np.random.default_rng(7)
    moves = np.where(np.arange(240) < 120, 0.0, np.sin(np.arange(240) / 6))[:, None] + 0.02 * rng.normal(size=(240, 2))
    return [({"head": moves}, TIMES, np.arange(240) < 120)]


def test_a_lower_cut_off_is_stiller_and_later_and_still_makes_up_for_it() -> None:
    calm, quick, resting = measure("head", noisy(), [(0.5, 0, 0), (8, 0, 0), (0.5, 180, 0.24)], 8.0)
    assert calm["stiller"] > quick["stiller"] > 1 and calm["late"] > quick["late"] > 0
    assert resting["stiller"] > quick["stiller"] and resting["late"] < 0.2 and resting["r"] > 0.99


def test_the_chart_is_drawn(tmp_path: Path) -> None:
    rows = measure("head", noisy(), [(1, 0, 0), (2, 20, 0.1)], 8.0)
    chart({"head": {"grid": rows, "before": rows[0], "used": rows[1]}}, tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")

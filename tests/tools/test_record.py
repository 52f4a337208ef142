"""Measurements as files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools import record as module
from tools.record import commit, newest, record


def test_a_record_says_what_it_was_made_on_and_is_valid_json(tmp_path: Path) -> None:
    path = record("x", tmp_path / "x.json", figures={"r": float("nan"), "lag": [1, 2.123456789]}, moves=True)
    found = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda text: 1 / 0)
    assert found["figures"] == {"r": None, "lag": [1, 2.12346]} and found["moves"] is True
    assert found["machine"]["cores"] >= 1 and "numpy" in found["versions"]
    assert found["commit"] == commit() and len(found["date"]) == 10


def test_no_record_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs/measurements").mkdir(parents=True)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module.time, "strftime", lambda *_: "2026-01-02")
    names = [record("x", r=number).stem for number in range(11)]
    assert names[:3] == ["x-2026-01-02", "x-2026-01-02-second", "x-2026-01-02-third"] and names[10] == "x-2026-01-02-11"
    assert newest(tmp_path / "docs/measurements", "x") == tmp_path / "docs/measurements/x-2026-01-02-11.json"
    assert newest(tmp_path, "x") is None
    assert json.loads((tmp_path / "docs/measurements/x-2026-01-02.json").read_text(encoding="utf-8"))["r"] == 0

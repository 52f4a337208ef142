"""Measurements as files."""

from __future__ import annotations

import json
from pathlib import Path

from tools.record import commit, record


def test_a_record_says_what_it_was_made_on_and_is_valid_json(tmp_path: Path) -> None:
    path = record("x", tmp_path / "x.json", figures={"r": float("nan"), "lag": [1, 2.123456789]}, moves=True)
    found = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda text: 1 / 0)
    assert found["figures"] == {"r": None, "lag": [1, 2.12346]} and found["moves"] is True
    assert found["machine"]["cores"] >= 1 and "numpy" in found["versions"]
    assert found["commit"] == commit() and len(found["date"]) == 10

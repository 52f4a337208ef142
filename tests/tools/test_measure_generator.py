"""The generator's figures per domain: heads sorted by domain, an untrained network told apart from the truth."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.usefixtures("face_world", "one_thread")


def test_heads_are_sorted_by_what_they_are_drawn_in() -> None:
    from tools.face_world.sampling import plain
    from tools.measure_generator import domain_of

    looks = {"toon": {}, "clay": {"domain_clay": 1.0}, "between": {"domain_comic": 0.4}}
    assert {name: domain_of(plain(**changes)) for name, changes in looks.items()} == {name: name for name in looks}


def test_the_table_counts_every_held_out_head(
    heads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tools import measure_generator
    from tools.train_generator import Faces, Model, initialise

    model = Model()
    initialise(model, Faces(heads, "train"))
    average = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"average": average}, tmp_path / "checkpoint.pt")
    monkeypatch.setattr(measure_generator, "SIZE", 64)
    monkeypatch.setattr(sys, "argv", ["", "--data", str(heads), "--checkpoint", str(tmp_path / "checkpoint.pt")])
    measure_generator.main()
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()[2:]]
    counts = {row[0].strip(): int(row[1]) for row in rows}
    assert counts.pop("all") == sum(counts.values()) == 4
    assert float(rows[-1][2]) < 20, "an untrained network draws nothing like them"

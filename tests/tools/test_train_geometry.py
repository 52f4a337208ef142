"""The geometry learns where points lie, and nothing else of a generator changes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytestmark = [pytest.mark.usefixtures("face_world"), pytest.mark.usefixtures("one_thread")]


def test_points_come_nearer_and_the_numbers_too() -> None:
    from tools.train_generator import Model
    from tools.train_geometry import more_people, off_by, told_and_wanted, train

    torch.manual_seed(0)
    model = Model()
    known = told_and_wanted(model, more_people(300, 1))
    geometry = model.generator.geometry
    geometry.mean.data = known[2].mean(0)
    before = off_by(geometry, known)
    train(geometry, known, 150)
    after = off_by(geometry, known)
    assert after[0] < 0.5 * before[0] and after[1] < 0.5 * before[1]


def test_a_checkpoint_keeps_all_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tools.train_generator import Model
    from tools.train_geometry import main, more_people

    torch.manual_seed(0)
    model, file = Model(), tmp_path / "checkpoint.pt"
    halves = {name: value.half() for name, value in model.state_dict().items()}
    average = {"n_averaged": torch.tensor(3)} | {f"module.{name}": value for name, value in halves.items()}
    torch.save({"model": halves, "average": average, "optimiser": {}, "spent": 0.0}, file)
    for part in ("train", "held_out"):
        np.save(tmp_path / f"{part}-0000.npy", np.zeros((2, 8, 8, 4), np.uint8))
        np.save(tmp_path / f"{part}-0000.parameters.npy", more_people(2, 1))
    monkeypatch.setattr(
        sys, "argv", ["train_geometry", str(file), "--data", str(tmp_path), "--steps", "3", "--people", "5"]
    )
    main()
    saved = torch.load(file, weights_only=True)
    assert "optimiser" not in saved and int(saved["average"]["n_averaged"]) == 3
    for name, value in halves.items():
        now, other = saved["model"][name], saved["average"][f"module.{name}"]
        assert now.dtype == torch.float16 and torch.equal(now, other)
        learnt = "geometry.layers" in name
        assert torch.equal(now, value) != learnt, name

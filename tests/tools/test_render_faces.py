"""Shards of drawn heads: written once, the same for the same seed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def rendering(face_world, monkeypatch: pytest.MonkeyPatch):
    from tools import render_faces

    monkeypatch.setattr(render_faces, "SIZE", 32)
    monkeypatch.setattr(render_faces, "SHARD", 2)
    return render_faces


def render(rendering, monkeypatch: pytest.MonkeyPatch, out: Path, *more: str) -> None:
    monkeypatch.setattr(sys, "argv", ["render_faces", "--out", str(out), "--train", "3", "--held-out", "1", *more])
    rendering.main()


def test_shards_are_written_with_their_parameters(
    rendering, face_world, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    render(rendering, monkeypatch, tmp_path)
    stems = ("held_out-0000", "train-0000", "train-0001")
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{s}{end}" for s in stems for end in (".npy", ".parameters.npy")
    }
    for stem, count in zip(stems, (1, 2, 1), strict=True):
        pictures, rows = np.load(tmp_path / f"{stem}.npy"), np.load(tmp_path / f"{stem}.parameters.npy")
        assert pictures.shape == (count, 32, 32, 4) and rows.shape == (count, len(face_world.names()))
        np.testing.assert_array_equal(pictures, face_world.draw(rows, 32))


def test_shards_that_are_there_are_kept_and_others_come_out_the_same(
    rendering, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    render(rendering, monkeypatch, tmp_path)
    first = np.load(tmp_path / "train-0000.npy")
    (tmp_path / "train-0000.npy").unlink()
    (tmp_path / "train-0001.npy").write_bytes(b"kept")
    render(rendering, monkeypatch, tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "train-0000.npy"), first)
    assert (tmp_path / "train-0001.npy").read_bytes() == b"kept"
    assert not np.array_equal(first[0], np.load(tmp_path / "held_out-0000.npy")[0])


def test_larger_pictures_come_in_shards_of_as_many_bytes(
    rendering, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "SHARD", 8)
    render(rendering, monkeypatch, tmp_path, "--size", "64")
    shapes = [np.load(tmp_path / f"train-000{i}.npy").shape for i in (0, 1)]
    assert shapes == [(2, 64, 64, 4), (1, 64, 64, 4)]
    assert rendering.a_shard(4096) == 1


def test_people_more_like_real_ones_are_drawn_when_asked(
    rendering, face_world, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    render(rendering, monkeypatch, tmp_path, "--near")
    rows = np.load(tmp_path / "train-0000.parameters.npy")
    assert (rows[:, face_world.index("domain_natural")] >= 0.7).all()

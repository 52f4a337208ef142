"""Sheets of the face world: a row per parameter or domain, one set of people."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("face_world")


@pytest.fixture(scope="module")
def gallery(face_world):
    from tools import world_gallery

    return world_gallery


def test_every_parameter_is_on_a_sheet(gallery, face_world) -> None:
    listed = [name for group in gallery.GROUPS.values() for name in group]
    assert sorted(set(listed)) == sorted(face_world.names())


def test_a_sweep_goes_from_the_least_to_the_greatest_and_changes_nothing_else(gallery, face_world) -> None:
    rows = gallery.sweep("glasses_frame", "clay")
    column = face_world.index("glasses_frame")
    np.testing.assert_allclose(rows[:, column], np.linspace(0, 1, gallery.STEPS), atol=1e-6)
    assert (np.delete(rows, column, 1) == np.delete(rows[0], column)).all()
    assert rows[0, face_world.index("domain_clay")] == rows[0, face_world.index("glasses_square")] == 1


def test_sheets_are_written(gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["world_gallery", "--out", str(tmp_path), "--size", "32", *arguments])
        gallery.main()

    run("--sheets", "domains", "domain", "gear", "ages", "--people", "3")
    run("--parameters", "age", "beard", "--domain", "comic")
    shapes = {path.name: cv2.imread(str(path)).shape for path in tmp_path.iterdir()}
    assert shapes == {
        "domains-world.png": (4 * 32, 3 * 32, 3),
        "gear-world.png": (4 * 32, len(gallery.WORN) * 32, 3),
        "ages-world.png": (4 * 32, len(gallery.AGES) * 32, 3),
        "sweep-domain.png": (2 * 32, 2 * gallery.STEPS * 32, 3),
        "sweep-chosen.png": (2 * 32, gallery.STEPS * 32, 3),
    }


def test_a_wrong_size_is_told(gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["world_gallery", "--out", str(tmp_path), "--size", "30"])
    with pytest.raises(SystemExit, match="--size 30 was asked for; wanted a multiple of 4"):
        gallery.main()

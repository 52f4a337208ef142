from __future__ import annotations

import numpy as np
import pytest

from engines.checkpoints import CheckpointError
from engines.errors import ModelError
from engines.installed_directions import find_edit, install_directions, list_directions, read_installed


@pytest.fixture
def installed(golden, tmp_path):
    """The published files, installed."""
    case = golden("edit-directions")
    for name, file in (("age", "age.pt"), ("pose", "pose.pt"), ("pca", "ffhq_pca.pt")):
        install_directions(case.path(file), tmp_path, name, unit=1.0)
    return case, tmp_path


def test_published_directions_move_codes_as_their_own_programs_do(installed):
    case, folder = installed
    for name in ("age", "pose"):
        for strength in (-3.0, 2.5):
            edit = find_edit(folder, name, case.io["wplus"][0])
            expected = case.io[f"interfacegan.{name}.{strength:g}"][0]
            np.testing.assert_allclose(edit(case.io["wplus"][0], strength), expected, atol=1e-5)


def test_components_are_named_by_number_and_rows(installed):
    case, folder = installed
    edits = case.spec["ganspace_edits"]
    for k, (component, first, last, strength) in enumerate(edits):
        edit = find_edit(folder, f"pca.{component}.{first}-{last}", case.io["wplus"][1])
        moved = edit(case.io["wplus"][1], strength)
        np.testing.assert_allclose(moved, case.io["ganspace.edited"][len(edits) + k], atol=1e-3)


def test_a_strength_of_one_is_the_usual_unit(installed):
    case, folder = installed
    install_directions(case.path("age.pt"), folder, "older")
    wplus = case.io["wplus"][0]
    one, three = find_edit(folder, "older", wplus)(wplus, 1.0), find_edit(folder, "age", wplus)(wplus, 3.0)
    np.testing.assert_allclose(one, three, atol=1e-6)
    rows = find_edit(folder, "age.2-4", wplus)(wplus, 1.0)
    assert (np.abs(rows - wplus).max(axis=1) > 0).nonzero()[0].tolist() == [2, 3]
    assert list_directions(folder) == {"age": "direction", "older": "direction", "pca": "ganspace", "pose": "direction"}


def test_factors_are_numbered(golden, tmp_path):
    case = golden("sefa")
    install_directions(case.path("factor.pt"), tmp_path, "sefa", unit=1.0)
    content, row = read_installed(tmp_path / "sefa.safetensors")
    assert isinstance(content, list) and row["kind"] == "sefa"
    wplus = np.zeros([10, content[0].vector.shape[1]], np.float32)
    np.testing.assert_allclose(find_edit(tmp_path, "sefa.1", wplus)(wplus, 2.0), wplus + 2 * content[1].vector)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("aeg", "no edit 'aeg' for this model; imported directions: age, pca, pose; add one with"),
        ("age.0", "names a number, but the file holds one direction"),
        ("pca", "names none of 80 directions; wanted .0 to .79"),
        ("pca.80", "names none of 80 directions"),
        ("age.9-30", "names rows 9-30; wanted 0-18 or a part of it"),
        ("../age", "no edit '../age' for this model"),
    ],
)
def test_names_that_mean_nothing(installed, name, message):
    case, folder = installed
    with pytest.raises(ModelError, match=message):
        find_edit(folder, name, case.io["wplus"][0])


def test_directions_of_another_generator_and_damaged_files(installed):
    _, folder = installed
    for name in ("age", "pca.3"):
        with pytest.raises(ModelError, match=r"edit '.*W\+ \[10, 64\]"):
            find_edit(folder, name, np.zeros([10, 64], np.float32))
    (folder / "age.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="cannot load .*age.safetensors.*import the directions again"):
        find_edit(folder, "age", np.zeros([18, 512], np.float32))

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from engines.checkpoints import CheckpointError
from engines.direction_files import LatentDirection, PrincipalComponents, read_directions


@pytest.mark.parametrize("name", ["age", "smile", "pose"])
def test_published_directions(golden, name):
    case = golden("edit-directions")
    direction = read_directions(case.path(f"{name}.pt"))
    assert isinstance(direction, LatentDirection)
    assert direction.vector.shape == ((18, 512) if name == "pose" else (1, 512))
    for strength in ("-3", "2.5"):
        edited = direction.apply(case.io["wplus"], float(strength))
        case.check(f"interfacegan.{name}.{strength}", edited, 1e-5)


def test_published_principal_components(golden):
    case = golden("edit-directions")
    basis = read_directions(case.path("ffhq_pca.pt"))
    assert isinstance(basis, PrincipalComponents) and basis.components.shape == (80, 512)
    edited = [
        basis.apply(latent, component, strength, first, last)
        for latent in case.io["wplus"]
        for component, first, last, strength in case.spec["ganspace_edits"]
    ]
    case.check("ganspace.edited", np.stack(edited), 1e-3)


def test_a_strength_is_the_coordinate_that_row_0_would_have(golden):
    case = golden("edit-directions")
    basis = read_directions(case.path("ffhq_pca.pt"))
    edited = basis.apply(case.io["wplus"], 0, 2.0, 0, 18)
    np.testing.assert_allclose(basis.coordinate(edited, 0), [2.0, 2.0], atol=1e-4)


def test_published_factors(golden):
    case = golden("sefa")
    directions = read_directions(case.path("factor.pt"))
    assert isinstance(directions, list) and len(directions) == 64
    for k in (0, 5, 63):
        np.testing.assert_array_equal(directions[k].vector[0], case.io["rosinality.eigvec"][:, k])


@pytest.mark.parametrize("shape", [(6,), (1, 6), (4, 6), (1, 4, 6)])
def test_numpy_files(tmp_path, shape):
    array = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    np.save(tmp_path / "d.npy", np.asfortranarray(array))
    direction = read_directions(tmp_path / "d.npy")
    np.testing.assert_array_equal(direction.vector, np.atleast_2d(array.reshape(-1, 6)))
    assert direction.apply(np.zeros([2, 4, 6], np.float32), 2.0, rows=[1, 2])[:, [0, 3]].any() == np.False_


@pytest.mark.parametrize("content", [np.array([object()]), np.array(["a"]), np.zeros([2, 2, 2, 2])])
def test_other_numpy_files_are_refused(tmp_path, content):
    np.save(tmp_path / "d.npy", content, allow_pickle=True)
    with pytest.raises(CheckpointError, match="wanted"):
        read_directions(tmp_path / "d.npy")


def test_damaged_numpy_files_allocate_nothing(tmp_path):
    stream = io.BytesIO()
    np.save(stream, np.zeros(10))
    content = stream.getvalue()
    (tmp_path / "d.npy").write_bytes(content.replace(b"(10,)", b"(9999999999,)"))
    with pytest.raises(CheckpointError, match="numpy file"):
        read_directions(tmp_path / "d.npy")
    for length in range(6, len(content) - 1, 7):
        (tmp_path / "d.npy").write_bytes(content[:length])
        with pytest.raises(CheckpointError, match="numpy file"):
            read_directions(tmp_path / "d.npy")


def test_errors_say_what_was_wanted(tmp_path):
    with pytest.raises(CheckpointError, match="cannot read .*No such file"):
        read_directions(tmp_path / "missing.pt")
    torch.save({"a": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="other.pt holds no known directions; wanted one tensor"):
        read_directions(tmp_path / "other.pt")
    torch.save({"comp": torch.zeros(3, 1, 4), "mean": torch.zeros(1, 5), "std": torch.ones(3)}, tmp_path / "pca.pt")
    with pytest.raises(CheckpointError, match="the basis has shapes"):
        read_directions(tmp_path / "pca.pt")
    torch.save({"eigvec": torch.zeros(3)}, tmp_path / "factor.pt")
    with pytest.raises(CheckpointError, match=r"eigvec has shape \[3\], wanted \[w_dim, directions\]"):
        read_directions(tmp_path / "factor.pt")
    direction = LatentDirection(np.zeros([18, 512], np.float32))
    with pytest.raises(ValueError, match="it belongs to another generator"):
        direction.apply(np.zeros([10, 512], np.float32), 1.0)
    basis = PrincipalComponents(np.eye(3, dtype=np.float32), np.zeros(3, np.float32), np.ones(3, np.float32))
    with pytest.raises(ValueError, match="component 3 of W.* wanted one of 0 to 2 and w_dim 3"):
        basis.apply(np.zeros([4, 3], np.float32), 3, 1.0, 0, 4)

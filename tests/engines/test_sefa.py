from __future__ import annotations

import numpy as np
import pytest

from engines.checkpoints.containers import read_file
from engines.checkpoints.identification import convert
from engines.direction_files import LatentDirection
from engines.sefa import factorize, factorize_generator


@pytest.fixture(scope="module")
def tensors(golden):
    path = golden("rosinality-64").path("checkpoint.pt")
    return convert(read_file(path).root).network("generator").tensors


def check_directions(got, wanted, values, leading: int) -> None:
    """Well separated directions agree up to sign; the leading ones span the same space."""
    cosines = np.abs((got * wanted).sum(axis=1))
    gaps = np.minimum(np.abs(np.diff(values, prepend=np.inf)), np.abs(np.diff(values, append=-np.inf)))
    separated = gaps > 1e-3 * values[0]
    assert separated.sum() > 20
    assert cosines[separated].min() > 0.999
    np.testing.assert_allclose(got[:leading].T @ got[:leading], wanted[:leading].T @ wanted[:leading], atol=2e-3)


def test_rosinality_rule(golden, tensors):
    case = golden("sefa")
    factors = factorize_generator(tensors, rule="rosinality")
    singular = case.io["rosinality.singular_values"]
    np.testing.assert_allclose(np.sqrt(factors.eigenvalues), singular, rtol=1e-4)
    check_directions(factors.directions, case.io["rosinality.eigvec"].T, singular**2, leading=8)


@pytest.mark.parametrize(("name", "layers"), [("all", None), ("2345", [2, 3, 4, 5]), ("0123", [0, 1, 2, 3])])
def test_e4e_rule(golden, tensors, name, layers):
    case = golden("sefa")
    factors = factorize_generator(tensors, layers, "e4e")
    assert list(factors.rows) == case.spec["layer_selections"][name]["rows_edited"]
    np.testing.assert_allclose(factors.eigenvalues, case.io[f"e4e.{name}.values_sorted"], rtol=1e-4, atol=1e-5)
    values = case.io[f"e4e.{name}.values_sorted"]
    check_directions(factors.directions, case.io[f"e4e.{name}.vectors_sorted"], values, leading=1)


def test_unsorted_directions_of_e4e_are_the_same_set(golden, tensors):
    case = golden("sefa")
    factors = factorize_generator(tensors, rule="e4e")
    order = np.argsort(-case.io["e4e.all.values"], kind="stable")
    check_directions(factors.directions, case.io["e4e.all.vectors"][order], case.io["e4e.all.values"][order], leading=1)


@pytest.mark.parametrize(("name", "layers"), [("all", None), ("0-3", [0, 1, 2, 3])])
def test_sefa_rule(golden, tensors, name, layers):
    case = golden("sefa")
    factors = factorize_generator(tensors, layers)
    assert list(factors.rows) == case.spec["layer_selections"][f"genforce {name}"]["rows_edited"]
    values = case.io[f"genforce.{name}.values_sorted"]
    np.testing.assert_allclose(factors.eigenvalues, values, rtol=1e-4, atol=1e-5)
    check_directions(factors.directions, case.io[f"genforce.{name}.vectors_sorted"], values, leading=1)


def test_edits_change_the_rows_of_the_rule(golden, tensors):
    case = golden("sefa")
    factors = factorize_generator(tensors, [2, 3, 4, 5], "e4e")
    wanted = case.io["e4e.2345.vectors"][0]
    index = int(np.abs(factors.directions @ wanted).argmax())
    sign = np.sign(factors.directions[index] @ wanted)
    direction = LatentDirection(sign * factors.directions[index : index + 1])
    edited = [direction.apply(case.io["wplus"][0], distance, factors.rows) for distance in (-5, -2.5, 0, 2.5, 5)]
    case.check("e4e.2345.edited_semantic0", np.stack(edited), 5e-3)


def test_errors_say_what_was_wanted(tensors):
    with pytest.raises(ValueError, match="unknown rule 'pca'; wanted one of sefa, e4e, rosinality"):
        factorize_generator(tensors, rule="pca")
    with pytest.raises(ValueError, match=r"layers are \[10\]; wanted one or more of 0 to 9"):
        factorize_generator(tensors, [10])
    with pytest.raises(ValueError, match="always takes all layers"):
        factorize_generator(tensors, [1], "rosinality")
    with pytest.raises(ValueError, match="got 0 modulation weights"):
        factorize([], [])
    with pytest.raises(ValueError, match="a row of zeros"):
        factorize([np.zeros([2, 3], np.float32)], [0])

"""The two ends of an edit differ in what the edit names and in nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from engines.attributes import ATTRIBUTES, column
from engines.portrait import COLOUR_LAYERS

pytestmark = pytest.mark.usefixtures("face_world")

BEARDS = {"beard", "goatee", "moustache", "stubble"}
NAMED = {
    "age": {"age", "grey"},
    "beard": BEARDS,
    "glasses": {"glasses_round", "glasses_square"},
    "hair": {"hair_r", "hair_g", "hair_b", "grey"},
    "presentation": {"femininity", "make_up"} | BEARDS,
}


@pytest.mark.parametrize("edit", NAMED)
def test_only_what_is_named_changes(edit: str) -> None:
    from tools.find_directions import ends

    people = np.random.default_rng(0).uniform(0.1, 0.9, (5, len(ATTRIBUTES))).astype(np.float32)
    kept = people.copy()
    low, high, layers = ends(edit, people)
    changed = {ATTRIBUTES[i] for i in np.flatnonzero((low != people).any(0) | (high != people).any(0))}
    assert changed == NAMED[edit] and (low != high).any()
    np.testing.assert_array_equal(people, kept)
    assert layers == COLOUR_LAYERS if edit == "hair" else len(layers) == 10


def test_age_goes_up_and_presentation_to_masculine() -> None:
    from tools.find_directions import ends

    people = np.full((2, len(ATTRIBUTES)), 0.5, np.float32)
    low, high, _ = ends("age", people)
    assert (high > low)[:, column("age")].all()
    low, high, _ = ends("presentation", people)
    assert (high < low)[:, column("femininity")].all()

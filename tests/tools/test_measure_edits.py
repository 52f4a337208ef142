"""The measures of edits: made-up changes are found as they were made, and a real sweep does what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines.attributes import ATTRIBUTES, column
from engines.bundled import load

pytestmark = pytest.mark.usefixtures("face_world")
RNG = np.random.default_rng(0)


def along(edit: str, **slopes: float) -> np.ndarray:
    """Attributes [6 people, 5 strengths, attributes] that change with the strength."""
    from tools.measure_edits import strengths

    rows = np.repeat(RNG.uniform(0.2, 0.8, (6, 1, len(ATTRIBUTES))), 5, axis=1)
    for name, slope in slopes.items():
        rows[..., column(name)] += slope * strengths(edit)
    return rows


def test_a_clean_edit_is_monotone_and_changes_nothing_else() -> None:
    from tools.measure_edits import figure

    spread, readable = np.full(len(ATTRIBUTES), 0.2), np.full(len(ATTRIBUTES), 0.9)
    glasses = {"glasses_round": 0.5, "glasses_square": -0.1}
    for edit, slopes in (("age", {"age": 0.4, "grey": 0.3}), ("glasses", glasses)):
        found = figure(edit, along(edit, **slopes), spread, readable)
        assert found.wanted == pytest.approx(0.4)
        assert (found.monotone_people, found.monotone_steps) == (1.0, 1.0)
        assert found.others == pytest.approx(0, abs=1e-9) and found.readable == pytest.approx(0.9)


def test_what_changes_along_is_counted_in_its_own_spread() -> None:
    from tools.measure_edits import figure

    spread = np.full(len(ATTRIBUTES), 0.2)
    spread[column("chin")] = 0.5
    found = figure("age", along("age", age=0.4, chin=-0.5, cheeks=0.1), spread, spread)
    assert (found.largest_other, found.largest) == ("chin", pytest.approx(-1.0))
    others = len(ATTRIBUTES) - 5  # all but age, grey and the three of hair colour, which ageing changes by intent
    assert found.others == pytest.approx(np.sqrt((1.0 + 0.25) / others))


def test_an_edit_that_turns_back_is_not_monotone() -> None:
    from tools.measure_edits import figure

    rows = along("age", age=0.4)
    rows[:3, 3, column("age")] = 0.0
    spread = np.full(len(ATTRIBUTES), 0.2)
    found = figure("age", rows, spread, spread)
    assert found.monotone_people == 0.5 and found.monotone_steps == pytest.approx(1 - 3 / 24)


def test_the_readout_reads_codes_of_the_mapping_network() -> None:
    from tools.measure_edits import Readout, codes, crowd

    model, fixed = load("toon"), {"glasses_frame": 0.0}
    readout = Readout(model, crowd(400, 11, fixed))
    assert readout.readable[column("age")] > 0.8 and readout.readable[column("femininity")] > 0.8
    people = crowd(6, 5, fixed)
    read = np.array([readout.read(np.repeat(w[None], 10, axis=0)) for w in codes(model, people)])
    for name in ("age", "femininity", "skin_r"):
        assert np.corrcoef(read[:, column(name)], people[:, column(name)])[0, 1] > 0.8, name


def test_a_domain_that_the_weights_do_not_have() -> None:
    from tools.measure_edits import crowd

    with pytest.raises(SystemExit, match="the installed weights have no domain 'marble'; wanted toon, or weights"):
        crowd(1, 0, {}, "marble")


def test_a_real_sweep_of_hair_gets_lighter_at_the_crown() -> None:
    from tools.measure_edits import crowd, crown, sheet, strengths, sweep

    people = crowd(1, 3, {"glasses_frame": 0.0, "hair_bald": 0.0, "hair_short": 1.0, "grey": 0.0})
    latents, portraits = sweep(load("toon"), "hair", people)
    light = [crown(portrait).mean() for portrait in portraits[0]]
    assert (np.diff(light) >= 0).all() and light[-1] > light[0] + 0.1, light
    assert len(latents[0]) == len(strengths("hair")) == 5
    assert sheet("hair", portraits).shape == (128, 640, 3)


def test_the_table_goes_between_its_marks_and_nowhere_else(tmp_path: Path) -> None:
    from tools.measure_edits import BEGIN, END, Figure, table, write_table

    one = Figure(0.5, 0.2, 1.0, 1.0, 0.03, "chin", -0.2, 0.9)
    text = table({"age": {"seen": one, "code": one}}, dict(wanted=0.1, monotone_people=1, monotone_steps=1, others=0))
    assert all(line.count("|") == text.splitlines()[0].count("|") for line in text.splitlines())
    page = tmp_path / "edits.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_table(page, text)
    write_table(page, text)
    assert page.read_text() == f"before\n{BEGIN}\n\n{text}\n\n{END}\nafter\n"
    page.write_text("nothing")
    with pytest.raises(SystemExit, match="has no place for the table; wanted the lines"):
        write_table(page, text)

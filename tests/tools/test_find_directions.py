"""Edits name what they change and nothing else; the other methods find what was put there, also in imported models."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from engines.attributes import ATTRIBUTES, HAIR_STYLES, column
from engines.checkpoints import import_checkpoint
from engines.direction_files import LatentDirection, PrincipalComponents, read_directions
from engines.portrait import COLOUR_LAYERS

pytestmark = [pytest.mark.usefixtures("face_world"), pytest.mark.usefixtures("one_thread")]

BEARDS = {"beard", "goatee", "moustache", "stubble"}
SHAPE = {
    *("jaw_width", "chin", "cheeks", "nose_width", "nose_length", "eye_size"),
    *("brow_thickness", "brow_height", "brow_arch", "lip_thickness"),
}
HAIR = {"hair_r", "hair_g", "hair_b", "grey"}
NAMED = {
    "age": {"age", "grey"},
    "child": {"age", "grey"} | BEARDS,
    "beard": BEARDS,
    "glasses": {"glasses_round", "glasses_square"},
    "hair": HAIR,
    "hair_red": HAIR,
    "hair_blue": HAIR,
    "hair_long": set(HAIR_STYLES),
    "make_up": {"make_up", "lip_r", "lip_g", "lip_b"},
    "presentation": {"femininity", "make_up"} | BEARDS | SHAPE,
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
    assert layers == COLOUR_LAYERS if edit in ("hair", "hair_red", "hair_blue") else len(layers) == 10


def test_every_edit_is_told_to_the_user_and_tested() -> None:
    from realtime.configuration import edits
    from tools.find_directions import EDITS

    assert set(edits()) == {*EDITS, "smile"}
    assert set(EDITS) == set(NAMED)


def test_age_goes_up_and_presentation_to_masculine() -> None:
    from tools.find_directions import ends

    people = np.full((2, len(ATTRIBUTES)), 0.5, np.float32)
    low, high, _ = ends("age", people)
    assert (high > low)[:, column("age")].all()
    low, high, _ = ends("child", people)
    assert (high < low)[:, column("age")].all()
    low, high, _ = ends("presentation", people)
    assert (high < low)[:, column("femininity")].all()
    assert (high > low)[:, [column("jaw_width"), column("brow_thickness")]].all()


@pytest.mark.parametrize(
    ("edit", "somebody", "wanted"),
    [
        ("age", {"age": 0.625}, 0.5),
        ("child", {"age": 0.35}, 0.0),
        ("hair_long", {"hair_wavy": 1.0}, 1.0),
        ("hair_long", {"hair_bob": 1.0}, 0.0),
        ("hair_red", {"hair_r": 0.40, "hair_g": 0.09, "hair_b": 0.025}, 1.0),
        ("presentation", {"femininity": 0.5}, 0.5),
    ],
)
def test_where_somebody_is_between_an_edits_ends(edit: str, somebody: dict[str, float], wanted: float) -> None:
    from tools.find_directions import EDITS, ends

    people = np.zeros((1, len(ATTRIBUTES)), np.float32)
    for name, value in somebody.items():
        people[0, column(name)] = value
    assert EDITS[edit].place(people)[0] == pytest.approx(wanted, abs=1e-6)
    low, high, _ = ends(edit, people)
    assert EDITS[edit].place(low)[0] == pytest.approx(0, abs=1e-6)
    assert EDITS[edit].place(high)[0] == pytest.approx(1, abs=1e-6)


def test_a_gauge_reads_places_off_codes() -> None:
    from tools.find_directions import EDITS, gauge

    random = np.random.default_rng(1)
    people = random.uniform(0, 1, (400, len(ATTRIBUTES))).astype(np.float32)
    mixed = np.linalg.qr(random.normal(size=(256, 256)))[0][: len(ATTRIBUTES)].astype(np.float32)
    found = gauge("age", people, lambda attributes: attributes @ mixed)
    read = people @ mixed @ found[:256] + found[256]
    np.testing.assert_allclose(read, EDITS["age"].place(people), atol=0.02)
    assert found[257] == pytest.approx(np.percentile(EDITS["age"].place(people), 1)) and found[258] >= 1


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """An untrained model, whose mapping takes one attribute less than the world has, as one from before did."""
    from engines.portrait import Mapping, PortraitGenerator
    from tools.train_generator import attribute_names

    mapping = Mapping(len(attribute_names()) - 1)
    tensors = {f"mapping.{name}": value for name, value in mapping.state_dict().items()}
    tensors |= {f"generator.{name}": value for name, value in PortraitGenerator().state_dict().items()}
    torch.save({"average": {f"module.{name}": value for name, value in tensors.items()}}, tmp_path / "generator.pt")
    return tmp_path / "generator.pt"


def find(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    from tools import find_directions

    monkeypatch.setattr(sys, "argv", ["", *map(str, arguments)])
    find_directions.main()


def test_the_bundled_model_by_every_method(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("--generator", checkpoint, "--people", 120)
    find(monkeypatch, *common, "--method", "boundary", "--label", "femininity>0.5", "--out", tmp_path / "f.npy")
    boundary = read_directions(tmp_path / "f.npy")
    assert isinstance(boundary, LatentDirection) and boundary.vector.shape == (1, 256)
    assert "right for" in capsys.readouterr().out
    find(monkeypatch, *common, "--method", "components", "--count", 4, "--out", tmp_path / "b.pt")
    basis = read_directions(tmp_path / "b.pt")
    assert isinstance(basis, PrincipalComponents) and basis.components.shape == (4, 256)
    find(monkeypatch, *common, "--method", "factors", "--count", 3, "--out", tmp_path / "s.pt")
    factors = read_directions(tmp_path / "s.pt")
    assert isinstance(factors, list) and len(factors) == 3
    find(monkeypatch, *common, "--method", "channels", "--label", "age<0.3", "--out", tmp_path / "c.npy")
    channel = read_directions(tmp_path / "c.npy")
    assert isinstance(channel, LatentDirection) and channel.vector.shape == (10, 256)
    assert (np.abs(channel.vector).max(axis=1) > 0).sum() == 1, "one channel lives in one layer"


def test_an_imported_generator_by_every_method(
    golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = golden("nv-ada-orig-32").path("network-snapshot-000000.nosrc.pkl")
    folder = import_checkpoint(path, out_dir=tmp_path / "models", name="face").folder
    common = ("--imported", folder, "--people", 60)
    find(monkeypatch, *common, "--method", "components", "--count", 5, "--out", tmp_path / "b.pt")
    basis = read_directions(tmp_path / "b.pt")
    assert isinstance(basis, PrincipalComponents) and basis.components.shape == (5, 32)
    find(monkeypatch, *common, "--method", "factors", "--out", tmp_path / "s.pt")
    assert isinstance(read_directions(tmp_path / "s.pt"), list)
    codes = np.random.default_rng(0).normal(size=(60, 32)).astype(np.float32)
    np.savez(tmp_path / "labels.npz", codes=codes, smile=codes[:, 3])
    labelled = (*common, "--labels", tmp_path / "labels.npz", "--label", "smile>0")
    find(monkeypatch, *labelled, "--method", "boundary", "--out", tmp_path / "d.npy")
    direction = read_directions(tmp_path / "d.npy")
    assert isinstance(direction, LatentDirection) and int(np.abs(direction.vector[0]).argmax()) == 3
    find(monkeypatch, *labelled, "--method", "channels", "--out", tmp_path / "c.npy")
    assert np.load(tmp_path / "c.npy").shape == (8, 32)
    capsys.readouterr()
    with pytest.raises(SystemExit, match="FaceMesh finds a face in 0 of 3 pictures; wanted a generator of faces"):
        find(monkeypatch, "--imported", folder, "--people", 3, "--method", "label", "--out", tmp_path / "l.npz")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--imported", "x"], "--method edits is for the bundled model"),
        (["--method", "factors"], "--method factors needs an --out of its own"),
        (["--method", "label", "--out", "a.npz"], "--method label is for an imported model"),
    ],
)
def test_what_does_not_go_together(monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        find(monkeypatch, *arguments)


@pytest.mark.parametrize("rule", ["wings>0.5", "age", "age>much", ""])
def test_a_label_that_is_not_understood(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    with pytest.raises(SystemExit, match="wanted NAME>NUMBER or NAME<NUMBER, names: face_length, "):
        find(
            *(monkeypatch, "--generator", checkpoint, "--people", 8, "--method", "boundary", "--label", rule),
            *("--out", tmp_path / "x.npy"),
        )


def test_pictures_are_labelled_by_what_is_seen_in_them(media: Path) -> None:
    import cv2

    from engines.bundled import load
    from tools.direction_sources import measured

    picture = cv2.imread(str(media / "stills" / "d8.jpg"))
    small = cv2.resize(picture, None, fx=480 / picture.shape[0], fy=480 / picture.shape[0])
    kept, table = measured([np.zeros((64, 64, 3), np.uint8), small], load("toon"))
    assert kept == [1] and table.shape[0] == 1 and np.isfinite(table).all()

"""The avatars' files: written whole or not at all, read with care, nowhere but in their folder."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from engines.bundled import PARTS, manifest
from realtime.avatar_codes import DIM, LAYERS, coded, weights_of
from realtime.avatars import MOST_BYTES, Avatar, AvatarStore, default_folder, read, write
from realtime.errors import OutputError, UsageError
from realtime.traits import TRAITS, usual
from tests.realtime.clips import as_nobody


@pytest.fixture
def store(tmp_path: Path) -> AvatarStore:
    return AvatarStore(tmp_path / "deep" / "avatars")


def test_what_was_saved_is_loaded(store: AvatarStore) -> None:
    mona = Avatar("mona", {"hair": "bob", "hair-colour": "#6a3", "age": 0.7})
    path = store.save(mona)
    assert path == store.folder / "mona.toml"
    again = store.load("mona")
    assert again.traits == {"hair": "bob", "hair-colour": "#66aa33", "age": 0.7}
    assert again.attributes()["hair_bob"] == 1 and again.attributes()["age"] == 0.7


def test_every_trait_survives_the_file() -> None:
    full = Avatar("a", {trait: usual(trait) for trait in TRAITS})
    assert read("a", write(full), "a.toml") == full


def test_a_file_says_what_it_is_and_holds_no_more() -> None:
    assert write(Avatar("a", {"age": 0.5})) == (
        "# An avatar of avatar-live. Change it here or with: avatar-live avatar edit a --set hair=bob\n"
        "version = 1\n\n[traits]\nage = 0.5\n"
    )


def offset() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(LAYERS, DIM)).astype(np.float32)


def test_a_code_is_kept_in_the_file_and_survives_changes(store: AvatarStore) -> None:
    code = coded(offset(), weights_of(manifest()))
    path = store.save(Avatar("mona", {"age": 0.5}, code))
    again = store.load("mona").changed({"hair": "bob"})
    assert again == Avatar("mona", {"age": 0.5, "hair": "bob"}, code) and path.stat().st_size < 8000
    kept = again.offset()
    assert kept is not None and kept.dtype == np.float32
    np.testing.assert_allclose(kept, offset(), rtol=1e-3, atol=1e-4)
    assert Avatar("mona").offset() is None


def test_a_code_of_other_weights_is_not_worn() -> None:
    avatar = Avatar("mona", {}, coded(offset(), "0" * 16))
    with pytest.raises(
        UsageError, match="'mona' is for other weights .* invert PHOTO --save mona --replace.* --drop-code"
    ):
        avatar.offset()


def test_every_part_that_draws_tells_the_weights() -> None:
    rows = {part: {"sha256": part} for part in (*PARTS, "directions")}
    known = {weights_of(rows)}
    for part in ("mapping", "motion_code", "synthesis"):
        known.add(weights_of({**rows, part: {"sha256": "other"}}))
    assert len(known) == 4
    assert weights_of({**rows, "encoder": {"sha256": "other"}}) == weights_of(rows)


def test_names_are_listed(store: AvatarStore) -> None:
    assert store.names() == []
    for name in ("zoe", "abe"):
        store.save(Avatar(name))
    (store.folder / "notes.txt").write_text("")
    (store.folder / "Not One.toml").write_text("")
    assert store.names() == ["abe", "zoe"]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", "a\0b", "a b", "-a", "_a", "Mona", "é", "a" * 41]
)
def test_names_lead_nowhere_else(store: AvatarStore, name: str) -> None:
    for use in (store.path, store.load, store.delete, Avatar):
        with pytest.raises(UsageError, match="an avatar cannot be called .*; wanted up to 40 letters a to z"):
            use(name)


@pytest.mark.parametrize("name", ["con", "nul", "com1"])
def test_names_of_devices_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be called"):
        Avatar(name)


def test_a_near_name_is_offered() -> None:
    with pytest.raises(UsageError, match="for example mona-lisa"):
        Avatar("Mona Lisa")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version = 1\n[traits\n", "is not valid TOML"),
        ("a = " + "[" * 3000 + "]" * 3000, "is not valid TOML"),
        ("", "version is None; wanted version = 1"),
        ('version = "1"', "version is '1'; wanted version = 1"),
        ("version = true", "version is True; wanted version = 1"),
        ("version = 2", "has version 2, this avatar-live reads up to 1; update avatar-live"),
        ("version = 1\ntrait = 3", "unknown key 'trait'; did you mean traits?"),
        ("version = 1\ntraits = 3", "traits is 3; wanted a table [traits]"),
        ("version = 1\n[traits]\nhare = 'bob'", "unknown trait 'hare'; did you mean hair"),
        ("version = 1\n[traits]\nage = 7", "age is 7; wanted a number from 0 to 1"),
        ("version = 1\n[traits]\nage = nan", "age is nan; wanted a number from 0 to 1"),
        ("version = 1\n[traits]\nage = [[1]]", "age is [[1]]; wanted a number from 0 to 1"),
        ("version = 1\n[traits.hair]\nx = 1", "hair is {'x': 1}; wanted one of"),
        ("version = 1\ncode = 3", "code is no table of weights and offset; make the avatar anew: avatar-live invert"),
        ("version = 1\n[code]\nweights = 'x'\noffset = ''", "the code's weights are not 16 digits"),
        ("version = 1\n[code]\nweights = 7\noffset = ''", "the code's weights are not 16 digits"),
        (f"version = 1\n[code]\nweights = '{'a' * 16}'\noffset = 'AAAA'", "the code's offset is no base64 of 10 x 256"),
        (f"version = 1\n[code]\nweights = '{'a' * 16}'\noffset = '~'", "the code's offset is no base64 of 10 x 256"),
        (f"version = 1\n[code]\nweights = '{'a' * 16}'\noffset = 7", "the code's offset is no base64 of 10 x 256"),
        (f"version = 1\n[code]\nweights = '{'a' * 16}'\noffset = '{'AHwA' * 1707}'", "is no base64 of 10 x 256"),
        (f"version = 1\n[traits]\nskin = '{'9' * 500}'", "...; wanted a colour"),
    ],
)
def test_a_file_that_was_spoilt_says_where(store: AvatarStore, text: str, message: str) -> None:
    store.save(Avatar("mona"))
    store.path("mona").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as error:
        store.load("mona")
    assert str(store.path("mona")) in str(error.value) and message in str(error.value)
    store.delete("mona")  # what cannot be read can be deleted
    assert store.names() == []


def test_files_that_are_no_text_or_far_too_large_are_refused(store: AvatarStore) -> None:
    path = store.save(Avatar("mona"))
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is no text"):
        store.load("mona")
    path.write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(UsageError, match="larger than 64 KiB"):
        store.load("mona")


def test_an_unknown_avatar_lists_the_known(store: AvatarStore) -> None:
    with pytest.raises(UsageError, match="unknown avatar .mona.; known: none; make one with: avatar-live avatar"):
        store.load("mona")
    store.save(Avatar("mona"))
    with pytest.raises(UsageError, match="unknown avatar 'moma'; did you mean mona"):
        store.load("moma")
    with pytest.raises(UsageError, match="unknown avatar 'moma'"):
        store.delete("moma")


def test_an_avatar_is_not_written_over_unasked(store: AvatarStore) -> None:
    store.save(Avatar("mona", {"age": 0.2}), replace=False)
    with pytest.raises(UsageError, match="there is an avatar 'mona' already; .* --replace"):
        store.save(Avatar("mona", {"age": 0.9}), replace=False)
    assert store.load("mona").traits == {"age": 0.2}
    store.save(Avatar("mona", {"age": 0.9}))
    assert store.load("mona").traits == {"age": 0.9}
    assert [path.name for path in store.folder.iterdir()] == ["mona.toml"]


def test_readers_never_see_half_a_file(store: AvatarStore) -> None:
    store.save(Avatar("mona", {"age": 0.0}))
    done = threading.Event()
    ages: list[object] = []

    def read_on() -> None:
        while not done.is_set():
            ages.append(store.load("mona").traits["age"])

    reader = threading.Thread(target=read_on)
    reader.start()
    for step in range(60):
        store.save(Avatar("mona", {"age": step / 100}))
    done.set()
    reader.join()
    assert all(isinstance(age, float) for age in ages)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write .* name a folder that can be written with --folder"):
        AvatarStore(tmp_path / "file" / "avatars").save(Avatar("mona"))


@pytest.mark.skipif(os.name == "nt", reason="rights of files are others on Windows")
def test_a_file_that_cannot_be_read_is_told(store: AvatarStore) -> None:
    path = store.save(Avatar("mona"))
    path.chmod(0)
    with as_nobody(), pytest.raises(UsageError, match="cannot read .*mona.toml"):
        store.load("mona")


def test_the_folder_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AVATAR_LIVE_AVATARS", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("AVATAR_LIVE_AVATARS")
    assert default_folder().parts[-2:] == ("avatar-live", "avatars")

"""``avatar-live avatar``: what people type and what comes of it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from realtime.avatar_codes import coded
from realtime.avatars import Avatar, AvatarStore
from realtime.avatars_random import random_traits
from realtime.cli import app
from realtime.traits import TRAITS, checked


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("AVATAR_LIVE_CONFIG", raising=False)
    monkeypatch.setenv("AVATAR_LIVE_AVATARS", str(tmp_path / "avatars"))
    return tmp_path / "avatars"


def call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["avatar", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_an_avatar_is_made_of_a_photo_and_its_file_holds_no_picture(media: Path, folder: Path, tmp_path: Path) -> None:
    photo, pair = media / "stills" / "d19.jpg", tmp_path / "pair.png"
    code, out, err = call(
        "create", "me", "--source", str(photo), "--set", "hair=bob", "--set", "age=0.7", "--picture", str(pair)
    )
    assert code == 0, err
    assert "looked at 1 of 1 frames with a face" in err and "wear it with: avatar-live --avatar me" in err
    assert "bob" in out and "skin" in out
    assert cv2.imread(str(pair)).shape == (512, 1024, 3)
    (file,) = folder.iterdir()
    assert file.name == "me.toml" and file.stat().st_size < 2000
    traits = AvatarStore(folder).load("me").traits
    assert set(traits) == set(TRAITS) and (traits["hair"], traits["age"]) == ("bob", 0.7)
    code, _, err = call("create", "me", "--source", str(photo))
    assert code == 2 and "there is an avatar 'me' already; give another name, or --replace" in err


def test_a_name_is_refused_before_anybody_is_watched(folder: Path) -> None:
    code, _, err = call("create", "../me", "--source", "nowhere.mp4")
    assert code == 2 and "an avatar cannot be called '../me'" in err
    assert not folder.exists()


def test_a_missing_photo_is_told_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    code, _, err = call("create", "me", "--source", str(tmp_path / "none.png"))
    assert code == 1 and "cannot read" in err and "Traceback" not in err
    assert not folder.exists()


def test_avatars_are_listed_shown_changed_and_deleted(folder: Path) -> None:
    assert call("list")[2].startswith("no avatars in")
    AvatarStore(folder).save(Avatar("mona", {"hair": "long"}))
    assert "mona" in call("list")[1]
    code, out, _ = call("edit", "mona", "--set", "hair=bob", "--set", "hair-colour=#6a3", "--set", "age=0.7")
    assert code == 0 and "bob" in out and "#66aa33" in out
    assert AvatarStore(folder).load("mona").traits == {"hair": "bob", "hair-colour": "#66aa33", "age": 0.7}
    assert "0.7" in call("show", "mona")[1]
    assert call("edit", "mona", "--set", "headphones=on", "--set", "gear-colour=#123", "--set", "freckles=0.5")[0] == 0
    code, _, err = call("edit", "mona", "--set", "hat=beanie")
    assert code == 2 and "hat is 'beanie' and headphones are on" in err
    assert call("edit", "mona", "--set", "hat=beanie", "--set", "headphones=none")[0] == 0
    assert AvatarStore(folder).load("mona").attributes()["hat_beanie"] == 1
    assert call("delete", "mona")[0] == 0
    assert call("show", "mona")[0] == 2 and not list(folder.iterdir())


def test_a_code_is_told_kept_and_dropped(folder: Path) -> None:
    code = coded(np.ones((10, 256)), "0" * 16)
    store = AvatarStore(folder)
    store.save(Avatar("mona", {"age": 0.2}, code))
    status, _, err = call("edit", "mona", "--set", "age=0.3")
    assert status == 0 and "with the code that avatar-live invert found" in err and store.load("mona").code == code
    status, _, err = call("show", "mona", "--picture", "no.png")
    assert status == 2 and "is for other weights than the installed ones" in err
    assert call("edit", "mona", "--drop-code")[0] == 0
    assert store.load("mona") == Avatar("mona", {"age": 0.3})


def test_a_spoilt_file_does_not_hide_the_others(folder: Path) -> None:
    store = AvatarStore(folder)
    store.save(Avatar("abe"))
    store.save(Avatar("mona")).write_text("version = 9\n")
    code, out, err = call("list")
    assert code == 0 and "abe" in out and "has version 9" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("edit", "mona"), "nothing to change; wanted --set TRAIT=VALUE"),
        (("edit", "mona", "--set", "hair=mohawk"), "hair is 'mohawk'; wanted one of"),
        (("edit", "mona", "--set", "hat=cap", "--set", "headphones=on"), "an avatar wears one: set hat=none or"),
        (("edit", "nobody", "--set", "age=0.1"), "unknown avatar 'nobody'; known: mona"),
        (("show", "nobody"), "unknown avatar 'nobody'"),
        (("delete", "nobody"), "unknown avatar 'nobody'"),
        (("random", "mona"), "there is an avatar 'mona' already"),
    ],
)
def test_what_cannot_be_done_is_told(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    AvatarStore(folder).save(Avatar("mona", {"age": 0.5}))
    code, _, err = call(*arguments)
    assert code == 2 and message in err and "Traceback" not in err
    assert AvatarStore(folder).load("mona").traits == {"age": 0.5}


def test_somebody_is_made_up_and_drawn(folder: Path, tmp_path: Path) -> None:
    code, _, err = call("random", "--seed", "7", "--set", "glasses=round", "--picture", str(tmp_path / "them.png"))
    assert code == 0, err
    assert AvatarStore(folder).load("random-7").traits["glasses"] == "round"
    assert cv2.imread(str(tmp_path / "them.png")).shape == (512, 512, 3)
    code, _, err = call("show", "random-7", "--picture", str(tmp_path / "no" / "folder.png"))
    assert code == 1 and "cannot write" in err and "give another path" in err


def test_the_same_seed_is_the_same_person() -> None:
    people = [random_traits(seed) for seed in range(40)]
    assert people[3] == random_traits(3) and len({str(p) for p in people}) == 40
    for person in people:
        assert {trait: checked(trait, value) for trait, value in person.items()} == person
    assert len({p["hair"] for p in people}) > 6 and {p["glasses"] for p in people} > {"none"}


def test_made_up_people_wear_something_now_and_then() -> None:
    people = [Avatar("a", random_traits(seed)).traits for seed in range(60)]
    assert {p["hat"] for p in people} == {"none", "beanie", "cap"}
    assert {p["headphones"] for p in people} == {"none", "on"}
    assert 0.5 < sum(p["hat"] == "none" and p["headphones"] == "none" for p in people) / 60 < 0.9
    assert any(p["earrings"] for p in people) and any(p["freckles"] for p in people)


def test_what_is_asked_for_takes_off_what_was_made_up(folder: Path) -> None:
    worn = next(seed for seed in range(60) if random_traits(seed)["headphones"] == "on")
    assert call("random", "--seed", str(worn), "--set", "hat=cap")[0] == 0
    traits = AvatarStore(folder).load(f"random-{worn}").traits
    assert (traits["hat"], traits["headphones"]) == ("cap", "none")


def test_an_avatar_that_is_to_be_worn_must_be_there() -> None:
    result = CliRunner().invoke(app, ["--source", "demo", "--output", "null", "--avatar", "nobody"])
    assert result.exit_code == 2 and "unknown avatar 'nobody'" in result.stderr

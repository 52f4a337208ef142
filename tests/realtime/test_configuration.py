from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from engines import bundled
from realtime import configuration
from realtime.configuration import KEYS, VARIABLES, edit, load, styles
from realtime.errors import UsageError
from realtime.settings import CaptureSettings, CompositingSettings, EditingSettings, Settings


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "mine.toml"


def test_the_defaults_are_the_style_toon() -> None:
    settings = load({}, {})
    assert settings.editing.style == "toon"
    assert settings.generating.model == "toon"
    assert settings.capture == CaptureSettings()
    assert not settings.compositing.compare
    assert settings.compositing.on_lost == "hold", "the raw frame is never the default"


def test_flags_win_over_the_environment_over_the_file_over_the_style(config: Path) -> None:
    config.write_text(
        "[capture]\nfps = 10\nwidth = 320\nheight = 200\n[styles.mine]\nmode = 'scene'\nbackground = 'green'\n"
    )
    flags = {"capture.fps": 60.0, "capture.width": None, "editing.style": "mine"}
    settings = load(flags, {"AVATAR_LIVE_CAPTURE_FPS": "25", "AVATAR_LIVE_CAPTURE_WIDTH": "640"}, config)
    assert (settings.capture.fps, settings.capture.width, settings.capture.height) == (60.0, 640, 200)
    assert (settings.compositing.mode, settings.compositing.background) == ("scene", "green")
    assert load({"editing.style": "mine", "compositing.mode": "crop"}, {}, config).compositing.mode == "crop"


def test_edits_are_joined_name_by_name(config: Path) -> None:
    config.write_text(
        "[styles.mine]\nedits = { age = 0.5, smile = 0.1 }\n[editing]\nstyle = 'mine'\nedits = { smile = 0.2 }\n"
    )
    settings = load({"editing.edits": {"age": -1.0}}, {"AVATAR_LIVE_EDITING_EDITS": "beard=1, hair=-0.5"}, config)
    assert settings.editing.edits == {"age": -1.0, "smile": 0.2, "beard": 1.0, "hair": -0.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[captur]\nfps = 1", r"mine.toml: unknown section 'captur'; did you mean capture\? Known: alignment, capture"),
        ("[capture]\nfsp = 1", r"mine.toml: \[capture\] unknown key 'fsp'; did you mean fps\?"),
        ("[capture]\nfps = 0", r"mine.toml: \[capture\]: fps is 0; wanted a number from 1 to 240"),
        ("[capture]\nfps = nan", r"\[capture\]: fps is nan; wanted a number from 1 to 240"),
        ("[capture]\nfps = true", r"\[capture\]: fps is True; wanted a number from 1 to 240"),
        ("[capture]\nwidth = 640.5", r"width is 640.5; wanted a whole number from 16 to 8192"),
        ("[capture]\nmirror = 3", r"mirror is 3; wanted true or false"),
        ("capture = 3", r"capture is 3; wanted a table \[capture\]"),
        ("[compositing]\nmode = 'over'", r"mode is 'over'; wanted one of overlay, scene, crop, paste"),
        ("[compositing]\nbackground = 3", r"background is 3; wanted text"),
        ("[editing]\nedits = 3", r"edits is 3; wanted a table of names and numbers"),
        ("[editing.edits]\nage = inf", r"age is inf; wanted a number from -3 to 3"),
        ("[editing]\nstyle = 'tune'", r"unknown style 'tune'; did you mean toon\? Known: beanie, beard"),
        ("[styles.x]\nmodell = 'a'", r"\[styles.x\] unknown key 'modell'; did you mean model\?"),
        ("[styles.x]\nmode = 'a'", r"\[styles.x\]: mode is 'a'; wanted one of"),
        ("[styles.x]\ndescription = 1", r"\[styles.x\]: description is 1; wanted text"),
        ("styles = 3", r"styles is 3; wanted tables"),
        ("[styles]\nx = 3", r"\[styles.x\] is 3; wanted a table"),
        ("[capture\nfps = 1", r"mine.toml is not valid TOML: .*line 1"),
    ],
)
def test_a_broken_file_says_where_and_what_was_wanted(config: Path, text: str, message: str) -> None:
    config.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        load({}, {}, config)
    assert caught.value.exit_code == 2


def test_a_file_that_is_not_text_or_not_there(config: Path, tmp_path: Path) -> None:
    config.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not valid TOML"):
        load({}, {}, config)
    with pytest.raises(UsageError, match="cannot read .*none.toml: No such file.*give the path of a TOML file"):
        load({}, {}, tmp_path / "none.toml")
    with pytest.raises(UsageError, match="cannot read"):
        load({}, {}, tmp_path)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"AVATAR_LIVE_CAPTURE_FSP": "1"},
            "unknown environment variable 'AVATAR_LIVE_CAPTURE_FSP'; did you mean .*_FPS",
        ),
        ({"AVATAR_LIVE_CAPTURE_FPS": "fast"}, "AVATAR_LIVE_CAPTURE_FPS: fps is 'fast'; wanted a number from 1 to 240"),
        ({"AVATAR_LIVE_CAPTURE_MIRROR": "maybe"}, "mirror is 'maybe'; wanted true or false"),
        ({"AVATAR_LIVE_EDITING_EDITS": "age"}, "edit 'age' is not understood; wanted name=strength"),
    ],
)
def test_the_environment_is_checked(environ: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load({}, environ)


def test_variables_that_are_no_settings_are_left_alone() -> None:
    assert load({}, {"PATH": "/bin", "AVATAR": "x"}) == load({}, {})


def test_words_and_numbers_as_text() -> None:
    environ = {"AVATAR_LIVE_CAPTURE_MIRROR": "Yes", "AVATAR_LIVE_CAPTURE_WIDTH": "640", "AVATAR_LIVE_OUTPUT_AUDIO": "0"}
    settings = load({}, environ)
    assert settings.capture.mirror is True
    assert settings.capture.width == 640
    assert settings.output.audio is False


def test_flags_are_checked_like_everything_else() -> None:
    with pytest.raises(UsageError, match="the command line: fps is nan; wanted a number from 1 to 240"):
        load({"capture.fps": math.nan}, {})


@pytest.mark.parametrize("text", ["age", "=1", "age=", "age=much", ""])
def test_an_edit_that_is_not_understood(text: str) -> None:
    with pytest.raises(UsageError, match="wanted name=strength, for example age=0.8"):
        edit(text)


def test_every_setting_has_one_variable_and_checks_itself() -> None:
    assert len(VARIABLES) == len(KEYS)
    with pytest.raises(UsageError, match="width is 0; wanted a whole number"):
        CaptureSettings(width=0)
    with pytest.raises(UsageError, match="age is nan"):
        EditingSettings(edits={"age": math.nan})
    with pytest.raises(UsageError, match="mode is 'x'"):
        CompositingSettings(mode="x")  # type: ignore[arg-type]


def test_settings_are_frozen_throughout() -> None:
    settings = Settings(editing=EditingSettings(edits={"age": 1}))
    for section in fields(settings):
        part = getattr(settings, section.name)
        with pytest.raises(FrozenInstanceError):
            setattr(part, fields(part)[0].name, None)
    with pytest.raises(TypeError):
        settings.editing.edits["age"] = 2.0  # type: ignore[index]


def test_bundled_styles_are_sound() -> None:
    known = styles()
    assert "toon" in known
    for style in known.values():
        assert style.description
        assert style.edits.keys() <= configuration.edits().keys()


def test_what_styles_toml_can_edit_is_what_the_model_can() -> None:
    for name in bundled.MODELS:
        tensors = load_file(bundled.verify(bundled.manifest()["directions"]))
        assert {key.partition(".")[0] for key in tensors} == configuration.edits().keys(), name

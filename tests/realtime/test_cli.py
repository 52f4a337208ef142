from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from realtime import __version__
from realtime.cli import FAULT, app
from realtime.errors import DeviceError, OutputError
from realtime.session import Request


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of the developer's own, wide lines, and logs that stay in the test's folder."""
    monkeypatch.delenv("AVATAR_LIVE_CONFIG", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """Collects what would be run; what opens devices and models is tested with the session."""
    collected: list[Request] = []
    monkeypatch.setattr("realtime.session.run", lambda request, console: collected.append(request))
    return collected


def call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def test_the_command_alone_is_the_webcam_to_the_virtual_camera(requests: list[Request]) -> None:
    assert call() == (0, "", "")
    (request,) = requests
    assert (request.source, list(request.outputs)) == ("0", ["virtual"])
    assert request.settings.editing.style == "toon"
    assert not request.settings.compositing.compare
    assert request.settings.compositing.on_lost == "hold"


def test_every_option_reaches_its_setting(requests: list[Request]) -> None:
    arguments = (
        "--style toon --strength 0.6 --faces 2 "
        "--source a.mp4 --output b.mp4 --output null --edit age=0.5 --edit smile=-1 --mode scene "
        "--background green --on-lost card --compare --size 640x480 --fps 25 --mirror --device cpu --duration 3 "
        "--realtime --stats s.json --contact-sheet c.png"
    )
    assert call(*arguments.split()) == (0, "", "")
    (request,) = requests
    assert request == Request("a.mp4", ["b.mp4", "null"], request.settings, Path("s.json"), Path("c.png"))
    settings = request.settings
    assert settings.editing.edits == {"age": 0.5, "smile": -1.0}
    assert (settings.editing.strength, settings.tracking.faces) == (0.6, 2)
    compositing = settings.compositing
    assert (compositing.mode, compositing.background, compositing.on_lost) == ("scene", "green", "card")
    assert compositing.compare
    capture = settings.capture
    assert (capture.width, capture.height, capture.fps, capture.mirror) == (640, 480, 25.0, True)
    assert settings.generating.device == "cpu"
    assert (settings.pipeline.duration_s, settings.pipeline.pace) == (3.0, "newest")


def test_settings_come_from_the_file_and_the_environment(
    requests: list[Request], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.toml").write_text("[compositing]\nmode = 'crop'\n")
    monkeypatch.setenv("AVATAR_LIVE_CAPTURE_FPS", "12")
    monkeypatch.setenv("AVATAR_LIVE_CONFIG", str(tmp_path / "mine.toml"))
    assert call()[0] == 0
    assert requests[0].settings.compositing.mode == "crop"
    assert requests[0].settings.capture.fps == 12.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--style", "tune"], "unknown style 'tune'; did you mean toon? Known: beanie, beard"),
        (["--edit", "age=nan"], "age is nan; wanted a number from -3 to 3"),
        (["--strength", "1.5"], "strength is 1.5; wanted a number from 0 to 1"),
        (["--faces", "5"], "faces is 5; wanted a whole number from 1 to 4"),
        (["--edit", "age=0..1"], "edit 'age=0..1': strength '0..1' is not understood; wanted a number or START..END/"),
        (["--edit", "age=4"], "age is 4.0; wanted a number from -3 to 3"),
        (["--edit", "age"], "edit 'age' is not understood; wanted name=strength, for example age=0.8"),
        (["--mode", "over"], "mode is 'over'; wanted one of overlay, scene, crop, paste"),
        (["--on-lost", "show"], "on_lost is 'show'; wanted one of hold, card, blur, raw"),
        (["--size", "big"], "--size is 'big'; wanted WIDTHxHEIGHT in pixels, for example 1280x720"),
        (["--size", "0x9"], "width is 0; wanted a whole number from 16 to 8192"),
        (["--fps", "nan"], "fps is nan; wanted a number from 1 to 240"),
        (["--device", "tpu"], "device is 'tpu'; wanted one of auto, cpu, cuda"),
        (["--precision", "f16"], "precision is 'f16'; wanted one of auto, f32, int8, bf16"),
        (["--config", "none.toml"], "cannot read none.toml: No such file or directory; give the path of a TOML file"),
    ],
)
def test_what_does_not_exist_is_one_line_and_exit_code_2(arguments: list[str], message: str) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err


@pytest.mark.parametrize(("error", "code"), [(DeviceError("no camera"), 2), (OutputError("the disk is full"), 1)])
def test_errors_have_their_exit_codes(monkeypatch: pytest.MonkeyPatch, error: Exception, code: int) -> None:
    def fail(request: Request, console: object) -> None:
        raise error

    monkeypatch.setattr("realtime.session.run", fail)
    assert call() == (code, "", f"avatar-live: {error}\n")


def test_a_fault_of_the_program_is_one_line_and_a_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(request: Request, console: object) -> None:
        raise ZeroDivisionError("by\nzero")

    monkeypatch.setattr("realtime.session.run", fail)
    code, _, err = call()
    (log,) = tmp_path.glob("avatar-live-*.log")
    assert code == FAULT
    assert err == f"avatar-live: a fault of the program: ZeroDivisionError: by; please report it with {log}\n"
    assert "Traceback" in log.read_text()


def test_a_missing_file_as_source() -> None:
    code, _, err = call("--source", "none.mp4", "--output", "null")
    assert code == 1
    assert "none.mp4" in err
    assert "Traceback" not in err


def test_styles_lists_styles_with_edits(tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text("[styles.grandpa]\ndescription = 'old and wise'\nedits = { age = 0.9, beard = 1 }\n")
    code, out, _ = call("styles", "--config", str(config))
    assert code == 0
    for text in ("toon", "grandpa", "age=0.9, beard=1", "old and wise", "younger (-) to older (+)"):
        assert text in out


def test_version_and_help() -> None:
    assert call("--version")[1] == f"avatar-live {__version__}\n"
    assert "webcam goes in" in call("--help")[1]


def test_an_unknown_option_is_exit_code_2() -> None:
    code, _, err = call("--stile", "toon")
    assert code == 2
    assert "--stile" in err

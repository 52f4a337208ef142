"""What the command says of cameras and sizes, as the program understands it."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from realtime import session
from realtime.cameras import Camera, Mode
from realtime.cli import app
from realtime.session import Request
from realtime.settings import Settings


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    monkeypatch.delenv("AVATAR_LIVE_CONFIG", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    taken: list[Request] = []
    monkeypatch.setattr(session, "run", lambda request, console: taken.append(request))
    return taken


def settings(asked: list[Request], *arguments: str) -> Settings:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return asked[-1].settings


def test_a_size_is_asked_for_and_comes_out(asked: list[Request]) -> None:
    plain = settings(asked)
    assert (plain.capture.fit, plain.capture.rotate, plain.output.fps) == ("keep", "0", 0)
    sized = settings(asked, "--size", "640x360").capture
    assert (sized.width, sized.height, sized.fit) == (640, 360, "letterbox")
    assert settings(asked, "--size", "640x360", "--fit", "crop").capture.fit == "crop"
    assert settings(asked, "--fit", "crop").capture.fit == "crop"


def test_turning_and_the_rate_of_both_cameras(asked: list[Request]) -> None:
    turned = settings(asked, "--rotate", "270", "--mirror", "--fps", "24")
    assert (turned.capture.rotate, turned.capture.mirror) == ("270", True)
    assert (turned.capture.fps, turned.output.fps) == (24, 24)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--fit", "stretch"), "one of keep, letterbox, crop"), (("--rotate", "45"), "one of 0, 90, 180, 270")],
)
def test_what_does_not_exist_is_told_with_what_does(
    asked: list[Request], arguments: tuple[str, str], words: str
) -> None:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 2 and words in result.output and not asked


def test_cameras_are_listed(asked: list[Request], monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Camera(1, "HD", "/dev/video1", (Mode(1280, 720, 30, "MJPG"),))]
    monkeypatch.setattr("realtime.cameras.list_cameras", lambda: found)
    result = CliRunner().invoke(app, ["--list-cameras"])
    assert (result.exit_code, result.stdout) == (0, "ok  --source 1  'HD' (/dev/video1): 1280x720@30 MJPG\n")
    assert not asked

"""``avatar-live calibrate`` on a real clip with a small random model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engines.calibration import Progress, Tuner
from realtime.cli import app
from tests.realtime.clips import grey, write_clip
from tests.realtime.imported_model import models, tiny_models

__all__ = ["models", "tiny_models"]
QUICK = ("--generator", "tiny", "--seconds", "1.2", "--frames", "20", "--steps", "3", "--rank", "1", "--device", "cpu")


@pytest.fixture
def clip(media: Path) -> Path:
    return media / "clips" / "d0.mp4"


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")


def avatar_live(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert "Traceback" not in result.output
    return result.exit_code, result.stderr


def test_a_broken_run_goes_on_and_ends_as_a_model(models, clip, monkeypatch):
    run = Tuner.run

    def interrupted(tuner: Tuner, tell, save_to=None) -> None:
        def once(now: Progress) -> None:
            tell(now)
            raise KeyboardInterrupt

        run(tuner, once, save_to)

    monkeypatch.setattr(Tuner, "run", interrupted)
    code, said = avatar_live("calibrate", "me", *QUICK, "--source", clip)
    assert code == 130 and "stopped after 1 steps; the same command goes on" in said
    monkeypatch.setattr(Tuner, "run", run)
    code, said = avatar_live("calibrate", "me", *QUICK, "--source", "other.mp4")
    assert code == 2 and "an earlier run with other options was broken off" in said
    code, said = avatar_live("calibrate", "me", *QUICK, "--source", clip)
    assert code == 0, said
    assert "going on after 1 steps" in said and "calibrated 'me' in 3 steps" in said
    assert "frames that took no part:" in said and "edit the generator's own direction 0:" in said
    assert not (models / ".me-calibration").exists(), "the frames are not kept"
    assert (models / "me" / "contact_sheet.png").is_file()
    code, said = avatar_live("--model", "me", "--source", clip, "--duration", "0.1", "--output", "null")
    assert code == 0 and "model  me, 32 px" in said
    assert avatar_live("models", "verify", "me")[0] == 0
    code, said = avatar_live("calibrate", "me", *QUICK, "--source", clip)
    assert code == 1 and "a model 'me' exists" in said


def test_what_calibration_needs(models, tmp_path):
    empty = write_clip(tmp_path / "grey.mp4", [grey(96, 72, 90)] * 5)
    code, said = avatar_live("calibrate", "x", *QUICK, "--source", empty)
    assert code == 1 and "0 frames with a face in" in said and "wanted 20 or more: record longer" in said
    code, said = avatar_live("calibrate", "y", "--generator", "toon", "--source", empty)
    assert code == 1 and "the model 'toon' has no encoder; calibrate one of e4e, pSp or ReStyle" in said
    code, said = avatar_live("calibrate", "z", "--generator", "tonn", "--source", empty)
    assert code == 1 and "no imported model 'tonn' in" in said
    code, said = avatar_live("calibrate", "z", *QUICK[:-1], "tpu", "--source", empty)
    assert code == 2 and "device is 'tpu'; wanted one of auto, cpu, cuda" in said


def test_without_torch_it_says_what_to_install(models):
    program = "import sys; sys.modules['torch'] = None; from realtime.cli import app; app()"
    command = [sys.executable, "-c", program, "calibrate", "me2", *QUICK]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "calibration needs torch, which is not installed; pip install torch" in done.stderr

"""The whole program, run as a user runs it: real files in, real files out, real models between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from io import StringIO
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from realtime.cameras import list_cameras
from realtime.cli import app
from realtime.clock import FakeClock
from realtime.holding import card
from realtime.session import _status
from realtime.statistics import Statistics

ROOT = Path(__file__).resolve().parents[2]
POLL_S, PATIENCE = 0.05, 1200  # only to wait for another process


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("AVATAR_LIVE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def faceless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames, 96x72, of moving stripes."""
    path = tmp_path_factory.mktemp("media") / "stripes.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 72, "yuv420p"
        for number in range(10):
            stripes = np.zeros((72, 96, 3), np.uint8)
            stripes[:, (np.arange(96) + number) % 16 < 8] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(stripes, "bgr24")))
        container.mux(stream.encode())
    return path


def avatar_live(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def test_a_clip_becomes_a_video_with_as_many_frames(media: Path, tmp_path: Path) -> None:
    clip = media / "clips" / "d18.mp4"
    result = avatar_live(
        *("--style", "toon", "--source", clip, "--duration", 0.5, "--output", "out.mp4", "--output", "null"),
        *("--edit", "smile=0.5", "--stats", "figures.json", "--contact-sheet", "sheet.png"),
    )
    assert (result.exit_code, result.stdout) == (0, "")
    written, source = frames(tmp_path / "out.mp4"), frames(clip)
    assert len(written) == 15
    assert all(picture.shape == (480, 480, 3) for picture in written)
    changes = [np.abs(a.astype(int) - b).mean() for a, b in zip(written, source, strict=False)]
    assert min(changes) > 3, "every picture differs from the camera's"
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert (figures["frames_in"], figures["frames_out"], figures["frames_dropped"]) == (15, 15, 0)
    assert figures["frames_without_face"] == 0
    assert figures["latency_ms"]["count"] == 15
    assert list(figures["stages_ms"])[:7] == [
        *("tracking", "alignment", "encoding", "smoothing", "editing", "generating", "compositing"),
    ]
    assert figures["settings"]["editing"]["edits"] == {"smile": 0.5}
    assert "OpenVINO" in figures["model"]
    assert cv2.imread(str(tmp_path / "sheet.png")) is not None


def test_start_and_end_are_told_in_plain_lines_when_there_is_no_terminal(faceless: Path) -> None:
    lines = avatar_live("--source", faceless, "--output", "null").stderr.splitlines()
    assert lines[0].startswith("source ")
    assert lines[1].startswith("model  toon at 256 px: OpenVINO")
    assert lines[2].startswith("device cpu; ")
    assert lines[3].startswith("output ")
    assert lines[4].startswith("10 frames in, 10 out, 0 dropped, 10 without a face; ")
    assert lines[5].startswith("latency from capture to send: p50 ")
    assert lines[6].startswith("ms per frame: tracking ")
    assert len(lines) == 7
    assert not any("\x1b" in line for line in lines)


def test_without_a_face_every_frame_is_the_holding_picture(faceless: Path, tmp_path: Path) -> None:
    result = avatar_live("--source", faceless, "--output", "out.mp4", "--on-lost", "card")
    assert result.exit_code == 0
    written = frames(tmp_path / "out.mp4")
    assert len(written) == 10
    pictured = card((96, 72)).astype(int)
    assert all(np.abs(picture - pictured).mean() < 4 for picture in written), "the card, as H.264 shows it"


def test_the_demo_side_by_side(tmp_path: Path) -> None:
    result = avatar_live(
        *("--source", "demo", "--duration", 0.3, "--compare", "--output", "out.mkv", "--stats", "figures.json")
    )
    assert result.exit_code == 0, result.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["frames_in"] == figures["frames_out"] >= 9
    assert figures["frames_without_face"] == 0, "the actor is followed from the first frame on"
    picture = frames(tmp_path / "out.mkv")[0]
    assert picture.shape[1] > 2 * picture.shape[0], "two pictures side by side"


def test_an_unknown_edit_lists_the_known_ones_and_leaves_files_alone(faceless: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_bytes(b"the last recording")
    result = avatar_live("--source", faceless, "--output", "out.mp4", "--edit", "smle=0.5")
    assert result.exit_code == 2
    assert "smle" in result.stderr
    assert "did you mean smile" in result.stderr
    assert "Traceback" not in result.stderr
    assert (tmp_path / "out.mp4").read_bytes() == b"the last recording"


def test_an_output_that_is_a_folder(faceless: Path, tmp_path: Path) -> None:
    result = avatar_live("--source", faceless, "--output", tmp_path)
    assert result.exit_code == 1
    assert "is a folder; wanted a file in it" in result.stderr


@pytest.mark.skipif(any(camera.virtual for camera in list_cameras()), reason="there is a virtual camera")
@pytest.mark.skipif(sys.platform != "linux", reason="the commands are those of Linux")
def test_a_missing_virtual_camera_gives_the_commands(faceless: Path) -> None:
    result = avatar_live("--source", faceless)
    assert result.exit_code == 2
    assert "sudo modprobe v4l2loopback" in result.stderr


@pytest.mark.skipif(bool(list_cameras()), reason="there is a camera")
def test_a_missing_camera_suggests_the_demo() -> None:
    result = avatar_live("--output", "null")
    assert result.exit_code == 2
    assert "--source demo" in result.stderr


def test_the_status_line_is_for_terminals_only() -> None:
    statistics = Statistics(FakeClock())
    statistics.frame_in()
    statistics.picture_out(0)
    shown, silent = StringIO(), StringIO()
    with _status(statistics, Console(file=shown, force_terminal=True, width=120)):
        pass
    with _status(statistics, Console(file=silent)):
        pass
    assert "0.0 fps   latency 0 / 0 / 0 ms   in 1  out 1  dropped 0  no face 0" in shown.getvalue()
    assert silent.getvalue() == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_the_file_and_is_no_error(number: signal.Signals, tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    command = [sys.executable, "-m", "realtime", "--source", "demo", "--realtime", "--output", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    pause = threading.Event()
    for _ in range(PATIENCE):
        recorded = path.stat().st_size if path.exists() else 0
        if recorded > 20_000 or process.poll() is not None:
            break
        pause.wait(POLL_S)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "frames in" in said
    assert "Traceback" not in said
    assert len(frames(path)) >= 1

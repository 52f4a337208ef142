"""The preview window: refused clearly without a desktop, and drawn on a real X server where there is one."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from realtime.errors import OutputError
from realtime.outputs import open_output
from realtime.settings import OutputSettings

linux = pytest.mark.skipif(platform.system() != "Linux", reason="only X11 can be missing")

SHOW = """
import time
import sys
import mss, numpy as np
from realtime.frames import Picture
from realtime.outputs import open_output
from realtime.settings import OutputSettings
output = open_output("window", (160, 120), 30, OutputSettings(), None)
print(output.describe())
red = np.zeros((120, 160, 3), np.uint8)
red[..., 2] = 255
make = getattr(mss, "MSS", None) or mss.mss
seen = 0
with make() as screen:
    index, patience = 0, time.monotonic() + 20  # a window shows what it was sent when the desktop gets round to it
    while seen <= 0.9 * 160 * 120 and time.monotonic() < patience:
        output.send(Picture(index, index, red))
        index += 1
        shot = np.asarray(screen.grab(screen.monitors[1]))[..., :3]
        seen = int((shot == (0, 0, 255)).all(axis=-1).sum())
print("red", seen)
print("stop", output.wants_stop)
output.close()
output.close()
output.send(Picture(index, index, red))
print("closed", output.wants_stop)
"""


@linux
@pytest.mark.parametrize(
    ("display", "reason"),
    [
        (None, r"no display \(DISPLAY is not set\)"),
        (":987", "the display :987 does not answer"),
        ("127.0.0.1:987.0", "the display 127.0.0.1:987.0 does not answer"),
        ("rubbish", "the display rubbish does not answer"),
    ],
)
def test_without_a_desktop(monkeypatch: pytest.MonkeyPatch, display: str | None, reason: str) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    if display is not None:
        monkeypatch.setenv("DISPLAY", display)
    with pytest.raises(OutputError, match=f"no window can be opened: {reason}; .* or use --output page"):
        open_output("window", (64, 48), 30, OutputSettings(), None)


@linux
def test_picture_is_seen_on_the_screen() -> None:
    program = shutil.which("Xvfb")
    if program is None:
        pytest.skip("needs Xvfb")
    reading, writing = os.pipe()
    command = [program, "-displayfd", str(writing), "-screen", "0", "320x240x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=(writing,), stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with os.fdopen(reading) as told:
            display = f":{told.readline().strip()}"
        done = subprocess.run(
            [sys.executable, "-c", SHOW],
            cwd=Path(__file__).parents[3],
            env={**os.environ, "DISPLAY": display},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        server.terminate()
        server.wait()
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "window 160x120 (Esc or q closes it)"
    assert int(lines[1].split()[1]) > 0.9 * 160 * 120
    assert lines[2:] == ["stop False", "closed True"]

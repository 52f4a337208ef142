"""Real video devices of Linux: a loopback that the program feeds and reads, and a camera that is pulled and put back.

Wants two devices of v4l2loopback (``modprobe v4l2loopback devices=2 exclusive_caps=1,1``); the camera is the kernel's
own test camera, vivid, which root can load and disconnect, and which comes back once nobody has it open. Last run in an
emulated machine on 2026-11-22 (Linux 6.1, v4l2loopback 0.12.7): all passed, but for the time in which the pulled camera
is back, which was 0.5 s on a quiet host and 3.8 s on a crowded one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("V4L2 is Linux's", allow_module_level=True)

from realtime import v4l2
from realtime.cameras import list_cameras
from realtime.capture import Source, Stalled, open_source
from realtime.clock import SystemClock
from realtime.errors import DeviceError
from realtime.frames import Frame, Picture
from realtime.outputs import open_output
from realtime.settings import CaptureSettings, OutputSettings
from tests.realtime.clips import corners, quadrants

SIZE = (320, 240)
SETTINGS = CaptureSettings(width=320, height=240, fps=15, reconnect_ms=200)


@pytest.fixture
def loops() -> list[Path]:
    found = v4l2.loopbacks()
    if len(found) < 2:
        pytest.skip("needs two devices of v4l2loopback")
    return found


class Feeder:
    """Sends a picture to a loopback device 15 times a second, in a thread, until it is closed."""

    def __init__(self, path: Path) -> None:
        self._output = open_output(f"virtual:{path}", SIZE, 15, OutputSettings(), None)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __enter__(self) -> Feeder:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._output.close()

    def _run(self) -> None:
        index = 0
        while not self._stopped.wait(1 / 15):
            self._output.send(Picture(index, index, quadrants(*SIZE)))
            index += 1


def opened(text: str) -> Source:
    """Opened as soon as the device delivers; a loopback is a camera only while something feeds it."""
    for _ in range(50):
        try:
            return open_source(text, SETTINGS, SystemClock())
        except DeviceError:
            threading.Event().wait(0.2)
    return open_source(text, SETTINGS, SystemClock())


def take(source: Source, count: int) -> list[Frame]:
    frames: list[Frame] = []
    for _ in range(300):
        item = source.read()
        assert item is not None
        if isinstance(item, Frame):
            frames.append(item)
        if len(frames) == count:
            return frames
    raise AssertionError(f"only {len(frames)} of {count} frames came")


def test_what_is_sent_to_a_virtual_camera_is_seen_by_a_camera(loops: list[Path]) -> None:
    with Feeder(loops[0]), closing(opened(str(loops[0]))) as source:
        frames = take(source, 10)
        assert source.size == SIZE and source.live
        assert f"({loops[0]}): 320x240 at" in source.describe()
        assert [camera.virtual for camera in list_cameras() if camera.path == str(loops[0])] == [True]
    assert np.abs(corners(frames[-1].pixels) - corners(quadrants(*SIZE))).max() <= 12
    assert (np.diff([frame.captured_ns for frame in frames]) > 0).all()


def gone(source: Source) -> str:
    """Read until the source says that its device is gone; what it says."""
    for _ in range(100):
        item = source.read()
        if isinstance(item, Stalled) and item.reason:
            return item.reason
    raise AssertionError("the device never went")


def test_camera_whose_feeder_stops_and_starts_again(loops: list[Path]) -> None:
    feeder = Feeder(loops[0])
    with closing(opened(str(loops[0]))) as source:
        with feeder:
            take(source, 3)
        start = time.monotonic()
        assert gone(source) == source.describe()
        assert time.monotonic() - start < 3
        with Feeder(loops[0]):
            start = time.monotonic()
            take(source, 5)
            assert time.monotonic() - start < 2


def test_virtual_camera_in_use_lists_the_others(loops: list[Path]) -> None:
    with Feeder(loops[0]), pytest.raises(DeviceError) as caught:
        open_output(f"virtual:{loops[0]}", SIZE, 15, OutputSettings(), None)
    assert "is already in use; close the program that uses it, or take one of virtual:" in str(caught.value)
    assert f"virtual:{loops[1]}" in str(caught.value)


def test_virtual_camera_can_be_used_again_and_again(loops: list[Path]) -> None:
    for _ in range(3):
        output = open_output(f"virtual:{loops[1]}", SIZE, 15, OutputSettings(), None)
        output.send(Picture(0, 0, quadrants(*SIZE)))
        output.close()


def test_virtual_camera_by_its_name(loops: list[Path]) -> None:
    output = open_output(f"virtual:{v4l2.device_name(loops[1])}", SIZE, 15, OutputSettings(), None)
    assert f"virtual camera {loops[1]}: 320x240" in output.describe()
    output.close()


@pytest.fixture
def vivid() -> Iterator[None]:
    if os.geteuid() != 0 or not shutil.which("modprobe") or not shutil.which("v4l2-ctl"):
        pytest.skip("needs root, modprobe and v4l2-ctl")
    subprocess.run(["modprobe", "-r", "vivid"], check=False, capture_output=True)
    options = ["n_devs=1", "node_types=0x1", "input_types=0x0", "num_inputs=1", "vid_cap_nr=40"]
    if subprocess.run(["modprobe", "vivid", *options], capture_output=True, check=False).returncode:
        pytest.skip("needs the kernel module vivid")
    yield
    subprocess.run(["modprobe", "-r", "vivid"], check=False)


def test_camera_that_is_pulled_and_put_back(vivid: None) -> None:
    with closing(opened("/dev/video40")) as source:
        take(source, 5)
        subprocess.run(["v4l2-ctl", "-d", "/dev/video40", "-c", "disconnect=1"], check=True)
        assert gone(source).endswith("(/dev/video40) is gone; trying again")
        start = time.monotonic()
        take(source, 1)
        assert time.monotonic() - start < 2
        assert "(/dev/video40): 320x" in source.describe()

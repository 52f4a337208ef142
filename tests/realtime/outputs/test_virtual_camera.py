"""The virtual camera, through a backend that holds pyvirtualcam's own contract to the letter."""

from __future__ import annotations

import platform
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import pyvirtualcam

from realtime.errors import DeviceError, UsageError
from realtime.frames import Picture
from realtime.outputs import open_output
from realtime.outputs.paced import PacedOutput
from realtime.outputs.virtual_camera import missing_camera
from realtime.settings import OutputSettings
from realtime.statistics import Statistics
from tests.realtime.baton import PATIENCE_S, Baton
from tests.realtime.clips import quadrants

SETTINGS = OutputSettings(camera_backend="strict")


class Strict:
    """What a backend may rely on, checked: even sizes, BGR, flat contiguous bytes, one close and nothing after it."""

    opened: list[Strict] = []

    def __init__(self, *, width: int, height: int, fps: float, fourcc: int, device: str | None) -> None:
        if device not in (None, "Strict Camera"):
            raise RuntimeError(f"there is no camera {device}.")
        assert width % 2 == 0 and height % 2 == 0 and fps > 0
        assert fourcc == pyvirtualcam.util.encode_fourcc(pyvirtualcam.PixelFormat.BGR.value)
        self.size = (width, height)
        self.frames: list[np.ndarray] = []
        self.closed = 0
        self.broken = False
        self._came = threading.Condition()
        Strict.opened.append(self)

    def send(self, frame: np.ndarray) -> None:
        assert not self.closed
        assert frame.ndim == 1 and frame.dtype == np.uint8 and frame.flags.c_contiguous
        assert frame.size == self.size[0] * self.size[1] * 3
        if self.broken:
            raise RuntimeError("the module was unloaded")
        with self._came:
            self.frames.append(frame.reshape(self.size[1], self.size[0], 3).copy())
            self._came.notify_all()

    def wait_for(self, many: int) -> bool:
        with self._came:
            return self._came.wait_for(lambda: len(self.frames) >= many, PATIENCE_S)

    def close(self) -> None:
        self.closed += 1

    def device(self) -> str:
        assert not self.closed
        return "Strict Camera"

    def native_fourcc(self) -> int | None:
        return None


class Obs(Strict):
    """As OBS's: one device of one name, which one program at a time may feed."""

    NAME = "OBS Virtual Camera"

    def __init__(self, *, device: str | None, **rest: Any) -> None:
        if device not in (None, self.NAME):
            raise RuntimeError(f"This backend supports only the '{self.NAME}' device.")
        if any(isinstance(other, Obs) and not other.closed for other in Strict.opened):
            raise RuntimeError("virtual camera output could not be started")
        super().__init__(device=None, **rest)

    def device(self) -> str:
        return self.NAME


class UnityCapture(Strict):
    """As Unity Capture's: devices by the names that its installer gave them."""

    NAMES = ("Unity Video Capture", "Avatar")

    def __init__(self, *, device: str | None, **rest: Any) -> None:
        if device not in (None, *self.NAMES):
            raise RuntimeError(f"No camera registered with this name ({device}).")
        super().__init__(device=None, **rest)
        self._name = device or self.NAMES[0]

    def device(self) -> str:
        return self._name


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backends that pyvirtualcam has on Windows, in its order, and none of this system's."""
    monkeypatch.setattr(pyvirtualcam.camera, "BACKENDS", {"obs": Obs, "unitycapture": UnityCapture})
    monkeypatch.setattr(platform, "system", lambda: "Windows")


@pytest.mark.parametrize(
    ("text", "backend", "device"),
    [
        ("virtual", "auto", "OBS Virtual Camera"),
        ("virtual:OBS Virtual Camera", "obs", "OBS Virtual Camera"),
        ("virtual", "unitycapture", "Unity Video Capture"),
        ("virtual:Avatar", "auto", "Avatar"),
    ],
)
def test_backends_of_windows_are_fed_evenly_and_closed_once(
    windows: None, text: str, backend: str, device: str
) -> None:
    clock = Baton()
    settings = OutputSettings(camera_backend=backend, fps=25)
    output = PacedOutput(open_output(text, (65, 47), 30, settings, None), 25, clock, Statistics(clock))
    assert output.describe().startswith(f"virtual camera {device}: 66x48 at 25 fps")
    camera = Strict.opened[-1]
    for number in range(4):
        output.send(Picture(number, number, np.full((47, 65, 3), 50 * number, np.uint8)))
        clock.advance_ns(40_800_000 if number else 20_000_000)
        assert camera.wait_for(number + 1)
    output.send(Picture(4, 4, quadrants(65, 47)))
    clock.advance_ns(40_800_000)
    output.close()
    output.close()
    assert [int(frame[0, 0, 0]) for frame in camera.frames[:4]] == [0, 50, 100, 150]
    assert (camera.frames[4][:47, :65] == quadrants(65, 47)).all() and len(camera.frames) == 5
    assert camera.closed == 1


def test_obs_has_one_camera_for_one_program(windows: None) -> None:
    settings = OutputSettings(camera_backend="obs")
    first = open_output("virtual", (64, 48), 30, settings, None)
    with pytest.raises(DeviceError, match="output could not be started; OBS or another program feeds it: press Stop"):
        open_output("virtual", (64, 48), 30, settings, None)
    first.close()
    open_output("virtual", (64, 48), 30, settings, None).close()
    with pytest.raises(DeviceError, match="supports only the 'OBS Virtual Camera' device; install OBS Studio"):
        open_output("virtual:Other", (64, 48), 30, settings, None)


@pytest.fixture(autouse=True)
def strict() -> Iterator[None]:
    pyvirtualcam.register_backend("strict", Strict)
    Strict.opened = []
    yield
    del pyvirtualcam.camera.BACKENDS["strict"]


def test_pictures_arrive_as_they_are_and_it_is_closed_once() -> None:
    output = open_output("virtual", (64, 48), 30, SETTINGS, None)
    assert output.wants_pacing and not output.wants_stop
    assert output.describe() == "virtual camera Strict Camera: 64x48 at 30 fps (strict)"
    output.send(Picture(0, 0, quadrants(64, 48)))
    output.send(Picture(1, 1, quadrants(128, 48)[:, ::2]))  # a view that is not contiguous
    output.close()
    output.close()
    (camera,) = Strict.opened
    assert camera.closed == 1
    assert [(frame == quadrants(64, 48)).all() for frame in camera.frames] == [True, True]
    with pytest.raises(DeviceError, match="the virtual camera is closed"):
        output.send(Picture(2, 2, quadrants(64, 48)))


def test_odd_size_is_made_even() -> None:
    output = open_output("virtual:Strict Camera", (33, 17), 29.97, SETTINGS, None)
    assert "34x18 at 29.97 fps" in output.describe()
    output.send(Picture(0, 0, quadrants(33, 17)))
    output.close()
    (camera,) = Strict.opened
    assert (camera.frames[0][:17, :33] == quadrants(33, 17)).all()


def test_picture_of_another_size_is_refused() -> None:
    output = open_output("virtual", (64, 48), 30, SETTINGS, None)
    with pytest.raises(ValueError, match="picture is uint8"):
        output.send(Picture(0, 0, quadrants(48, 64)))
    output.close()


def test_device_that_breaks_is_a_clear_error_and_still_closes_once() -> None:
    output = open_output("virtual", (64, 48), 30, SETTINGS, None)
    Strict.opened[0].broken = True
    with pytest.raises(
        DeviceError, match=r"virtual camera Strict Camera no longer takes pictures \(the module was unl"
    ):
        output.send(Picture(0, 0, quadrants(64, 48)))
    output.close()
    assert Strict.opened[0].closed == 1


def test_every_backend_is_tried() -> None:
    output = open_output("virtual:Strict Camera", (64, 48), 30, OutputSettings(), None)
    assert output.describe().endswith("(strict)")
    output.close()


def test_missing_camera_tells_the_reason_and_the_commands() -> None:
    with pytest.raises(DeviceError, match=r"no virtual camera 'Nobody': 'strict' backend: there is no camera Nobody; "):
        open_output("virtual:Nobody", (64, 48), 30, SETTINGS, None)


@pytest.mark.parametrize(
    ("system", "command"),
    [
        ("Linux", 'sudo modprobe v4l2loopback devices=1 exclusive_caps=1 card_label="avatar-live"'),
        ("Linux", "sudo apt install v4l2loopback-dkms"),
        ("Windows", "winget install OBSProject.OBSStudio"),
        ("Windows", "UnityCapture"),
        ("Darwin", "brew install --cask obs"),
        ("Plan9", "there is none for this operating system; use --output page"),
    ],
)
def test_commands_of_each_system(system: str, command: str) -> None:
    assert command in missing_camera(None, "nothing found.\nnor here.", [], system)
    assert missing_camera(None, "a.\nb.", [], system).startswith("no virtual camera: a; b; ")


def test_where_there_are_some_they_are_listed_instead_of_commands() -> None:
    message = missing_camera("/dev/video9", "it is in use.", ["virtual:/dev/video9", "virtual:/dev/video10"], "Linux")
    assert message == (
        "no virtual camera '/dev/video9': it is in use; close the program that uses it, "
        "or take one of virtual:/dev/video9, virtual:/dev/video10"
    )


def test_a_device_that_a_program_feeds_is_told_from_one_that_is_missing() -> None:
    both = ["virtual:/dev/video9", "virtual:/dev/video10"]
    assert missing_camera("/dev/video9", "it is not a video output device.", both, "Linux", both[:1]) == (
        "no virtual camera '/dev/video9': it is already in use by a program that feeds it; "
        "close that, or take virtual:/dev/video10"
    )
    assert missing_camera(None, "none.", both, "Linux", both) == (
        "no virtual camera: each is already in use by a program that feeds it; "
        "close that, or load v4l2loopback with one device more (devices=2)"
    )
    assert "one of virtual:/dev/video9" in missing_camera("/dev/video3", "no such device.", both, "Linux", both[:1])


def test_unknown_backend_lists_the_known() -> None:
    with pytest.raises(UsageError, match="camera_backend is 'obbs'; wanted auto or one of .*strict"):
        open_output("virtual", (64, 48), 30, OutputSettings(camera_backend="obbs"), None)

"""The virtual camera, through a backend that holds pyvirtualcam's own contract to the letter."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import pyvirtualcam

from realtime.errors import DeviceError, UsageError
from realtime.frames import Picture
from realtime.outputs import open_output
from realtime.outputs.virtual_camera import missing_camera
from realtime.settings import OutputSettings
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
        Strict.opened.append(self)

    def send(self, frame: np.ndarray) -> None:
        assert not self.closed
        assert frame.ndim == 1 and frame.dtype == np.uint8 and frame.flags.c_contiguous
        assert frame.size == self.size[0] * self.size[1] * 3
        if self.broken:
            raise RuntimeError("the module was unloaded")
        self.frames.append(frame.reshape(self.size[1], self.size[0], 3).copy())

    def close(self) -> None:
        self.closed += 1

    def device(self) -> str:
        assert not self.closed
        return "Strict Camera"

    def native_fourcc(self) -> int | None:
        return None


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


def test_unknown_backend_lists_the_known() -> None:
    with pytest.raises(UsageError, match="camera_backend is 'obbs'; wanted auto or one of .*strict"):
        open_output("virtual", (64, 48), 30, OutputSettings(camera_backend="obbs"), None)

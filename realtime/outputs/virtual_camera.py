"""A virtual camera that Zoom, OBS and browsers can choose: v4l2loopback, OBS or Unity Capture, through pyvirtualcam."""

from __future__ import annotations

import platform
from collections.abc import Sequence

import numpy as np
import pyvirtualcam

from realtime.errors import DeviceError, UsageError
from realtime.frames import Picture
from realtime.outputs.base import checked_pixels, even_pixels, even_size
from realtime.settings import OutputSettings

LABEL = "avatar-live"
TAKEN = "could not be started"  # pyvirtualcam's OBS backends, when the one camera has its one feeder
INSTALL = {
    "Linux": (
        "install and load v4l2loopback:\n"
        "  sudo apt install v4l2loopback-dkms        (Fedora: v4l2loopback from RPM Fusion; Arch: v4l2loopback-dkms)\n"
        f'  sudo modprobe v4l2loopback devices=1 exclusive_caps=1 card_label="{LABEL}"'
    ),
    "Windows": (
        "install OBS Studio, which brings a virtual camera:\n"
        "  winget install OBSProject.OBSStudio\n"
        "then start OBS once, press Start Virtual Camera, press Stop Virtual Camera and close OBS;\n"
        "or install Unity Capture (https://github.com/schellingb/UnityCapture): run Install.bat as administrator"
    ),
    "Darwin": (
        "install OBS Studio 30 or newer, which brings a virtual camera:\n"
        "  brew install --cask obs\n"
        "then start OBS once, press Start Virtual Camera, allow its extension in System Settings, "
        "press Stop Virtual Camera and close OBS"
    ),
}


class VirtualCamera:
    """One virtual camera.

    name: its name or, on Linux, its path; None for the first that is free. Odd sizes are made even.
    Raises DeviceError, with the commands for this operating system, when there is none; UsageError for a backend
    that does not exist.
    """

    wants_pacing = True
    wants_stop = False

    def __init__(self, size: tuple[int, int], fps: float, name: str | None, settings: OutputSettings) -> None:
        self._size = size
        width, height = even_size(size)
        choices = _choices()
        try:
            self._camera = pyvirtualcam.Camera(
                width,
                height,
                fps,
                fmt=pyvirtualcam.PixelFormat.BGR,
                device=_device(name),
                backend=_backend(settings.camera_backend),
            )
        except RuntimeError as error:
            raise DeviceError(missing_camera(_device(name), str(error), choices, fed=_fed())) from None
        self._open = True

    def describe(self) -> str:
        """Device, size, rate and the library behind it."""
        camera = self._camera
        size = f"{camera.width}x{camera.height}"
        return f"virtual camera {camera.device}: {size} at {camera.fps:.4g} fps ({camera.backend})"

    def send(self, picture: Picture) -> None:
        """Show one picture now. Raises DeviceError when the device no longer takes any."""
        pixels = np.ascontiguousarray(even_pixels(checked_pixels(picture, self._size)))
        if not self._open:
            raise DeviceError("the virtual camera is closed; nothing more can be shown")
        device = self._camera.device
        try:
            self._camera.send(pixels)
        except (RuntimeError, OSError) as error:
            raise DeviceError(f"virtual camera {device} no longer takes pictures ({error}); start again") from None

    def close(self) -> None:
        """Release the device; again does nothing."""
        if self._open:
            self._open = False
            self._camera.close()
            _choices()  # leaves the device ready for the next program


def missing_camera(
    name: str | None, reason: str, choices: list[str], system: str | None = None, fed: Sequence[str] = ()
) -> str:
    """What to tell when a virtual camera does not open.

    choices: those that there are, as ``--output`` takes them. With one, the reason and the choices are enough; without
    any, the exact commands for the operating system follow.
    fed: of the choices those that other programs feed.
    """
    wanted = "no virtual camera" if name is None else f"no virtual camera {name!r}"
    free = [choice for choice in choices if choice not in fed]
    if fed and (name is None or f"virtual:{name}" in fed):
        others = f"take {' or '.join(free)}" if free else "load v4l2loopback with one device more (devices=2)"
        place = "each is" if name is None else "it is"
        return f"{wanted}: {place} already in use by a program that feeds it; close that, or {others}"
    if choices:
        return f"{wanted}: {_short(reason)}; close the program that uses it, or take one of {', '.join(choices)}"
    if TAKEN in reason:
        return f"{wanted}: {_short(reason)}; OBS or another program feeds it: press Stop Virtual Camera there"
    commands = INSTALL.get(system or platform.system(), "there is none for this operating system; use --output page")
    return f"{wanted}: {_short(reason)}; {commands}"


def _choices() -> list[str]:
    """The virtual cameras of this system where it can be asked for them, ready to be opened."""
    if platform.system() != "Linux":
        return []
    from realtime.v4l2 import loopbacks

    return [f"virtual:{path}" for path in loopbacks()]


def _fed() -> list[str]:
    """Of the choices those that say that a program feeds them."""
    if platform.system() != "Linux":
        return []
    from realtime.v4l2 import fed_loopbacks

    return [f"virtual:{path}" for path in fed_loopbacks()]


def _short(reason: str) -> str:
    """pyvirtualcam's reasons, one a backend, in one line."""
    return "; ".join(line.strip().rstrip(".") for line in reason.splitlines() if line.strip())


def _backend(name: str) -> str | None:
    if name == "auto":
        return None
    known = sorted(pyvirtualcam.camera.BACKENDS)
    if name not in known:
        raise UsageError(f"camera_backend is {name!r}; wanted auto or one of {', '.join(known)}")
    return name


def _device(name: str | None) -> str | None:
    """The device as pyvirtualcam wants it: on Linux the path of the device that bears this name."""
    if name is None or name.startswith("/") or platform.system() != "Linux":
        return name
    from realtime.v4l2 import device_name, device_paths

    return next((str(path) for path in device_paths() if device_name(path).lower() == name.lower()), name)

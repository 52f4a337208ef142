"""The cameras of this computer: their names, what they can deliver, and why one cannot be used."""

from __future__ import annotations

import importlib
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from realtime.camera_modes import Mode, best_mode

__all__ = ["Camera", "Mode", "best_mode", "find_camera", "list_cameras"]

PROBED_INDEXES = 5


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera.

    index: what ``--source INDEX`` takes; on Linux the N of ``/dev/videoN``.
    path: the device's path on Linux, elsewhere whatever the system tells it apart by, or nothing.
    modes: what it can deliver; empty where the system does not say.
    problem: why it cannot be opened, with what to do about it; None when it can.
    virtual: it is a loopback device that some program feeds.
    """

    index: int
    name: str
    path: str
    modes: tuple[Mode, ...] = ()
    problem: str | None = None
    virtual: bool = False

    def label(self) -> str:
        """Name and address, for messages."""
        return f"'{self.name}' ({self.path or f'camera {self.index}'})"


def list_cameras() -> list[Camera]:
    """The cameras found, in the system's order; those that cannot be opened say why in ``problem``."""
    if platform.system() == "Linux":
        return _linux_cameras()
    return _enumerated_cameras() or _probed_cameras()


def find_camera(text: str, cameras: Iterable[Camera]) -> Camera | None:
    """The camera with this index, path or name, in any case; part of a name will do when only one camera has it."""
    known = list(cameras)
    for camera in known:
        if text in (str(camera.index), camera.path) or text.lower() == camera.name.lower():
            return camera
    if text.isdecimal() or not text:
        return None
    alike = [camera for camera in known if text.lower() in camera.name.lower()]
    return alike[0] if len(alike) == 1 else None


def _linux_cameras() -> list[Camera]:
    from realtime import v4l2

    found: list[Camera] = []
    for path in v4l2.device_paths():
        index, name = int(path.name[5:]), v4l2.device_name(path)
        problem = v4l2.open_reason(path)
        if problem is not None:
            found.append(Camera(index, name, str(path), problem=problem))
            continue
        camera = _asked_camera(path, index, name)
        if camera is not None:
            found.append(camera)
    return found


def _asked_camera(path: Path, index: int, name: str) -> Camera | None:
    """The camera at ``path``; None when pictures do not come out of it (a metadata node, an idle loopback)."""
    from realtime import v4l2

    try:
        handle = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        return Camera(index, name, str(path), problem=str(error.strerror))
    try:
        capability = v4l2.capability(handle)
        if capability is None or not capability.captures:
            return None
        return Camera(index, name, str(path), v4l2.modes(handle), virtual=v4l2.LOOPBACK in capability.driver)
    finally:
        os.close(handle)


def _enumerated_cameras() -> list[Camera]:
    """Windows and macOS: names from the optional library ``cv2_enumerate_cameras``."""
    try:
        library = importlib.import_module("cv2_enumerate_cameras")
    except ImportError:
        return []
    found = library.enumerate_cameras(capture_backend())
    return [Camera(int(info.index) % 100, str(info.name), str(info.path or "")) for info in found]


def _probed_cameras() -> list[Camera]:
    """Windows and macOS without that library: the indexes that open."""
    import cv2

    found: list[Camera] = []
    for index in range(PROBED_INDEXES):
        probe = cv2.VideoCapture(index, capture_backend())
        if probe.isOpened():
            found.append(Camera(index, f"camera {index}", ""))
        probe.release()
    return found


def capture_backend() -> int:
    """OpenCV's way to cameras here: V4L2, AVFoundation, or DirectShow (Media Foundation ignores the wish for MJPG)."""
    import cv2

    return {"Linux": cv2.CAP_V4L2, "Windows": cv2.CAP_DSHOW, "Darwin": cv2.CAP_AVFOUNDATION}.get(
        platform.system(), cv2.CAP_ANY
    )

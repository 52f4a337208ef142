"""Webcams, through OpenCV: MJPG where the camera has it, in its best mode near the size and rate asked for."""

from __future__ import annotations

import os
from collections.abc import Callable

os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "1")  # seconds without a picture; OpenCV would wait 10

import cv2
import numpy as np

from realtime import permissions
from realtime.cameras import Camera, best_mode, capture_backend, find_camera, list_cameras
from realtime.clock import Clock
from realtime.errors import DeviceError
from realtime.frames import Pixels
from realtime.settings import CaptureSettings
from realtime.sources.live import Device, DeviceGone, LiveSource

LOG_ERRORS = 2  # OpenCV would print a warning of its own for every camera that does not open
FIRST_PICTURE_TRIES = 5  # some cameras fail the first reads after they wake up


class CameraDevice:
    """One opened camera. Raises DeviceError when it cannot be opened or delivers nothing.

    backend: OpenCV's ``cv2.CAP_...`` number.
    """

    def __init__(self, camera: Camera, settings: CaptureSettings, clock: Clock, backend: int) -> None:
        if camera.problem is not None:
            raise DeviceError(f"camera {camera.label()} cannot be used: {camera.problem}")
        self._camera, self._clock = camera, clock
        cv2.setLogLevel(LOG_ERRORS)
        self._capture = cv2.VideoCapture(camera.path or camera.index, backend)
        if not self._capture.isOpened():
            raise DeviceError(f"camera {camera.label()} does not open; {permissions.silent()}")
        self._ask(settings)
        first = next((pixels for _ in range(FIRST_PICTURE_TRIES) if (pixels := self._read()) is not None), None)
        if first is None:
            self._capture.release()
            raise DeviceError(f"camera {camera.label()} opens but delivers no picture; unplug it and plug it in again")
        self.size = (first.shape[1], first.shape[0])
        stated_fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = stated_fps if 1 <= stated_fps <= 1000 else settings.fps
        self._fourcc = int(self._capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=False)

    def describe(self) -> str:
        """Name, size, rate and format as the driver reports them."""
        fourcc = self._fourcc.decode("latin-1")
        known = f", {fourcc.strip()}" if fourcc.isprintable() and fourcc.strip() else ""
        return f"camera {self._camera.label()}: {self.size[0]}x{self.size[1]} at {self.fps:.4g} fps{known}"

    def grab(self) -> tuple[int, Pixels]:
        """The next picture and the time at which it arrived, taken before it is decoded."""
        arrived = self._capture.grab()
        captured_ns = self._clock.now_ns()
        pixels = self._retrieved() if arrived else None
        if pixels is None:
            raise DeviceGone(f"camera {self._camera.label()} is gone")
        return captured_ns, pixels

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()

    def _ask(self, settings: CaptureSettings) -> None:
        """Ask for the best mode; the format goes first, since the sizes on offer depend on it."""
        mode = best_mode(self._camera.modes, settings.width, settings.height, settings.fps)
        fourcc = mode.fourcc if mode is not None and len(mode.fourcc) == 4 else "MJPG"
        width, height = (mode.width, mode.height) if mode is not None else (settings.width, settings.height)
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*fourcc))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        self._capture.set(cv2.CAP_PROP_FPS, settings.fps)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def _read(self) -> Pixels | None:
        return self._retrieved() if self._capture.grab() else None

    def _retrieved(self) -> Pixels | None:
        decoded, pixels = self._capture.retrieve()
        return np.asarray(pixels, dtype=np.uint8) if decoded and pixels is not None else None


def open_camera(text: str, settings: CaptureSettings, clock: Clock) -> LiveSource:
    """The camera with this index, path or name. Raises DeviceError, with the cameras found, when there is none."""
    camera = find_camera(text, list_cameras())
    if camera is None:
        raise missing_camera(text)
    return LiveSource(connector(camera, settings, clock, list_cameras, capture_backend()), settings)


def connector(
    camera: Camera, settings: CaptureSettings, clock: Clock, found: Callable[[], list[Camera]], backend: int
) -> Callable[[], Device]:
    """What opens ``camera``, now and after it vanished: by its name then, since its path may be another."""

    def connect() -> Device:
        cameras = found()
        namesake = next((one for one in cameras if one.path == camera.path and one.name == camera.name), None)
        namesake = namesake or next((one for one in cameras if one.name == camera.name), None)
        if namesake is None:
            raise DeviceError(f"camera {camera.label()} is gone; plug it in again")
        return CameraDevice(namesake, settings, clock, backend)

    return connect


def missing_camera(text: str) -> DeviceError:
    """The error for a camera that is not there: what there is, and what else to try."""
    cameras = list_cameras()
    if not cameras:
        return DeviceError(f"no camera {text!r}: no camera was found; plug one in, or try --source demo")
    listed = ", ".join(f"{one.label()}{f' [{one.problem}]' if one.problem else ''}" for one in cameras)
    return DeviceError(f"no camera {text!r}; found {listed}; pick one by its number or name, or try --source demo")

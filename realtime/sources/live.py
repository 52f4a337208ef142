"""Sources that run by themselves: a thread keeps a device drained, so that a read always gives the newest picture.

Drivers and network libraries block for seconds when a cable is pulled. The thread takes that wait on itself; a reader
never waits longer than 0.1 s, and the program can show its holding picture meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from realtime.errors import AvatarLiveError
from realtime.frames import Frame, Pixels
from realtime.settings import CaptureSettings
from realtime.slot import LatestSlot, SlotClosed
from realtime.sources.base import Stalled
from realtime.sources.pictures import capped, fitted, mirrored

WAIT_S = 0.1
CLOSE_S = 2.0


class DeviceGone(Exception):
    """The device no longer delivers; opening it again may help. The text says why, in a few words."""


class Device(Protocol):
    """An open camera, stream or screen; used by one thread at a time.

    fps, size: what it delivers: frames per second, (width, height) in pixels.
    """

    fps: float
    size: tuple[int, int]

    def describe(self) -> str:
        """What is open and what it delivers, in one line."""
        ...

    def grab(self) -> tuple[int, Pixels] | None:
        """Wait for the next picture: the clock's time at its arrival in ns, uint8 BGR [height, width, 3].

        None at an end after which nothing comes. Raises DeviceGone when it should be opened again, SourceError when
        that cannot help.
        """
        ...

    def close(self) -> None:
        """Release it."""
        ...


class LiveSource:
    """A device as a source: newest picture first, opened again whenever it vanishes.

    connect: opens the device; called at once, and every ``settings.reconnect_ms`` while the device is gone.
    Raises what ``connect`` raises at the first call; later it keeps trying.
    """

    live = True
    path: Path | None = None

    def __init__(self, connect: Callable[[], Device], settings: CaptureSettings) -> None:
        self._connect = connect
        self._settings = settings
        device = connect()
        self.fps = device.fps
        self.size = capped(device.size, settings)
        self._description = self._described(device)
        self._trouble = ""
        self._frame_id = -1
        self._slot: LatestSlot[tuple[int, Pixels]] = LatestSlot()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(device,), name="device", daemon=True)
        self._thread.start()

    def describe(self) -> str:
        """What is open and what it delivers, or what is the matter at the moment."""
        return self._trouble or self._description

    def read(self) -> Frame | Stalled | None:
        """The newest picture that was not read yet; Stalled when none comes within 0.1 s, None at the end."""
        try:
            item = self._slot.get(WAIT_S)
        except SlotClosed:
            return None
        if item is None:
            return Stalled(self._trouble)
        captured_ns, pixels = item
        self._frame_id += 1
        return Frame(self._frame_id, captured_ns, mirrored(fitted(pixels, self.size), self._settings))

    def close(self) -> None:
        """Release the device; again does nothing. A driver that blocks is left behind after 2 s."""
        self._closing.set()
        self._slot.close()
        self._thread.join(CLOSE_S)

    def _run(self, device: Device | None) -> None:
        error: BaseException | None = None
        try:
            while device is not None:
                device = self._deliver(device)
        except Exception as caught:  # handed to the reader, so that no failure goes unseen
            error = caught
        finally:
            self._slot.close(error)

    def _deliver(self, device: Device) -> Device | None:
        """Pass pictures on until the device ends (None) or goes (the device that was found in its place)."""
        try:
            while not self._closing.is_set():
                item = device.grab()
                if item is None:
                    return None
                self._trouble = ""
                self._slot.put(item)
            return None
        except DeviceGone as reason:
            self._trouble = f"{reason}; trying again"
        except SlotClosed:
            return None
        finally:
            device.close()
        return self._reconnected()

    def _reconnected(self) -> Device | None:
        """The device opened again, however long that takes; None when the source is closed meanwhile."""
        while not self._closing.wait(self._settings.reconnect_ms / 1000):
            try:
                device = self._connect()
            except (AvatarLiveError, DeviceGone):
                continue
            self._description = self._described(device)
            return device
        return None

    def _described(self, device: Device) -> str:
        scaled = "" if self.size == device.size else f", scaled to {self.size[0]}x{self.size[1]}"
        return device.describe() + scaled

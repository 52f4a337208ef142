"""The screen, or a region of it, at the rate asked for."""

from __future__ import annotations

import re
from typing import Any

import mss
import numpy as np

from realtime.clock import Clock
from realtime.errors import DeviceError, UsageError
from realtime.frames import Pixels
from realtime.settings import CaptureSettings
from realtime.sources.live import DeviceGone, LiveSource

REGION = re.compile(r"screen(?::(?P<left>-?\d+),(?P<top>-?\d+),(?P<width>\d+)x(?P<height>\d+))?")
SIDES = ("left", "top", "width", "height")


class ScreenDevice:
    """An open screen. Raises DeviceError when there is none, or the region does not lie on it.

    region: left, top, width and height in pixels; None for the first screen as a whole.
    """

    def __init__(self, region: tuple[int, int, int, int] | None, settings: CaptureSettings, clock: Clock) -> None:
        self._clock, self._step_ns = clock, round(1e9 / settings.fps)
        self.fps = settings.fps
        try:
            self._screen = _screen()
            screens = self._screen.monitors
        except Exception as error:  # every system has its own family of errors here
            raise DeviceError(f"no screen can be captured ({error}); start it from a desktop session") from None
        self._region = screens[1] if region is None else dict(zip(SIDES, region, strict=True))
        self._check(screens[0])
        self.size = (self._shot().shape[1], self._shot().shape[0])
        self._due_ns = clock.now_ns()

    def describe(self) -> str:
        """Place, size and rate."""
        return f"screen {_place(self._region)} at {self.fps:.4g} fps"

    def grab(self) -> tuple[int, Pixels]:
        """What the screen shows when the next frame is due; frames that are long due are left out."""
        self._due_ns = max(self._due_ns + self._step_ns, self._clock.now_ns())
        self._clock.sleep_until_ns(self._due_ns)
        try:
            return self._clock.now_ns(), self._shot()
        except mss.exception.ScreenShotError as error:
            raise DeviceGone(f"the screen cannot be captured: {error}") from None

    def close(self) -> None:
        """Let go of the screen."""
        self._screen.close()

    def _check(self, whole: dict[str, int]) -> None:
        region = self._region
        inside = (
            region["width"] > 0
            and region["height"] > 0
            and whole["left"] <= region["left"]
            and whole["top"] <= region["top"]
            and region["left"] + region["width"] <= whole["left"] + whole["width"]
            and region["top"] + region["height"] <= whole["top"] + whole["height"]
        )
        if not inside:
            self.close()
            raise DeviceError(
                f"the region {_place(region)} is not on the screen, which is {_place(whole)}; choose one inside it"
            )

    def _shot(self) -> Pixels:
        """uint8 BGR [height, width, 3]."""
        return np.ascontiguousarray(np.asarray(self._screen.grab(self._region), dtype=np.uint8)[:, :, :3])


def open_screen(text: str, settings: CaptureSettings, clock: Clock) -> LiveSource:
    """``screen`` or ``screen:X,Y,WxH``. Raises UsageError for other text, DeviceError when it cannot be captured."""
    match = REGION.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is no screen region; wanted screen or screen:X,Y,WxH, such as screen:0,0,1280x720")
    numbers = [int(value) for value in match.groups() if value is not None]
    region = (numbers[0], numbers[1], numbers[2], numbers[3]) if numbers else None
    return LiveSource(lambda: ScreenDevice(region, settings, clock), settings)


def _place(region: dict[str, int]) -> str:
    left, top, width, height = (region[side] for side in SIDES)
    return f"{left},{top},{width}x{height}"


def _screen() -> Any:
    """mss from version 10.2 on calls its class ``MSS``; before, the same was made by ``mss()``."""
    make = getattr(mss, "MSS", None) or mss.mss
    return make()

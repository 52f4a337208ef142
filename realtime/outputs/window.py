"""A preview window on the desktop."""

from __future__ import annotations

import os
import platform
import re
import socket
import sys

import cv2

from realtime.errors import OutputError
from realtime.frames import Picture
from realtime.outputs.base import checked_pixels

TITLE = "avatar-live"
STOP_KEYS = (27, ord("q"))
X11_PORT = 6000
CONNECT_S = 1.0


class WindowOutput:
    """A window that shows the newest picture; Esc, q or its close button set ``wants_stop``.

    The window appears with the first picture, in the thread that sends it: window systems want one thread throughout.
    Raises OutputError when there is no desktop, or this OpenCV was built without windows.
    """

    wants_pacing = False

    def __init__(self, size: tuple[int, int]) -> None:
        reason = why_headless()
        if reason is not None:
            raise OutputError(f"no window can be opened: {reason}; start from a desktop session, or use --output page")
        self._size = size
        self._shown = False
        self.wants_stop = False

    def describe(self) -> str:
        """That it is a window, and how to close it."""
        return f"window {self._size[0]}x{self._size[1]} (Esc or q closes it)"

    def send(self, picture: Picture) -> None:
        """Show the picture; nothing once the window was closed. Raises OutputError when the window system refuses."""
        pixels = checked_pixels(picture, self._size)
        if self.wants_stop:
            return
        try:
            if self._shown and cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1:
                self.wants_stop = True
                return
            if not self._shown:
                cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
                cv2.resizeWindow(TITLE, *self._size)
                self._shown = True
            cv2.imshow(TITLE, pixels)
            self.wants_stop = cv2.waitKey(1) & 0xFF in STOP_KEYS
        except cv2.error as error:
            raise OutputError(f"the preview window cannot be drawn ({str(error).strip()}); use --output page") from None

    def close(self) -> None:
        """Take the window away; again does nothing."""
        self.wants_stop = True
        if self._shown:
            self._shown = False
            cv2.destroyWindow(TITLE)


def why_headless() -> str | None:
    """Why no window can be shown here; None when one can. (Without a display Qt would end the whole process.)"""
    if re.search(r"GUI:\s+NONE", cv2.getBuildInformation()):
        return "this OpenCV was built without windows (opencv-python-headless)"
    if platform.system() != "Linux":
        return None
    display = os.environ.get("DISPLAY", "")
    if not display:
        return "no display (DISPLAY is not set)"
    return None if _answers(display) else f"the display {display} does not answer"


def _answers(display: str) -> bool:
    """Whether an X server listens at ``[HOST]:NUMBER[.SCREEN]``."""
    host, _, number = display.rpartition(":")
    digits = number.partition(".")[0]
    if not digits.isdecimal():
        return False
    try:
        if host in ("", "unix") and sys.platform != "win32":
            return any(_local_socket_answers(f"{start}/tmp/.X11-unix/X{digits}") for start in ("", "\0"))
        with socket.create_connection((host, X11_PORT + int(digits)), CONNECT_S):
            return True
    except OSError:
        return False


def _local_socket_answers(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(CONNECT_S)
        return probe.connect_ex(address) == 0

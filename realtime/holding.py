"""The holding picture: what goes out while there is no avatar.

    on_lost   what is shown
    hold      the last avatar picture, fading into the backdrop over ``hold_ms`` of captured time; before one, the
              backdrop
    card      a card that says 'be right back'
    blur      the camera's picture blurred beyond recognition
    raw       the camera's picture: the only choice that shows it

The backdrop is the camera's picture blurred beyond recognition, or the card where there is no picture of it.

When the face is found again, the avatar fades in from the last holding picture (except with raw, which would show the
camera's frame through the avatar).
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from realtime.covering import blurred
from realtime.errors import EngineError
from realtime.frames import Frame, Picture, Pixels

TEXT = "be right back"
RETURN_NS = 150_000_000  # how long an avatar takes to fade in after a holding picture
_TOP, _BOTTOM = (74, 60, 52), (46, 37, 32)  # BGR
_INK, _SOFT_INK = (244, 239, 236), (150, 130, 118)


class Holding:
    """Makes holding pictures of one size, and fades from the last avatar picture to them and back."""

    def __init__(self, on_lost: str, hold_ms: float) -> None:
        self._on_lost = on_lost
        self._hold_ns = hold_ms * 1e6
        self._last: Picture | None = None
        self._held: Pixels | None = None  # the last holding picture, while an avatar fades in from it
        self._held_ns: int | None = None

    def remember(self, picture: Picture) -> Picture:
        """What goes out for an avatar picture: itself, or blended with the holding picture that it follows."""
        if self._held is not None:
            picture = self._returned(picture, self._held)
        self._last = picture
        return picture

    def _returned(self, picture: Picture, held: Pixels) -> Picture:
        since_ns = picture.captured_ns if self._held_ns is None else self._held_ns
        self._held_ns = since_ns
        passed = (picture.captured_ns - since_ns) / RETURN_NS
        if not 0 <= passed < 1 or held.shape != picture.pixels.shape:
            self._held = None
            return picture
        here = passed * passed * (3 - 2 * passed)
        blended = cv2.addWeighted(picture.pixels, here, held, 1 - here, 0)
        return Picture(picture.frame_id, picture.captured_ns, np.asarray(blended, np.uint8))

    def pixels(self, frame: Frame | None, now_ns: int | None, backdrop: Pixels | None, size: tuple[int, int]) -> Pixels:
        """The holding picture, uint8 BGR [height, width, 3] for ``size`` = (width, height).

        now_ns: the time on the frames' clock; without it a fade is at its end.
        backdrop: what hold fades into, instead of the blurred camera.
        """
        if frame is not None and self._on_lost == "raw":
            self._held = None
            return fitted(frame.pixels, size)
        self._held, self._held_ns = self._made(frame, now_ns, backdrop, size), now_ns
        return self._held

    def _made(self, frame: Frame | None, now_ns: int | None, backdrop: Pixels | None, size: tuple[int, int]) -> Pixels:
        if self._on_lost == "card":
            return card(size)
        if frame is not None and self._on_lost == "blur":
            return blurred(frame.pixels, size)
        if backdrop is None:
            backdrop = card(size) if frame is None else blurred(frame.pixels, size)
        return self._faded(backdrop, now_ns) if self._on_lost == "hold" else backdrop

    def _faded(self, backdrop: Pixels, now_ns: int | None) -> Pixels:
        last = self._last
        passed_ns = -1.0 if last is None or now_ns is None else now_ns - last.captured_ns
        if last is None or not 0 <= passed_ns < self._hold_ns:
            return backdrop
        shown = finished(last)
        if shown is None or shown.shape != backdrop.shape:
            return backdrop
        gone = passed_ns / self._hold_ns
        gone = gone * gone * (3 - 2 * gone)
        return np.asarray(cv2.addWeighted(shown, 1 - gone, backdrop, gone, 0), np.uint8)


def finished(picture: Picture) -> Pixels | None:
    """A picture's pixels once they are there; None where the GPU that drew them failed, which its next frame tells."""
    try:
        return picture.pixels
    except EngineError:
        return None


def fitted(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """A picture brought to ``size`` (width, height), whole, with dark bars where its shape differs."""
    height, width = pixels.shape[:2]
    if (width, height) == size:
        return pixels
    scale = min(size[0] / width, size[1] / height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    out = np.zeros((size[1], size[0], 3), np.uint8)
    out[top : top + inner[1], left : left + inner[0]] = cv2.resize(pixels, inner, interpolation=flags)
    return out


@lru_cache(maxsize=2)
def _card(size: tuple[int, int]) -> Pixels:
    """The card, drawn three times as large and averaged down, so that its edges are smooth."""
    width, height = size
    fine = (min(3 * width, 3840), max(1, round(min(3 * width, 3840) * height / width)))
    scale = fine[0] / width * min(width / 800, height / 720)  # of the design, which needs 800x720
    ramp = np.linspace(0, 1, fine[1], dtype=np.float32)[:, None, None]
    picture = np.broadcast_to(np.array(_TOP) * (1 - ramp) + np.array(_BOTTOM) * ramp, (fine[1], fine[0], 3))
    picture = np.ascontiguousarray(picture.astype(np.uint8))
    _draw_figure(picture, scale)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def card(size: tuple[int, int]) -> Pixels:
    """The card for ``size`` = (width, height): uint8 BGR [height, width, 3], the caller's own."""
    return _card(size).copy()


def _draw_figure(picture: Pixels, scale: float) -> None:
    """A bust in outline over the text, in the middle of the picture."""
    x, y = picture.shape[1] // 2, round(picture.shape[0] / 2 - 40 * scale)
    stroke = max(1, round(5 * scale))

    def px(value: float) -> int:
        return round(value * scale)

    cv2.circle(picture, (x, y - px(44)), px(34), _SOFT_INK, stroke, cv2.LINE_AA)
    cv2.ellipse(picture, (x, y + px(62)), (px(66), px(54)), 0, 180, 360, _SOFT_INK, stroke, cv2.LINE_AA)
    cv2.line(picture, (x - px(66), y + px(62)), (x + px(66), y + px(62)), _SOFT_INK, stroke, cv2.LINE_AA)
    face, size, ink = cv2.FONT_HERSHEY_SIMPLEX, 1.6 * scale, max(1, round(3.2 * scale))
    (wide, _), _ = cv2.getTextSize(TEXT, face, size, ink)
    cv2.putText(picture, TEXT, (x - wide // 2, y + px(146)), face, size, _INK, ink, cv2.LINE_AA)

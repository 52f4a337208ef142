"""Several avatars in one picture: those further away first, so that the nearer one is in front.

Privacy: all heads are covered before anything is drawn, and what fills one head depends on no pixel of another. While
someone who was in the picture is lost, no newer frame of the camera is shown: behind the avatars stands the last
picture in which everyone was covered, and over ``hold_ms`` it fades into one blurred beyond recognition. ``on_lost``
says what else: ``blur`` and ``card`` blur at once, ``raw`` shows the camera.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from realtime.compositing import Compositor, Size, _chained, _colour_matched, _face_mask, _fade, _Framing, draw
from realtime.covering import BACKDROP_BLOCKS, blurred, cover_head, head_region
from realtime.errors import UsageError
from realtime.faces import Lost
from realtime.frames import Face, Frame, Picture, Pixels, Portrait, Transform
from realtime.holding import RETURN_NS
from realtime.settings import CompositingSettings

SEEN_FADED = 0.1  # a fade that went further than this is not undone in one frame


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A person's face and portrait of this frame."""

    person: int
    face: Face
    portrait: Portrait


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """A portrait where it is drawn: canvas pixels, an opacity, and how large the face is there."""

    pixels: Pixels
    transform: Transform
    mask: Pixels | None
    size: float


class GroupCompositor(Compositor):
    """Puts the portraits of several people into pictures; without anyone it is the compositor of one face.

    Raises UsageError for mode crop, which shows one face alone, and as :class:`realtime.compositing.Compositor`.
    """

    def __init__(self, settings: CompositingSettings, size: Size | None = None) -> None:
        if settings.mode == "crop":
            raise UsageError("mode crop shows one face alone; with several faces take overlay or scene, or --faces 1")
        super().__init__(settings, size)
        self._framings: dict[int, _Framing] = {}
        self._last: dict[int, _Layer] = {}  # the portrait of each person when they were seen last
        self._covered: Pixels | None = None
        self._away: tuple[Pixels, int] | None = None  # the last picture without somebody, and its time

    def composite_group(self, frame: Frame, shown: Sequence[Shown], lost: Sequence[Lost]) -> Picture:
        """The avatars in their picture; the holding picture where nobody is seen."""
        if not shown:
            return self.holding(frame)
        self._see(frame)
        canvas, to_canvas = self._canvas(frame)
        people = [_on_canvas(one, to_canvas) for one in shown]
        layers = {one.person: self._layer(one, canvas) for one in people}
        self._last = {**{one.person: self._last[one.person] for one in lost if one.person in self._last}, **layers}
        canvas = self._behind(canvas, [one.face for one in people], lost, frame)
        held = [self._held(one, float(to_canvas[0, 0])) for one in lost if one.person in self._last]
        for layer in sorted([*layers.values(), *held], key=lambda layer: layer.size):
            draw(canvas, layer.pixels, layer.transform, layer.mask)
        canvas = self._returned(canvas, lost, frame.captured_ns)
        picture = self._holding.remember(Picture(frame.frame_id, frame.captured_ns, canvas))
        return self._compared(frame, picture)

    def _layer(self, one: Shown, canvas: Pixels) -> _Layer:
        """A person's portrait as the mode draws it; ``canvas`` still shows the camera."""
        portrait, mode = one.portrait, self._settings.mode
        size = float(np.ptp(one.face.landmarks[:, 1]))
        if mode == "scene":
            framing = self._framings.setdefault(one.person, _Framing())
            place = framing.place(portrait, one.face.fresh, self._own_size()[1])
            return _Layer(portrait.pixels, place, None, size)
        if mode == "paste":
            matched = _colour_matched(portrait, canvas, one.face)
            return _Layer(matched, portrait.transform, _face_mask(portrait, one.face), size)
        return _Layer(portrait.pixels, portrait.transform, _fade(portrait.pixels.shape[0]), size)

    def _behind(self, canvas: Pixels, faces: list[Face], lost: Sequence[Lost], frame: Frame) -> Pixels:
        """What stands behind the portraits."""
        if not self._camera_behind():
            return canvas
        if lost and self._settings.on_lost != "raw":
            return self._kept(lost, frame)
        cover_heads(canvas, faces)
        if self._settings.mode == "scene":
            canvas = blurred(canvas, self._own_size(), BACKDROP_BLOCKS)
        self._covered = canvas.copy()
        return canvas

    def _kept(self, lost: Sequence[Lost], frame: Frame) -> Pixels:
        """The last picture in which everyone was covered, on its way to one beyond recognition."""
        gone = max(self._gone(one) for one in lost)
        if self._covered is None or gone >= 1:
            return blurred(frame.pixels, self._own_size())
        if gone <= 0:
            return self._covered.copy()
        backdrop = blurred(frame.pixels, self._own_size())
        return np.asarray(cv2.addWeighted(self._covered, 1 - gone, backdrop, gone, 0), np.uint8)

    def _held(self, one: Lost, scale: float) -> _Layer:
        """The last portrait of someone lost, where they are expected, fading."""
        last = self._last[one.person]
        moved = last.transform + [[0, 0, one.shift[0] * scale], [0, 0, one.shift[1] * scale]]
        mask = np.full(last.pixels.shape[:2], 255, np.uint8) if last.mask is None else last.mask
        fading = np.asarray(cv2.convertScaleAbs(mask, alpha=1 - self._gone(one)), np.uint8)
        return replace(last, transform=moved, mask=fading)

    def _returned(self, canvas: Pixels, lost: Sequence[Lost], now_ns: int) -> Pixels:
        """The picture, for a moment blended with the one from before everyone was back."""
        if lost:
            faded = any(self._gone(one) > SEEN_FADED for one in lost) and self._settings.on_lost != "raw"
            self._away = (canvas, now_ns) if faded else None
            return canvas
        if self._away is None:
            return canvas
        before, since_ns = self._away
        here = (now_ns - since_ns) / RETURN_NS
        if not 0 <= here < 1:
            self._away = None
            return canvas
        here = here * here * (3 - 2 * here)
        return np.asarray(cv2.addWeighted(canvas, here, before, 1 - here, 0), np.uint8)

    def _gone(self, one: Lost) -> float:
        """How far someone lost has faded, 0 to 1."""
        if self._settings.on_lost != "hold":
            return 1.0
        part = min(one.waited_ns / max(self._settings.hold_ms * 1e6, 1.0), 1.0)
        return part * part * (3 - 2 * part)


def cover_heads(pixels: Pixels, faces: Sequence[Face]) -> None:
    """Cover the heads of several faces in a picture, in place; no pixel of any head has a part in the result.

    pixels: uint8 BGR [height, width, 3]; the faces' landmarks are in its pixels.
    """
    if len(faces) > 1:
        outlines = [np.round(head_region(face.landmarks) * 16).astype(np.int32) for face in faces]
        heads = np.zeros(pixels.shape[:2], np.uint8)
        for outline in outlines:
            cv2.fillConvexPoly(heads, outline, (255,), lineType=cv2.LINE_8, shift=4)
        heads = np.asarray(cv2.dilate(heads, np.ones((3, 3), np.uint8)), np.uint8)
        step = max(1, math.isqrt(pixels.shape[0] * pixels.shape[1]) // 120)
        around = pixels[::step, ::step][heads[::step, ::step] == 0]
        # What one head is filled with is taken from around it, and there may be another head.
        pixels[heads > 0] = around.mean(axis=0).astype(np.uint8) if len(around) else np.uint8(96)
    for face in faces:
        cover_head(pixels, face.landmarks)


def _on_canvas(one: Shown, to_canvas: Transform) -> Shown:
    """A person in the canvas's pixels."""
    landmarks = one.face.landmarks * np.float32(to_canvas[0, 0])
    landmarks[:, :2] += to_canvas[:, 2].astype(np.float32)
    portrait = replace(one.portrait, transform=_chained(to_canvas, one.portrait.transform))
    return Shown(one.person, replace(one.face, landmarks=landmarks), portrait)

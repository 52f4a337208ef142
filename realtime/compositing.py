"""The avatar in its picture: :class:`Frame`, :class:`Face` and :class:`Portrait` to :class:`Picture`.

    overlay   the portrait over the person's head in the camera's picture, into whose neck its own fades
    scene     the portrait on a background, framed as a webcam shows a person: the shoulders reach the lower edge
    crop      the portrait alone, in a square, on the background's colour
    paste     the portrait blended back with a soft mask and the person's colours, for photographic generators

Privacy: the camera's pixels are only ever drawn after the head in them has been covered (:mod:`realtime.covering`), so
that no pixel of the face is left wherever the portrait is transparent. Without a face there is the holding picture
(:mod:`realtime.holding`). ``on_lost = raw`` and ``compare`` are the two settings that show the camera, because they
ask for it. Only the tracked face is covered: others in the room stay in the picture in overlay and paste.

Output pictures keep one size for the whole run, whatever sizes the frames have: :func:`output_size`.
"""

from __future__ import annotations

import math
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np

from realtime.backgrounds import Background
from realtime.covering import BACKDROP_BLOCKS, blurred, head_region
from realtime.frames import AnyPortrait, Face, Frame, Picture, Pixels, Portrait, Transform
from realtime.holding import Holding, fitted
from realtime.painting import Composition, Layer, OnCpu, Paints
from realtime.settings import CompositingSettings

Size = tuple[int, int]

# Scene: the portrait's side in picture heights, how far its lower edge hangs below the picture's at rest (in sides),
# and how slowly the rest follows the person.
_LEAST_SIDE, _MOST_SIDE, _HANG, _REST_S = 0.95, 1.6, 0.05, 2.0
_PASTE_SOFT = 0.06  # width of a pasted portrait's soft edge, in sides
# In a portrait and in the square around a person, in sides from above: the chin; and the distance from there to the
# eyes of the one over the other's. The medians of nine clips.
_CHIN, _PERSONS_CHIN, _FITTED = 0.737, 0.755, 0.90


def output_size(size: Size, settings: CompositingSettings) -> Size:
    """Width and height of the output pictures for frames of ``size`` = (width, height)."""
    width, height = (size[1], size[1]) if settings.mode == "crop" else size
    return (size[0] + width if settings.compare else width), height


class Compositor:
    """Puts portraits into pictures.

    size: width and height of the frames to come; without it that of the first frame.
    painter: puts pictures together; without it the processor.
    Raises UsageError for a background that is neither a colour, ``green``, ``blur`` nor a readable picture.
    """

    def __init__(self, settings: CompositingSettings, size: Size | None = None, painter: Paints | None = None) -> None:
        self._settings, self._painter = settings, painter or OnCpu()
        self._alone = replace(settings, compare=False)
        self._size = size
        self._background = Background(settings.background)
        self._holding = Holding(settings.on_lost, settings.hold_ms)
        self._framing = _Framing()
        modes = {"overlay": self._overlay, "scene": self._scene, "crop": self._crop, "paste": self._paste}
        self._composed = modes[settings.mode]
        self._still: Pixels | None = None  # the canvas without the camera
        self._ahead: _Ahead | None = None
        self._helper = ThreadPoolExecutor(1, thread_name_prefix="covering")
        self._last_id, self._last_ns = 0, 0

    def composite(self, frame: Frame, face: Face | None, portrait: AnyPortrait | None) -> Picture:
        """The avatar in its picture; without a face or a portrait the holding picture."""
        if face is None or portrait is None:
            return self.holding(frame)
        self._see(frame)
        ahead, self._ahead = self._ahead, None
        if ahead is None or ahead.of[0] is not frame or ahead.of[1] is not face:
            ahead = _Ahead((frame, face), *self._placed(frame, face))
        placed = replace(portrait, transform=_chained(ahead.to_canvas, portrait.transform))
        composed = self._composed(ahead.empty, ahead.face, placed)
        if ahead.covering is not None:
            composed = replace(composed, canvas=ahead.covering.result(), covered=(), own=True)
        return self._compared(frame, self._holding.remember(self._painter.paint(frame, composed)))

    def cover_ahead(self, frame: Frame, face: Face) -> None:
        """Have the head covered by another thread, while the portrait is drawn; :meth:`composite` waits for it.

        Only where the processor paints, and in mode overlay: the others do not cover, or look at the person first.
        """
        if self._settings.mode == "overlay" and isinstance(self._painter, OnCpu):
            self._see(frame)
            empty, to_canvas, placed = self._placed(frame, face)
            covering = self._helper.submit(self._painter.covered, replace(empty, covered=[placed]))
            self._ahead = _Ahead((frame, face), empty, to_canvas, placed, covering)

    def _placed(self, frame: Frame, face: Face) -> tuple[Composition, Transform, Face]:
        """What is drawn on, the way from frame pixels to it, and the face in it."""
        empty, to_canvas = self._canvas(frame)
        landmarks = face.landmarks * to_canvas[0, 0]
        landmarks[:, :2] += to_canvas[:, 2].astype(np.float32)
        return empty, to_canvas, replace(face, landmarks=landmarks)

    def holding(self, frame: Frame | None, now_ns: int | None = None) -> Picture:
        """What goes out without an avatar; ``frame`` is the camera's, if there is one.

        now_ns: the time on the frames' clock when there is no frame; without it a fade is at its end.
        """
        if frame is not None:
            self._see(frame)
            now_ns = frame.captured_ns
        size = self._own_size()
        backdrop = None
        if self._settings.on_lost == "hold" and not self._camera_behind():
            backdrop = self._backdrop(size)
        pixels = self._holding.pixels(frame, now_ns, backdrop, size)
        if frame is not None and pixels is frame.pixels:
            pixels = pixels.copy()
        picture = Picture(self._last_id, self._last_ns, pixels)
        return self._compared(frame, picture)

    def _overlay(self, empty: Composition, face: Face, portrait: AnyPortrait) -> Composition:
        return replace(empty, covered=[face], layers=[Layer(portrait, over_head(portrait), fades=True)])

    def _paste(self, empty: Composition, face: Face, portrait: AnyPortrait) -> Composition:
        pasted = _pasted(portrait, empty.canvas, face)
        return replace(empty, covered=[face], layers=[Layer(pasted, pasted.transform)])

    def _scene(self, empty: Composition, face: Face, portrait: AnyPortrait) -> Composition:
        layers = [Layer(portrait, self._framing.place(portrait, face.fresh, self._own_size()[1]))]
        if not self._camera_behind():
            return replace(empty, layers=layers)
        canvas = OnCpu().covered(replace(empty, covered=[face]))
        return Composition(blurred(canvas, self._own_size(), BACKDROP_BLOCKS), layers=layers, own=True)

    def _crop(self, empty: Composition, face: Face, portrait: AnyPortrait) -> Composition:
        step = empty.canvas.shape[0] / portrait.edge_px
        whole = np.array([[step, 0, 0.5 * step - 0.5], [0, step, 0.5 * step - 0.5]])
        return replace(empty, layers=[Layer(portrait, whole)])

    def _camera_behind(self) -> bool:
        """True where the (covered) camera is part of the picture."""
        mode, background = self._settings.mode, self._settings.background
        return mode in ("overlay", "paste") or (mode, background) == ("scene", "blur")

    def _canvas(self, frame: Frame) -> tuple[Composition, Transform]:
        """What is drawn on, still empty, and the way from frame pixels to it."""
        size = self._own_size()
        height, width = frame.pixels.shape[:2]
        scale = min(size[0] / width, size[1] / height)
        margin = [(size[0] - round(width * scale)) // 2, (size[1] - round(height * scale)) // 2]
        shift = [scale * 0.5 - 0.5 + margin[0], scale * 0.5 - 0.5 + margin[1]]
        to_canvas = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
        if self._camera_behind():
            pixels = fitted(frame.pixels, size)
            return Composition(pixels, own=pixels is not frame.pixels), to_canvas
        if self._still is None or self._still.shape[1::-1] != size:
            self._still = self._backdrop(size)
        return Composition(self._still, still=True), to_canvas

    def _backdrop(self, size: Size) -> Pixels:
        """The background without the camera; behind a portrait alone only ever a colour."""
        return self._background.plain(size) if self._settings.mode == "crop" else self._background.picture(size)

    def _own_size(self) -> Size:
        return output_size(self._size or (1280, 720), self._alone)

    def _see(self, frame: Frame) -> None:
        if self._size is None:
            self._size = (frame.pixels.shape[1], frame.pixels.shape[0])
        self._last_id, self._last_ns = frame.frame_id, frame.captured_ns

    def _compared(self, frame: Frame | None, picture: Picture) -> Picture:
        if not self._settings.compare:
            return picture
        size = self._size or (1280, 720)
        left = np.zeros((size[1], size[0], 3), np.uint8) if frame is None else fitted(frame.pixels, size)
        return Picture(picture.frame_id, picture.captured_ns, np.hstack([left, picture.pixels]))


@dataclass(frozen=True, slots=True, eq=False)
class _Ahead:
    """What is known of a frame and its face (``of``) before the portrait is drawn: ``face`` on its canvas, and
    ``covering``, which gives the canvas once the head is covered."""

    of: tuple[Frame, Face]
    empty: Composition
    to_canvas: Transform
    face: Face
    covering: Future[Pixels] | None = None


class _Framing:
    """Where a scene's portrait stands: it moves as the person does, and its cut lower edge is never seen."""

    def __init__(self) -> None:
        self._rest: float | None = None  # the person's usual place, from above: a slow average of the portrait's centre
        self._last_ns = 0

    def place(self, portrait: AnyPortrait, fresh: bool, height: int) -> Transform:
        """Portrait pixels to picture pixels for a picture ``height`` pixels high."""
        size = portrait.edge_px
        x, y = portrait.transform @ [(size - 1) / 2, (size - 1) / 2, 1]
        side = size * math.hypot(portrait.transform[0, 0], portrait.transform[1, 0])
        shown = float(np.clip(side, _LEAST_SIDE * height, _MOST_SIDE * height))
        rest = self._follow(float(y), fresh, portrait.captured_ns)
        lower = max(height + _HANG * shown, rest + shown / 2) + (y - rest) * shown / max(side, 1e-6)
        step = shown / size
        lower = max(lower, height + step)  # the last row of a portrait fades into nothing
        middle = np.array([x, lower - shown / 2]) - step * (size - 1) / 2
        return np.array([[step, 0, middle[0]], [0, step, middle[1]]])

    def _follow(self, y: float, fresh: bool, now_ns: int) -> float:
        passed_s = (now_ns - self._last_ns) * 1e-9
        self._last_ns = now_ns
        if self._rest is None or fresh or passed_s < 0:
            self._rest = y
        self._rest += (y - self._rest) * (1 - math.exp(-max(passed_s, 0.0) / _REST_S))
        return self._rest


def _chained(outer: Transform, inner: Transform) -> Transform:
    """The transform that does ``inner`` first and ``outer`` then."""
    return np.asarray(outer[:, :2] @ inner + np.array([[0, 0, outer[0, 2]], [0, 0, outer[1, 2]]]))


def over_head(portrait: AnyPortrait) -> Transform:
    """Portrait pixels to those of the picture, so that eyes and chin lie where the person's are.

    Drawn eyes are larger and further apart than people's, so a head whose eyes were as far apart as the person's would
    be too small, and one drawn as large as its square has a quiff beyond the picture's edge.
    """
    size = portrait.edge_px
    aside, down = (1 - _FITTED) * (size - 1) / 2, size * (_PERSONS_CHIN - _FITTED * _CHIN)
    return _chained(portrait.transform, np.array([[_FITTED, 0, aside], [0, _FITTED, down]]))


def _pasted(portrait: AnyPortrait, canvas: Pixels, face: Face) -> Portrait:
    """A portrait with the person's colours, clear outside of their head; ``canvas`` still shows the camera."""
    assert isinstance(portrait, Portrait), "what is pasted is drawn by the processor, or comes drawn"
    matched = _colour_matched(portrait, canvas, face).copy()
    seen = cv2.multiply(np.ascontiguousarray(matched[..., 3]), _face_mask(portrait, face), scale=1 / 255)
    matched[..., 3] = seen
    return replace(portrait, pixels=matched)


def _face_mask(portrait: Portrait, face: Face) -> Pixels:
    """Where a pasted portrait is shown: the head region with a soft edge, in portrait pixels, uint8 [size, size]."""
    size = portrait.pixels.shape[0]
    back = cv2.invertAffineTransform(portrait.transform)
    outline = head_region(face.landmarks) @ back[:, :2].T + back[:, 2]
    mask = np.zeros((size, size), np.uint8)
    corners = np.asarray(np.round(outline * 16), np.int32)
    cv2.fillConvexPoly(mask, corners, (255,), lineType=cv2.LINE_AA, shift=4)
    mask[[0, -1]] = mask[:, [0, -1]] = 0
    soft = cv2.GaussianBlur(mask, (0, 0), _PASTE_SOFT * size / 2, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(soft, np.uint8)


def _colour_matched(portrait: Portrait, canvas: Pixels, face: Face) -> Pixels:
    """The portrait with the mean and spread of the person's colours, per channel (Reinhard et al., 2001, in BGR)."""
    cells = 32
    size = portrait.pixels.shape[0]
    step = size / cells
    to_cells = portrait.transform @ np.array([[step, 0, step / 2 - 0.5], [0, step, step / 2 - 0.5], [0, 0, 1]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    person = cv2.warpAffine(canvas, to_cells, (cells, cells), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    drawn = cv2.resize(portrait.pixels, (cells, cells), interpolation=cv2.INTER_AREA)
    inside = cv2.resize(_face_mask(portrait, face), (cells, cells), interpolation=cv2.INTER_AREA)
    counted = (inside > 200) & (drawn[..., 3] > 200)
    if counted.sum() < 8:
        return portrait.pixels
    theirs, ours = person[counted].astype(np.float64), drawn[counted][:, :3].astype(np.float64)
    gain = (theirs.std(axis=0) / np.maximum(ours.std(axis=0), 1.0)).clip(0.6, 1.6)
    shift = theirs.mean(axis=0) - gain * ours.mean(axis=0)
    levels = np.arange(256)[:, None] * np.append(gain, 1.0) + np.append(shift, 0.0)
    table = levels.round().clip(0, 255).astype(np.uint8)[:, None, :]
    return np.asarray(cv2.LUT(portrait.pixels, table), np.uint8)

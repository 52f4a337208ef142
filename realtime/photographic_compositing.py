"""A photographic face put back: :class:`Frame`, :class:`Face` and :class:`Portrait` to :class:`Picture`.

    1. mask      the face's outline; full strength over every tracked point of the face, fading outside of it
    2. colours   the portrait gets the mean and spread of the face's own (Reinhard et al. 2001), averaged in time
    3. boundary  what is left of a difference just outside the outline is carried inwards and added,
                 fading (a cheap membrane after Perez et al. 2003, "Poisson Image Editing": normalised convolution)
    4. blend     by the mask

Privacy: where the mask is full nothing of the person is left, and it is full over every tracked point. Hair, ears and
neck are the person's own. A portrait that does not reach over the whole face is drawn over a covered head.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from realtime.covering import blend, cover_head
from realtime.frames import Face, Frame, Picture, Pixels, Portrait, Transform
from realtime.holding import Holding, fitted
from realtime.settings import CompositingSettings

Size = tuple[int, int]
Box = tuple[int, int, int, int]
Values = npt.NDArray[np.float64]
SOFT = 0.07  # width of the mask's fading edge, in face heights
CELLS = 48  # the face's box is looked at in so many cells each way for colours and boundary
SETTLE_S = 0.5  # time constant of the colours' average
LEAST_GAIN, MOST_GAIN = 0.6, 1.6
MOST_LEFT_OVER = 40.0  # levels of a difference at the edge that are carried inwards; what is beyond is another thing
REACH, FADE = 2.0, 0.05  # how far the edge's differences reach, in cells, and the weight below which they fade
FOREHEAD, CHIN = 10, 152


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """The part of a picture that changes.

    left, top: its place. mask: uint8 [h, w]. drawn: uint8 BGR [h, w, 3], the portrait in the picture's pixels.
    """

    left: int
    top: int
    mask: Pixels
    drawn: Pixels

    def of(self, canvas: Pixels) -> Pixels:
        """The same part of another picture, as a view."""
        height, width = self.mask.shape
        return canvas[self.top : self.top + height, self.left : self.left + width]


class PhotographicCompositor:
    """Puts portraits back into frames.

    size: width and height of the frames to come; pictures keep it whatever sizes frames have.
    """

    def __init__(self, settings: CompositingSettings, size: Size) -> None:
        self._settings, self._size = settings, size
        self._holding = Holding(settings.on_lost, settings.hold_ms)
        self._colours: Values | None = None  # gain and shift [2, 3]
        self._last_id, self._last_ns = 0, 0

    def cover_ahead(self, frame: Frame, face: Face) -> None:
        """Nothing: the person's colours are looked at first."""

    def composite(self, frame: Frame, face: Face | None, portrait: Portrait | None) -> Picture:
        """The face in its picture; without a face or a portrait the holding picture."""
        if face is None or portrait is None:
            return self.holding(frame)
        canvas, way = self._canvas(frame)
        landmarks = in_canvas(face, way)
        placed = chained(way, portrait.transform)
        if not reaches(placed, portrait.pixels.shape[0], landmarks[:, :2]):
            cover_head(canvas, landmarks.astype(np.float32))
        patch = cut_patch(portrait.pixels, placed, landmarks[:, :2], canvas)
        if patch is not None:
            self._paste(canvas, patch, face.fresh, frame.captured_ns)
        self._last_id, self._last_ns = frame.frame_id, frame.captured_ns
        picture = self._holding.remember(Picture(frame.frame_id, frame.captured_ns, canvas))
        return self._compared(frame, picture)

    def holding(self, frame: Frame | None, now_ns: int | None = None) -> Picture:
        """What goes out without a face; ``frame`` is the camera's, if there is one, ``now_ns`` the time if not."""
        if frame is not None:
            self._last_id, self._last_ns = frame.frame_id, frame.captured_ns
            now_ns = frame.captured_ns
        pixels = self._holding.pixels(frame, now_ns, None, self._size)
        if frame is not None and pixels is frame.pixels:
            pixels = pixels.copy()
        return self._compared(frame, Picture(self._last_id, self._last_ns, pixels))

    def _paste(self, canvas: Pixels, patch: Patch, fresh: bool, now_ns: int) -> None:
        part = patch.of(canvas)
        person, drawn, mask = (_shrunk(pixels) for pixels in (part, patch.drawn, patch.mask))
        colours = self._averaged(matching(person, drawn, mask), fresh, now_ns)
        levels = np.arange(256)[:, None] * colours[0] + colours[1]
        table = levels.round().clip(0, 255).astype(np.uint8)[:, None, :]
        matched = np.asarray(cv2.LUT(patch.drawn, table), np.uint8)
        left_over = membrane(person - (drawn * colours[0] + colours[1]).clip(0, 255), mask)
        added = cv2.resize(left_over, mask_size(patch.mask), interpolation=cv2.INTER_LINEAR)
        smooth = np.asarray(cv2.add(matched, added, dtype=cv2.CV_8U), np.uint8)
        over = cv2.multiply(smooth, cv2.merge([patch.mask] * 3), scale=1 / 255)
        blend(part, np.asarray(over, np.uint8), patch.mask)

    def _averaged(self, colours: Values, fresh: bool, now_ns: int) -> Values:
        if self._colours is None:
            self._colours = colours
        self._colours = self._colours + (colours - self._colours) * self._weight(fresh, now_ns)
        return self._colours

    def _weight(self, fresh: bool, now_ns: int) -> float:
        """How much this picture's colours count among those of before."""
        passed_s = (now_ns - self._last_ns) * 1e-9
        return 1.0 if fresh or passed_s < 0 else 1 - math.exp(-passed_s / SETTLE_S)

    def _canvas(self, frame: Frame) -> tuple[Pixels, Transform]:
        """A picture of the frame to draw on, and the way from frame pixels to it."""
        pixels = fitted(frame.pixels, self._size)
        return (pixels.copy() if pixels is frame.pixels else pixels), to_canvas(frame.pixels, self._size)

    def _compared(self, frame: Frame | None, picture: Picture) -> Picture:
        if not self._settings.compare:
            return picture
        width, height = self._size
        left = np.zeros((height, width, 3), np.uint8) if frame is None else fitted(frame.pixels, self._size)
        return Picture(picture.frame_id, picture.captured_ns, np.hstack([left, picture.pixels]))


def cut_patch(portrait: Pixels, transform: Transform, landmarks: Values, canvas: Pixels) -> Patch | None:
    """The mask and the portrait around a face in a picture; None when the face lies outside of it.

    landmarks: float64 [478, 2] in the picture's pixels.
    """
    hull, soft, box = outlined(landmarks, (canvas.shape[1], canvas.shape[0]))
    if box is None:
        return None
    left, top, *edges = box
    size = (edges[0], edges[1])
    mask = soft_mask(hull - np.array([left, top], np.float32), size, soft)
    shifted = transform - [[0, 0, left], [0, 0, top]]
    drawn = cv2.warpAffine(
        portrait[..., :3], shifted, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )  # fmt: skip
    return Patch(left, top, mask, np.asarray(drawn, np.uint8))


def outlined(landmarks: Values, size: Size) -> tuple[npt.NDArray[np.float32], float, Box | None]:
    """A face's convex outline, the width of its mask's edge, and the box that it changes in a picture of ``size``.

    landmarks: float64 [478, 2] in the picture's pixels. The box is left, top, width, height; None outside the picture.
    """
    hull = np.asarray(cv2.convexHull(landmarks.astype(np.float32))[:, 0], np.float32)
    soft = max(2.0, SOFT * face_px(landmarks))
    low = np.clip(np.floor(hull.min(axis=0) - 2 * soft), 0, size).astype(int)
    high = np.clip(np.ceil(hull.max(axis=0) + 2 * soft) + 1, 0, size).astype(int)
    if (high - low).min() < 2:
        return hull, soft, None
    return hull, soft, (int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))


def to_canvas(pixels: Pixels, size: Size) -> Transform:
    """The way from a frame's pixels to the picture of ``size`` that it is fitted into."""
    height, width = pixels.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    margin = [(size[0] - round(width * scale)) // 2, (size[1] - round(height * scale)) // 2]
    return np.array([[scale, 0, scale * 0.5 - 0.5 + margin[0]], [0, scale, scale * 0.5 - 0.5 + margin[1]]])


def in_canvas(face: Face, way: Transform) -> Values:
    """A face's points, float64 [478, 3], in the pixels of the picture that ``way`` leads to."""
    points = face.landmarks.astype(np.float64)
    return np.column_stack([points[:, :2] @ way[:, :2].T + way[:, 2], points[:, 2] * way[0, 0]])


def soft_mask(hull: npt.NDArray[np.float32], size: Size, soft: float) -> Pixels:
    """255 on and inside the outline, falling to 0 over ``soft`` pixels outside of it: uint8 [h, w] for (w, h)."""
    outside = np.full((size[1], size[0]), 255, np.uint8)
    corners = np.asarray(np.round(hull * 16), np.int32)
    cv2.fillConvexPoly(outside, corners, (0,), lineType=cv2.LINE_8, shift=4)
    distance = np.asarray(cv2.distanceTransform(outside, cv2.DIST_L2, 3), np.float32)
    near = np.clip(1 - (distance - 2) / soft, 0, 1)
    return np.asarray(np.round(255 * near * near * (3 - 2 * near)), np.uint8)


def matching(person: Values, drawn: Values, mask: Values) -> Values:
    """Gain and shift per channel, float64 [2, 3], that give ``drawn`` the mean and spread of ``person`` in the mask.

    person, drawn: float32 [n, n, 3]. mask: float32 [n, n], 0 to 255.
    """
    inside = mask > 250
    if inside.sum() < 8:
        return np.array([[1.0] * 3, [0.0] * 3])
    theirs, ours = person[inside].astype(np.float64), drawn[inside].astype(np.float64)
    gain = (theirs.std(axis=0) / np.maximum(ours.std(axis=0), 1.0)).clip(LEAST_GAIN, MOST_GAIN)
    return np.stack([gain, theirs.mean(axis=0) - gain * ours.mean(axis=0)])


def membrane(difference: Values, mask: Values) -> Values:
    """The differences in the mask's fading edge, carried inwards and fading on the way: float32 [n, n, 3].

    difference: float32 [n, n, 3]. mask: float32 [n, n], 0 to 255. Deep inside it is zero: there the colours match
    already, and what lies beside the face must not tint it.
    """
    edge = ((mask > 5) & (mask < 200)).astype(np.float32)
    limited = difference.clip(-MOST_LEFT_OVER, MOST_LEFT_OVER).astype(np.float32)
    spread = cv2.GaussianBlur(np.dstack([limited * edge[..., None], edge]), (0, 0), REACH)
    return np.asarray(spread[..., :3] / (spread[..., 3:] + FADE), np.float32)


def _shrunk(pixels: Pixels) -> Values:
    cells = (min(CELLS, pixels.shape[1]), min(CELLS, pixels.shape[0]))
    return np.asarray(cv2.resize(pixels, cells, interpolation=cv2.INTER_AREA), np.float32)


def reaches(transform: Transform, size: int, landmarks: Values) -> bool:
    """Whether a portrait lies over every point of a face."""
    back = cv2.invertAffineTransform(transform)
    inside = landmarks @ back[:, :2].T + back[:, 2]
    return bool(inside.min() >= 0 and inside.max() <= size - 1)


def face_px(landmarks: Values) -> float:
    """The height of a face, or its width if that is more."""
    return max(math.dist(landmarks[FOREHEAD], landmarks[CHIN]), float(np.ptp(landmarks[:, 0])), 1.0)


def mask_size(mask: Pixels) -> Size:
    """Width and height."""
    return mask.shape[1], mask.shape[0]


def chained(outer: Transform, inner: Transform) -> Transform:
    """The transform that does ``inner`` first and ``outer`` then."""
    return np.asarray(outer[:, :2] @ inner + np.array([[0, 0, outer[0, 2]], [0, 0, outer[1, 2]]]))

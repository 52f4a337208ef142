"""What keeps a person unrecognisable: covering the head, and blurring a whole picture beyond recognition.

*Covered*: inside the head region (the face, ears, hairline and crown) not one pixel of the person is left, blurred or
not. The region is filled with the colours around it, carried inwards (normalised convolution: Knutsson and Westin,
"Normalized and differential convolution", 1993) and then let run into each other, the room's held fast (relaxation of
Laplace's equation), so that what lies under the avatar looks like the room, without an edge, not like a smear of skin.

*Blurred beyond recognition*: the picture is averaged over 6 blocks along its longer side and drawn up again smoothly.
Even a face that fills the whole picture is then six blocks wide, with neither eyes nor mouth. Measured on the test
clips: FaceMesh still finds a face that fills half of the picture at 12 to 16 blocks, and none at 8; at 6 the fine
detail has no correlation with the source's. Broad colours remain, no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from realtime.frames import Floats, Pixels

BLOCKS = 6  # along the longer side of a picture blurred beyond recognition
BACKDROP_BLOCKS = 48  # of a backdrop from which the head has already been taken

_BODY = 0.03  # how much the person's own body counts among the colours that are carried into the head
_ROUNDS, _REACH = 16, (5, 5)  # of the colours' running into each other
_CELLS = 32  # the covered region's surroundings are looked at in so many cells each way
_FOREHEAD, _CHIN = 10, 152
# How far the head reaches beyond the mesh, in face heights: the mesh ends at hairline, jaw and in front of the ears.
_ABOVE, _ASIDE, _BELOW = 0.50, 0.20, 0.10
_SOFT = 0.05  # width of the edge outside that region over which the cover fades, in face heights
_AROUND = 0.35  # how far around the region colours are taken from, in face heights

Corners = npt.NDArray[np.float32]
Box = tuple[int, int, int, int]  # left, top, width, height


def head_region(landmarks: Floats) -> Corners:
    """The outline of the head of a face (float32 [478, 3], pixels) as it is in the picture: convex, float32 [N, 2].

    It holds every landmark, the ears, the hairline and the crown.
    """
    hull = cv2.convexHull(np.ascontiguousarray(landmarks[:, :2]))[:, 0]
    up, height = _up(landmarks)
    axes = np.array([[-up[1], up[0]], up], np.float32)  # rows: aside, up
    middle = (landmarks[_FOREHEAD, :2] + landmarks[_CHIN, :2]) / 2
    aside, along = axes @ (hull - middle).T
    along = along + height * np.where(along > 0, _ABOVE, _BELOW) * _grown(along)
    aside = aside + height * _ASIDE * _grown(aside) * np.sign(aside)
    outline = np.stack([aside, along], axis=1) @ axes + middle
    return np.asarray(cv2.convexHull(np.concatenate([outline, hull]).astype(np.float32))[:, 0], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Cover:
    """What is laid over a head.

    box: left, top, width, height in the picture, whole pixels.
    mask: uint8 [h, w], a quarter of the box: how much is covered. colours: uint8 BGR [n, m, 3], at most 32 each way:
    with what. Both are enlarged to the box, bilinearly. whole: the enlarged mask.
    """

    box: Box
    mask: Pixels
    colours: Pixels
    whole: Pixels

    def lay(self, pixels: Pixels) -> None:
        """Cover the head in a picture, in place."""
        fill = cv2.resize(self.colours, self.box[2:], interpolation=cv2.INTER_LINEAR)
        x, y, wide, high = cv2.boundingRect(self.whole)
        inner = np.s_[y : y + high, x : x + wide]
        alpha = self.whole[inner]
        over = cv2.multiply(fill[inner], cv2.merge([alpha] * 3), scale=1 / 255)
        blend(_part(pixels, self.box)[inner], np.asarray(over, np.uint8), alpha)


@dataclass(frozen=True, slots=True, eq=False)
class _Shape:
    """A cover without its colours. middle: height of the face's middle in the box."""

    box: Box
    mask: Pixels
    whole: Pixels
    middle: float

    def of(self, pixels: Pixels) -> Pixels:
        return _part(pixels, self.box)


def _part(pixels: Pixels, box: Box) -> Pixels:
    left, top, width, height = box
    return pixels[top : top + height, left : left + width]


def covers(pixels: Pixels, heads: Sequence[Floats]) -> list[Cover]:
    """What is laid over the heads of faces in a picture; no pixel of any of several heads has a part in the colours.

    pixels: uint8 BGR [height, width, 3]. heads: float32 [478, 3] in its pixels; parts outside the picture are fine, and
    one that is outside altogether has no cover.
    """
    shapes = [shape for landmarks in heads if (shape := _shape(pixels, landmarks)) is not None]
    found = []
    for one in shapes:
        taken = _with_others(one, [other for other in shapes if other is not one])
        colours = _surroundings(one.of(pixels), taken, one.middle)
        if colours is None:  # heads fill all of it, or it is too small for cells beside them: one colour
            colours = np.full((1, 1, 3), _nearby(pixels, one, shapes), np.uint8)
        found.append(Cover(one.box, one.mask, colours, one.whole))
    return found


def cover_heads(pixels: Pixels, heads: Sequence[Floats]) -> None:
    """Cover the heads of faces in a picture, in place; see :func:`covers`."""
    for cover in covers(pixels, heads):
        cover.lay(pixels)


def cover_head(pixels: Pixels, landmarks: Floats) -> None:
    """Cover the head of one face in a picture, in place."""
    cover_heads(pixels, [landmarks])


def blend(under: Pixels, over: Pixels, alpha: Pixels) -> None:
    """``under = over + under * (1 - alpha)`` in place, ``over`` being multiplied by alpha (Porter and Duff, 1984).

    under, over: uint8 [H, W, 3]; alpha: uint8 [H, W].
    """
    inverse = cv2.bitwise_not(alpha)
    cv2.add(cv2.multiply(under, cv2.merge([inverse] * 3), scale=1 / 255), over, dst=under)


def blurred(pixels: Pixels, size: tuple[int, int], blocks: int = BLOCKS) -> Pixels:
    """A picture averaged over ``blocks`` along its longer side, drawn up smoothly to ``size`` (width, height)."""
    height, width = pixels.shape[:2]
    shrink = max(height, width) / blocks
    few = (max(1, round(width / shrink)), max(1, round(height / shrink)))
    small = cv2.resize(_thinned(pixels), few, interpolation=cv2.INTER_AREA)
    # Linear steps show as diamonds; cubic ones on the way do not.
    middle = cv2.resize(small, (few[0] * 8, few[1] * 8), interpolation=cv2.INTER_CUBIC)
    smooth = cv2.GaussianBlur(middle, (0, 0), 4)
    return np.asarray(cv2.resize(smooth, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _thinned(pixels: Pixels) -> Pixels:
    """Every n-th pixel of every n-th row, at least 160 of them: enough for averages over a few dozen blocks."""
    step = max(1, min(pixels.shape[:2]) // 160)
    return pixels[::step, ::step]


def _up(landmarks: Floats) -> tuple[npt.NDArray[np.float32], float]:
    """The direction from chin to forehead in the picture (unit length), and the size of the face in pixels.

    A face that nods far is short; it is never taken for smaller than it is wide.
    """
    line = landmarks[_FOREHEAD, :2] - landmarks[_CHIN, :2]
    length = float(np.hypot(*line))
    up = line / length if length > 1e-3 else np.array([0.0, -1.0], np.float32)
    return up.astype(np.float32), max(length, float(np.ptp(landmarks[:, 0])), 1.0)


def _grown(along: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """How much of the margin each point of an outline gets: all at its extremes, less towards the middle."""
    reach = max(float(np.abs(along).max()), 1e-3)
    return np.asarray(np.sqrt(np.minimum(np.abs(along) / reach, 1.0)))


def _shape(pixels: Pixels, landmarks: Floats) -> _Shape | None:
    """Where a head is covered; None outside of the picture."""
    outline, size = head_region(landmarks), _up(landmarks)[1]
    left, top, width, height = box = _box(outline, _AROUND * size, pixels)
    if width <= 0 or height <= 0:
        return None
    mask = _soft_mask(outline - [left, top], (height, width), _SOFT * size)
    whole = np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    middle = (landmarks[_FOREHEAD, 1] + landmarks[_CHIN, 1]) / 2 - top
    return _Shape(box, mask, whole, float(middle))


def _with_others(one: _Shape, others: Sequence[_Shape]) -> Pixels:
    """A head's enlarged mask with those of the others, as far as they reach into its box."""
    taken = one.whole
    for other in others:
        (x, y, *size), (u, v, *reach) = one.box, other.box
        left, top = max(x, u), max(y, v)
        right, bottom = min(x + size[0], u + reach[0]), min(y + size[1], v + reach[1])
        if left < right and top < bottom:
            taken = taken.copy() if taken is one.whole else taken
            part = taken[top - y : bottom - y, left - x : right - x]
            np.maximum(part, other.whole[top - v : bottom - v, left - u : right - u], out=part)
    return taken


def _nearby(pixels: Pixels, one: _Shape, shapes: Sequence[_Shape]) -> npt.NDArray[np.float64]:
    """The mean colour of what no head is in, up to a box's size around the box.

    Where there is nothing but heads: grey for one of several, its own mean colour for one alone.
    """
    heads = np.zeros(pixels.shape[:2], np.uint8)
    for other in shapes:
        part = other.of(heads)
        np.maximum(part, other.whole, out=part)
    left, top, width, height = one.box
    window = np.s_[max(0, top - height) : top + 2 * height, max(0, left - width) : left + 2 * width]
    around = _thinned(pixels[window])[_thinned(heads[window]) == 0]
    if len(around):
        return np.asarray(around.mean(axis=0))
    return np.full(3, 96.0) if len(shapes) > 1 else np.asarray(_thinned(one.of(pixels)).mean(axis=(0, 1)))


def _box(outline: Corners, margin: float, pixels: Pixels) -> Box:
    height, width = pixels.shape[:2]
    low, high = outline.min(axis=0) - margin, outline.max(axis=0) + margin
    left, top = (int(value) for value in np.clip(np.floor(low), 0, [width, height]))
    right, bottom = (int(value) for value in np.clip(np.ceil(high) + 1, 0, [width, height]))
    return left, top, right - left, bottom - top


def _soft_mask(outline: Corners, shape: tuple[int, ...], soft: float) -> Pixels:
    """255 in the outline, fading to 0 over about ``soft`` pixels around it: uint8 of a quarter of ``shape``.

    That is enough for a soft edge, once it is enlarged. The outline is widened by more than the blur and the enlarging
    take off.
    """
    quarter = (max(1, shape[0] // 4), max(1, shape[1] // 4))
    scale = np.array([quarter[1] / shape[1], quarter[0] / shape[0]])
    radius = max(1, round(soft * float(scale.max()) / 2))
    mask = np.zeros(quarter, np.uint8)
    corners = np.asarray(np.round(((outline + 0.5) * scale - 0.5) * 16), np.int32)
    cv2.fillConvexPoly(mask, corners, (255,), lineType=cv2.LINE_8, shift=4)
    wide = 2 * (radius + 2) + 1
    widened = cv2.dilate(mask, np.ones((wide, wide), np.uint8))
    return np.asarray(cv2.blur(widened, (2 * radius + 1, 2 * radius + 1)), np.uint8)


def _surroundings(part: Pixels, mask: Pixels, middle: float) -> Pixels | None:
    """The colours around the masked region, carried into it: uint8 [n, n, 3]; no cell that the mask touches counts.

    None where it touches all of them.
    Below the face's ``middle`` there are neck and clothes rather than the room under the head: they count little.
    """
    cells = (min(_CELLS, part.shape[1]), min(_CELLS, part.shape[0]))
    colours = cv2.resize(_thinned(part), cells, interpolation=cv2.INTER_AREA).astype(np.float32)
    free = (cv2.resize(_thinned(mask), cells, interpolation=cv2.INTER_AREA) == 0).astype(np.float32)
    free[round(max(middle, 0.0) * cells[1] / part.shape[0]) :, (free == 0).any(axis=0)] *= _BODY
    if not free.any():
        return None
    known = np.concatenate([colours, np.ones_like(free)[..., None]], axis=2) * free[..., None]
    wide = cv2.blur(cv2.blur(known, (25, 25)), (25, 25))  # nearly a Gaussian of 10 cells, at a fraction of its cost
    # Sideways more than up and down: at the height of the chin the room is beside the head, the clothes are below it.
    spread = cv2.GaussianBlur(known, (0, 0), sigmaX=5.0, sigmaY=1.5) + 0.01 * wide
    spread += 1e-6 * known.reshape(-1, 4).mean(axis=0)
    carried = spread[..., :3] / spread[..., 3:]
    held, loose = colours * free[..., None], cv2.merge([1 - free] * 3)
    for _ in range(_ROUNDS):
        carried = held + loose * cv2.blur(carried, _REACH, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(carried.clip(0, 255).astype(np.uint8))

"""A picture put together: heads are covered, then portraits are drawn over them. Here by the processor.

What is to be painted is told by the compositors; :mod:`realtime.painting_gpu` paints the same on a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from realtime.covering import blend, cover_heads
from realtime.frames import AnyPortrait, Face, Floats, Frame, Picture, Pixels, Portrait, Transform
from realtime.warping import warp

# A bust fades out over these parts of the portrait's height: on the bare neck in the middle, into the person's own, and
# aside below hair that hangs and above the shoulders; in between over these distances from the middle; and over this
# much of the width at its sides.
_NECK, _ASIDE, _BETWEEN = (0.80, 0.88), (0.86, 0.91), (0.13, 0.23)
_FADE_SIDES = 0.06


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A portrait where it is drawn.

    transform: its pixels to the canvas's. fades: at its lower end and its sides. size: of the face in the canvas.
    """

    portrait: AnyPortrait
    transform: Transform
    fades: bool = False
    opacity: float = 1.0
    size: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Composition:
    """What a picture is made of.

    canvas: uint8 BGR [H, W, 3]. covered: the faces whose heads are covered in it. layers: in their order.
    own: the canvas may be painted on; else it is somebody's, and stays as it is.
    still: it shows nothing of the camera, and the same array is the same picture the next time.
    """

    canvas: Pixels
    covered: Sequence[Face] = ()
    layers: Sequence[Layer] = ()
    own: bool = False
    still: bool = False


class Paints(Protocol):
    """What makes pictures."""

    def paint(self, frame: Frame, composition: Composition) -> Picture:
        """The picture of a frame, perhaps not finished yet. Raises EngineError when the device fails."""


class OnCpu:
    """Paints by the processor; :class:`Paints`."""

    def paint(self, frame: Frame, composition: Composition) -> Picture:
        """See :meth:`Paints.paint`. What is only coded is left out: it would have been drawn by a GPU that failed."""
        canvas = self.covered(composition)
        for layer in composition.layers:
            if isinstance(layer.portrait, Portrait):
                draw(canvas, layer.portrait.pixels, layer.transform, _mask(layer))
        return Picture(frame.frame_id, frame.captured_ns, canvas)

    def covered(self, composition: Composition) -> Pixels:
        """The canvas, or a copy of somebody's, with the heads in it covered; any thread may ask."""
        canvas = composition.canvas if composition.own else composition.canvas.copy()
        cover_heads(canvas, [face.landmarks for face in composition.covered])
        return canvas


def draw(canvas: Pixels, portrait: Pixels, transform: Transform, mask: Pixels | None = None) -> None:
    """Draw a portrait on a picture, in place; what lies outside is left out.

    canvas: uint8 BGR [H, W, 3]. portrait: uint8 BGRA [h, w, 4], straight alpha. transform: portrait to canvas pixels.
    mask: uint8 [h, w], multiplied to the alpha.
    """
    alpha = np.ascontiguousarray(portrait[..., 3])
    if mask is not None:
        alpha = np.asarray(cv2.multiply(alpha, mask, scale=1 / 255), np.uint8)
    left, top, width, height = _reach(alpha, transform, canvas.shape[:2])
    if width <= 0 or height <= 0:
        return
    # Colours are multiplied by alpha before they are interpolated, or the colour of clear pixels would shine through.
    colour = cv2.multiply(portrait, cv2.merge([alpha, alpha, alpha, np.full_like(alpha, 255)]), scale=1 / 255)
    cv2.insertChannel(alpha, colour, 3)
    shifted = transform - [[0, 0, left], [0, 0, top]]
    warped = warp(np.asarray(colour, np.uint8), shifted, (width, height))
    part = canvas[top : top + height, left : left + width]
    over, cover = cv2.cvtColor(warped, cv2.COLOR_BGRA2BGR), cv2.extractChannel(warped, 3)
    blend(part, np.asarray(over, np.uint8), np.asarray(cover, np.uint8))


def _reach(alpha: Pixels, transform: Transform, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The part of a canvas that a portrait's visible pixels touch: left, top, width, height (0 or less: none)."""
    x, y, width, height = cv2.boundingRect(alpha)
    if width == 0:
        return 0, 0, 0, 0
    across, down = [x - 1, x + width], [y - 1, y + height]
    corners = np.array([[u, v, 1] for u in across for v in down]) @ transform.T
    low = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0)) + 1, [shape[1], shape[0]]).astype(int)
    return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


def fade(size: int) -> Floats:
    """How much is seen of each pixel of an overlaid bust: float32 [size, size] of 0..1."""
    at = (np.arange(size) + 0.5) / size
    aside = _smooth((np.abs(at - 0.5) - _BETWEEN[0]) / (_BETWEEN[1] - _BETWEEN[0]))
    first, last = (neck + (low - neck) * aside for neck, low in zip(_NECK, _ASIDE, strict=True))
    down = 1 - _smooth((at[:, None] - first) / (last - first))
    return np.asarray(down * _smooth(np.minimum(at, 1 - at) / _FADE_SIDES), np.float32)


def _smooth(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    clipped = values.clip(0, 1)
    return np.asarray(clipped * clipped * (3 - 2 * clipped))


_FADES: dict[int, Pixels] = {}


def _mask(layer: Layer) -> Pixels | None:
    """What a layer's alpha is multiplied by: uint8 [size, size], or None."""
    size, mask = layer.portrait.edge_px, None
    if layer.fades:
        if size not in _FADES:
            _FADES[size] = np.round(255 * fade(size)).astype(np.uint8)
        mask = _FADES[size]
    if layer.opacity >= 1:
        return mask
    mask = np.full((size, size), 255, np.uint8) if mask is None else mask
    return np.asarray(cv2.convertScaleAbs(mask, alpha=layer.opacity), np.uint8)

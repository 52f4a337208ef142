"""Enlarging a small picture to where it belongs, sharper and faster than ``cv2.warpAffine`` does."""

from __future__ import annotations

import cv2
import numpy as np

from realtime.frames import Pixels, Transform

_MARGIN = 48  # clear pixels around the picture: so many starts and ends there are to choose from
ENLARGED = 1 + 1e-6  # as large and moved, a picture is bilinear: windows would end between pixels only by chance
_NEAR = 0.03  # pixels of the result
_LARGE = 256  # edge of the pictures that are drawn in place as they are, however small
HALVED: Transform = np.array([[2.0, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])  # pixels of a halved picture to its own


def warp(picture: Pixels, transform: Transform, size: tuple[int, int]) -> Pixels:
    """A picture, uint8 [h, w, C], where ``transform`` (its pixels to the result's) puts it: [height, width, C].

    size: width and height of the result. Outside the picture there are zeros.

    A picture that is only moved and enlarged is interpolated by cubics, through ``cv2.resize``, in a twentieth of the
    time of ``warpAffine``. That begins and ends between pixels, so among the windows around the picture the one is
    taken whose edges come to lie between pixels of the result, but for ``_NEAR``, or where there is none as near as can
    be: at most half a pixel off, where the scale is a whole number. Others are bilinear.
    A large picture that becomes half as large or less is halved by means first: bilinear steps would skip pixels.
    """
    for _ in range(halvings(picture.shape[0], picture.shape[1], transform)):
        picture = np.asarray(
            cv2.resize(picture, (picture.shape[1] // 2, picture.shape[0] // 2), interpolation=cv2.INTER_AREA), np.uint8
        )
        transform = transform @ HALVED
    scale = float(transform[0, 0])
    upright = abs(transform[0, 1]) + abs(transform[1, 0]) + abs(transform[1, 1] - scale) < 1e-6
    (across, columns), (down, rows) = (
        _window(scale, float(transform[axis, 2]), picture.shape[1 - axis]) for axis in (0, 1)
    )
    if not upright or scale < ENLARGED:
        flat = cv2.warpAffine(picture, transform, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return np.asarray(flat, np.uint8)
    wide = cv2.copyMakeBorder(picture, *(_MARGIN,) * 4, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
    part = wide[down[0] + _MARGIN : down[1] + _MARGIN, across[0] + _MARGIN : across[1] + _MARGIN]
    large = cv2.resize(part, (columns[1] - columns[0], rows[1] - rows[0]), interpolation=cv2.INTER_CUBIC)
    result = np.zeros((size[1], size[0], picture.shape[2]), np.uint8)
    top, bottom, left, right = max(rows[0], 0), min(rows[1], size[1]), max(columns[0], 0), min(columns[1], size[0])
    if top < bottom and left < right:
        seen = large[top - rows[0] : bottom - rows[0], left - columns[0] : right - columns[0]]
        result[top:bottom, left:right] = seen
    return result


def halvings(height: int, width: int, transform: Transform) -> int:
    """How often a picture is halved by means before ``transform`` puts it where it belongs."""
    count, scale = 0, float(np.hypot(transform[0, 0], transform[1, 0]))
    while height > _LARGE and height % 2 == width % 2 == 0 and scale <= 0.5:
        height, width, scale, count = height // 2, width // 2, scale * 2, count + 1
    return count


def _window(scale: float, shift: float, length: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Along one axis: the source's window and the result's, first pixel and the one after the last."""
    windows = []
    for edges in (-np.arange(1, _MARGIN + 1), length + np.arange(1, _MARGIN + 1)):
        exact = shift + scale * (edges - 0.5) + 0.5
        off = np.abs(exact - np.round(exact))
        near = off <= _NEAR
        best = int(near.argmax() if near.any() else off.argmin())
        windows.append((int(edges[best]), round(float(exact[best]))))
    (start, first), (end, last) = windows
    return (start, end), (first, last)

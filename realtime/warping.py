"""Enlarging a small picture to where it belongs, faster than ``cv2.warpAffine`` does."""

from __future__ import annotations

import cv2
import numpy as np

from realtime.frames import Pixels, Transform

_MARGIN = 16  # clear pixels around the picture: so many starts and ends there are to choose from
_OFF = 0.06  # pixels of the result
_LARGE = 256  # edge of the pictures that are drawn in place as they are, however small
HALVED: Transform = np.array([[2.0, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])  # pixels of a halved picture to its own


def warp(picture: Pixels, transform: Transform, size: tuple[int, int]) -> Pixels:
    """A picture, uint8 [h, w, C], where ``transform`` (its pixels to the result's) puts it: [height, width, C].

    size: width and height of the result. Outside the picture there are zeros; bilinear.

    A picture that is only moved and enlarged goes through ``cv2.resize``, in half of the time. That begins and ends
    between pixels, so among the windows around the picture one is taken whose edges come to lie between pixels of the
    result too, but for ``_OFF``; ``warpAffine`` itself rounds places to 1/32. Where there is none it is used.
    A large picture that becomes half as large or less is halved by means first: bilinear steps would skip pixels.
    """
    for _ in range(halvings(picture.shape[0], picture.shape[1], transform)):
        picture = np.asarray(
            cv2.resize(picture, (picture.shape[1] // 2, picture.shape[0] // 2), interpolation=cv2.INTER_AREA), np.uint8
        )
        transform = transform @ HALVED
    scale = float(transform[0, 0])
    upright = abs(transform[0, 1]) + abs(transform[1, 0]) + abs(transform[1, 1] - scale) < 1e-6
    (across, columns, off_across), (down, rows, off_down) = (
        _window(scale, float(transform[axis, 2]), picture.shape[1 - axis]) for axis in (0, 1)
    )
    if not upright or scale < 1 or max(off_across, off_down) > _OFF:
        flat = cv2.warpAffine(picture, transform, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return np.asarray(flat, np.uint8)
    wide = cv2.copyMakeBorder(picture, *(_MARGIN,) * 4, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
    part = wide[down[0] + _MARGIN : down[1] + _MARGIN, across[0] + _MARGIN : across[1] + _MARGIN]
    large = cv2.resize(part, (columns[1] - columns[0], rows[1] - rows[0]), interpolation=cv2.INTER_LINEAR)
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


def _window(scale: float, shift: float, length: int) -> tuple[tuple[int, int], tuple[int, int], float]:
    """Along one axis: the source's window and the result's, first pixel and the one after the last, and by how many of
    the result's pixels their edges differ at most."""
    windows = []
    for edges in (np.arange(-_MARGIN, 0), np.arange(length + 1, length + _MARGIN + 1)):
        exact = shift + scale * (edges - 0.5) + 0.5
        off = np.abs(exact - np.round(exact))
        best = int(off.argmin())
        windows.append((int(edges[best]), round(float(exact[best])), float(off[best])))
    (start, first, off_first), (end, last, off_last) = windows
    return (start, end), (first, last), max(off_first, off_last)

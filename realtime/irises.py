"""The colour of somebody's eyes: what a crop shows of an iris, and which eye colour that is.

An iris is eight pixels wide in the crop of a head, its pupil black, its rim blurred with skin, and a lamp shines on it.
So what is seen is muddy whatever the eyes are. Brown eyes are as red as the skin in the same light, or redder; light
eyes are not, and how blue they are beside it tells blue from grey and green ones. An avatar gets that colour as it is
painted, not the mud.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# FaceMesh: an iris's centre, its edge, and the rims of the lids around it.
EYES = (
    (468, (469, 470, 471, 472), (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)),
    (473, (474, 475, 476, 477), (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249)),
)
PAINTS = {  # linear RGB, as the heads for training have them
    "dark brown": np.array((0.10, 0.045, 0.018)), "brown": np.array((0.16, 0.085, 0.03)),
    "green": np.array((0.12, 0.21, 0.15)), "grey": np.array((0.17, 0.21, 0.24)), "blue": np.array((0.09, 0.20, 0.42)),
}  # fmt: skip
# Over the people of the test media: red by green, of the iris by the skin, is 0.6 to 0.8 in five with light eyes and
# 0.9 to 2.5 in ten with brown ones; blue by green 0.9 to 1.2 in grey and green ones, 1.4 in the bluest.
_RED, _BLUE = ((0.80, 0.90), (0.0, 1.0)), (0.95, 1.25, 1.8)
_PALE = (0.04, 0.20)  # as light as so much of the skin: dark and light brown
_FINER, _WIDEST, _LEAST = 4, 256, 30  # pixels of the crop are parted in so many; largest radius; fewest pixels of those
# Of the radius that FaceMesh finds, and percentiles of lightness: darker is the pupil, lighter a reflection.
_HUMAN, _BETWEEN = (0.0, 0.85), (40, 85)
_DRAWN, _AMONG_DRAWN = (0.9, 1.4), (30, 70)


def iris_colour(lab: Array, points: Array, drawn: bool = False) -> Array:
    """The Lab colour of the irises in a crop, float64 [3]; not-a-number where the eyes are closed.

    lab: float64 [height, width, 3]. points: the landmarks in its pixels, float64 [478, 2 or more]. drawn: on a drawn
    face, whose pupils are as large as human irises and taken for them.
    """
    ring, between = (_DRAWN, _AMONG_DRAWN) if drawn else (_HUMAN, _BETWEEN)
    seen = [colour for eye in EYES if (colour := _iris(lab, points, *eye, ring, between)) is not None]
    return np.mean(seen, axis=0) if seen else np.full(3, np.nan)


def eye_colour(iris: Array, skin: Array, behind_glasses: bool = False) -> Array:
    """The colour of eyes as they are painted: linear RGB float64 [3] between those of :data:`PAINTS`.

    iris, skin: what is seen of them, linear RGB float64 [3]. Behind glasses, which mirror screens in blue, all are
    brown, as most are.
    """
    beside = (iris + 1e-4) / (skin + 1e-4)
    red, _, blue = beside / beside[1]
    brown = _mixed(float(beside.mean()), _PALE, "dark brown", "brown")
    light = _mixed(float(blue), _BLUE, "green", "grey", "blue")
    share = 1.0 if behind_glasses else np.interp(red, *_RED)
    return np.asarray(share * brown + (1 - share) * light)


def _mixed(value: float, at: tuple[float, ...], *paints: str) -> Array:
    """What lies at ``value`` between the paints, each of which is at its place."""
    return np.array([np.interp(value, at, [PAINTS[name][channel] for name in paints]) for channel in range(3)])


def _iris(
    lab: Array, points: Array, centre: int, edge: tuple[int, ...], lids: tuple[int, ...],
    ring: tuple[float, float], between: tuple[float, float],
) -> Array | None:  # fmt: skip
    """The colour of one iris on a ring, of the lightness between two percentiles; None where too little shows."""
    middle = points[centre, :2]
    radius = float(np.linalg.norm(points[list(edge), :2] - middle, axis=1).mean()) * _FINER
    if not _FINER < radius < _WIDEST:
        return None
    half = round(_DRAWN[1] * radius)
    to_crop = np.column_stack([np.eye(2) / _FINER, middle - half / _FINER])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (2 * half + 1, 2 * half + 1)
    shown = cv2.warpAffine(lab, to_crop, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    between_lids = np.zeros(size, np.uint8)
    rim = np.rint((points[list(lids), :2] - middle) * _FINER + half).astype(np.int32)
    cv2.fillPoly(between_lids, [rim], (1,))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    away = np.hypot(x, y) / radius
    open_ = cv2.erode(between_lids, np.ones((5, 5), np.uint8)) > 0
    inside = shown[open_ & (away >= ring[0]) & (away <= ring[1])]
    if len(inside) < _LEAST:
        return None
    low, high = np.percentile(inside[:, 0], between)
    return np.asarray(inside[(inside[:, 0] >= low) & (inside[:, 0] <= high)].mean(axis=0))

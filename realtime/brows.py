"""How thick somebody's brows are, measured on the picture.

FaceMesh says where a brow runs, but its upper and lower edges stay nearly as far apart in every face. So the picture's
lightness is followed across each brow, and a brow is as thick as its valley at half its depth.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# FaceMesh's upper and lower edge of the brows, from the nose outwards; the inner end is left out, where a frown lies.
_EDGES = (((107, 66, 105, 63), (55, 65, 52, 53)), ((336, 296, 334, 293), (285, 295, 282, 283)))
# How far it is looked below and above a brow's middle, over the distance of the outer eye corners, and in how many
# steps; and between which of these (0.035 below, 0.07 above) a brow is darkest: further down it is the socket's shadow.
_BELOW, _ABOVE, _STEPS = 0.13, 0.16, 59
_LOWEST, _HIGHEST = 19, 40
_SKIN = 85.0  # percentile of what lies above the darkest place that is skin: of a fringe little is
_FAINTEST = 8.0  # depth in lightness from which a valley is a brow
_SOFTEST = 0.05  # a brow's upper edge is sharper, from a quarter to three quarters of its depth; a shadow's is not
_FEWEST = 2  # of six places

# Mean and spread over the 16 people of the test media with brows to be seen (grown-ups alone, by tools/likeness.py
# --proportions: 0.091, 0.014), and of the avatars' attribute.
_PEOPLE, _AVATARS, _MOST_SPREADS = (0.089, 0.0135), (1.0, 0.30), 1.8


def drawn_thickness(seen: float, otherwise: float) -> float:
    """The avatar's ``brow_thickness``, as unusual among avatars as brows that are seen so thick
    (:func:`brow_thickness`) are among people; ``otherwise`` where ``seen`` is not-a-number."""
    if not np.isfinite(seen):
        return otherwise
    spreads = float(np.clip((seen - _PEOPLE[0]) / _PEOPLE[1], -_MOST_SPREADS, _MOST_SPREADS))
    return _AVATARS[0] + _AVATARS[1] * spreads


def brow_thickness(lightness: Array, points: Array) -> float:
    """Over the distance of the outer eye corners, as the median of six places; not-a-number where no brow stands out.

    lightness: float64 [H, W], 0..100. points: the landmarks in its pixels, float64 [478, 2 or 3].
    """
    span = float(np.linalg.norm(points[33, :2] - points[263, :2]))
    if not span > 0:
        return float("nan")
    across = _profiles(lightness, points[:, :2], span)
    found = [thick for thick in map(_valley, across) if np.isfinite(thick)]
    return float(np.median(found)) if len(found) >= _FEWEST else float("nan")


def _profiles(lightness: Array, points: Array, span: float) -> npt.NDArray[np.float32]:
    """The lightness across both brows between their points, from below upwards: float32 [6, steps]."""
    ends = np.array([[points[list(edge)] for edge in edges] for edges in _EDGES])  # [side, upper and lower, 4, 2]
    upper, lower = ((ends[:, i, :-1] + ends[:, i, 1:]).reshape(-1, 2) / 2 for i in (0, 1))
    up = (upper - lower) / np.maximum(np.linalg.norm(upper - lower, axis=1, keepdims=True), 1e-6)
    steps = np.linspace(-_BELOW, _ABOVE, _STEPS) * span
    at = ((upper + lower) / 2)[:, None] + steps[:, None] * up[:, None]
    smooth = cv2.GaussianBlur(lightness.astype(np.float32), (0, 0), 0.7)
    columns, rows = (np.ascontiguousarray(at[..., i], np.float32) for i in (0, 1))
    return np.asarray(cv2.remap(smooth, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _valley(profile: npt.NDArray[np.float32]) -> float:
    """How wide the valley of a profile is at half its depth; not-a-number where it is no brow's: too flat, too soft, or
    deepest next to the eye. A brow that lies on the shadow of its eye has no lower edge, and is twice as thick as it
    is above its darkest place."""
    step = (_BELOW + _ABOVE) / (_STEPS - 1)
    darkest = _LOWEST + int(profile[_LOWEST : _HIGHEST + 1].argmin())
    skin, dark = float(np.percentile(profile[darkest:], _SKIN)), float(profile[darkest])
    if skin - dark < _FAINTEST or darkest == _LOWEST:
        return float("nan")
    rises = [int((profile[darkest:] > dark + part * (skin - dark)).argmax()) for part in (0.25, 0.5, 0.75)]
    if (rises[2] - rises[0]) * step > _SOFTEST:
        return float("nan")
    below = np.flatnonzero(profile[:darkest] > (skin + dark) / 2)
    down = min(darkest - int(below[-1]), 2 * rises[1]) if len(below) else rises[1]
    return step * (rises[1] + down - 1)  # the edges lie half a step before what is bright

"""What a face is doing, read off its landmarks: figures of the face in its own frame, and from them the motion code.

A figure is a distance in the head's frame over the distance of the outer eye corners, so it depends on neither pose nor
size. How far each figure is from the same face at rest, over how far it moves on the drawn head per unit of motion,
gives the motion code: your closed eye closes the avatar's larger eye.

FaceMesh indices; "l" and "r" are left and right in the picture.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engines.motion import LIMITS, MOTION, brows, columns
from realtime.frames import Floats

# What real faces look like at rest: medians over clips, by tools/measure_rest.py.
USUAL: dict[str, float] = {
    "gap": 0.000, "width": 0.551, "corner_l": -0.234, "corner_r": -0.243, "upper": -0.227, "shift": 0.003,
    "lid_l": 0.374, "lid_r": 0.354, "lower_lid_l": -0.037, "lower_lid_r": -0.034,
    "brow_l": 0.294, "brow_r": 0.289, "brows_apart": 0.337, "gaze_x": 0.010, "gaze_y": 0.051,
}  # fmt: skip
FIGURES = tuple(USUAL)
LIDS = (FIGURES.index("lid_l"), FIGURES.index("lid_r"))
_FIXED = FIGURES.index("gap")  # closed lips are closed lips in every face
_CORNERS, _UPPER = [FIGURES.index("corner_l"), FIGURES.index("corner_r")], FIGURES.index("upper")
_BOTH_BROWS, _APART = [FIGURES.index("brow_l"), FIGURES.index("brow_r")], FIGURES.index("brows_apart")

# Motion per change of a figure. The lengths are the drawn head's (tools/face_world/head.h), whose outer eye corners are
# 1.0 apart; the factor before is how much of the movement the avatar takes over: real jaws open wider than its mouth.
_JAW, _SMILE = 1.20 / 0.30, 0.13
MATRIX: dict[str, dict[str, float]] = {
    "jaw_open": {"gap": _JAW},
    "mouth_wide": {"width": 1 / 0.16},
    "corner_l": {"corner_l": 1 / _SMILE, "gap": _JAW * 0.03 / _SMILE},  # an opening jaw takes the corners down with it
    "corner_r": {"corner_r": 1 / _SMILE, "gap": _JAW * 0.03 / _SMILE},
    "lip_upper": {"upper": 0.5 / 0.05, "gap": -0.5 * _JAW * 0.015 / 0.05},
    "mouth_shift": {"shift": 1 / 0.10},
    "eye_l": {"lid_l": 1.35},
    "eye_r": {"lid_r": 1.35},
    "squint_l": {"lower_lid_l": 0.6 / 0.043},
    "squint_r": {"lower_lid_r": 0.6 / 0.043},
    "brow_l": {"brow_l": 1.25 / 0.09},  # larger eyes under them make the same movement look smaller
    "brow_r": {"brow_r": 1.25 / 0.09},
    "furrow": {"brows_apart": -1 / 0.08},
    "gaze_x": {"gaze_x": 1 / 0.25},
    "gaze_y": {"gaze_y": 1 / 0.21},
}
# A raised lip opens the drawn mouth as well, so a smile that shows teeth needs less jaw: as FaceMesh sees it as much as
# a quarter of the jaw's way, and nothing from a jaw on that is open by so much.
_RAISED, _AGAPE = 0.25, 0.8
_MOUTH_BEHIND_NOSE = -0.25  # depth from the nose's base to the mouth's corners (docs/decisions/0086)
_WIDEST = 1.1 / _JAW  # the gap at which the drawn jaw is fully open; what lies beyond does not move the lips further
# How much of the way a face differs from the usual one at rest is its own, and no smile or frown: of corners that hang,
# of brows that lie lower or nearer to each other, of one brow that is higher than the other.
_OWN_CURVE, _OWN_FROWN, _OWN_TILT = 0.25, 0.7, 0.25
# A smile raises the whole mouth and its corners above the upper lip, by at least 1/2.4 of it. A frown is corners below
# that lip, more than a mouth that lies lower, as it does in speech: how much of either, and how much less while the
# mouth is open. An open jaw takes corners below the lip, by so much of the gap (on clips).
_CURVED, _LOWER, _BELOW, _GAPING, _OPEN = 2.4, 0.1, 2.2, 0.38, 0.6
# The drawn corners rest 0.16 up (tools/face_world/head.h), from where a frown has further to go; and on pursed lips,
# which are narrower, that looks like twice the smile.
_FROWN, _PURSED = 1.9, 0.32
# From which yaw on, radians, the lids of both eyes are told as one, and until which each as its own: the far one is
# seen too badly to tell a wink.
_AS_ONE, _EACH = 0.30, 0.10
_SETTLE, _LONGEST = 45.0, 900.0  # frames until a face's own rest outweighs the usual one; frames that rest remembers
_SETTLE_LOW = 4.0  # the same of a mouth that lies low, which would look like a frown until then
# How fast the open eye's figure follows wider and narrower eyes, per frame: while a face is new, and then.
_NEW = 60
_OPEN_NEW, _OPEN_THEN = (0.10, 0.01), (0.02, 0.002)
_AT_EASE = 0.95  # of that, which is nearly the widest, eyes are mostly open
# Lids far down go down more slowly: landmarks of shut ones stand up to an eighth open, of eyes that look down more.
_LOW_LIDS, _SLOWLY = 0.325, 0.85

_LOW, _HIGH = (np.array([LIMITS[name][side] for name in MOTION[3:]]) for side in (0, 1))
_EYES = np.array(columns(("eye_l", "eye_r"))) - 3
_BROWS = np.array(columns(("brow_l", "brow_r"))) - 3
_JAW_OPEN, _UPPER_LIP = (columns((name,))[0] - 3 for name in ("jaw_open", "lip_upper"))
_MOUTH_CORNERS, _WIDE = np.array(columns(("corner_l", "corner_r"))) - 3, columns(("mouth_wide",))[0] - 3
_GAINS = np.array([[MATRIX.get(motion, {}).get(figure, 0.0) for figure in FIGURES] for motion in MOTION[3:]])


def figures(landmarks: Floats, rotation: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The figures of a face, float64 [figures].

    landmarks: float32 [478, 3], frame pixels. rotation: head to camera.
    """
    # In the head's frame: x to the right, y up, z to the camera.
    p = (landmarks.astype(np.float64) * (1.0, -1.0, -1.0)) @ rotation
    p /= max(float(np.linalg.norm(p[263] - p[33])), 1e-6)
    x, y = p[:, 0], p[:, 1]
    line_l, line_r = (y[33] + y[133]) / 2, (y[362] + y[263]) / 2
    # An eye without width, in a face that came out wrong, must not spoil what is remembered with not-a-number.
    width_l, width_r = (max(float(np.linalg.norm(p[a] - p[b])), 0.05) for a, b in ((33, 133), (362, 263)))
    gaze_x = ((x[468] - (x[33] + x[133]) / 2) / width_l + (x[473] - (x[362] + x[263]) / 2) / width_r) / 2
    gaze_y = ((y[468] - line_l) / width_l + (y[473] - line_r) / width_r) / 2
    return np.array(
        [
            *(y[13] - y[14], x[291] - x[61], y[61] - y[2], y[291] - y[2], y[13] - y[2], _aside(p, rotation)),
            *((y[159] - y[145]) / width_l, (y[386] - y[374]) / width_r, y[145] - line_l, y[374] - line_r),
            *(y[[105, 66, 63]].mean() - line_l, y[[334, 296, 293]].mean() - line_r, x[336] - x[107], gaze_x, gaze_y),
        ]
    )


def _aside(p: npt.NDArray[np.float64], rotation: npt.NDArray[np.float64]) -> float:
    """How far the mouth's middle is aside of the nose's base in the head's frame: where it is in the picture, at the
    depth that it has at rest. FaceMesh's own depth would turn a part of the yaw into a mouth that is pushed aside.

    p: the points in the head's frame, float64 [478, 3].
    """
    seen = (rotation @ ((p[61] + p[291]) / 2 - p[2]))[:2] - rotation[:2, 2] * _MOUTH_BEHIND_NOSE
    (a, b), (c, d) = rotation[:2, :2]
    return float((d * seen[0] - b * seen[1]) / max(a * d - b * c, 0.2))  # the inverse; 0.2: hardly a face any more


def _as_one(rotation: npt.NDArray[np.float64]) -> float:
    """How far both eyes are told as one, 0..1, of a head that is turned by ``rotation``."""
    yaw = abs(float(np.arctan2(rotation[2, 0], rotation[2, 2])))
    return min(max((yaw - _EACH) / (_AS_ONE - _EACH), 0.0), 1.0)


def _raised(jaw: float, lip: float) -> float:
    """By how much the jaw is less open since the upper lip is raised."""
    return _RAISED * min(max(lip, 0.0), 1.0) * (1 - min(max(jaw / _AGAPE, 0.0), 1.0))


def change(now: npt.NDArray[np.float64], rest: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How far figures are from rest; lids as a part of the open eye, since eyes differ most in size."""
    difference = now - rest
    difference[..., _FIXED] = np.minimum(difference[..., _FIXED], _WIDEST)
    for lid in LIDS:
        difference[..., lid] = now[..., lid] / np.maximum(rest[..., lid], 0.05) - 1
    return difference


class Rest:
    """The figures of one face at rest, learnt while it is watched, from the usual face on.

    Lids follow the open eye: sooner up than down, so that blinks do not count. The others are running means; but a
    person who frowns or smiles all the time, or keeps a brow raised, is not taken for a face that is made so.
    """

    def __init__(self) -> None:
        self._usual = np.array(list(USUAL.values()))
        self._mean = self._usual.copy()
        self._mean[list(LIDS)] /= _AT_EASE
        self._mouth = self._usual[_UPPER]  # how high it lies
        self.curve = self._curve()  # of the mouth at rest, float64 [2]
        self._count = 0.0

    def watch(self, now: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Take one more frame in; the rest as known so far, float64 [figures]."""
        self._count = min(self._count + 1, _LONGEST)
        lids = [self._open(self._mean[lid], now[lid]) for lid in LIDS]
        self._mean += (now - self._mean) / (self._count + _SETTLE)
        lower = now[_UPPER] < self._mouth  # a smile takes the lip up
        self._mouth += (now[_UPPER] - self._mouth) / (self._count + (_SETTLE_LOW if lower else _SETTLE))
        self._mean[list(LIDS)] = lids
        self._mean[_FIXED] = self._usual[_FIXED]
        known = self._mean.copy()
        self.curve = self._curve()
        known[_CORNERS] = self._mouth + self.curve
        known[_BOTH_BROWS], known[_APART] = self._brows()
        known[list(LIDS)] *= _AT_EASE
        return known

    def _curve(self) -> npt.NDArray[np.float64]:
        """How far corners lie above the upper lip at rest: as usual, and a part of what this face differs by."""
        usual, own = (figure[_CORNERS] - figure[_UPPER] for figure in (self._usual, self._mean))
        return np.asarray(usual + _OWN_CURVE * (own - usual))

    def _brows(self) -> tuple[npt.NDArray[np.float64], float]:
        """The brows at rest and how far they are apart: of how much lower or nearer they lie than usual a part, and all
        of how much higher or farther, since nobody keeps surprised for long."""
        usual, own = self._usual[_BOTH_BROWS], self._mean[_BOTH_BROWS]
        off = own - usual
        level, apart = off.mean(), self._mean[_APART] - self._usual[_APART]
        rise = level if level > 0 else _OWN_FROWN * level
        nearer = apart if apart > 0 else _OWN_FROWN * apart
        return np.asarray(usual + rise + _OWN_TILT * (off - level)), float(self._usual[_APART] + nearer)

    def _open(self, level: float, now: float) -> float:
        up, down = _OPEN_NEW if self._count <= _NEW else _OPEN_THEN
        return float(level + (now - level) * (up if now > level else down))


class MotionReader:
    """From landmarks to the expression part of the motion code, for one person."""

    def __init__(self) -> None:
        self._rest = Rest()

    def read(self, landmarks: Floats, rotation: npt.NDArray[np.float64]) -> Floats:
        """The expression, float32 [motion - 3], of a face whose head is turned by ``rotation``."""
        now = figures(landmarks, rotation)
        changed = change(now, self._rest.watch(now))
        motion = _GAINS @ changed
        motion[_JAW_OPEN] -= _raised(motion[_JAW_OPEN], motion[_UPPER_LIP])
        motion[_EYES] += 1.0
        motion[_BROWS] = brows(motion[_BROWS])
        motion[_EYES] -= (1 - _SLOWLY) * np.minimum(motion[_EYES] - _LOW_LIDS, 0)
        motion[_EYES] = motion[_EYES].clip(min=0)
        motion[_EYES] += _as_one(rotation) * (motion[_EYES].mean() - motion[_EYES])
        motion[_MOUTH_CORNERS] = self._curled(now, motion)
        return np.clip(motion, _LOW, _HIGH).astype(np.float32)

    def _curled(self, now: npt.NDArray[np.float64], motion: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The corners of the mouth, of which ``motion`` has how high they are."""
        high = motion[_MOUTH_CORNERS]
        curve = (now[_CORNERS] - now[_UPPER] - self._rest.curve + _GAPING * now[_FIXED]) / _SMILE
        smile = np.minimum(high, _CURVED * curve).clip(min=0)
        frown = _LOWER * high.clip(max=0) + _BELOW * curve.clip(max=0)
        closed = 1 - _OPEN * min(max(now[_FIXED] / _WIDEST, 0.0), 1.0)
        return np.asarray(smile + _FROWN * closed * frown - _PURSED * min(max(-motion[_WIDE], 0.0), 1.0))

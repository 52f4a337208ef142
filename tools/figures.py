"""Figures of a face and how they are compared: what ``tools/fidelity.py`` measures with.

FaceMesh indices; distances are divided by that of the outer eye corners, 33 to 263; left and right are the person's.

    mouth open    13 to 14                    brow left, right   334 to 386, 105 to 159
    mouth wide    61 to 291                   yaw, pitch, roll   tools/head_angles.py (cv2.solvePnP)
    mouth curve   61 and 291 above 13         gaze               irises between the eye corners, -1 to 1
    eye left      386 to 374 over 362 to 263
    eye right     159 to 145 over 33 to 133
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from realtime.frames import Floats
from tools.head_angles import Series, angles

# Below this spread (standard deviation over a clip) a figure is noise: the tracker's own on a still face.
NOISE = {
    "mouth open": 0.010,
    "mouth wide": 0.010,
    "mouth curve": 0.006,
    "eye left": 0.015,
    "eye right": 0.015,
    "brow left": 0.006,
    "brow right": 0.006,
    "yaw": np.radians(1.5),
    "pitch": np.radians(1.5),
    "roll": np.radians(1.0),
    "gaze": 0.03,
}
FIGURES = tuple(NOISE)
MOST_LAG = 6  # frames either way
STILL = 0.25  # the quietest part of the frames
# Nearly still: the points move by less than a three-hundredth of the eye-corner distance a frame, and did and will for
# AROUND frames; a frame that is quiet by chance within a movement is not.
STILL_SPEED, AROUND = 0.10, 2
FEWEST = 10  # steps: fewer say nothing


def figures(landmarks: Floats) -> Series:
    """The figures of one face (float32 [478, 3], pixels): float64 [11], in the order of FIGURES; angles in radians."""
    points = landmarks[:, :2].astype(np.float64)

    def apart(a: int, b: int) -> float:
        return float(np.linalg.norm(points[a] - points[b]))

    span = max(apart(33, 263), 1e-6)
    return np.array(
        [
            apart(13, 14) / span,
            apart(61, 291) / span,
            _above(points, (61, 291), 13) / span,
            apart(386, 374) / max(apart(362, 263), 1e-6),
            apart(159, 145) / max(apart(33, 133), 1e-6),
            apart(334, 386) / span,
            apart(105, 159) / span,
            *angles(landmarks),
            (_gaze(points, 468, 33, 133) + _gaze(points, 473, 362, 263)) / 2,
        ]
    )


def _above(points: Series, line: tuple[int, int], point: int) -> float:
    """How far the middle of a line from left to right lies above a point, square to it: corners of a smile."""
    left, right = points[list(line)]
    x, y = (right - left) / max(float(np.linalg.norm(right - left)), 1e-6)
    return float(((left + right) / 2 - points[point]) @ (y, -x))


def _gaze(points: Series, iris: int, left: int, right: int) -> float:
    """Where an iris is between its eye's corners (left and right in the picture): -1 left, 0 in the middle, 1 right."""
    line = points[right] - points[left]
    middle = (points[right] + points[left]) / 2
    return float((points[iris] - middle) @ line / max(line @ line, 1e-12) * 2)


def pearson(one: Series, other: Series) -> float:
    """Pearson's r of two series over the frames that both have; NaN for fewer than 3, or when one does not change."""
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < 3 or one[both].std() < 1e-12 or other[both].std() < 1e-12:
        return float("nan")
    return float(np.corrcoef(one[both], other[both])[0, 1])


def lag(source: Series, follower: Series, most: int = MOST_LAG) -> int:
    """By how many frames ``follower`` is late (negative: early), where r is highest; 0 where it is nowhere defined."""

    def at(shift: int) -> float:
        late = np.full_like(follower, np.nan)
        if shift >= 0:
            late[: len(late) - shift] = follower[shift:]
        else:
            late[-shift:] = follower[:shift]
        found = pearson(source, late)
        return found if np.isfinite(found) else -2.0

    return max(range(-most, most + 1), key=lambda shift: (at(shift), -abs(shift)))


def speeds(points: Series, fps: float) -> Series:
    """RMS speed of points [N, P, 2] between frames, in eye-corner distances a second: float64 [N - 1]."""
    span = np.linalg.norm(points[:, 33] - points[:, 263], axis=1)[1:].clip(1e-6)
    moved = np.linalg.norm(np.diff(points, axis=0), axis=2)
    return np.asarray(np.sqrt((moved**2).mean(axis=1)) / span * fps)


def still_steps(points: Series, fps: float) -> npt.NDArray[np.bool_]:
    """Between which frames of points [N, 478, 2] a face is nearly still: bool [N - 1]."""
    squares = speeds(points, fps) ** 2
    result = np.zeros(len(squares), np.bool_)
    for step in range(AROUND, len(squares) - AROUND):
        result[step] = squares[step - AROUND : step + AROUND + 1].mean() < STILL_SPEED**2
    return result


def still_speed(follower: Series, steps: npt.NDArray[np.bool_], fps: float) -> float:
    """RMS speed of ``follower`` [N, 478, 2] over ``steps`` [N - 1]; NaN when it has fewer than FEWEST of them."""
    ours = speeds(follower, fps)[steps]
    ours = ours[np.isfinite(ours)]
    return float(np.sqrt((ours**2).mean())) if len(ours) >= FEWEST else float("nan")


def quiet_speed(source: Series, follower: Series, fps: float) -> float:
    """RMS speed of ``follower`` over the STILL part of the frames in which ``source`` moved least; both [N, P, 2]."""
    theirs, ours = speeds(source, fps), speeds(follower, fps)
    both = np.isfinite(theirs) & np.isfinite(ours)
    if not both.any():
        return float("nan")
    quiet = both & (theirs <= np.quantile(theirs[both], STILL))
    return float(np.sqrt((ours[quiet] ** 2).mean()))

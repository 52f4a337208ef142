"""The head's angles as ``tools/fidelity.py`` measures them, of a person and of an avatar alike: ``cv2.solvePnP`` on a
fixed template.

Which points the template has was chosen by ``tools/measure_angles.py`` on drawn heads of known pose
(docs/decisions/0044): those at the sides of the head, under and beside the nose, on the cheeks and on the chin. What
FaceMesh does with forehead and nose bridge when lids and brows move is not in it. The program reads a person's head off
the same points (``realtime/alignment.py``).

An angle is counted from the mean pose of a whole clip (:func:`turned`). A head whose own zero is off by some degrees of
pitch would otherwise show a part of its yaw as roll.

What FaceMesh does with these points when lids, jaw and mouth move is left over after the fit, and tells by how much the
angles are off: :func:`without_errors` takes that off, for drawn heads alone, by a matrix that ``measure_angles
--calibrate`` found on heads of the face world, whose pose is known (docs/decisions/0089).
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from realtime.alignment import TURN_HEAD, TURN_INDICES, rotation_of, yaw_pitch_roll
from realtime.frames import Floats

Series = npt.NDArray[np.float64]

POINTS, TEMPLATE = TURN_INDICES, TURN_HEAD
ERRORS = Path(__file__).with_name("head_angle_errors.npy")
RIDGE = 1e-3  # of the mean square of what is left over
_FAR = 50.0  # eye-corner distances to the camera: so far away that its lens does not matter
_Y_DOWN = np.diag([1.0, -1.0, -1.0])  # OpenCV's camera: y down, z away


def angles(landmarks: Floats, points: npt.NDArray[np.intp] = POINTS, template: Series = TEMPLATE) -> Series:
    """yaw, pitch, roll in radians (:func:`realtime.alignment.yaw_pitch_roll`), float64 [3], from x and y alone.

    landmarks: float [478, 3], pixels. points, template: other ones, for comparison.
    """
    seen = landmarks[points, :2].astype(np.float64)
    span = max(float(np.linalg.norm(landmarks[33, :2] - landmarks[263, :2])), 1e-6)
    camera = np.array([[_FAR * span, 0, 0], [0, _FAR * span, 0], [0, 0, 1.0]])
    middle = template.mean(axis=0)
    _, turn, _ = cv2.solvePnP(
        (template - middle) @ _Y_DOWN, seen - seen.mean(axis=0), camera, np.zeros(4), flags=cv2.SOLVEPNP_SQPNP
    )
    return np.array(yaw_pitch_roll(_Y_DOWN @ cv2.Rodrigues(turn)[0] @ _Y_DOWN))


def turned(angles: Series) -> Series:
    """How a head has turned from its mean pose over a clip, about the picture's axes.

    angles: yaw, pitch, roll float64 [N, 3], NaN where there was no face; the same comes back.
    """
    there = np.isfinite(angles).all(axis=1)
    result = np.full_like(angles, np.nan)
    if not there.any():
        return result
    rotations = np.array([rotation_of(*(float(angle) for angle in row)) for row in angles[there]])
    left, _, right = np.linalg.svd(rotations.mean(axis=0))  # the rotation nearest to the mean
    mean = left @ np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))]) @ right
    result[there] = [yaw_pitch_roll(rotation @ mean.T) for rotation in rotations]
    return result


def left_over(landmarks: Floats) -> Series:
    """Where the template's points are seen, less where they are in the best view of it: float64 [2 * points], in head
    units, x to the right and y up, turned back by the roll.

    landmarks: float [478, 3], pixels.
    """
    yaw, pitch, roll = (float(angle) for angle in angles(landmarks))
    seen = landmarks[POINTS, :2].astype(np.float64) * (1.0, -1.0)
    upright = (seen - seen.mean(axis=0)) @ rotation_of(0.0, 0.0, roll)[:2, :2]
    view = (TEMPLATE - TEMPLATE.mean(axis=0)) @ rotation_of(yaw, pitch, 0.0)[:2].T
    scale = (upright * view).sum() / (view**2).sum()
    return np.asarray((upright / scale - view).ravel())


def errors_per_left_over(read: Series, told: Series, left: Series) -> Series:
    """The matrix of :func:`without_errors`, float64 [2 * points, 3], by ridge regression.

    read, told: angles [N, 3]; left: [N, 2 * points]; all of them less each person's mean.
    """
    square = left.T @ left
    square += RIDGE * np.trace(square) / len(square) * np.eye(len(square))
    return np.asarray(np.linalg.solve(square, left.T @ (read - told)))


def without_errors(angles: Series, left: Series, matrix: Series | None = None) -> Series:
    """The angles of a drawn head, [N, 3] from the mean pose, without what FaceMesh is known to add: float64 [N, 3].

    left: of the same N pictures of one person, float64 [N, 2 * points], NaN where there was no face.
    """
    there = np.isfinite(angles).all(axis=1)
    if not there.any():
        return angles
    matrix = np.load(ERRORS) if matrix is None else matrix
    off = (left - left[there].mean(axis=0)) @ matrix
    return np.asarray(angles - off)

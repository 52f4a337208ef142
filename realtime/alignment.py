"""The pose of the head and the square around it: :class:`Face` to :class:`Crop`.

Pose: a similarity (scale, rotation, translation) that brings a rigid head to where the tracked points are in the
picture, seen from far away, with least squared error. FaceMesh's depth is left out: it follows lids and brows
(``docs/decisions/0040``). The points that place the skull lie on forehead, nose bridge, eye corners and temples; how it
is turned is read off others (``TURN_INDICES``).

Head frame: x to the picture's right, y up, z to the camera; the middle between the outer eye corners is the origin and
the corners are 1 apart. No rotation means that the face looks straight at the camera.

The square is upright and follows only the place and the scale of the skull: it is hung on a point inside the head
about which heads turn, so that it does not slide when the face looks aside.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from realtime.frames import Crop, Face, Floats, Frame, LateCrop, Pixels, Transform
from realtime.settings import AlignmentSettings

Array = npt.NDArray[np.float64]

# FaceMesh indices of the rigid points: on the middle line, and in pairs (picture's left, picture's right).
MIDDLE = (10, 151, 9, 8, 168, 6, 197, 195, 5)
PAIRS = (
    *((33, 263), (133, 362), (127, 356), (234, 454), (162, 389), (21, 251), (54, 284), (103, 332)),
    *((67, 297), (109, 338), (104, 333), (108, 337), (193, 417), (122, 351), (143, 372)),
)

# Where they are in the head frame: the middle ones, then the right one of each pair. Measured by tools/measure_head.py.
_MIDDLE_AT = (
    *((0.000, 0.624, 0.196), (0.000, 0.440, 0.236), (0.000, 0.251, 0.263)),
    *((0.000, 0.149, 0.248), (0.000, 0.054, 0.245), (0.000, -0.043, 0.291)),
    *((0.000, -0.125, 0.347), (0.000, -0.200, 0.408), (0.000, -0.282, 0.470)),
)
_RIGHT_AT = (
    *((0.500, 0.000, 0.000), (0.193, -0.025, 0.061), (0.768, -0.047, -0.552)),
    *((0.759, -0.212, -0.604), (0.758, 0.128, -0.439), (0.726, 0.271, -0.296)),
    *((0.662, 0.405, -0.159), (0.557, 0.512, -0.017), (0.393, 0.584, 0.106)),
    *((0.213, 0.617, 0.178), (0.511, 0.409, 0.079), (0.188, 0.444, 0.219)),
    *((0.086, 0.040, 0.198), (0.064, -0.060, 0.265), (0.684, -0.051, -0.162)),
)

# How the head is turned is read off other points, at its sides, on cheeks and chin, and under and beside the nose: what
# FaceMesh does with forehead and nose bridge when lids and brows move would be read as pitch (docs/decisions/0044). In
# the same frame: by index on the middle line, then the picture's right and left one of each pair (--points).
_TURN_MIDDLE = {
    94: (0.000, -0.512, 0.351), 2: (0.000, -0.529, 0.302), 19: (0.000, -0.494, 0.439),
    164: (0.000, -0.585, 0.285), 152: (0.000, -1.270, 0.032),
}  # fmt: skip
_TURN_PAIRS = {
    (454, 234): (0.759, -0.212, -0.604), (323, 93): (0.744, -0.378, -0.610),
    (389, 162): (0.758, 0.128, -0.439), (356, 127): (0.768, -0.047, -0.552),
    (361, 132): (0.713, -0.556, -0.583), (288, 58): (0.660, -0.741, -0.519),
    (397, 172): (0.588, -0.889, -0.410), (278, 48): (0.212, -0.431, 0.301),
    (294, 64): (0.215, -0.462, 0.263), (358, 129): (0.235, -0.427, 0.174),
    (327, 98): (0.192, -0.505, 0.214), (393, 167): (0.094, -0.588, 0.277),
    (345, 116): (0.700, -0.195, -0.140), (346, 117): (0.590, -0.193, -0.002),
    (352, 123): (0.689, -0.350, -0.122), (280, 50): (0.540, -0.378, 0.066),
    (425, 205): (0.444, -0.475, 0.123), (411, 187): (0.586, -0.538, -0.011),
    (376, 147): (0.672, -0.498, -0.147), (377, 148): (0.136, -1.256, 0.013),
    (400, 176): (0.240, -1.214, -0.040),
}  # fmt: skip

PIVOT = np.array([0.0, -0.15, -0.60])  # between the ears, about where the head turns on the neck
INDICES = np.array([*MIDDLE, *(index for pair in PAIRS for index in pair)])
HEAD: Array = np.array([*_MIDDLE_AT, *(point for x, y, z in _RIGHT_AT for point in ((-x, y, z), (x, y, z)))])
TURN_INDICES = np.array([*_TURN_MIDDLE, *(index for pair in _TURN_PAIRS for index in pair)])
TURN_HEAD: Array = np.array(
    [*_TURN_MIDDLE.values(), *(point for x, y, z in _TURN_PAIRS.values() for point in ((x, y, z), (-x, y, z)))]
)
_ROUNDS = 3
_Y_UP = np.array([1.0, -1.0, -1.0])  # picture (y down, z away) to camera (y up, z to the camera)
_SHARP_UP_TO = 2.0  # frame pixels per crop pixel that bilinear sampling can skip before it flickers


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """A similarity: ``camera = scale * rotation @ head + translation``.

    rotation: float64 [3, 3]. translation: float64 [3]. Camera: picture pixels, y up, z to the camera.
    """

    scale: float
    rotation: Array
    translation: Array

    def apply(self, head: Array) -> Array:
        """Points of the head frame, float64 [..., 3], in the camera's."""
        return np.asarray(self.scale * head @ self.rotation.T + self.translation)


def fit_pose(head: Array, camera: Array) -> Pose:
    """The pose that brings ``head`` nearest to ``camera``, both float64 [N, 3], N >= 3 and not on one line.

    Centre both; decompose their covariance, U S V^T; R = U D V^T, where D turns a reflection into a rotation;
    scale = trace(S D) / variance of the head; the translation joins the centres (Umeyama 1991, eq. 40 to 43).
    """
    head_centre, camera_centre = head.mean(axis=0), camera.mean(axis=0)
    centred = head - head_centre
    scale, rotation = _turned((camera - camera_centre).T @ centred, float((centred**2).sum()))
    return Pose(scale, rotation, camera_centre - scale * rotation @ head_centre)


def _turned(covariance: Array, variance: float) -> tuple[float, Array]:
    """Scale and rotation [3, 3] from the covariance of camera and head [3, 3] and the head's variance: see fit_pose."""
    left, spread, right = np.linalg.svd(covariance)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    return float((spread * sign).sum()) / variance, left * sign @ right


class _View:
    """Fits a rigid head, float64 [N, 3], to the picture's x and y of its points (``indices`` in FaceMesh)."""

    def __init__(self, indices: npt.NDArray[np.intp], head: Array) -> None:
        self._indices, self._centre = indices, head.mean(axis=0)
        self._centred = head - self._centre
        self._spread = self._centred.T @ self._centred
        self._inverse, self._variance = np.linalg.inv(self._spread), float(np.trace(self._spread))

    def pose(self, landmarks: Floats) -> Pose:
        """Scaled orthography, by x and y alone. First the affine view by linear least squares, whose two rows become
        the nearest part of a rotation (DeMenthon and Davis, "Model-based object pose in 25 lines of code", 1995); then
        the head itself says how deep its points lie, and the pose is fitted to these, ``_ROUNDS`` times. Only the depth
        changes from round to round, so it is enough to know its row of the covariance."""
        camera = landmarks[self._indices].astype(np.float64) * _Y_UP
        centre = camera.mean(axis=0)
        flat = (camera - centre)[:, :2].T @ self._centred  # the covariance's rows of x and y
        left, sizes, right = np.linalg.svd(flat @ self._inverse, full_matrices=False)
        rows = left @ right
        scale, forward = float(sizes.mean()), np.cross(rows[0], rows[1])
        for _ in range(_ROUNDS):
            scale, rotation = _turned(np.vstack([flat, scale * forward @ self._spread]), self._variance)
            forward = rotation[2]
        return Pose(scale, rotation, centre - scale * rotation @ self._centre)


_RIGID, _TURNED = _View(INDICES, HEAD), _View(TURN_INDICES, TURN_HEAD)


def head_pose(landmarks: Floats) -> Pose:
    """Where the skull of a tracked face is, from its landmarks, float32 [478, 3] as in :class:`Face`."""
    return _RIGID.pose(landmarks)


def head_turn(landmarks: Floats) -> Array:
    """How the head of a tracked face is turned: float64 [3, 3], head to camera."""
    return _TURNED.pose(landmarks).rotation


def yaw_pitch_roll(rotation: Array) -> tuple[float, float, float]:
    """The angles in radians of ``rotation = Rz(roll) @ Rx(pitch) @ Ry(yaw)`` (float64 [3, 3], head to camera).

    yaw > 0: the nose points to the picture's right. pitch > 0: the nose points down.
    roll > 0: the head's top leans to the picture's left (counter-clockwise as seen). pitch is in [-pi/2, pi/2].
    """
    pitch = float(np.arcsin(np.clip(rotation[2, 1], -1.0, 1.0)))
    yaw = float(np.arctan2(-rotation[2, 0], rotation[2, 2]))
    roll = float(np.arctan2(-rotation[0, 1], rotation[1, 1]))
    return yaw, pitch, roll


def rotation_of(yaw: float, pitch: float, roll: float) -> Array:
    """The inverse of :func:`yaw_pitch_roll`: float64 [3, 3]."""
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(angle), np.sin(angle)) for angle in (yaw, pitch, roll))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_x @ about_y)


class Aligner:
    """Cuts the square around the head. It has no memory."""

    def __init__(self, settings: AlignmentSettings) -> None:
        self._settings = settings

    def align(self, frame: Frame, face: Face) -> Crop:
        """The crop of ``face`` in ``frame``: pixels, transform and the head's rotation."""
        pose = head_pose(face.landmarks)
        transform = self.square(pose)
        size = self._settings.size_px
        return LateCrop(face, transform, head_turn(face.landmarks), lambda: cut(frame.pixels, transform, size))

    def square(self, pose: Pose) -> Transform:
        """Crop pixels to frame pixels, float64 [2, 3], for a head in ``pose``.

        For a face that looks straight ahead the outer eye corners are ``eye_span`` of the side apart, and their middle
        lies at (0.5, ``eye_line``) of the square.
        """
        size, span = self._settings.size_px, self._settings.eye_span
        step = max(pose.scale / span, 1e-3) / size  # frame pixels per crop pixel
        pivot = pose.apply(PIVOT) * _Y_UP
        eyes = pivot - pose.scale * PIVOT * _Y_UP  # where they would be if the face looked straight ahead
        corner = eyes[:2] - step * size * np.array([0.5, self._settings.eye_line])
        left, top = corner + step * 0.5  # centre of the crop's first pixel; its corner is half a pixel off
        return np.array([[step, 0.0, left], [0.0, step, top]])


def cut(pixels: Pixels, transform: Transform, size: int) -> Pixels:
    """The square [size, size, 3] that ``transform`` (crop to frame) cuts out of a picture; its edges are repeated."""
    step = float(transform[0, 0])
    if step > _SHARP_UP_TO:
        pixels, transform = _reduced(pixels, transform, size)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(pixels, transform, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8)


def _reduced(pixels: Pixels, transform: Transform, size: int) -> tuple[Pixels, Transform]:
    """The part of the picture under the square, averaged over whole blocks, and the transform into that."""
    height, width = pixels.shape[:2]
    block = max(1, min(int(transform[0, 0]), height, width))
    low = np.floor(transform @ [0, 0, 1]) - block
    high = np.ceil(transform @ [size - 1, size - 1, 1]) + block
    left, top = (int(v) for v in np.clip(low, 0, [width - block, height - block]))
    columns = max(1, (int(np.clip(high[0], left + block, width)) - left) // block)
    rows = max(1, (int(np.clip(high[1], top + block, height)) - top) // block)
    part = pixels[top : top + rows * block, left : left + columns * block]
    small = np.asarray(cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    moved: Transform = (transform - np.array([[0, 0, left], [0, 0, top]])) / block
    moved[:, 2] += 0.5 / block - 0.5  # the centre of the first block is not that of its first pixel
    return small, moved

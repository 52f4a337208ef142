"""Colours of a face, read off the picture where the landmarks say what is what."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from realtime.frames import Crop, Face

Colour = npt.NDArray[np.float64]

SKIN = (50, 280, 205, 425, 151, 9, 108, 337)  # FaceMesh: cheeks, beside the nose, forehead
LIPS = (0, 37, 267, 17, 84, 314)
HAIRLINE = (10, 109, 338, 67, 297)
ABOVE = (0.18, 0.24)  # of the face's height
_RADIUS = 3  # crop pixels around each point


def colour_at(face: Face, crop: Crop, points: tuple[int, ...], share: float = 50.0) -> Colour:
    """The colour around landmarks (the ``share``-th percentile of the points) as linear RGB 0..1, float64 [3].

    The display curve of the drawn heads is undone: display = sqrt(1.1 x / (1 + 0.16 x)), ``tools/face_world/world.h``.
    """
    return _typical(crop, face.landmarks[list(points), :2], share)


def hair_colour(face: Face, crop: Crop) -> Colour:
    """The colour just above the forehead, as :func:`colour_at`."""
    top, chin = face.landmarks[10, :2], face.landmarks[152, :2]
    rows = [face.landmarks[list(HAIRLINE), :2] + rise * (top - chin) for rise in ABOVE]
    return _typical(crop, np.concatenate(rows), 50.0)


def _typical(crop: Crop, frame_points: npt.NDArray[np.float32], share: float) -> Colour:
    """The percentile of the median colours of small patches around points of the frame [n, 2]."""
    inverse = np.linalg.inv(crop.transform[:, :2])
    places = (frame_points - crop.transform[:, 2]) @ inverse.T
    size = crop.pixels.shape[0]
    corners = np.clip(np.rint(places).astype(int) - _RADIUS, 0, size - 2 * _RADIUS - 1)
    side = 2 * _RADIUS + 1
    patches = [crop.pixels[y : y + side, x : x + side].reshape(-1, 3) for x, y in corners]
    display = np.percentile(np.median(patches, axis=1), share, axis=0)[::-1] / 255
    return np.asarray(display**2 / (1.1 - 0.16 * display**2))

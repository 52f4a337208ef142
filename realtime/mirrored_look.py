"""A second look at a face: FaceMesh sees the picture's mirror image too, and the mean of both counts.

FaceMesh errs differently on the two, so their mean trembles less and is nearer the truth (docs/decisions/0098).
"""

from __future__ import annotations

import cv2
import numpy as np

from realtime.face_mesh import Mesh, place_of, surroundings
from realtime.frames import Floats, Pixels
from realtime.mirror_points import MIRRORED
from realtime.settings import TrackingSettings

APART = 0.1  # of the face's size: what is further apart is not the same face seen twice


class MirroredLook:
    """Follows one face in mirror images."""

    def __init__(self, settings: TrackingSettings) -> None:
        self._mesh = Mesh(settings, faces=1, follow=True)
        self._following = False

    def averaged(self, rgb: Pixels, points: Floats) -> Floats:
        """The mean of a face's points and those of its mirror image, where that shows the same face; else its points.

        rgb: uint8 [H, W, 3]. points: float32 [478, 3] in its pixels, as :class:`Mesh` gives them.
        """
        image = np.asarray(cv2.flip(rgb, 1), np.uint8)
        if not self._following:  # it is shown which face to follow
            image = surroundings(image, _turned_over(points, rgb.shape[1]))
        found = self._mesh.faces(image)
        other = _turned_over(found[0], rgb.shape[1]) if found else None
        self._following = other is not None and _same(points, other)
        return points if other is None or not self._following else np.asarray((points + other) / 2, np.float32)

    def lost(self) -> None:
        """The face is gone: the next one is shown to the graph anew."""
        self._following = False

    def reset(self) -> None:
        """Forget everything: equal to a new one."""
        self._mesh.reset()
        self._following = False

    def close(self) -> None:
        """Free the graph."""
        self._mesh.close()


def _turned_over(points: Floats, width: int) -> Floats:
    """The points of a face in the mirror image of a picture of that width."""
    other = points[MIRRORED]  # a copy
    other[:, 0] = width - other[:, 0]
    return np.asarray(other, np.float32)


def _same(one: Floats, other: Floats) -> bool:
    apart = np.linalg.norm(one[:, :2] - other[:, :2], axis=1).mean()
    return bool(apart <= APART * float(place_of(one)[2]))

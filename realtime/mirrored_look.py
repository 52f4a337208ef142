"""A second look at a face: FaceMesh sees the picture's mirror image too, and the mean of both counts.

FaceMesh errs differently on the two, so their mean trembles less and is nearer the truth (docs/decisions/0098).
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait

import cv2
import numpy as np

from realtime.face_mesh import Mesh, place_of, surroundings
from realtime.frames import Floats, Pixels
from realtime.mirror_points import MIRRORED
from realtime.settings import TrackingSettings

APART = 0.1  # of the face's size: what is further apart is not the same face seen twice


class MirroredLook:
    """Follows one face in mirror images, on a thread of its own, beside the look at the picture itself."""

    def __init__(self, settings: TrackingSettings) -> None:
        self._mesh = Mesh(settings, faces=1, follow=True)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mirrored look")
        self._looking: Future[list[Floats]] | None = None
        self._following = False

    def begin(self, rgb: Pixels) -> None:
        """Look at the mirror image of ``rgb`` (uint8 [H, W, 3]) beside the caller, if the face was seen in the last."""
        if self._following:
            self._looking = self._thread.submit(lambda: self._mesh.faces(_mirror_image(rgb)))

    def averaged(self, rgb: Pixels, points: Floats | None) -> Floats | None:
        """The mean of a face's points and those of its mirror image, where that shows the same face; else its points.

        rgb: the picture, begun or not. points: float32 [478, 3] in its pixels, as :class:`Mesh` gives them; None
        without a face: the next one is then shown to the graph anew.
        """
        begun, self._looking = self._looking, None
        found = [] if begun is None else begun.result()
        if points is None:
            self._following = False
            return None
        width = rgb.shape[1]
        if begun is None:  # it is shown which face to follow
            found = self._mesh.faces(surroundings(_mirror_image(rgb), _turned_over(points, width)))
        other = _turned_over(found[0], width) if found else None
        self._following = other is not None and _same(points, other)
        return points if other is None or not self._following else np.asarray((points + other) / 2, np.float32)

    def reset(self) -> None:
        """Forget the face, and a look that was begun and not asked for: equal to a new one."""
        if self._looking is not None:
            wait([self._looking])
            self._looking = None
        self._mesh.reset()
        self._following = False

    def close(self) -> None:
        """End the thread and free the graph."""
        self._thread.shutdown()
        self._mesh.close()


def _mirror_image(rgb: Pixels) -> Pixels:
    return np.asarray(cv2.flip(rgb, 1), np.uint8)


def _turned_over(points: Floats, width: int) -> Floats:
    """The points of a face in the mirror image of a picture of that width."""
    other = points[MIRRORED]  # a copy
    other[:, 0] = width - other[:, 0]
    return np.asarray(other, np.float32)


def _same(one: Floats, other: Floats) -> bool:
    apart = np.linalg.norm(one[:, :2] - other[:, :2], axis=1).mean()
    return bool(apart <= APART * float(place_of(one)[2]))

"""Finding and following several faces: :class:`Frame` to the people in it.

One FaceMesh graph for all: it follows the faces it has from picture to picture and runs the detector while it has
fewer than it may, so that somebody new is covered in the first frame in which a detector can see them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from realtime.face_mesh import MIN_SIDE_PX, Mesh, shrunk_rgb, without_chatter
from realtime.faces import Lost, People, Seen
from realtime.frames import Face, Frame
from realtime.settings import TrackingSettings

log = logging.getLogger(__name__)

TOLD_AFTER_NS = 5_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Who is in a frame: those who are seen, and those who should be and are not."""

    seen: tuple[Seen, ...]
    lost: tuple[Lost, ...]


class GroupTracker:
    """Follows up to ``settings.faces`` faces. The same frames always give the same people."""

    def __init__(self, settings: TrackingSettings) -> None:
        with without_chatter():
            self._mesh = Mesh(settings, faces=settings.faces, follow=True)
        self._people = People(settings.faces, settings.forget_ms * 1_000_000)
        self._settled = False
        self._told: set[int] = set()  # of whom the user was told that they are lost

    def track(self, frame: Frame) -> Group:
        """The people in ``frame``. Frames of any size are taken."""
        height, width = frame.pixels.shape[:2]
        faces = [] if min(height, width) < MIN_SIDE_PX else self._faces(frame)
        seen = self._people.see(faces, frame.captured_ns, (width, height))
        lost = self._people.lost(frame.captured_ns)
        self._tell(lost)
        return Group(tuple(seen), tuple(lost))

    def reset(self) -> None:
        """Forget everyone: equal to a new tracker."""
        with without_chatter():
            self._mesh.reset()
        self._people.reset()
        self._told = set()

    def close(self) -> None:
        """Free the graph."""
        self._mesh.close()

    def _tell(self, lost: list[Lost]) -> None:
        """Say once of everyone who is lost for long why the camera is not shown."""
        long = {one.person for one in lost if one.waited_ns > TOLD_AFTER_NS}
        if long - self._told:
            log.warning(
                "somebody who was in the picture is not seen: the camera stays blurred until they are back or leave "
                "over the picture's edge; tracking.forget_ms sets a time after which they are forgotten"
            )
        self._told = (self._told | long) & {one.person for one in lost}

    def _faces(self, frame: Frame) -> list[Face]:
        rgb, shrink = shrunk_rgb(frame.pixels)
        if self._settled:
            found = self._mesh.faces(rgb)
        else:
            with without_chatter():
                found = self._mesh.faces(rgb)
        self._settled = self._settled or bool(found)
        for points in found:  # pixel centres: see realtime.tracking
            points[:, :2] = points[:, :2] * shrink - 0.5
            points[:, 2] *= shrink
        return [Face(frame.frame_id, frame.captured_ns, points, False) for points in found]

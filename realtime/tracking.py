"""Finding the face and following it: :class:`Frame` to :class:`Face` or None.

The tracker is MediaPipe FaceMesh with irises (Grishchenko et al., "Attention Mesh", 2020; Kartynnik et al.,
"Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", 2019), whose models the wheel carries.

Two graphs share the work. The *search* graph looks at every picture anew and may see several faces; one of them is
chosen (the one nearest the last known place, else the largest). The *follow* graph is then shown only the surroundings
of that face once, and from there on follows it from picture to picture without any detection, which costs half as
much.

A third graph follows the same face in the mirror images (``realtime/mirrored_look.py``).
"""

from __future__ import annotations

import numpy as np

from realtime.face_mesh import (
    MIN_SIDE_PX,
    POINTS,
    Mesh,
    is_sound,
    place_of,
    shrunk_rgb,
    surroundings,
    without_chatter,
)
from realtime.frames import Face, Floats, Frame, Pixels
from realtime.mirrored_look import MirroredLook
from realtime.settings import TrackingSettings

JUMP = 1.0  # a face that moves further than this many of its sizes between two frames is another one

__all__ = ["POINTS", "Tracker", "choose", "is_sound", "place_of"]


class Tracker:
    """Follows one face. The same frames always give the same faces."""

    def __init__(self, settings: TrackingSettings) -> None:
        self._settings = settings
        with without_chatter():
            self._follow = Mesh(settings, faces=1, follow=True)
            self._search = Mesh(settings, settings.max_faces, follow=False) if settings.max_faces > 1 else None
            self._mirrored = MirroredLook(settings) if settings.looks != 1 else None
        self._settled = False  # a face has been through the graphs: they have said what they had to say
        self._forget()

    def track(self, frame: Frame) -> Face | None:
        """The face in ``frame``, in its pixels, or None. Frames of any size are taken."""
        if min(frame.pixels.shape[:2]) < MIN_SIDE_PX:
            return self._result(frame, None)
        rgb, shrink = shrunk_rgb(frame.pixels)
        if self._settled:
            points = self._points(rgb, shrink, frame.captured_ns)
        else:
            with without_chatter():
                points = self._points(rgb, shrink, frame.captured_ns)
        if points is None:
            return self._result(frame, None)
        self._settled = True
        # Pixel centres: MediaPipe's 0 is the picture's left edge, ours is the middle of the first pixel.
        points[:, :2] = points[:, :2] * shrink - 0.5
        points[:, 2] *= shrink
        return self._result(frame, points)

    def reset(self) -> None:
        """Forget the face: equal to a new tracker."""
        with without_chatter():
            self._follow.reset()
            if self._search is not None:
                self._search.reset()
            if self._mirrored is not None:
                self._mirrored.reset()
        self._forget()

    def close(self) -> None:
        """Free the graphs."""
        self._follow.close()
        if self._search is not None:
            self._search.close()
        if self._mirrored is not None:
            self._mirrored.close()

    def _forget(self) -> None:
        self._following = False
        self._lost = True
        self._place: Floats | None = None  # centre x, y and size of the last face, in frame pixels
        self._place_ns = 0

    def _points(self, rgb: Pixels, shrink: float, now_ns: int) -> Floats | None:
        """The face in pixels of ``rgb``, as both looks have it."""
        if self._mirrored is None:
            return self._seen(rgb, shrink, now_ns)
        self._mirrored.begin(rgb)
        return self._mirrored.averaged(rgb, self._seen(rgb, shrink, now_ns))

    def _seen(self, rgb: Pixels, shrink: float, now_ns: int) -> Floats | None:
        """The followed face, or else the one that a search chooses, in pixels of ``rgb``."""
        if self._search is None or self._following:
            followed = self._follow.faces(rgb)
            if followed or self._search is None:
                return followed[0] if followed else None
        faces = self._search.faces(rgb)
        if not faces:
            return None
        remembered = self._place is not None and now_ns - self._place_ns <= self._settings.max_lost_ms * 1_000_000
        chosen = choose(faces, None if self._place is None or not remembered else (self._place + 0.5) / shrink)
        seeded = self._follow.faces(surroundings(rgb, chosen))
        self._following = bool(seeded)
        return seeded[0] if seeded else chosen

    def _result(self, frame: Frame, points: Floats | None) -> Face | None:
        if points is None:
            self._following = False
            self._lost = True
            return None
        place = place_of(points)
        jumped = self._place is None or float(np.hypot(*(place - self._place)[:2])) > JUMP * float(place[2])
        fresh = self._lost or jumped
        self._lost, self._place, self._place_ns = False, place, frame.captured_ns
        return Face(frame.frame_id, frame.captured_ns, points, fresh)


def choose(faces: list[Floats], near: Floats | None) -> Floats:
    """The face nearest the place ``near`` (:func:`place_of`), or the largest one when that is None."""
    if near is None:
        return max(faces, key=lambda points: float(place_of(points)[2]))
    return min(faces, key=lambda points: float(np.hypot(*(place_of(points) - near)[:2])))

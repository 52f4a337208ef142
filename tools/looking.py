"""FaceMesh as an instrument: it looks at a picture and at its mirror image, and the mean of both counts.

FaceMesh errs differently on the two; the mean has about a sixth less error in yaw and roll on heads of known pose
(docs/decisions/0044). People and avatars are looked at alike.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from realtime.face_mesh import place_of
from realtime.frames import Face, Floats, Frame, Portrait, Transform
from realtime.painting import draw
from realtime.settings import TrackingSettings
from realtime.tracking import Tracker
from tools.mirror_points import MIRRORED

VIEW_PX = 512
GREY = 150
APART = 0.1  # of the face's size: what is further apart is not the same face seen twice


class Looker:
    """Looks at one series of pictures."""

    def __init__(self, settings: TrackingSettings) -> None:
        self._plain, self._mirror = Tracker(settings), Mirror(settings)

    def reset(self) -> None:
        """Forget the face."""
        self._plain.reset()
        self._mirror.reset()

    def look(self, frame: Frame) -> Floats | None:
        """The landmarks of the face in a picture, float32 [478, 3]; None without one."""
        face = self._plain.track(frame)
        return self._mirror.averaged(frame, face)

    def close(self) -> None:
        """Free the graphs."""
        self._plain.close()
        self._mirror.close()


class Mirror:
    """Adds the look at the mirror image to faces that are tracked already."""

    def __init__(self, settings: TrackingSettings) -> None:
        self._tracker = Tracker(settings)

    def reset(self) -> None:
        """Forget the face."""
        self._tracker.reset()

    def averaged(self, frame: Frame, face: Face | None) -> Floats | None:
        """The mean of a face's landmarks and those of its mirror image; alone where that shows another face or none."""
        pixels = np.ascontiguousarray(frame.pixels[:, ::-1])
        seen = self._tracker.track(Frame(frame.frame_id, frame.captured_ns, pixels))
        if face is None or seen is None:
            return None if face is None else face.landmarks
        other = seen.landmarks[MIRRORED] * np.array([-1, 1, 1], np.float32)
        other[:, 0] += frame.pixels.shape[1] - 1
        apart = np.linalg.norm(other[:, :2] - face.landmarks[:, :2], axis=1).mean()
        if apart > APART * float(place_of(face.landmarks)[2]):
            return face.landmarks
        return np.asarray((face.landmarks + other) / 2, np.float32)

    def close(self) -> None:
        """Free the graph."""
        self._tracker.close()


def on_grey(portrait: Portrait) -> tuple[npt.NDArray[np.uint8], Transform]:
    """A portrait on plain grey, uint8 BGR [512, 512, 3], and the way from its pixels to those of the frame."""
    step = VIEW_PX / portrait.pixels.shape[0]
    view = np.full((VIEW_PX, VIEW_PX, 3), GREY, np.uint8)
    draw(view, portrait.pixels, np.array([[step, 0, step / 2 - 0.5], [0, step, step / 2 - 0.5]]))
    back = np.array([[1 / step, 0, 0.5 / step - 0.5], [0, 1 / step, 0.5 / step - 0.5], [0, 0, 1]])
    return view, portrait.transform @ back

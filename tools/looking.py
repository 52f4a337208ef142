"""FaceMesh as an instrument: people and avatars are looked at alike, each picture and its mirror image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from realtime.frames import Floats, Frame, Portrait, Transform
from realtime.painting import draw
from realtime.tracking import Tracker

VIEW_PX = 512
GREY = 150


def look(tracker: Tracker, frame: Frame) -> Floats | None:
    """The landmarks of the face in a picture, float32 [478, 3]; None without one."""
    face = tracker.track(frame)
    return None if face is None else face.landmarks


def on_grey(portrait: Portrait) -> tuple[npt.NDArray[np.uint8], Transform]:
    """A portrait on plain grey, uint8 BGR [512, 512, 3], and the way from its pixels to those of the frame."""
    step = VIEW_PX / portrait.pixels.shape[0]
    view = np.full((VIEW_PX, VIEW_PX, 3), GREY, np.uint8)
    draw(view, portrait.pixels, np.array([[step, 0, step / 2 - 0.5], [0, step, step / 2 - 0.5]]))
    back = np.array([[1 / step, 0, 0.5 / step - 0.5], [0, 1 / step, 0.5 / step - 0.5], [0, 0, 1]])
    return view, portrait.transform @ back

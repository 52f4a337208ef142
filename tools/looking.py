"""FaceMesh as an instrument: people and avatars are looked at alike, each picture and its mirror image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from realtime.frames import Floats, Frame, Portrait, Transform
from realtime.identity_studio import VIEW_PX, on_paper
from realtime.tracking import Tracker


def look(tracker: Tracker, frame: Frame) -> Floats | None:
    """The landmarks of the face in a picture, float32 [478, 3]; None without one."""
    face = tracker.track(frame)
    return None if face is None else face.landmarks


def on_grey(portrait: Portrait) -> tuple[npt.NDArray[np.uint8], Transform]:
    """A portrait on plain grey, uint8 BGR [512, 512, 3], and the way from its pixels to those of the frame.

    Enlarged bilinearly, as all figures were measured: in a picture enlarged as on air FaceMesh trembles a little more.
    """
    step = VIEW_PX / portrait.pixels.shape[0]
    back = np.array([[1 / step, 0, 0.5 / step - 0.5], [0, 1 / step, 0.5 / step - 0.5], [0, 0, 1]])
    return on_paper(portrait.pixels, VIEW_PX), portrait.transform @ back

"""The square that photographic models were trained on: :class:`Face` to :class:`Crop`.

Eyes and mouth corners define it (``engines.ffhq_alignment``); it turns with the head. How near the square of FaceMesh's
points comes to that of the 68 points which the training pictures were cut by is measured in docs/checkpoints.md.
"""

from __future__ import annotations

import numpy as np

from engines.encoders_config import INPUT_PX
from engines.ffhq_alignment import anchors_from_478, crop_transform, live_crop, quad_from_anchors
from realtime.frames import Crop, Face, Frame


class PhotographicAligner:
    """Cuts the square out of frames. It has no memory."""

    def align(self, frame: Frame, face: Face) -> Crop:
        """The crop of ``face``; its ``rotation`` tells the roll alone, which is all that the square follows."""
        quad = quad_from_anchors(anchors_from_478(face.landmarks))
        transform = crop_transform(quad, INPUT_PX)
        pixels = live_crop(frame.pixels, quad, INPUT_PX)
        cosine, sine = transform[0, 0], -transform[1, 0]  # y points up in the camera's frame
        turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
        turn[:2] /= max(float(np.hypot(cosine, sine)), 1e-9)
        return Crop(face.frame_id, face.captured_ns, pixels, transform, turn)

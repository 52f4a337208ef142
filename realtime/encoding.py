"""The encoder: (:class:`Face`, :class:`Crop`) to :class:`Latent`.

Who it is (W+) is estimated from the crop (skin and lips by their colour there) and averaged over many frames, so that
the avatar's nose does not change when you blink; what it does (the motion code) is read off the landmarks in every
frame.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engines.attributes import ATTRIBUTES, column, decided
from engines.bundled import LAYERS, BundledModel
from engines.motion import LIMITS, POSE
from realtime.colours import LIPS, SKIN, colour_at, hair_colour
from realtime.expression import MotionReader
from realtime.frames import Crop, Face, Floats, Latent
from realtime.settings import EncodingSettings

_SKIN, _LIPS, _HAIR = ([column(f"{part}_{c}") for c in "rgb"] for part in ("skin", "lip", "hair"))
_LIT = 75.0  # skin is what the better lit parts of the face show
# Where the tracker sees a real head look straight ahead, it sees a drawn one that is turned alike look 5 degrees down:
# mean over clips, docs/decisions/0040.
_LEVEL = np.radians(5.0)
_LEVELLED = np.array([[1, 0, 0], [0, np.cos(_LEVEL), np.sin(_LEVEL)], [0, -np.sin(_LEVEL), np.cos(_LEVEL)]])
_FRONTAL = 0.35  # radians from the camera at which a frame counts for e^-1/2 of a frontal one


def pose(rotation: npt.NDArray[np.float64]) -> Floats:
    """The drawn head's yaw, pitch, roll in radians, float32 [3], within what the generator was trained on.

    rotation: the real head's, head to camera, as in ``realtime.frames.Crop``.
    """
    rotation = rotation @ _LEVELLED
    angles = (
        np.arctan2(-rotation[2, 0], rotation[2, 2]),
        np.arcsin(np.clip(rotation[2, 1], -1.0, 1.0)),
        np.arctan2(-rotation[0, 1], rotation[1, 1]),
    )
    return np.array([np.clip(a, *LIMITS[name]) for a, name in zip(angles, POSE, strict=True)], np.float32)


class Encoder:
    """Codes faces for the bundled model. Remembers one person: their face at rest, and who they are."""

    def __init__(self, model: BundledModel, settings: EncodingSettings) -> None:
        self._model, self._settings = model, settings
        self.reset()

    def reset(self) -> None:
        """Forget the person."""
        self._motion = MotionReader()
        self._sum = np.zeros(len(ATTRIBUTES), np.float64)
        self._weight, self._frames = 0.0, 0
        self._w: Floats | None = None

    def encode(self, face: Face, crop: Crop) -> Latent:
        """The code of one frame."""
        head = pose(crop.rotation)
        if self._frames < self._settings.identity_frames:
            self._look(face, crop, float(np.exp(-(head[:2] @ head[:2]) / (2 * _FRONTAL**2))))
        assert self._w is not None  # set by the first look
        motion = np.concatenate([head, self._motion.read(face.landmarks, crop.rotation)])
        wplus = np.repeat(self._w, LAYERS, axis=0)
        return Latent(face.frame_id, face.captured_ns, wplus, motion, crop.transform, face.fresh)

    def _look(self, face: Face, crop: Crop, weight: float) -> None:
        """Take one more crop into the estimate of who it is."""
        (attributes,) = self._model.encoder.infer(crop.pixels[None])
        seen = attributes[0].astype(np.float64)
        seen[_SKIN] = colour_at(face, crop, SKIN, _LIT)
        seen[_LIPS] = colour_at(face, crop, LIPS)
        seen[_HAIR] = hair_colour(face, crop)
        self._sum += weight * seen
        self._weight += weight
        self._frames += 1
        mean = dict(zip(ATTRIBUTES, (float(v) for v in self._sum / self._weight), strict=True))
        person = np.array([list(decided(mean).values())], np.float32)
        self._w = self._model.mapping.infer(person)[0].copy()

"""The encoder: (:class:`Face`, :class:`Crop`) to :class:`Latent`.

Who it is (W+) is estimated over many frames (``realtime.identity``), so that the avatar's nose does not change when you
blink, or is the avatar that is worn; what it does (the motion code) is read off the landmarks in every frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from engines.attributes import ATTRIBUTES
from engines.bundled import LAYERS, BundledModel
from engines.motion import LIMITS, MOTION, POSE
from realtime.expression import MotionReader
from realtime.frames import Crop, Face, Floats, Latent
from realtime.identity import IdentityEstimator
from realtime.identity_cues import look
from realtime.settings import EncodingSettings

# Where the tracker sees a real head look straight ahead, it sees a drawn one that is turned alike look 5 degrees down:
# mean over clips, docs/decisions/0040.
_LEVEL = np.radians(5.0)
LEVELLED = np.array([[1, 0, 0], [0, np.cos(_LEVEL), np.sin(_LEVEL)], [0, -np.sin(_LEVEL), np.cos(_LEVEL)]])

# Who it is is looked at in the first frames with a face, and then in every third one: a look costs a quarter of a
# frame's time or more, and a second of stuttering is what everybody would see first. But for the very first one, which
# everything waits for, another thread looks while the frame is drawn; what it finds is worn from the next frame on.
_AT_ONCE, _EVERY = 4, 3
_LOOKING = ThreadPoolExecutor(1, thread_name_prefix="identity")

# By how many degrees the tracker takes a head for turned when only its mouth moves: per unit of the motion code, by
# tools/measure_angles.py on heads of known pose and tools/measure_roll.py on real ones (docs/decisions/0086, 0103).
SEEMS_TURNED: dict[str, dict[str, float]] = {
    "yaw": {"mouth_shift": 1.5},
    "roll": {"mouth_shift": 2.0, "corner_r": 0.8, "corner_l": -0.8},
}
_SEEMS = np.radians([[SEEMS_TURNED.get(angle, {}).get(name, 0.0) for name in MOTION[len(POSE) :]] for angle in POSE])


def pose(rotation: npt.NDArray[np.float64], expression: Floats) -> Floats:
    """The drawn head's yaw, pitch, roll in radians, float32 [3], within what the generator was trained on.

    rotation: the real head's, head to camera, as in ``realtime.frames.Crop``. expression: the motion code without its
    angles, float32 [motion - 3].
    """
    rotation = rotation @ LEVELLED
    angles = (
        np.arctan2(-rotation[2, 0], rotation[2, 2]),
        np.arcsin(np.clip(rotation[2, 1], -1.0, 1.0)),
        np.arctan2(-rotation[0, 1], rotation[1, 1]),
    )
    angles = np.array(angles) - _SEEMS @ expression
    return np.array([np.clip(a, *LIMITS[name]) for a, name in zip(angles, POSE, strict=True)], np.float32)


class Encoder:
    """Codes faces for the bundled model. Remembers one person: their face at rest, and who they are.

    worn: the attributes of an avatar to be (``realtime.avatars``); None: the person's own. offset: what inversion adds
    to their code, float32 [layers, dim].
    """

    def __init__(
        self,
        model: BundledModel,
        settings: EncodingSettings,
        worn: Mapping[str, float] | None = None,
        offset: Floats | None = None,
    ) -> None:
        self._model = self._wanted = model
        self._settings, self._worn = settings, worn
        self._offset = np.float32(0) if offset is None else offset
        self.reset()

    def reset(self) -> None:
        """Forget the person; an avatar stays worn."""
        self._motion = MotionReader()
        self._identity, self._frames = IdentityEstimator(), 0
        self._looking: Future[tuple[Mapping[str, float], Floats]] | None = None
        self._who = self._worn
        self._w: Floats | None = None if self._who is None else self._code(self._who)

    def dress(self, model: BundledModel) -> None:
        """The same person by another style's model (``realtime.dressing``), from the next frame on.

        Any thread may ask.
        """
        self._wanted = model

    def encode(self, face: Face, crop: Crop) -> Latent:
        """The code of one frame. Raises what the last look raised."""
        if self._looking is not None:
            looking, self._looking = self._looking, None
            self._who, self._w = looking.result()
        if self._model is not self._wanted:
            self._model = self._wanted
            self._w = None if self._who is None else self._code(self._who)
        if self._worn is None and len(self._identity) < self._settings.identity_frames:
            if self._w is None:
                self._who, self._w = self._look(self._identity, face, crop)
            elif self._frames < _AT_ONCE or self._frames % _EVERY == 0:
                self._looking = _LOOKING.submit(self._look, self._identity, face, crop)
            self._frames += 1
        assert self._w is not None  # worn, or set by the first look
        expression = self._motion.read(face.landmarks, crop.rotation)
        motion = np.concatenate([pose(crop.rotation, expression), expression])
        wplus = np.repeat(self._w, LAYERS, axis=0) + self._offset
        return Latent(face.frame_id, face.captured_ns, wplus, motion, crop.transform, face.fresh)

    def _look(self, identity: IdentityEstimator, face: Face, crop: Crop) -> tuple[Mapping[str, float], Floats]:
        """Take one more frame into who it is; their attributes and W."""
        (attributes,) = self._model.encoder.infer(crop.pixels[None])
        identity.add(look(face, crop, attributes[0]))
        who = identity.estimate()
        return who, self._code(who)

    def _code(self, attributes: Mapping[str, float]) -> Floats:
        """W of a person, float32 [1, dim]."""
        person = np.array([[attributes[name] for name in ATTRIBUTES]], np.float32)
        return self._model.mapping.infer(person)[0].copy()

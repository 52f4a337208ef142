"""A person's proportions, as FaceMesh sees them, and the avatar's that go with them.

An avatar is as unusual among drawn heads as its person is among people: where on the scale of people's proportions,
there on the scale of drawn ones.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from realtime.identity_cues import FIGURES

Array = npt.NDArray[np.float64]
Attributes = dict[str, float]

# Mean and spread of the proportions over the people of the test media, by tools/likeness.py --proportions.
PEOPLE: dict[str, tuple[float, float]] = {
    "face_length": (1.895, 0.118), "jaw_width": (0.774, 0.018), "chin": (0.431, 0.021), "cheeks": (0.703, 0.018),
    "forehead": (0.632, 0.037), "nose_length": (0.518, 0.032), "nose_width": (0.457, 0.032),
    "eye_size": (0.314, 0.007), "eye_distance": (0.388, 0.014), "eye_tilt": (0.028, 0.007),
    "brow_height": (0.227, 0.043), "brow_arch": (0.067, 0.009), "lip_thickness": (0.174, 0.032),
    "mouth_width": (0.554, 0.074), "eye_open": (0.210, 0.045), "philtrum": (0.155, 0.032),
    "chin_length": (0.317, 0.064),
}  # fmt: skip
# The avatar's own mean and spread of the attribute of the same name (tools/face_world/sampling.py).
AVATARS: dict[str, tuple[float, float]] = {
    "face_length": (1.0, 0.065), "jaw_width": (1.0, 0.075), "chin": (1.0, 0.21), "cheeks": (1.0, 0.135),
    "forehead": (0.2, 0.45), "nose_length": (1.0, 0.16), "nose_width": (1.0, 0.19), "eye_size": (1.0, 0.075),
    "eye_distance": (1.0, 0.05), "eye_tilt": (0.05, 0.06), "brow_height": (0.4, 0.22), "brow_arch": (0.6, 0.28),
    "lip_thickness": (1.0, 0.28), "mouth_width": (1.0, 0.10),
}  # fmt: skip
_MOST_SPREADS = 1.8  # no avatar is more unusual than this
# Of a drawn face: the share of its width that the jaw has, how much less of it a feminine one has, and how much more
# one of twice the jaw's width or of twice the chin, all by FaceMesh.
_JAW, _HER_JAW, _WIDER, _ITS_CHIN = 0.787, 0.042, 0.11, 0.022


def unusual(figures: Array) -> Array:
    """How far each proportion is from people's mean, in spreads: float64 [figures]."""
    mean, spread = np.array([PEOPLE[name] for name in FIGURES]).T
    return np.asarray((figures - mean) / spread)


def proportioned(unusual: Array) -> Attributes:
    """The avatar's shape for a person's proportions, given in spreads from people's mean [figures]."""
    result = {}
    for name, spreads in zip(FIGURES, unusual, strict=True):
        if name in AVATARS:
            mean, spread = AVATARS[name]
            result[name] = mean + spread * float(np.clip(spreads, -_MOST_SPREADS, _MOST_SPREADS))
    return result


def jaw_width(unusual: Array, femininity: float, chin: float) -> float:
    """The avatar's jaw, given how unusual a person's proportions are. Drawn jaws are narrow on feminine faces and over
    small chins by themselves, which people's proportions would only double: what is wanted is the share of the face's
    width that the person's has."""
    usual, spread = PEOPLE["jaw_width"]
    seen = usual + spread * float(unusual[FIGURES.index("jaw_width")])
    mean, spread = AVATARS["jaw_width"]
    beyond = (seen - _JAW + _HER_JAW * femininity - _ITS_CHIN * (chin - 1)) / _WIDER
    return mean + float(np.clip(beyond, -_MOST_SPREADS * spread, _MOST_SPREADS * spread))

"""Who someone is, from many frames: the evidence of each (``realtime.identity_cues``) weighed and joined.

    estimator = IdentityEstimator()
    estimator.add(look(face, crop, network))        # frame by frame
    attributes = estimator.estimate()               # every attribute of the model, decided

Colours are measured, and so are glasses (a line across the bridge of the nose that no nose has, in the mean picture of
all frames), whether hair hangs beside the jaw and whether lip and chin are bare. Proportions become those of the
avatar by how unusual they are among people: as far from its mean, in standard deviations. What cannot be measured so
(hair style, beard, age, clothes) is the encoder network's, as weighted means over the frames, and so is the hair of
faces that are drawn.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from engines.attributes import ATTRIBUTES, GEAR_FROM, HAIR_STYLES, PERSONAL, decided
from realtime.brows import drawn_thickness
from realtime.identity_cues import COLOURS, FIGURES, Look, bridge_edge, linear_rgb
from realtime.irises import eye_colour
from realtime.proportions import jaw_width, proportioned, unusual
from realtime.said_colours import PARTS, circumstances, to_say

Array = npt.NDArray[np.float64]
Attributes = dict[str, float]

MOST_LOOKS = 240  # the best ones of a long watch are kept
GLASSES_EDGE = 0.95  # of ``bridge_edge``
BESIDE_JAW = 0.16  # share from which hair counts as long
_LONG, _STEEPNESS, _MOST_ODDS = ("hair_bob", "hair_long", "hair_wavy", "hair_braids"), 30.0, 30.0

DARKEST = 0.003  # of what a linear colour is said to be
_GREENEST, _PALEST = 68.0, 88.0  # degrees of hue and lightness in Lab; people before cameras: 24 to 62, up to 86
_BLACK, _DYED = 28.0, 18.0  # lightness of black hair in a lit room, chroma of dark hair that is dyed blue or violet
_BROWN = 8.0, 0.6, 18.0  # lightness, and by how much it rises with chroma, below which drawn hair can only be black
_OLDER = 0.09  # by so much the network takes real grown-ups for older than 0.35, at the mean over the same people
_INHUMAN = 1.7  # root mean square of spreads above which a face is a drawn one, whose proportions say nothing

# How much each proportion speaks for a feminine look, per spread: fitted on the same people (docs/likeness.md).
_FEMININE = {
    "face_length": -0.095, "jaw_width": 0.057, "chin_length": -0.052, "cheeks": 0.087, "forehead": 0.035,
    "nose_length": -0.052, "nose_width": -0.100, "eye_size": 0.075, "eye_distance": -0.033,
    "eye_tilt": 0.069, "brow_height": -0.020, "brow_arch": 0.095, "lip_thickness": -0.104, "mouth_width": 0.018,
    "eye_open": 0.036, "philtrum": -0.083,
}  # fmt: skip
# How often a style is worn, masculine and feminine, as the heads for training are drawn.
_WORN = {
    "hair_bald": (0.08, 0.01), "hair_buzz": (0.13, 0.02), "hair_short": (0.20, 0.07), "hair_side_part": (0.17, 0.03),
    "hair_quiff": (0.15, 0.01), "hair_curly": (0.12, 0.09), "hair_afro": (0.06, 0.08), "hair_bob": (0.01, 0.15),
    "hair_long": (0.04, 0.15), "hair_wavy": (0.02, 0.14), "hair_bun": (0.03, 0.09), "hair_ponytail": (0.01, 0.10),
    "hair_braids": (0.01, 0.07),
}  # fmt: skip
_EVEN = 0.08  # of styles that are not in that table
_BEARDS, _BEARD_ON_HER = ("beard", "goatee", "moustache", "stubble"), 0.95
# Of the lightness of skin: hair below the first shows on it; 9 in 10 drawn moustaches and beards are below 0.78.
_DARK_HAIR, _SHAVEN = 0.6, 0.8
# Short dark hair on real faces is taken for a buzz cut, and, though there is hair above the forehead, for a bald head.
_TAKEN_FOR, _BARE = 0.2, 0.5
_TURTLENECK = 0.75  # of ``collar``: of real clothes the network says about a hood's 0.5, whatever they are
_HANGING = 0.5  # share of the forehead under a fringe; the network sees none on real faces


class IdentityEstimator:
    """Collects looks at one person. The order of the looks does not matter until there are more than MOST_LOOKS."""

    def __init__(self) -> None:
        self._looks: list[Look] = []
        self._sharp: list[float] = []  # how much the surroundings of the eyes change from row to row

    def __len__(self) -> int:
        return len(self._looks)

    @property
    def looks(self) -> tuple[Look, ...]:
        """The looks that count."""
        return tuple(self._looks)

    def add(self, look: Look) -> None:
        """Take one frame's evidence in; of too many the least frontal ones are forgotten."""
        self._looks.append(look)
        self._sharp.append(float(np.abs(np.diff(look.eyes, axis=0)).mean()))
        if len(self._looks) > MOST_LOOKS:
            least = min(range(len(self._looks)), key=lambda number: self._looks[number].weight)
            del self._looks[least], self._sharp[least]

    def estimate(self) -> Attributes:
        """Every attribute of the person, decided. Raises ValueError before the first look."""
        if not self._looks:
            raise ValueError("nobody was looked at yet; wanted at least one look")
        weights = self._weights()
        network = np.average([look.network for look in self._looks], axis=0, weights=weights)
        result = dict.fromkeys(ATTRIBUTES, 0.0)
        result.update(zip(PERSONAL, (float(value) for value in network), strict=True))
        hat = max(result["hat_beanie"], result["hat_cap"]) > GEAR_FROM
        unusual = self._unusual(weights)
        human = float(np.sqrt(np.mean(unusual**2))) < _INHUMAN
        glasses = self.glasses_edge() > GLASSES_EDGE
        # Of the colour above the forehead.
        beside = math.nan if hat else self._typical([look.beside_jaw for look in self._looks])
        if human:
            result.update(proportioned(unusual))
            result["age"] = max(result["age"] - _OLDER, 0.0)
            result["femininity"] = self._femininity(weights, unusual, beside, result["femininity"])
            result["jaw_width"] = jaw_width(unusual, result["femininity"], result["chin"])
            result["brow_thickness"] = drawn_thickness(self.brows(), result["brow_thickness"])
            result.update(bearded(result, *self._shaven(weights)))
            bare = float(np.average([look.bare for look in self._looks], weights=weights))
            result.update(styled(result, beside, bare))
            result["collar"] = float(result["collar"] > _TURTLENECK)
            hanging = float(np.average([look.fringe for look in self._looks], weights=weights))
            result["fringe"] = max(result["fringe"], float(hanging > _HANGING and not hat))
        else:  # of drawn faces, which it was trained on, the network knows the hair better than all of this
            best = max(HAIR_STYLES, key=lambda name: result[name])
            result.update({name: float(name == best) for name in HAIR_STYLES})
        result.update(self._colours(hat, human, glasses, circumstances(decided(result))))
        square = result["glasses_square"] > result["glasses_round"]  # the network's word
        result.update(glasses_round=float(glasses and not square), glasses_square=float(glasses and square))
        return decided(result)

    def colour(self, name: str) -> Array:
        """The Lab colour of a part (``identity_cues.COLOURS``) as it is seen over the frames, float64 [3].

        Not-a-number where no frame shows it.
        """
        return self._median(np.array([look.colours[name] for look in self._looks]))

    def _median(self, seen: Array) -> Array:
        """Over the frames that show something, [frames, k] to [k]; not-a-number where none does."""
        weights = self._weights()
        known = np.isfinite(seen).all(axis=1)
        return weighted_median(seen[known], weights[known]) if known.any() else np.full(seen.shape[1], np.nan)

    def _typical(self, seen: list[float]) -> float:
        """The median over the frames that show something; not-a-number where none does."""
        return float(self._median(np.array(seen)[:, None])[0])

    def _lit(self) -> Array:
        """Lab of the better lit skin over the frames."""
        return self._median(np.array([look.lit for look in self._looks]))

    def glasses_edge(self) -> float:
        """``bridge_edge`` of the mean picture of all frames: eyes move, glasses do not."""
        mean = np.average([look.eyes for look in self._looks], axis=0, weights=self._weights())
        return bridge_edge(np.asarray(mean, np.float32))

    def brows(self) -> float:
        """How thick the brows are (``realtime.brows``); not-a-number where no frame tells."""
        return self._typical([look.brows for look in self._looks])

    def _weights(self) -> Array:
        """How much each look counts: by how frontal and how sharp it is; never nothing."""
        relative = np.array(self._sharp) / max(float(np.median(self._sharp)), 1e-6)
        return np.array([look.weight for look in self._looks]) * np.clip(relative, 0.25, 1.0) + 1e-6

    def _colours(self, hat: bool, human: bool, glasses: bool, around: Array) -> Attributes:
        """The measured colours; above the forehead of somebody with a hat is the hat, and the hair is the network's.

        around: the :func:`circumstances` that the avatar will be drawn in.
        """
        parts = dict(zip(COLOURS, ("skin", "lip", "gear" if hat else "hair", "iris", "cloth"), strict=True))
        labs = {part: self.colour(name) for name, part in parts.items()}
        labs["skin"] = as_skin(labs["skin"])
        if "hair" in labs:
            labs["hair"] = as_hair(labs["hair"])
        said = {part: linear_rgb(lab) for part, lab in labs.items() if np.isfinite(lab).all()}
        said.update(to_say({part: said[part] for part in PARTS if part in said}, around))
        eyes = said.pop("iris", None)
        drawn = self._median(np.array([look.drawn_eyes for look in self._looks]))
        if human and eyes is not None:
            said["iris"] = eye_colour(eyes, linear_rgb(self._lit()), glasses)
        elif not human and np.isfinite(drawn).all():
            said["iris"] = linear_rgb(drawn)
        result = {
            f"{part}_{c}": float(np.clip(value, DARKEST, 1.0))
            for part, colour in said.items()
            for c, value in zip("rgb", colour, strict=True)
        }
        return result | ({"grey": 0.0} if "hair" in said else {})  # what is grey is in the colour as it was seen

    def _unusual(self, weights: Array) -> Array:
        """How far each proportion is from people's mean, in spreads, float64 [figures]."""
        return unusual(weighted_median(np.array([look.figures for look in self._looks]), weights))

    def _shaven(self, weights: Array) -> tuple[bool, bool]:
        """Whether upper lip and chin are seen to be skin. Of hair that is nearly as light as skin nothing is told."""
        light = weighted_median(np.array([(look.upper_lip, look.chin) for look in self._looks]), weights)
        dark = self.colour("hair")[0] < _DARK_HAIR * self._lit()[0]
        return bool(dark and light[0] > _SHAVEN), bool(dark and light[1] > _SHAVEN)

    def _femininity(self, weights: Array, unusual: Array, beside: float, network: float) -> float:
        """0 to 1 from proportions, how red the lips are against the skin, hair beside the jaw, and the network."""
        redder = np.array([look.colours["lips"][1] - look.lit[1] for look in self._looks])
        lips = float(weighted_median(redder[:, None], weights)[0])
        shape = sum(_FEMININE.get(name, 0.0) * value for name, value in zip(FIGURES, unusual, strict=True)) + 0.26
        score = float(np.clip(shape / 0.27, -2, 2)) + float(np.clip((lips - 7.6) / 1.9, -2, 2))
        if math.isfinite(beside):
            score += float(np.clip((beside - 0.135) / 0.10, -2, 3))
        score += float(np.clip(2 * (network - 0.5), -1, 1))
        return 1 / (1 + math.exp(-0.8 * score))


def as_skin(lab: Array) -> Array:
    """A colour that skin can have near ``lab``, Lab float64 [3]: under odd light a camera sees it green, or white."""
    hue, most = math.atan2(lab[2], lab[1]), math.radians(_GREENEST)
    a, b = lab[1], lab[2]
    if abs(hue) > most:
        chroma = math.hypot(a, b)
        a, b = chroma * math.cos(most), math.copysign(chroma * math.sin(most), b)
    return np.array([min(lab[0], _PALEST), a, b])


def as_hair(lab: Array) -> Array:
    """The colour of hair that is seen as ``lab``, Lab float64 [3]: black hair has the light's, dyed hair more; and what
    is brown in deep shade is brown."""
    chroma = math.hypot(lab[1], lab[2])
    if lab[0] < _BLACK and lab[2] < 0 and chroma < _DYED:
        return np.array([lab[0], 0.0, 0.0])
    return np.array([max(lab[0], min(_BROWN[0] + _BROWN[1] * chroma, _BROWN[2])), *lab[1:]])


def bearded(attributes: Attributes, lip: bool, chin: bool) -> Attributes:
    """The beard's amounts, nothing where it is seen that there is none, or where it is too unsure.

    lip, chin: whether they are as light as skin while the hair is not: nostrils look like moustaches to the network.
    Hardly anybody who looks feminine has a beard (the heads for training never do), so there the network must be surer
    than ``decided`` wants it.
    """
    feminine = min(max(attributes["femininity"], 0.0), 1.0)
    wanted = _BEARD_ON_HER * max(2 * feminine - 1, 0.0)
    kept = {name: attributes[name] if attributes[name] > wanted else 0.0 for name in _BEARDS}
    return kept | ({"moustache": 0.0} if lip else {}) | ({"goatee": 0.0, "beard": 0.0} if chin else {})


def styled(attributes: Attributes, beside_jaw: float, bare: float) -> Attributes:
    """The likelihood of each hair style, summing to 1: the network's, hair beside the jaw, and who wears what.

    bare: share of the places above the forehead that look like skin.
    """
    feminine = min(max(attributes["femininity"], 0.0), 1.0)
    feminine = feminine**2 / (feminine**2 + (1 - feminine) ** 2)
    long = 1.0
    if math.isfinite(beside_jaw):
        long = min(max(math.exp(_STEEPNESS * (beside_jaw - BESIDE_JAW)), 1 / _MOST_ODDS), _MOST_ODDS)
    taken_for = {"hair_buzz": _TAKEN_FOR, "hair_bald": _TAKEN_FOR if bare < _BARE else 1.0}
    scores = {}
    for name in HAIR_STYLES:
        his, hers = _WORN.get(name, (_EVEN, _EVEN))
        worn = (his * (1 - feminine) + hers * feminine) / ((his + hers) / 2)
        # The network is surer of itself than it is right on real faces: its odds are halved in logarithm, and who wears
        # what counts twice, because it takes hair that is tied up for very short hair.
        scores[name] = math.sqrt(max(attributes[name], 1e-4)) * worn**2 * (long if name in _LONG else 1.0)
        scores[name] *= taken_for.get(name, 1.0)
    total = sum(scores.values())
    return {name: score / total for name, score in scores.items()}


def weighted_median(values: Array, weights: Array) -> Array:
    """The median of each column of [n, k] with weights [n] > 0: float64 [k]."""
    order = np.argsort(values, axis=0, kind="stable")
    passed = np.cumsum(weights[order], axis=0)
    middle = (passed >= 0.5 * weights.sum()).argmax(axis=0)
    return np.asarray(np.take_along_axis(values, order, axis=0)[middle, np.arange(values.shape[1])])

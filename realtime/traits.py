"""The traits of an avatar in words that people use, and the model's attributes that they stand for.

    hair = "bob", hair-colour = "#6a3300", glasses = "round", hat = "beanie", age = 0.35, jaw-width = 1.04, ...

A trait is a choice (one of some words), a colour (``#rrggbb`` as it is seen in plain light) or an amount (a number
within a range). Attributes are those of ``engines.attributes``; the light and the drawing style are not part of a
person. Every attribute that stands in no choice and no colour is an amount of its own name, with hyphens.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from engines.attributes import ATTRIBUTES, GEAR, HAIR_STYLES, LIGHT
from realtime.errors import UsageError
from realtime.settings import unknown

Value = str | float
Attributes = Mapping[str, float]

HAIR = tuple(name.removeprefix("hair_").replace("_", "-") for name in HAIR_STYLES)
GLASSES = ("none", "round", "square")
BEARDS = ("none", "stubble", "moustache", "goatee", "full")
CLOTHES = ("crew", "hood", "turtleneck")
HATS = ("none", "beanie", "cap")
HEADPHONES = ("none", "on")
CHOICES: dict[str, tuple[str, ...]] = {
    "hair": HAIR,
    "glasses": GLASSES,
    "beard": BEARDS,
    "clothes": CLOTHES,
    "hat": HATS,
    "headphones": HEADPHONES,
}
COLOURS: dict[str, str] = {  # the attribute's first part by the trait
    "skin": "skin",
    "hair-colour": "hair",
    "eyes": "iris",
    "lips": "lip",
    "clothes-colour": "cloth",
    "glasses-colour": "frame",
    "gear-colour": "gear",
}
BEARD_LENGTH = "beard-length"
_BEARD = ("beard", "goatee", "moustache", "stubble")
_TAKEN = {
    *HAIR_STYLES, *_BEARD, *LIGHT, "glasses_round", "glasses_square", "collar", *GEAR,
    *(f"{part}_{c}" for part in COLOURS.values() for c in "rgb"),
}  # fmt: skip

# What the face world draws: the lowest, the usual and the highest amount. Amounts that are not here go from 0 to 1.
_RANGES: dict[str, tuple[float, float, float]] = {
    "face_length": (0.86, 1.0, 1.14), "jaw_width": (0.82, 1.0, 1.18), "chin": (0.5, 1.0, 1.5),
    "cheeks": (0.7, 1.0, 1.3), "forehead": (-0.8, 0.2, 1.2), "nose_length": (0.65, 1.0, 1.35),
    "nose_width": (0.55, 1.0, 1.45), "nose_tip": (0.65, 1.0, 1.35), "eye_size": (0.82, 1.0, 1.18),
    "eye_distance": (0.9, 1.0, 1.1), "eye_tilt": (-0.1, 0.05, 0.2), "ear_size": (0.7, 1.0, 1.3),
    "brow_height": (-0.1, 0.4, 0.9), "brow_arch": (-0.1, 0.6, 1.3), "brow_thickness": (0.3, 1.0, 1.7),
    "lip_thickness": (0.4, 1.0, 1.6), "mouth_width": (0.8, 1.0, 1.2), "age": (0.0, 0.35, 1.0),
    "femininity": (0.0, 0.5, 1.0),
}  # fmt: skip
_USUAL_COLOURS = {
    "skin": "#e0bda7",
    "hair-colour": "#553d2c",
    "eyes": "#5c7589",
    "lips": "#cc8a84",
    "clothes-colour": "#5c8fb7",
    "glasses-colour": "#2d2d30",
    "gear-colour": "#404447",
}
# The light that an avatar is drawn in: that of a portrait, from above and a little from the side.
PORTRAIT_LIGHT: dict[str, float] = {
    "light_x": -0.30,
    "light_y": 0.55,
    "light_z": 0.8,
    "light_warmth": 0.1,
    "exposure": 1.05,
}


def in_portrait_light(attributes: Attributes) -> dict[str, float]:
    """The same person in the light that avatars are drawn in."""
    return {**attributes, **PORTRAIT_LIGHT}


@dataclass(frozen=True, slots=True)
class Amount:
    """A trait that is a number from ``low`` to ``high``; ``usual`` where nothing is known."""

    attribute: str
    low: float
    usual: float
    high: float


def _amounts() -> dict[str, Amount]:
    found = {BEARD_LENGTH: Amount("", 0.3, 0.9, 1.3)}
    for name in ATTRIBUTES:
        if name not in _TAKEN and not name.startswith("domain_"):
            found[name.replace("_", "-")] = Amount(name, *_RANGES.get(name, (0.0, 0.0, 1.0)))
    return found


AMOUNTS = _amounts()
TRAITS: tuple[str, ...] = (*CHOICES, *COLOURS, *AMOUNTS)


def usual(trait: str) -> Value:
    """What a trait is where nothing is known about the person."""
    if trait in AMOUNTS:
        return AMOUNTS[trait].usual
    return _USUAL_COLOURS[trait] if trait in COLOURS else "short" if trait == "hair" else CHOICES[trait][0]


def checked(trait: str, value: object) -> Value:
    """``value`` (of a file, or text of a command) as the trait wants it.

    Raises UsageError for unknown traits and values that do not fit, with what was wanted.
    """
    if trait not in TRAITS:
        raise unknown("trait", trait, TRAITS)
    if trait in CHOICES:
        words = CHOICES[trait]
        if isinstance(value, str) and value.replace("_", "-") in words:
            return value.replace("_", "-")
        raise UsageError(f"{trait} is {shown(value)}; wanted one of {', '.join(words)}")
    if trait in COLOURS:
        return _checked_colour(trait, value)
    amount = AMOUNTS[trait]
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, (int, float, str)) else float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if not amount.low <= number <= amount.high:
        raise UsageError(f"{trait} is {shown(value)}; wanted a number from {amount.low:g} to {amount.high:g}")
    return round(number, 4)


def together(traits: Mapping[str, Value]) -> None:
    """Raises UsageError for traits that cannot be worn together: a hat and headphones."""
    hat, headphones = traits.get("hat", "none"), traits.get("headphones", "none")
    if hat != "none" and headphones != "none":
        raise UsageError(f"hat is {hat!r} and headphones are on; an avatar wears one: set hat=none or headphones=none")


def over(guessed: Mapping[str, Value], asked: Mapping[str, Value]) -> dict[str, Value]:
    """What was guessed with what was asked for over it: a hat takes guessed headphones off and the reverse."""
    result = {**guessed, **asked}
    for one, other in (("hat", "headphones"), ("headphones", "hat")):
        if asked.get(one, "none") != "none" and other not in asked:
            result[other] = "none"
    return result


def _checked_colour(trait: str, value: object) -> str:
    found = re.fullmatch(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})", value) if isinstance(value, str) else None
    if found is None:
        raise UsageError(f"{trait} is {shown(value)}; wanted a colour, #rrggbb or #rgb, for example #6a3")
    digits = found[1].lower()
    return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))


def assignment(text: str) -> tuple[str, Value]:
    """``trait=value`` as a pair. Raises UsageError."""
    trait, equals, value = (part.strip() for part in text.partition("="))
    if not (trait and equals and value):
        raise UsageError(f"{shown(text)} is not understood; wanted trait=value, for example hair=bob")
    trait = trait.lower().replace("_", "-").replace("color", "colour")
    return trait, checked(trait, value)


def shown(value: object) -> str:
    """A value from outside in a message: its own notation, cut short."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def to_attributes(traits: Mapping[str, Value]) -> dict[str, float]:
    """All attributes of a person with these traits (the usual ones where one is missing), in portrait light.

    Attributes of the drawing style are 0. ``traits`` as :func:`checked` gives them.
    """
    full = {trait: traits.get(trait, usual(trait)) for trait in TRAITS}
    result = {**dict.fromkeys(ATTRIBUTES, 0.0), **PORTRAIT_LIGHT}
    result["hair_" + str(full["hair"]).replace("-", "_")] = 1.0
    if full["glasses"] != "none":
        result[f"glasses_{full['glasses']}"] = 1.0
    if full["hat"] != "none":
        result[f"hat_{full['hat']}"] = 1.0
    result["headphones"] = float(full["headphones"] == "on")
    result["collar"] = CLOTHES.index(str(full["clothes"])) / 2
    result.update(_beard(str(full["beard"]), float(full[BEARD_LENGTH])))
    for trait, part in COLOURS.items():
        result.update({f"{part}_{c}": v for c, v in zip("rgb", linear(str(full[trait])), strict=True)})
    result.update({amount.attribute: float(full[trait]) for trait, amount in AMOUNTS.items() if amount.attribute})
    return result


def _beard(kind: str, length: float) -> dict[str, float]:
    if kind == "none":
        return {}
    if kind == "stubble":
        return {"stubble": min(length, 1.0)}
    if kind == "moustache":
        return {"moustache": length}
    return {"goatee" if kind == "goatee" else "beard": length, "moustache": min(length, 1.0)}


def from_attributes(attributes: Attributes) -> dict[str, Value]:
    """The traits of decided attributes (``engines.attributes.decided``); amounts are kept within their ranges."""
    style = max(HAIR_STYLES, key=lambda name: attributes[name])
    result: dict[str, Value] = {"hair": style.removeprefix("hair_").replace("_", "-")}
    worn = max(("round", "square"), key=lambda kind: attributes[f"glasses_{kind}"])
    result["glasses"] = worn if attributes[f"glasses_{worn}"] > 0.5 else "none"
    hat = max(HATS[1:], key=lambda kind: attributes[f"hat_{kind}"])
    result["hat"] = hat if attributes[f"hat_{hat}"] > 0.5 else "none"
    result["headphones"] = "on" if attributes["headphones"] > 0.5 else "none"
    kind = next((name for name in _BEARD if attributes[name] > 0), "none")
    result["beard"] = "full" if kind == "beard" else kind
    result["clothes"] = CLOTHES[min(max(round(2 * attributes["collar"]), 0), 2)]
    for trait, part in COLOURS.items():
        red, green, blue = (attributes[f"{part}_{c}"] for c in "rgb")
        result[trait] = display((red, green, blue))
    for trait, amount in AMOUNTS.items():
        value = attributes[amount.attribute] if amount.attribute else attributes.get(kind, 0.0) or amount.usual
        result[trait] = round(min(max(float(value), amount.low), amount.high), 4)
    return result


def linear(colour: str) -> tuple[float, float, float]:
    """``#rrggbb`` as seen to linear RGB 0..1, by the display curve of the drawn heads (``tools/face_world/world.h``):
    display = sqrt(1.1 x / (1 + 0.16 x))."""
    red, green, blue = ((int(colour[i : i + 2], 16) / 255) ** 2 for i in (1, 3, 5))
    return red / (1.1 - 0.16 * red), green / (1.1 - 0.16 * green), blue / (1.1 - 0.16 * blue)


def display(rgb: tuple[float, float, float]) -> str:
    """The inverse of :func:`linear`; values outside 0..1 are cut off."""
    seen = (math.sqrt(1.1 * x / (1 + 0.16 * x)) for x in (min(max(value, 0.0), 1.0) for value in rgb))
    return "#" + "".join(f"{round(255 * min(value, 1.0)):02x}" for value in seen)

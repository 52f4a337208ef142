"""People made up: traits that go together, from a seed."""

from __future__ import annotations

import random

from realtime.traits import AMOUNTS, Value, display

_SKINS = ((0.92, 0.66, 0.52), (0.86, 0.56, 0.41), (0.72, 0.43, 0.28), (0.50, 0.27, 0.16), (0.29, 0.145, 0.085))
_HAIRS = (
    *((0.020, 0.014, 0.012), (0.055, 0.028, 0.016), (0.14, 0.065, 0.030), (0.27, 0.13, 0.05)),
    *((0.60, 0.40, 0.16), (0.40, 0.09, 0.025), (0.55, 0.10, 0.35), (0.10, 0.25, 0.60), (0.05, 0.42, 0.36)),
)
_IRISES = ((0.10, 0.045, 0.018), (0.16, 0.085, 0.03), (0.09, 0.20, 0.42), (0.07, 0.21, 0.10), (0.17, 0.21, 0.24))
_MASCULINE = ("buzz", "short", "short", "side-part", "side-part", "quiff", "curly", "afro", "bald", "long")
_FEMININE = ("bob", "bob", "long", "long", "wavy", "wavy", "bun", "ponytail", "curly", "afro", "short")
_SHAPE = (
    *("face-length", "jaw-width", "chin", "cheeks", "forehead", "nose-length", "nose-width", "nose-tip", "eye-size"),
    *("eye-distance", "eye-tilt", "ear-size", "brow-height", "brow-arch", "brow-thickness", "lip-thickness"),
    "mouth-width",
)


def random_traits(seed: int) -> dict[str, Value]:
    """A person; the same for the same seed."""
    r = random.Random(seed)
    feminine = r.random() < 0.5
    age = r.uniform(0.22, 0.55) if r.random() < 0.75 else r.uniform(0.55, 0.95)
    skin = _mixed(r, r.choice(_SKINS), r.choice(_SKINS))
    bearded = not feminine and r.random() < 0.45
    result: dict[str, Value] = {
        "hair": r.choice(_FEMININE if feminine else _MASCULINE),
        "hair-colour": display(_mixed(r, *[r.choice(_HAIRS)] * 2)),
        "skin": display(skin),
        "lips": display((skin[0] * 0.8, skin[1] * 0.5, skin[2] * 0.52)),
        "eyes": display(r.choice(_IRISES)),
        "glasses": r.choice(("round", "square")) if r.random() < 0.25 else "none",
        "beard": r.choice(("stubble", "moustache", "goatee", "full", "full")) if bearded else "none",
        "beard-length": round(r.uniform(0.5, 1.2), 2),
        "clothes": r.choice(("crew", "crew", "hood", "turtleneck")),
        "clothes-colour": display((r.uniform(0.03, 0.7), r.uniform(0.03, 0.7), r.uniform(0.03, 0.7))),
        **_gear(r, feminine),
        "age": round(age, 2),
        "femininity": round(r.uniform(0.8, 1.0) if feminine else r.uniform(0.0, 0.2), 2),
        "grey": round(min(max((age - 0.55) * 2.2, 0.0), 1.0), 2),
    }
    for trait in _SHAPE:
        amount = AMOUNTS[trait]
        value = r.gauss(amount.usual, (amount.high - amount.low) / 6)
        result[trait] = round(min(max(value, amount.low), amount.high), 3)
    return result


def _gear(r: random.Random, feminine: bool) -> dict[str, Value]:
    """Something on the head now and then, earrings, freckles."""
    worn = r.choices(("", "beanie", "cap", "headphones"), (0.7, 0.08, 0.07, 0.15))[0]
    dark, colour = r.random() < 0.5, tuple(r.uniform(0.03, 0.6) for _ in range(3))
    return {
        "hat": worn if worn in ("beanie", "cap") else "none",
        "headphones": "on" if worn == "headphones" else "none",
        "gear-colour": display((0.04, 0.04, 0.045) if dark else (colour[0], colour[1], colour[2])),
        "earrings": float(r.random() < (0.4 if feminine else 0.08)),
        "freckles": round(r.uniform(0.3, 1.0), 2) if r.random() < 0.2 else 0.0,
    }


def _mixed(r: random.Random, a: tuple[float, ...], b: tuple[float, ...]) -> tuple[float, float, float]:
    share = r.random()
    red, green, blue = (x + (y - x) * share for x, y in zip(a, b, strict=True))
    return red, green, blue

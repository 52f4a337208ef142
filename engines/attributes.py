"""The attributes of a person and the light that the bundled mapping network takes, in order.

``tools/face_world/params.h`` says what each means. Colours are linear RGB.
"""

from __future__ import annotations

SHAPE = (
    *("face_length", "jaw_width", "chin", "cheeks", "forehead", "nose_length", "nose_width", "nose_tip", "eye_size"),
    *("eye_distance", "eye_tilt", "ear_size", "brow_height", "brow_arch", "brow_thickness", "lip_thickness"),
    *("mouth_width", "age", "femininity", "beard", "goatee", "moustache", "stubble", "glasses_round"),
    *("glasses_square", "glasses_frame", "make_up", "fringe", "collar", "freckles", "hat_beanie", "hat_cap"),
    *("headphones", "earrings"),
)
HAIR_STYLES = (
    *("hair_bald", "hair_buzz", "hair_short", "hair_side_part", "hair_quiff", "hair_curly", "hair_afro", "hair_bob"),
    *("hair_long", "hair_wavy", "hair_bun", "hair_ponytail", "hair_braids"),
)
GEAR = ("hat_beanie", "hat_cap", "headphones")
COLOURS = (
    *("skin_r", "skin_g", "skin_b", "hair_r", "hair_g", "hair_b", "iris_r", "iris_g", "iris_b"),
    *("lip_r", "lip_g", "lip_b", "cloth_r", "cloth_g", "cloth_b", "frame_r", "frame_g", "frame_b", "grey"),
    *("gear_r", "gear_g", "gear_b"),
)
LIGHT = ("light_x", "light_y", "light_z", "light_warmth", "exposure")
DOMAINS = ("domain_clay", "domain_comic", "domain_natural")  # how the head is drawn; toon is all zeros
# Styles that short hair before a busy background is taken for; hardly ever guessed right on real faces.
RARELY_WORN, RARE = ("hair_braids",), 0.02
GLASSES_FROM = 0.8  # of 1: shadows around real eyes reach 0.7
GEAR_FROM = 0.9  # of 1: dark hair beside real faces reaches 0.68 as headphones, and reached 0.95 with other weights
BEARD_FROM = 0.5  # real faces without any reach 0.34, or 0.72 where lip and chin are seen to be skin
# What is said about the looks of what nobody wears is a guess about nothing: a style that puts it on finds it dark.
NEW_GLASSES = {"glasses_frame": 0.33, "frame_r": 0.03, "frame_g": 0.03, "frame_b": 0.035}
NEW_GEAR = {"gear_r": 0.06, "gear_g": 0.07, "gear_b": 0.08}
FRECKLES_FROM, EARRINGS_FROM = 0.4, 0.7  # real faces without any reach 0.28 and 0.50
FRINGE_FROM = 0.4  # of a whole one; real faces without any reach 0.1
EXPOSURE_FROM, LIGHT_FROM, LIGHT_ASIDE = 1.0, 0.4, 0.5  # an avatar is never lit worse than this
ATTRIBUTES: tuple[str, ...] = (*SHAPE, *HAIR_STYLES, *COLOURS, *LIGHT, *DOMAINS)
# What can be seen of a person, which is all but the drawing style: what the encoder network tells, in order.
PERSONAL: tuple[str, ...] = tuple(name for name in ATTRIBUTES if not name.startswith("domain_"))


# Of each of these a person has one: setting it takes the others away.
EITHER_OR: tuple[tuple[str, ...], ...] = (HAIR_STYLES, ("glasses_round", "glasses_square"), GEAR, DOMAINS)


def column(name: str) -> int:
    """Where an attribute stands. Raises ValueError with the known names."""
    if name not in ATTRIBUTES:
        raise ValueError(f"no attribute {name!r}; known are {', '.join(ATTRIBUTES)}")
    return ATTRIBUTES.index(name)


def decided(attributes: dict[str, float]) -> dict[str, float]:
    """The same person with every either-or question decided: one hair style, glasses or none, a beard or none,
    a hat or headphones or neither, freckles or none, earrings or none. What is not worn has the looks of new ones.

    A mean over uncertain frames lies between looks that nobody wears; this takes the likeliest of them.
    """
    result = dict(attributes)
    best = max(HAIR_STYLES, key=lambda name: attributes[name] * (RARE if name in RARELY_WORN else 1.0))
    result.update({name: float(name == best) for name in HAIR_STYLES})
    glasses = max(("glasses_round", "glasses_square"), key=lambda name: attributes[name])
    worn = attributes["glasses_round"] + attributes["glasses_square"] > GLASSES_FROM
    result.update(glasses_round=0.0, glasses_square=0.0)
    result[glasses] = float(worn)
    gear = max(GEAR, key=lambda name: attributes[name])
    result.update({name: float(name == gear and attributes[name] > GEAR_FROM) for name in GEAR})
    result.update({} if worn else NEW_GLASSES)
    result.update({} if attributes[gear] > GEAR_FROM else NEW_GEAR)
    result["fringe"] = attributes["fringe"] if attributes["fringe"] > FRINGE_FROM else 0.0
    result["collar"] = min((0.0, 0.5, 1.0), key=lambda kind: abs(kind - attributes["collar"]))
    result["exposure"] = max(attributes["exposure"], EXPOSURE_FROM)
    result["light_y"] = max(attributes["light_y"], LIGHT_FROM)
    result["light_x"] = min(max(attributes["light_x"], -LIGHT_ASIDE), LIGHT_ASIDE)
    for name in ("beard", "goatee", "moustache", "stubble"):
        result[name] = attributes[name] if attributes[name] > BEARD_FROM else 0.0
    result["freckles"] = attributes["freckles"] if attributes["freckles"] > FRECKLES_FROM else 0.0
    result["earrings"] = float(attributes["earrings"] > EARRINGS_FROM)
    return result

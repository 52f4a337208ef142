"""Random people and random performances for the face world, and the plain head that sweeps start from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engines.attributes import NEW_GEAR, NEW_GLASSES
from tools.face_world import index, names

Floats = npt.NDArray[np.float32]
Random = np.random.Generator

SKINS = np.array(
    [
        (0.92, 0.66, 0.52),
        (0.86, 0.56, 0.41),
        (0.72, 0.43, 0.28),
        (0.50, 0.27, 0.16),
        (0.29, 0.145, 0.085),
        (0.16, 0.08, 0.05),
        (0.95, 0.72, 0.62),
    ]
)
# Skin of one lightness is rosier or more golden: SKINS alone lie on one line from dark to light, and a generator that
# knows no other skin draws a pink face yellower than it is.
GREENER, BLUER = (0.9, 1.06), (0.85, 1.45)
HAIRS = np.array(
    [
        (0.020, 0.014, 0.012),
        (0.055, 0.028, 0.016),
        (0.14, 0.065, 0.030),
        (0.27, 0.13, 0.05),
        (0.60, 0.40, 0.16),
        (0.40, 0.09, 0.025),
        (0.80, 0.66, 0.42),
    ]
)
# Black hair in a room is darker than anything between HAIRS: BLACKS of the heads have it, up to PALEST times as light.
BLACK, BLACKS, PALEST = np.array((0.0036, 0.0032, 0.0030)), 0.18, 5.0
DARKEST = 0.003
OTHER_LIPS = 0.45  # of the heads have lips that do not go with their skin, or a generator takes the one for the other
DYED = np.array([(0.55, 0.10, 0.35), (0.10, 0.25, 0.60), (0.20, 0.10, 0.42), (0.05, 0.42, 0.36), (0.75, 0.25, 0.40)])
IRISES = np.array(
    [(0.10, 0.045, 0.018), (0.16, 0.085, 0.03), (0.09, 0.20, 0.42), (0.07, 0.21, 0.10), (0.17, 0.21, 0.24)]
)
HAIR_STYLES = (
    *("bald", "buzz", "short", "side_part", "quiff", "curly", "afro", "bob", "long", "wavy", "bun", "ponytail"),
    "braids",
)
MASCULINE = dict(
    bald=0.08, buzz=0.13, short=0.2, side_part=0.17, quiff=0.15, curly=0.12, afro=0.06, long=0.04, wavy=0.02, bun=0.03
)
FEMININE = dict(
    bald=0.01,
    buzz=0.02,
    short=0.07,
    side_part=0.03,
    curly=0.09,
    afro=0.08,
    bob=0.15,
    long=0.15,
    wavy=0.14,
    bun=0.09,
    ponytail=0.1,
    braids=0.07,
)
DOMAINS = {"toon": 0.45, "natural": 0.22, "comic": 0.16, "clay": 0.17}  # how often each is drawn
BETWEEN = 1 / 8
MIXED, HALF = 0.2, 0.4  # of the heads whose hair can have hair between two styles; of the fringes are not whole
UNMIXED = ("bald", "braids", "quiff", "side_part")
PLAIN = {
    "face_length": 1.0, "jaw_width": 1.0, "chin": 1.0, "cheeks": 1.0, "nose_length": 1.0, "nose_width": 1.0,
    "nose_tip": 1.0, "eye_size": 1.0, "eye_distance": 1.0, "ear_size": 1.0, "brow_thickness": 1.0,
    "lip_thickness": 1.0, "mouth_width": 1.0, "exposure": 1.0, "eye_l": 1.0, "eye_r": 1.0,
    "age": 0.35, "brow_height": 0.3, "brow_arch": 0.6, "hair_short": 1.0, "femininity": 0.0, "eye_tilt": 0.05,
    "skin_r": 0.86, "skin_g": 0.56, "skin_b": 0.41, "hair_r": 0.10, "hair_g": 0.05, "hair_b": 0.025,
    "iris_r": 0.12, "iris_g": 0.2, "iris_b": 0.3, "lip_r": 0.66, "lip_g": 0.27, "lip_b": 0.25,
    "cloth_r": 0.12, "cloth_g": 0.3, "cloth_b": 0.55, **NEW_GLASSES, **NEW_GEAR,
    "light_x": -0.35, "light_y": 0.55, "light_z": 0.8,
}  # fmt: skip
# Wider than people's own: a drawn head has few lines, and what is one person's about it is told as a caricaturist does.
SPREADS = {
    "face_length": 0.065, "jaw_width": 0.075, "chin": 0.21, "cheeks": 0.135, "nose_length": 0.16, "nose_width": 0.19,
    "nose_tip": 0.17, "eye_size": 0.075, "eye_distance": 0.05, "ear_size": 0.15, "brow_thickness": 0.3,
    "lip_thickness": 0.28, "mouth_width": 0.1,
}  # fmt: skip
# How men's faces differ from the mean of all grown-ups, women's the other way.
MANLY = {
    "jaw_width": 0.03, "chin": 0.08, "nose_width": 0.05, "nose_length": 0.03, "eye_size": -0.03,
    "brow_thickness": 0.12, "brow_height": -0.08, "brow_arch": -0.15, "lip_thickness": -0.08, "cheeks": -0.02,
}  # fmt: skip


def plain(**changes: float) -> Floats:
    """The plain head, float32 [parameters], with some parameters changed."""
    row = np.zeros(len(names()), np.float32)
    for name, value in {**PLAIN, **changes}.items():
        row[index(name)] = value
    return row


def person(random: Random, domain: str | None = None) -> Floats:
    """A random identity at rest in random light, float32 [parameters].

    ``domain`` is one of DOMAINS; without it one is drawn by its share, one in eight of the others between it and toon.
    Raises ValueError for another domain.
    """
    if domain is not None and domain not in DOMAINS:
        raise ValueError(f"no domain {domain!r}; known are {', '.join(DOMAINS)}")
    r = random
    fem = float(np.clip(r.normal(0.9, 0.12) if r.random() < 0.5 else r.normal(0.1, 0.12), 0, 1))
    age = float(r.choice([r.uniform(0, 0.2), r.uniform(0.22, 0.5), r.uniform(0.5, 1)], p=[0.15, 0.6, 0.25]))
    skin = np.clip(_between(r, SKINS) * (1, r.uniform(*GREENER), r.uniform(*BLUER)), 0, 1)
    hair = _between(r, HAIRS, 0.35) if r.random() < 0.86 else DYED[r.integers(len(DYED))] * r.uniform(0.7, 1.3)
    hair = BLACK * r.uniform(1, PALEST) * r.uniform(0.9, 1.1, 3) if r.random() < BLACKS else hair
    lip = np.clip(skin * (0.80, 0.50, 0.52), 0, 1)
    if r.random() < OTHER_LIPS:
        lip = np.clip(lip * r.uniform(0.6, 1.8) * r.uniform(0.85, 1.15, 3), 0, 1)
    make_up = float(r.uniform(0.3, 1) if fem > 0.6 and age > 0.2 and r.random() < 0.45 else 0)
    if make_up:
        lip = lip * (1 - make_up) + make_up * np.array(
            [(0.55, 0.05, 0.09), (0.62, 0.16, 0.22), (0.42, 0.06, 0.14)][r.integers(3)]
        )
    values: dict[str, float] = {
        "age": age, "femininity": fem, "make_up": make_up,
        "exposure": r.uniform(0.9, 1.1), "light_warmth": r.uniform(-0.6, 0.8),
        "light_x": r.uniform(-0.7, 0.7), "light_y": r.uniform(0.3, 0.8), "light_z": 0.8,
        "collar": float(r.choice([0, 0.5, 1], p=[0.5, 0.3, 0.2])),
        "brow_height": r.uniform(0, 0.8), "brow_arch": r.uniform(0.1, 1.1), "eye_tilt": r.uniform(-0.06, 0.16),
        "forehead": r.uniform(-0.6, 1.0),
        "grey": float(np.clip((age - 0.55) * 2.2 + r.normal(0, 0.2), 0, 1)) if age > 0.5 else 0.0,
    }  # fmt: skip
    values |= {name: float(np.clip(r.normal(1, s), 1 - 2 * s, 1 + 2 * s)) for name, s in SPREADS.items()}
    values = manly(values, (1 - 2 * fem) * min(age / 0.3, 1.0))
    values |= _hair(r, fem, age) | _beard(r, fem, age) | _glasses(r) | _gear(r, fem) | _domain(r, domain)
    cloth = r.uniform(0.03, 0.7, 3) if r.random() < 0.7 else np.full(3, r.choice([0.03, 0.15, 0.75]))
    for name, rgb in dict(skin=skin, hair=hair, iris=_between(r, IRISES, 0.3), lip=lip, cloth=cloth).items():
        values |= {
            f"{name}_{c}": float(v)
            for c, v in zip("rgb", np.clip(rgb, DARKEST if name == "hair" else 0.01, 1), strict=True)
        }
    frame = {"frame_" + c: v for c, v in zip("rgb", _frame(r), strict=True)}
    return mixed_hair(plain(**{"hair_short": 0.0, **frame, **values}), r.spawn(1)[0])


def manly(shape: dict[str, float], amount: float) -> dict[str, float]:
    """The same person's shape, more like a man's (1) or a woman's (-1)."""
    return shape | {name: shape[name] + amount * more for name, more in MANLY.items()}


def mixed_hair(head: Floats, random: Random) -> Floats:
    """The same person, now and then with hair between two styles or with part of a fringe, float32 [parameters].

    Without these a generator draws what lies between two styles as a ghost of both. Bald heads and braids stay: there
    is nothing between them and others in the world either, and curls with a part of what is combed up have a flat top.
    """
    r, row = random, head.copy()
    table = FEMININE if r.random() < row[index("femininity")] else MASCULINE
    worn = HAIR_STYLES[int(np.argmax(row[[index(f"hair_{style}") for style in HAIR_STYLES]]))]
    chances = {s: p for s, p in table.items() if s not in (*UNMIXED, worn)}
    second = str(r.choice(list(chances), p=np.array(list(chances.values())) / sum(chances.values())))
    amount, mixed, part, half = r.uniform(0.15, 0.5), r.random() < MIXED, r.uniform(0.2, 0.9), r.random() < HALF
    if mixed and worn not in UNMIXED:
        row[index(f"hair_{worn}")], row[index(f"hair_{second}")] = 1 - amount, amount
    if half:
        row[index("fringe")] *= part
    return row


def near(random: Random) -> Floats:
    """Somebody more like real people before a camera, for training the encoder: float32 [parameters].

    Drawn naturally, with eyes of human size, hair of natural colours, dark more often, hats and headphones rarely, a
    face more often at rest and turned less, under any light.
    """
    r = random
    kept = perform(person(r, "natural"), r)
    calm = [index(name) for name in ("yaw", "pitch", "roll", "jaw_open", "lip_upper", "lip_lower", "brow_l", "brow_r")]
    kept[calm] *= r.uniform(0.3, 1.0)
    hair = _between(r, HAIRS) * (1.0 if r.random() < 0.6 else 0.3)
    kept[[index(f"hair_{c}") for c in "rgb"]] = np.clip(hair, DARKEST, 1)
    kept[index("eye_size")] = r.uniform(0.6, 1.0)
    kept[index("domain_natural")] = r.uniform(0.7, 1.0)
    kept[index("light_x")], kept[index("light_warmth")] = r.uniform(-1.0, 1.0), r.uniform(-1.0, 1.0)
    if r.random() < 0.6:
        kept[[index(name) for name in ("hat_beanie", "hat_cap", "headphones")]] = 0
    return kept


def _hair(r: Random, fem: float, age: float) -> dict[str, float]:
    table = FEMININE if r.random() < fem else MASCULINE
    weights = np.array([table.get(s, 0.0) for s in HAIR_STYLES])
    if age < 0.25:
        weights[:1] = 0
    style = HAIR_STYLES[int(r.choice(len(HAIR_STYLES), p=weights / weights.sum()))]
    fringe = style in ("short", "bob", "long", "wavy", "bun", "ponytail", "braids") and r.random() < 0.3
    return {f"hair_{style}": 1.0, "fringe": float(fringe)}


def _beard(r: Random, fem: float, age: float) -> dict[str, float]:
    if fem > 0.45 or age < 0.25 or r.random() < 0.45:
        return {}
    length = float(r.uniform(0.5, 1.3))
    kinds = [
        {"stubble": float(r.uniform(0.4, 1))},
        {"moustache": length},
        {"goatee": length, "moustache": min(length, 1.0)},
        {"beard": length, "moustache": min(length, 1.0)},
    ]
    return kinds[int(r.choice(4, p=[0.3, 0.12, 0.18, 0.4]))]


def _domain(r: Random, domain: str | None) -> dict[str, float]:
    drawn, between = str(r.choice(list(DOMAINS), p=list(DOMAINS.values()))), r.random() < BETWEEN
    amount = float(r.uniform(0.1, 0.9)) if between and domain is None else 1.0
    chosen = domain or drawn
    return {} if chosen == "toon" else {f"domain_{chosen}": amount}


def _glasses(r: Random) -> dict[str, float]:
    if r.random() > 0.27:
        return {}
    return {"glasses_round" if r.random() < 0.5 else "glasses_square": 1.0, "glasses_frame": r.uniform(0, 1)}


def _gear(r: Random, fem: float) -> dict[str, float]:
    """A hat or headphones, now and then; earrings; freckles."""
    worn = str(r.choice(["", "hat_beanie", "hat_cap", "headphones"], p=[0.74, 0.08, 0.07, 0.11]))
    colour = r.uniform(0.03, 0.7, 3) if r.random() < 0.6 else np.full(3, r.choice([0.025, 0.12, 0.7]))
    values = {f"gear_{c}": float(v) for c, v in zip("rgb", colour, strict=True)} | ({worn: 1.0} if worn else {})
    if r.random() < 0.05 + 0.3 * fem:
        values["earrings"] = 1.0
    if r.random() < 0.2:
        values["freckles"] = float(r.uniform(0.3, 1))
    return values


def _frame(r: Random) -> npt.NDArray[np.float64]:
    dark = np.array([0.025, 0.025, 0.03])
    return dark if r.random() < 0.65 else r.uniform(0.03, 0.5, 3)


def _between(r: Random, table: npt.NDArray[np.float64], most: float = 1.0) -> npt.NDArray[np.float64]:
    a, b = table[r.integers(len(table))], table[r.integers(len(table))]
    return a + (b - a) * r.uniform(0, most)


def perform(head: Floats, random: Random) -> Floats:
    """The same person in a random pose with a random expression."""
    r = random
    row = head.copy()
    blink = float(r.choice([1.0, r.uniform(0, 1), 0.0, r.uniform(1.0, 1.3)], p=[0.5, 0.26, 0.12, 0.12]))
    wink = r.random() < 0.12
    smile = float(r.choice([0.0, r.uniform(-0.8, 1)], p=[0.2, 0.8]))
    jaw = float(r.choice([0.0, r.uniform(0, 0.45), r.uniform(0.3, 1.1)], p=[0.34, 0.36, 0.30]))
    raise_ = float(np.clip(r.normal(-0.2, 0.5), -1, 1))  # people's rest below the world's (engines.motion)
    pursed = r.random() < 0.15
    wide = float(r.uniform(-1, -0.3) if pursed else np.clip(r.normal(0.1 + 0.35 * smile, 0.35), -1, 1))
    values = {
        "yaw": np.clip(r.normal(0, 0.32), -0.85, 0.85),
        "pitch": np.clip(r.normal(0, 0.17), -0.5, 0.5),
        "roll": np.clip(r.normal(0, 0.15), -0.5, 0.5),
        "jaw_open": jaw, "mouth_wide": wide, "corner_l": smile,
        "corner_r": np.clip(smile + (r.normal(0, 0.4) if r.random() < 0.25 else 0), -1, 1),
        "lip_upper": max(0.0, r.normal(-0.1 + 0.4 * smile, 0.35)), "lip_lower": max(0.0, r.normal(-0.2, 0.4)),
        "tongue": r.uniform(0, 1) if jaw > 0.25 and r.random() < 0.12 else 0.0,
        "cheek_puff": r.uniform(0.2, 1) if r.random() < 0.06 else 0.0,
        "mouth_shift": np.clip(r.normal(0, 0.25), -1, 1) if r.random() < 0.3 else 0.0,
        "eye_l": 0.0 if wink else blink, "eye_r": blink,
        "squint_l": max(0.0, r.normal(0.35 * smile, 0.3)), "squint_r": max(0.0, r.normal(0.35 * smile, 0.3)),
        "brow_l": raise_, "brow_r": np.clip(raise_ + (r.normal(0, 0.5) if r.random() < 0.2 else 0), -1, 1),
        "furrow": max(0.0, r.normal(-0.2 - 0.3 * raise_, 0.4)),
        "gaze_x": np.clip(r.normal(0, 0.4), -1, 1), "gaze_y": np.clip(r.normal(0, 0.3), -1, 1),
    }  # fmt: skip
    if wink and r.random() < 0.5:
        values["eye_l"], values["eye_r"] = values["eye_r"], values["eye_l"]
    for name, value in values.items():
        row[index(name)] = value
    return row

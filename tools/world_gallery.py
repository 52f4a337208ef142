"""Contact sheets of the face world: what every parameter does, and the same people in every domain.

    python -m tools.world_gallery --out runs/world
    python -m tools.world_gallery --out runs/world --parameters age glasses_frame --domain natural
    python -m tools.world_gallery --out docs/pictures --sheets domains --size 160

Writes ``sweep-shape.png``, ``sweep-hair.png``, ``sweep-colours.png``, ``sweep-light.png``, ``sweep-domain.png`` and
``sweep-motion.png`` (a row per parameter, from its least to its greatest), ``domains-world.png`` (a row per domain, the
same people in each), ``gear-world.png`` and ``ages-world.png`` (what people wear and how they age, in every domain),
or, with ``--parameters``, ``sweep-chosen.png`` alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from engines.attributes import COLOURS, HAIR_STYLES, LIGHT, SHAPE
from engines.motion import MOTION
from tools.face_world import draw, index, names
from tools.face_world.sampling import DOMAINS, PLAIN, SPREADS, perform, person, plain

Floats = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]
PAPER = 214
STEPS = 6
DOMAIN_NAMES = tuple(f"domain_{name}" for name in DOMAINS if name != "toon")
GROUPS = {
    "shape": SHAPE, "hair": HAIR_STYLES, "colours": COLOURS, "light": LIGHT, "domain": DOMAIN_NAMES, "motion": MOTION,
}  # fmt: skip
SHEETS = [*GROUPS, "domains", "gear", "ages"]
BOTH_WAYS = (
    *("mouth_wide", "corner_l", "corner_r", "mouth_shift", "brow_l", "brow_r", "gaze_x", "gaze_y", "light_x"),
    *("light_warmth",),
)
RANGES = {
    "yaw": (-0.85, 0.85), "pitch": (-0.5, 0.5), "roll": (-0.5, 0.5), "eye_l": (0, 1.3), "eye_r": (0, 1.3),
    "forehead": (-0.6, 1), "eye_tilt": (-0.06, 0.16), "exposure": (0.8, 1.2), "light_z": (0.3, 1),
    **dict.fromkeys(BOTH_WAYS, (-1, 1)),
}  # fmt: skip
# What a parameter needs to show.
WITH: dict[str, dict[str, float]] = {
    "tongue": {"jaw_open": 0.8},
    "glasses_frame": {"glasses_square": 1.0},
    "grey": {"age": 0.8},
    "fringe": {"hair_short": 0.0, "hair_bob": 1.0},
    "make_up": {"femininity": 1.0},
    **{f"gear_{c}": {"hat_beanie": 1.0} for c in "rgb"},
    **{f"frame_{c}": {"glasses_round": 1.0, "glasses_frame": 0.7} for c in "rgb"},
    **{name: {"hair_short": 0.0} for name in HAIR_STYLES},
}


# The sheet of what people wear.
WORN: tuple[dict[str, float], ...] = (
    {"freckles": 1.0, "hair_bob": 1.0, "hair_r": 0.4, "hair_g": 0.09, "hair_b": 0.025, "femininity": 0.9},
    {"earrings": 0.2, "hair_bun": 1.0, "femininity": 0.9},
    {"earrings": 1.0, "hair_buzz": 1.0, "femininity": 0.9},
    {"hat_beanie": 1.0, "hair_wavy": 1.0, "femininity": 0.9, "gear_r": 0.5, "gear_g": 0.26, "gear_b": 0.04},
    {"hat_cap": 1.0, "hair_short": 1.0, "gear_r": 0.42, "gear_g": 0.04, "gear_b": 0.04},
    {"headphones": 1.0, "hair_quiff": 1.0},
    {"headphones": 1.0, "hair_long": 1.0, "femininity": 0.9, "gear_r": 0.05, "gear_g": 0.2, "gear_b": 0.6},
)
_BROWN = {"hair_r": 0.14, "hair_g": 0.065, "hair_b": 0.03}
# The sheet of ages: a man and a woman, from children to elders.
AGES: tuple[dict[str, float], ...] = tuple(
    {"age": age, "grey": float(np.clip((age - 0.5) * 2.5, 0, 1)), "femininity": femininity, style: 1.0} | _BROWN
    for femininity, style in ((0.1, "hair_short"), (0.9, "hair_wavy"))
    for age in (0.0, 0.35, 0.7, 1.0)
)


def limits(name: str) -> tuple[float, float]:
    """The least and the greatest value of a parameter's sweep."""
    if name in SPREADS:
        return 1 - 2 * SPREADS[name], 1 + 2 * SPREADS[name]
    low, high = RANGES.get(name, (0, 1))
    return float(low), float(high)


def sweep(name: str, domain: str) -> Floats:
    """The plain head with one parameter from its least to its greatest, float32 [STEPS, parameters]."""
    style = {} if domain == "toon" else {f"domain_{domain}": 1.0}
    base = PLAIN | style | WITH.get(name, {})
    return np.stack([plain(**base | {name: float(value)}) for value in np.linspace(*limits(name), STEPS)])


def flat(rgba: Picture) -> Picture:
    """A picture on paper, BGR."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    return np.asarray(rgba[..., 2::-1] * alpha + (1 - alpha) * PAPER, np.uint8)


def strip(rows: Floats, size: int, label: str) -> Picture:
    """Heads side by side with a label."""
    picture = np.ascontiguousarray(np.hstack([flat(head) for head in draw(rows, size)]))
    scale = max(size / 400, 0.35)
    cv2.putText(picture, label, (4, int(28 * scale)), cv2.FONT_HERSHEY_SIMPLEX, scale, (40, 40, 40), 1, cv2.LINE_AA)
    return picture


def sweeps(parameters: tuple[str, ...], size: int, domain: str, columns: int = 2) -> Picture:
    """A strip per parameter, ``columns`` strips side by side. Raises ValueError for an unknown parameter."""
    strips = [strip(sweep(name, domain), size, name) for name in parameters]
    strips += [np.full_like(strips[0], PAPER)] * (-len(strips) % min(columns, len(strips)))
    per = len(strips) // min(columns, len(strips))
    return np.hstack([np.vstack(strips[start : start + per]) for start in range(0, len(strips), per)])


def domains(count: int, seed: int, size: int) -> Picture:
    """The same people, every other one performing, in every domain."""
    random = np.random.default_rng(seed)
    people = np.stack([person(random, "toon") for _ in range(count)])
    people[1::2] = [perform(row, random) for row in people[1::2]]
    lines = []
    for domain in DOMAINS:
        rows = people.copy()
        if domain != "toon":
            rows[:, index(f"domain_{domain}")] = 1
        lines.append(strip(rows, size, domain))
    return np.vstack(lines)


def in_domains(people: tuple[dict[str, float], ...], size: int) -> Picture:
    """Plain heads with some parameters changed, a column each, in every domain."""
    lines = []
    for domain in DOMAINS:
        style = {} if domain == "toon" else {f"domain_{domain}": 1.0}
        rows = np.stack([plain(**PLAIN | {"hair_short": 0.0} | style | one) for one in people])
        lines.append(strip(rows, size, domain))
    return np.vstack(lines)


def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--out", type=Path, default=Path("runs/world"), help="folder for the sheets")
    a.add_argument("--sheets", nargs="+", choices=SHEETS, default=SHEETS)
    a.add_argument("--parameters", nargs="+", choices=names(), metavar="NAME", help="sweep these alone")
    a.add_argument("--domain", choices=list(DOMAINS), default="toon", help="the domain that sweeps are drawn in")
    a.add_argument("--size", type=int, default=128, help="of a head, px; a multiple of 4")
    a.add_argument("--people", type=int, default=8, help="of the sheet of domains")
    a.add_argument("--seed", type=int, default=77, help="of the people")
    o = a.parse_args()
    if o.size <= 0 or o.size % 4:
        raise SystemExit(f"--size {o.size} was asked for; wanted a multiple of 4")
    o.out.mkdir(parents=True, exist_ok=True)
    if o.parameters:
        cv2.imwrite(str(o.out / "sweep-chosen.png"), sweeps(tuple(o.parameters), o.size, o.domain, columns=1))
        return
    for sheet in o.sheets:
        if sheet in ("gear", "ages"):
            people = WORN if sheet == "gear" else AGES
            cv2.imwrite(str(o.out / f"{sheet}-world.png"), in_domains(people, o.size))
        elif sheet == "domains":
            cv2.imwrite(str(o.out / "domains-world.png"), domains(o.people, o.seed, o.size))
        else:
            cv2.imwrite(str(o.out / f"sweep-{sheet}.png"), sweeps(GROUPS[sheet], o.size, o.domain))


if __name__ == "__main__":
    main()

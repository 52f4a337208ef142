"""How like the avatar is that is made of somebody.

    python -m tools.likeness --media ../shared/media --drawn 40 [--seconds 2] [--json FILE]
    python -m tools.likeness --media ../shared/media --proportions
    python -m tools.likeness --colours

An avatar is made of every clip and still that has labels (``tools/likeness_labels.toml``) as ``avatar-live avatar
create`` makes it, and of drawn heads whose truth is known (three pictures each, before random scenery). Its traits are
compared with the labels. Skin and hair are compared by CIEDE2000: the colour of the drawn avatar, measured like the
person's, against the person's; *live* is before the colours are corrected by looking at the drawn avatar, as the
program does without an avatar.

--proportions prints the mean and spread of people's proportions for ``realtime/proportions.py``, --colours writes how
the attributes of skin, lips and hair follow from the colours that are seen (``realtime/said_colours.json``), over 300
drawn people or as many as --drawn tells.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from engines.attributes import ATTRIBUTES, decided
from realtime.configuration import read_toml
from realtime.errors import SourceError
from realtime.frames import Frame, Pixels
from realtime.identity import IdentityEstimator, weighted_median
from realtime.identity_cues import FIGURES, Look, linear_rgb
from realtime.identity_studio import MATCHED, Studio
from realtime.said_colours import FILE, PARTS, circumstances, fitted
from realtime.settings import Settings
from realtime.traits import from_attributes, in_portrait_light, to_attributes
from tools.record import record

Array = npt.NDArray[np.float64]

LABELS = Path(__file__).with_name("likeness_labels.toml")
SAID = Path(__file__).parents[1] / "realtime" / FILE
LENGTHS = {
    "none": ("bald",),
    "short": ("buzz", "short", "side-part", "quiff", "curly", "afro"),
    "tied": ("bun", "ponytail"),
    "long": ("bob", "long", "wavy", "braids"),
}
SCENERY_PX, FRAMES, NEAR = 512, 3, 10.0  # CIEDE2000 up to which colours are called near


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known of somebody; hair None: not to be seen. presentation: f, m; eyes: light, brown; "": not told."""

    glasses: bool
    beard: bool
    hair: str | None
    presentation: str = ""
    eyes: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One person's result: which traits are right (None: not judged) and how far the colours are off (CIEDE2000)."""

    name: str
    glasses: bool
    beard: bool
    hair: bool | None
    presentation: bool | None
    eyes: bool | None
    skin: float
    hair_colour: float
    live_skin: float
    live_hair_colour: float
    made: str
    shape: Array  # proportions of the person and of the drawn avatar, [2, figures]


def delta_e(one: Array, other: Array) -> float:
    """CIEDE2000 of two Lab colours (Sharma, Wu and Dalal 2005, "The CIEDE2000 Color-Difference Formula")."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    c7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1 + 0.5 * (1 - np.sqrt(c7 / (c7 + 25.0**7)))
    c1, c2 = np.hypot(a1 * stretch, b1), np.hypot(a2 * stretch, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a * stretch)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = (h2 - h1 + 180) % 360 - 180 if c1 * c2 else 0.0
    if turn == -180:
        turn = 180.0
    dl, dc, dh = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    lightness, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    hue = h1 + h2 if not c1 * c2 else (h1 + turn / 2) % 360
    wave = (
        1
        - 0.17 * np.cos(np.radians(hue - 30))
        + 0.24 * np.cos(np.radians(2 * hue))
        + 0.32 * np.cos(np.radians(3 * hue + 6))
        - 0.20 * np.cos(np.radians(4 * hue - 63))
    )
    away = (lightness - 50) ** 2
    sl, sc, sh = 1 + 0.015 * away / np.sqrt(20 + away), 1 + 0.045 * chroma, 1 + 0.015 * chroma * wave
    blue = 30 * np.exp(-(((hue - 275) / 25) ** 2))
    rt = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * np.sin(np.radians(2 * blue))
    return float(np.sqrt((dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + rt * (dc / sc) * (dh / sh)))


def length_of(style: str) -> str:
    """The length of a hair style. Raises KeyError for an unknown one."""
    return {style: length for length, styles in LENGTHS.items() for style in styles}[style]


def judge(name: str, studio: Studio, identity: IdentityEstimator, truth: Truth) -> Row:
    """Make the avatar of what was seen, draw it and compare."""
    seen = {colour: identity.colour(colour) for colour in ("skin", "lips", "hair")}
    live = identity.estimate()
    traits = from_attributes(studio.matched(in_portrait_light(live), seen))
    made = to_attributes(traits)
    drawn = studio.seen(made)
    off, live_off = (_off(look, seen) for look in (drawn, studio.seen(live)))
    length, feminine = length_of(str(traits["hair"])), float(traits["femininity"]) > 0.5
    return Row(
        name=name,
        glasses=(traits["glasses"] != "none") == truth.glasses,
        beard=(traits["beard"] not in ("none", "stubble")) == truth.beard,
        hair=None if truth.hair is None else length == truth.hair,
        presentation=None if not truth.presentation else feminine == (truth.presentation == "f"),
        eyes=None if not truth.eyes else kind_of_eyes(made) == truth.eyes,
        skin=off["skin"],
        hair_colour=np.nan if truth.hair in (None, "none") else off["hair"],
        live_skin=live_off["skin"],
        live_hair_colour=np.nan if truth.hair in (None, "none") else live_off["hair"],
        made=f"{traits['hair']}, glasses {traits['glasses']}, beard {traits['beard']}, age {float(traits['age']):.2f}",
        shape=np.stack([shape_of(identity), np.full(len(FIGURES), np.nan) if drawn is None else drawn.figures]),
    )


def kind_of_eyes(attributes: Mapping[str, float]) -> str:
    """``brown`` for eyes that are redder than green, as nature has them, else ``light``."""
    return "brown" if attributes["iris_r"] > 1.25 * attributes["iris_g"] else "light"


def _off(drawn: Look | None, seen: dict[str, Array]) -> dict[str, float]:
    """How far a drawn avatar's skin and hair are from what was seen; not-a-number without an avatar's face."""
    return {name: np.nan if drawn is None else delta_e(seen[name], drawn.colours[name]) for name in ("skin", "hair")}


def shape_of(identity: IdentityEstimator) -> Array:
    """A person's proportions over the frames, float64 [figures]."""
    weights = np.array([look.weight for look in identity.looks]) + 1e-6
    return weighted_median(np.array([look.figures for look in identity.looks]), weights)


def of_media(media: Path, studio: Studio, seconds: float) -> list[Row]:
    """Everybody in the labelled clips and stills that are there."""
    rows = []
    for group, suffix in (("clips", ".mp4"), ("stills", ".jpg")):
        for name, label in read_toml(LABELS)[group].items():
            file = media / group / f"{name}{suffix}"
            hair = None if label["hair"] == "covered" else str(label["hair"])
            try:
                watched = studio.watch([str(file)], seconds)
            except SourceError as error:
                print(error, file=sys.stderr)
                continue
            truth = Truth(label["glasses"], label["beard"], hair, label["presentation"], label["eyes"])
            rows.append(judge(f"{group[:-1]} {name}", studio, watched.identity, truth))
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def of_drawn(count: int, studio: Studio, seed: int) -> list[Row]:
    """Drawn people, three pictures each: the truth is known."""
    from tools.face_world import draw, index
    from tools.face_world.sampling import perform, person

    random, rows = np.random.default_rng(seed), []
    for number in range(count):
        who = person(random)
        poses = np.stack([perform(who, random) for _ in range(FRAMES)])
        poses[:, [index(name) for name in ("yaw", "pitch", "roll")]] *= 0.5  # people who sit before a camera
        identity = IdentityEstimator()
        for rgba in draw(poses, 256):
            seen = studio.look(Frame(0, 0, before_scenery(rgba, random)))
            if seen is not None:
                identity.add(seen[0])
        if len(identity):
            rows.append(judge(f"drawn {number}", studio, identity, drawn_truth(who)))
    return rows


def drawn_truth(who: npt.NDArray[np.float32]) -> Truth:
    """What is known of a drawn person, float32 [parameters]."""
    from tools.face_world import index, names

    styles = [name for name in names() if name.startswith("hair_") and name[-2] != "_"]
    style = max(styles, key=lambda name: float(who[index(name)])).removeprefix("hair_").replace("_", "-")
    amount = {name: float(who[index(name)]) for name in ("glasses_round", "glasses_square", "femininity")}
    beard = max(float(who[index(name)]) for name in ("beard", "goatee", "moustache"))
    return Truth(
        glasses=amount["glasses_round"] + amount["glasses_square"] > 0.5,
        beard=beard > 0.3,
        hair=length_of(style),
        presentation="f" if amount["femininity"] > 0.5 else "m",
        eyes=kind_of_eyes({f"iris_{c}": float(who[index(f"iris_{c}")]) for c in "rgb"}),
    )


def before_scenery(rgba: Pixels, random: np.random.Generator) -> Pixels:
    """A drawn head before smooth random colours, uint8 BGR [512, 512, 3]."""
    size = rgba.shape[0]
    coarse = random.uniform(40, 220, (4, 4, 3)).astype(np.float32)
    scenery = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    alpha = rgba[:, :, 3:].astype(np.float32) / 255
    picture = np.clip(rgba[:, :, 2::-1] * alpha + scenery * (1 - alpha), 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(picture, (SCENERY_PX, SCENERY_PX), interpolation=cv2.INTER_LINEAR), np.uint8)


def shapes(rows: list[Row]) -> dict[str, Any]:
    """How avatars' proportions go with their people's.

    Per figure Pearson's r over the people and how much the avatars differ for what the people do (both in units of the
    distance of the outer eye corners); who is known: an avatar's proportions, in spreads from the avatars' mean, go
    with its own person's more than with those of all others (``first``), or of all but two (``third``).
    """
    pairs = np.array([row.shape for row in rows if np.isfinite(row.shape).all()])
    if len(pairs) < 3:
        return {}
    people, avatars = pairs[:, 0], pairs[:, 1]
    spread = people.std(axis=0), avatars.std(axis=0)
    a, b = ((x - x.mean(axis=0)) / np.maximum(s, 1e-9) for x, s in zip((people, avatars), spread, strict=True))
    figures = {
        name: {"r": float((a[:, i] * b[:, i]).mean()), "spread": float(spread[1][i] / max(spread[0][i], 1e-9))}
        for i, name in enumerate(FIGURES)
    }
    alike = np.corrcoef(b, a)[: len(b), len(b) :]
    rank = (alike > np.diag(alike)[:, None]).sum(axis=1)
    first, third = (int((rank < n).sum()) for n in (1, 3))
    return {"figures": figures, "known": {"first": first, "third": third, "of": len(pairs)}}


def summary(rows: list[Row]) -> dict[str, Any]:
    """Shares that are right, the median and 90th percentile of the colours' differences, and :func:`shapes`."""
    result: dict[str, Any] = {"people": len(rows)}
    for trait in ("glasses", "beard", "hair", "presentation", "eyes"):
        judged = [getattr(row, trait) for row in rows if getattr(row, trait) is not None]
        result[trait] = {"right": sum(judged), "of": len(judged)}
    for colour in ("skin", "hair_colour", "live_skin", "live_hair_colour"):
        off = np.array([getattr(row, colour) for row in rows], np.float64)
        off = off[np.isfinite(off)]
        half, most = (float(np.percentile(off, share)) if off.size else float("nan") for share in (50, 90))
        result[colour] = {"median": half, "p90": most, "near": int((off <= NEAR).sum()), "of": int(off.size)}
    return result | {"shape": shapes(rows)}


def table(rows: list[Row]) -> str:
    """A markdown table, a row per person; what is wrong stands out."""
    lines = [
        "| | glasses | beard | hair length | presentation | eyes "
        "| skin | hair colour | live: skin | hair colour | made |",
        "|---|" + "---|" * 10,
    ]
    for row in rows:
        marks = [
            "" if value is None else "right" if value else "**wrong**"
            for value in (row.glasses, row.beard, row.hair, row.presentation, row.eyes)
        ]
        seen = (row.skin, row.hair_colour, row.live_skin, row.live_hair_colour)
        colours = ["" if np.isnan(value) else f"{value:.1f}" for value in seen]
        lines.append(f"| {row.name} | {' | '.join(marks + colours)} | {row.made} |")
    return "\n".join(lines)


def proportions(media: Path, studio: Studio, seconds: float) -> str:
    """Mean and spread of the proportions over the grown-up people of the media, one line a figure, and of the brows."""
    people, brows = [], []
    for group, suffix in (("clips", ".mp4"), ("stills", ".jpg")):
        for name, label in read_toml(LABELS)[group].items():
            if label["age"] != "child" and label["hair"] != "covered":
                identity = studio.watch([str(media / group / f"{name}{suffix}")], seconds).identity
                people.append(shape_of(identity))
                brows.append(identity.brows())
    figures = np.array(people)
    rows = zip(FIGURES, figures.mean(axis=0), figures.std(axis=0), strict=True)
    lines = [f'"{name}": ({mean:.3f}, {spread:.3f}),' for name, mean, spread in rows]
    return "\n".join([*lines, f"brows: {np.nanmean(brows):.3f}, {np.nanstd(brows):.3f}"])


def painted(studio: Studio, count: int, seed: int) -> dict[str, Any]:
    """What ``realtime/said_colours.json`` holds: over drawn people, what was said to the generator and what is seen."""
    from tools.face_world import index
    from tools.face_world.sampling import person

    random = np.random.default_rng(seed)
    pairs: list[tuple[Array, Array, Array]] = []
    while len(pairs) < count:
        row = person(random, "toon")
        who = decided({name: float(row[index(name)]) for name in ATTRIBUTES} | {"grey": 0.0})
        if who["hair_bald"] or who["hat_beanie"] or who["hat_cap"]:
            continue
        drawn = studio.seen(who)
        if drawn is not None:
            seen = np.concatenate([linear_rgb(drawn.colours[name]) for name in MATCHED])
            said = np.array([who[f"{part}_{c}"] for part in PARTS for c in "rgb"])
            pairs.append((seen, circumstances(who), said))
    seen_, around, said_ = (np.array(columns) for columns in zip(*pairs, strict=True))
    return fitted(seen_, around, said_)


def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--media", type=Path, help="folder with clips/ and stills/")
    a.add_argument("--drawn", type=int, default=0, help="how many drawn people")
    a.add_argument("--seconds", type=float, default=2.0, help="how long a clip is watched")
    a.add_argument("--seed", type=int, default=11)
    a.add_argument("--json", type=Path, help="default: docs/measurements/likeness-DATE.json")
    a.add_argument("--proportions", action="store_true")
    a.add_argument("--colours", action="store_true")
    o = a.parse_args()
    with closing(Studio(Settings())) as studio:
        if o.proportions:
            print(proportions(o.media, studio, o.seconds))
            return
        if o.colours:
            SAID.write_text(json.dumps(painted(studio, o.drawn or 300, o.seed)) + "\n", "utf-8")
            return
        media = of_media(o.media, studio, o.seconds) if o.media else []
        drawn = of_drawn(o.drawn, studio, o.seed)
        print(table(media))
        for name, rows in (("media", media), ("drawn", drawn)):
            print(f"{name}: {summary(rows)}")
        groups = {name: summary(rows) for name, rows in (("media", media), ("drawn", drawn)) if rows}
        record("likeness", o.json, model=studio.model.describe(), seconds=o.seconds, seed=o.seed, groups=groups)


if __name__ == "__main__":
    main()

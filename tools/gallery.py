"""Pictures for the docs: what every edit and style does, and drawn heads beside what the model makes of them.

    python -m tools.gallery --out docs/pictures

``edits.png``: a row per edit, strengths -1 to 1 (age, beard and glasses 0 to 1) on three people. ``unseen.png``: heads
that the model was not trained on (upper rows) and the model's pictures of the same parameters (lower rows).
``styles.png``: a row per style that the weights can show, strengths 0, 0.5 and 1 on the same three people.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from engines.attributes import ATTRIBUTES
from engines.bundled import LAYERS, BundledModel, load
from engines.motion import AT_REST, MOTION
from realtime.configuration import Style, styles
from realtime.dressing import dressed, unknown_attributes
from realtime.editing import Editor
from realtime.frames import Latent
from realtime.generating import Generator
from realtime.strengths import scaled
from tools.face_world import draw, index, names
from tools.face_world.sampling import perform, person

PAPER = 214
STRENGTHS = {"age": (0, 0.5, 1), "beard": (0, 0.5, 1), "glasses": (0, 0.5, 1)}


def flat(bgra: np.ndarray) -> np.ndarray:
    """A portrait on paper, BGR."""
    alpha = bgra[..., 3:].astype(np.float32) / 255
    return (bgra[..., :3] * alpha + (1 - alpha) * PAPER).astype(np.uint8)


def latent(model: BundledModel, row: np.ndarray, motion: np.ndarray) -> Latent:
    """The code of a person of the face world, float32 [parameters]."""
    attributes = np.array([[row[index(name)] for name in ATTRIBUTES]], np.float32)
    wplus = np.repeat(model.mapping.infer(attributes)[0], LAYERS, axis=0)
    return Latent(0, 0, wplus, motion.astype(np.float32), np.eye(2, 3), True)


def edits(model: BundledModel, people: list[np.ndarray]) -> np.ndarray:
    """A row per edit: its strengths on every person."""
    generator, rest = Generator(model), np.array([AT_REST[name] for name in MOTION])
    rows = []
    for name in model.directions:
        cells = []
        for row in people:
            for strength in STRENGTHS.get(name, (-1, 0, 1)):
                code = Editor(model.directions, {name: float(strength)}).edit(latent(model, row, rest))
                cells.append(flat(generator.generate(code).pixels))
        strip = np.hstack(cells)
        cv2.putText(strip, name, (6, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (40, 40, 40), 1, cv2.LINE_AA)
        rows.append(strip)
    return np.vstack(rows)


def wearing(model: BundledModel, people: list[np.ndarray], known: Mapping[str, Style]) -> np.ndarray:
    """A row per style of ``known`` that the weights can show: its strengths on every person."""
    generator, rest = Generator(model), np.array([AT_REST[name] for name in MOTION])
    rows = []
    for name, style in known.items():
        if name == "toon" or style.model != model.name or unknown_attributes(style):
            continue
        cells = []
        for row in people:
            for strength in (0.0, 0.5, 1.0):
                edits = {edit: scaled(value, strength) for edit, value in style.edits.items()}
                code = latent(dressed(model, style.attributes, strength), row, rest)
                cells.append(flat(generator.generate(Editor(model.directions, edits).edit(code)).pixels))
        strip = np.hstack(cells)
        cv2.putText(strip, name, (6, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (40, 40, 40), 1, cv2.LINE_AA)
        rows.append(strip)
    return np.vstack(rows)


def unseen(model: BundledModel, count: int, seed: int) -> np.ndarray:
    """Drawn heads above, the model's below, eight a row."""
    random, generator = np.random.default_rng(seed), Generator(model)
    people = np.stack([perform(person(random), random) for _ in range(count)])
    columns = [names().index(name) for name in MOTION]
    drawn = [flat(cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA)) for picture in draw(people, 256)]
    made = [flat(generator.generate(latent(model, row, row[columns])).pixels) for row in people]
    lines = []
    for start in range(0, count, 8):
        lines += [np.hstack(drawn[start : start + 8]), np.hstack(made[start : start + 8])]
    return np.vstack(lines)


def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--out", type=Path, default=Path("docs/pictures"))
    a.add_argument("--seed", type=int, default=2034)
    o = a.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    model, random = load("toon"), np.random.default_rng(o.seed)
    people = [person(random, "toon") for _ in range(3)]
    worn = wearing(model, people, styles())
    sheets = {"edits": edits(model, people), "styles": worn, "unseen": unseen(model, 16, o.seed)}
    for name, sheet in sheets.items():
        shrink = 0.375 if name == "styles" else 0.5
        small = cv2.resize(sheet, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(o.out / f"{name}.png"), small)


if __name__ == "__main__":
    main()

"""Measure what every edit of the bundled model does, and draw its sweep: docs/edits.md, docs/pictures/edits-NAME.png.

    python -m tools.measure_edits                      # after new weights: table, pictures and docs/measurements
    python -m tools.measure_edits --people 4 --out runs/edits --json runs/edits.json --page runs/edits.md
    python -m tools.measure_edits --domain comic --out runs/comic --json runs/comic.json    # prints its table

For random people of the face world the edit's strength goes over five steps; where it goes from nothing up, they start
at its lower end. Two measures look at every step:

*seen*: the portrait is drawn and shown to the encoder network, as a face of the camera would be. Hair colour is that of
the crown in the picture (the live program does not leave it to the encoder either), smile what FaceMesh finds of the
corners of the mouth.
*code*: a linear readout of the attributes, fitted on the codes of other people whose attributes are known exactly; how
well it reads each attribute of people it was not fitted on stands beside it (R2).

The change of the wanted attribute is given per unit of strength, next to how much people differ in it (standard
deviation). *monotone*: people for whom the wanted attribute never falls, and steps that do not fall. *others*: the
root mean square of the changes of all other attributes, each in its own standard deviation, and the one that changes
most.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from engines.attributes import ATTRIBUTES, COLOURS, HAIR_STYLES, PERSONAL
from engines.bundled import LAYERS, BundledModel, load
from engines.motion import AT_REST, MOTION
from engines.portrait import COLOUR_LAYERS, SHAPE_LAYERS
from realtime.editing import Editor
from realtime.frames import Latent
from realtime.generating import Generator
from tools.direction_sources import measured
from tools.face_world import names
from tools.face_world.sampling import person
from tools.find_directions import EDITS, ends
from tools.gallery import flat
from tools.record import ROOT, record

Floats = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]

ONE_SIDED = ("beard", "child", "glasses", "hair_blue", "hair_long", "hair_red", "make_up")
LONG = ("hair_bob", "hair_long", "hair_wavy", "hair_ponytail", "hair_braids")
# What an edit is wanted to change: a sum of attributes.
WANTED: dict[str, dict[str, float]] = {
    "age": {"age": 1},
    "child": {"age": -1},
    "beard": {"beard": 1},
    "glasses": {"glasses_round": 1, "glasses_square": 1},
    "hair": {"hair_r": 1 / 3, "hair_g": 1 / 3, "hair_b": 1 / 3},
    "hair_red": {"hair_r": 1, "hair_g": -0.5, "hair_b": -0.5},
    "hair_blue": {"hair_b": 1, "hair_r": -0.5, "hair_g": -0.5},
    "hair_long": dict.fromkeys(LONG, 1.0),
    "make_up": {"make_up": 1},
    "presentation": {"femininity": -1},
}
# What goes along with an edit by its own definition and is not counted among the others.
HAIR_COLOUR = ("hair_r", "hair_g", "hair_b")  # what is seen of it goes with grey
ALONG: dict[str, tuple[str, ...]] = {
    "age": HAIR_COLOUR,
    "child": HAIR_COLOUR,
    "hair_long": HAIR_STYLES,
    "presentation": ("beard", "goatee", "moustache"),
}
READOUT_PEOPLE, RIDGE = 3000, 1e-2
CELL, CROP, INK = 128, 256, (40, 40, 40)
BEGIN, END = "<!-- measured by tools/measure_edits.py -->", "<!-- end of what was measured -->"


@dataclass(frozen=True, slots=True)
class Figure:
    """What one measure says of an edit; see the module's text."""

    wanted: float
    spread: float
    monotone_people: float
    monotone_steps: float
    others: float
    largest_other: str
    largest: float
    readable: float


def strengths(edit: str) -> Values:
    """The five strengths at which an edit is looked at."""
    return np.linspace(0 if edit in ONE_SIDED else -1, 1, 5)


def codes(model: BundledModel, people: Floats) -> Floats:
    """W of people [n, attributes]: [n, dim]."""
    return np.stack([model.mapping.infer(row[None])[0][0].copy() for row in people])


def crowd(count: int, seed: int, fixed: dict[str, float], domain: str = "toon") -> Floats:
    """Random people of a domain, float32 [count, attributes], with some attributes set. Raises SystemExit."""
    if domain != "toon" and f"domain_{domain}" not in ATTRIBUTES:
        raise SystemExit(f"the installed weights have no domain {domain!r}; wanted toon, or weights that draw it")
    random = np.random.default_rng(seed)
    columns = [names().index(name) for name in ATTRIBUTES]
    people = np.stack([person(random, domain) for _ in range(count)])[:, columns]
    for name, value in fixed.items():
        people[:, ATTRIBUTES.index(name)] = value
    return people


class Readout:
    """Reads attributes off W+ by ridge regression: colours off the layers of colour, the others off those of shape."""

    def __init__(self, model: BundledModel, people: Floats) -> None:
        count = len(people)
        w = codes(model, people).astype(np.float64)
        self._mean, self.spread = people.mean(axis=0), people.std(axis=0).astype(np.float64)
        self._centre = w.mean(axis=0)
        fitted = slice(0, count * 4 // 5)
        x, y = w[fitted] - self._centre, people[fitted] - self._mean
        penalty = RIDGE * np.trace(x.T @ x) / len(x.T) * np.eye(x.shape[1])
        self._matrix = np.linalg.solve(x.T @ x + penalty, x.T @ y)
        rest = slice(fitted.stop, None)
        missed = people[rest] - (self._mean + (w[rest] - self._centre) @ self._matrix)
        self.readable = 1 - missed.var(axis=0) / np.maximum(people[rest].var(axis=0), 1e-9)

    def read(self, wplus: Floats) -> Values:
        """Attributes of a code [layers, dim]."""
        shape, colour = (
            self._mean + (wplus[list(layers)].mean(axis=0) - self._centre) @ self._matrix
            for layers in (SHAPE_LAYERS, COLOUR_LAYERS)
        )
        return np.array([colour[i] if name in COLOURS else shape[i] for i, name in enumerate(ATTRIBUTES)])


def starting(edit: str, people: Floats) -> Floats:
    """The people from which an edit is measured."""
    return ends(edit, people)[0] if edit in ONE_SIDED else people


def sweep(model: BundledModel, edit: str, people: Floats) -> tuple[list[list[Latent]], list[list[Pixels]]]:
    """The edited codes and their portraits (BGRA), by person and strength."""
    generator, rest = Generator(model), np.array([AT_REST[name] for name in MOTION], np.float32)
    table = []
    for w in codes(model, people):
        plain = Latent(0, 0, np.repeat(w[None], LAYERS, axis=0), rest, np.eye(2, 3), True)
        edits = [Editor(model.directions, {edit: float(strength)}) for strength in strengths(edit)]
        table.append([editor.edit(plain) for editor in edits])
    return table, [[generator.generate(code).pixels for code in row] for row in table]


def figure(edit: str, measures: Values, spread: Values, readable: Values) -> Figure:
    """The figures of attributes [people, strengths, attributes] along an edit."""
    weights = np.array([WANTED[edit].get(name, 0.0) for name in ATTRIBUTES])
    set_by_edit = {*EDITS[edit].low, *EDITS[edit].high, *ALONG.get(edit, ())}
    other = np.array([name not in set_by_edit and spread[i] > 1e-6 for i, name in enumerate(ATTRIBUTES)])
    wanted = measures @ weights
    across = float(np.ptp(strengths(edit)))
    rises = np.diff(wanted, axis=1) >= 0
    moved = np.where(other, (measures[:, -1] - measures[:, 0]).mean(axis=0) / across / np.maximum(spread, 1e-6), 0.0)
    largest = int(np.abs(moved).argmax())
    variance = float((weights**2 * spread**2).sum())
    return Figure(
        wanted=float((wanted[:, -1] - wanted[:, 0]).mean() / across),
        spread=variance**0.5,
        monotone_people=float(rises.all(axis=1).mean()),
        monotone_steps=float(rises.mean()),
        others=float(np.sqrt((moved[other] ** 2).mean())),
        largest_other=ATTRIBUTES[largest],
        largest=float(moved[largest]),
        readable=float((np.abs(weights) * readable).sum() / np.abs(weights).sum()),
    )


def smile(model: BundledModel, portraits: list[list[Pixels]], spread: Values) -> dict[str, float]:
    """How the corners of the mouth go, in distances of the outer eye corners, and what the encoder sees elsewhere."""
    from realtime.expression import FIGURES

    corners = [len(PERSONAL) + FIGURES.index(name) for name in ("corner_l", "corner_r")]
    tables = []
    for row in portraits:
        kept, table = measured((np.asarray(cv2.resize(flat(p), (512, 512)), np.uint8) for p in row), model)
        if len(kept) == len(row):
            tables.append(table)
    if not tables:
        raise SystemExit("FaceMesh finds no face in the drawn people; the weights draw no faces")
    seen = np.array(tables, np.float64)
    up, across = seen[:, :, corners].mean(axis=2), float(np.ptp(strengths("smile")))
    rises = np.diff(up, axis=1) >= 0
    spread = spread[: len(PERSONAL)]
    moved = (seen[:, -1] - seen[:, 0]).mean(axis=0)[: len(PERSONAL)] / across / np.maximum(spread, 1e-6)
    return {
        "people": len(tables),
        "wanted": float((up[:, -1] - up[:, 0]).mean() / across),
        "monotone_people": float(rises.all(axis=1).mean()),
        "monotone_steps": float(rises.mean()),
        "others": float(np.sqrt((moved[spread > 1e-6] ** 2).mean())),
    }


def seen(model: BundledModel, portraits: list[list[Pixels]]) -> Values:
    """What is seen in portraits: [people, strengths, attributes]."""
    table = []
    for row in portraits:
        crops = [np.ascontiguousarray(cv2.resize(flat(p), (CROP, CROP), interpolation=cv2.INTER_AREA)) for p in row]
        unseen = np.zeros(len(ATTRIBUTES) - len(PERSONAL))  # the encoder does not tell the domain
        table.append([np.concatenate([model.encoder.infer(crop[None])[0][0], unseen]) for crop in crops])
        for attributes, portrait in zip(table[-1], row, strict=True):
            attributes[[ATTRIBUTES.index(f"hair_{c}") for c in "rgb"]] = crown(portrait)
    return np.array(table)


def crown(portrait: Pixels) -> Values:
    """The colour of the hair on top of the head as linear RGB: the first rows of the middle columns, BGRA [s, s, 4]."""
    size = portrait.shape[0]
    columns = portrait[:, round(0.42 * size) : round(0.58 * size)]
    top = (columns[..., 3] > 200).argmax(axis=0)
    rows = top[None] + np.arange(round(0.015 * size), round(0.055 * size))[:, None]
    picked = columns[rows.clip(0, size - 1), np.arange(columns.shape[1])[None], :3].reshape(-1, 3)
    display = np.median(picked, axis=0)[::-1] / 255
    return np.asarray(display**2 / (1.1 - 0.16 * display**2))  # as realtime.colours


def sheet(edit: str, portraits: list[list[Pixels]]) -> Pixels:
    """Three people in rows, strengths in columns."""
    cells = [[cv2.resize(flat(p), (CELL, CELL), interpolation=cv2.INTER_AREA) for p in row] for row in portraits[:3]]
    whole = np.vstack([np.hstack(row) for row in cells])
    for number, strength in enumerate(strengths(edit)):
        place = (number * CELL + 6, 14)
        cv2.putText(whole, f"{strength:+g}", place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, INK, 1, cv2.LINE_AA)
    return whole


def table(found: dict[str, dict[str, Figure]], smiling: dict[str, float]) -> str:
    """The figures as a table of Markdown."""
    lines = [
        "| edit | seen: wanted, per unit (people differ by) | monotone: people, steps | others | most | "
        "code: wanted, per unit | monotone | others | most | R2 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for edit, by in found.items():
        seen, code = by["seen"], by["code"]
        lines.append(
            f"| {edit} | {seen.wanted:+.2f} ({seen.spread:.2f}) "
            f"| {seen.monotone_people:.0%}, {seen.monotone_steps:.0%} "
            f"| {seen.others:.2f} | {seen.largest_other} {seen.largest:+.1f} | {code.wanted:+.2f} "
            f"| {code.monotone_people:.0%} | {code.others:.2f} | {code.largest_other} {code.largest:+.1f} "
            f"| {code.readable:.2f} |"
        )
    lines.append(
        f"| smile | {smiling['wanted']:+.3f} of the eyes' distance | {smiling['monotone_people']:.0%}, "
        f"{smiling['monotone_steps']:.0%} | {smiling['others']:.2f} | | motion alone: 0 | | 0 | | |"
    )
    return "\n".join(lines)


def write_table(page: Path, text: str) -> None:
    """Put the table between the marks of a page."""
    before = page.read_text(encoding="utf-8")
    if BEGIN not in before or END not in before:
        raise SystemExit(f"{page} has no place for the table; wanted the lines {BEGIN} and {END}")
    inside = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    page.write_text(inside.sub(lambda _: f"{BEGIN}\n\n{text}\n\n{END}", before), encoding="utf-8")


def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--people", type=int, default=16)
    a.add_argument("--seed", type=int, default=2026)
    a.add_argument("--domain", default="toon", help="toon, clay, comic or natural; the page shows toon")
    a.add_argument("--out", type=Path, default=ROOT / "docs/pictures", help="where the pictures go")
    a.add_argument("--page", type=Path, default=ROOT / "docs/edits.md")
    a.add_argument("--json", type=Path, help="default: docs/measurements/edits-DATE.json")
    a.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an attribute of all people")
    o = a.parse_args()
    fixed = {name: float(value) for name, value in (text.split("=") for text in o.set)}
    model = load("toon")
    people = crowd(o.people, o.seed, fixed, o.domain)
    readout = Readout(model, crowd(READOUT_PEOPLE, 11, fixed, o.domain))
    o.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, Figure]] = {}
    for edit in (*EDITS, "smile"):
        latents, portraits = sweep(model, edit, starting(edit, people))
        cv2.imwrite(str(o.out / f"edits-{edit}.png"), sheet(edit, portraits))
        if edit == "smile":
            smiling = smile(model, portraits, readout.spread)
            continue
        read = np.array([[readout.read(code.wplus) for code in row] for row in latents])
        measures = {"seen": seen(model, portraits), "code": read}
        found[edit] = {name: figure(edit, it, readout.spread, readout.readable) for name, it in measures.items()}
        print(f"{edit}: {found[edit]['seen']}", flush=True)
    text = table(found, smiling)
    print(text)
    if o.domain == "toon":
        write_table(o.page, text)
    rows = {edit: {name: asdict(one) for name, one in by.items()} for edit, by in found.items()}
    made = dict(people=o.people, seed=o.seed, domain=o.domain, fixed=fixed)
    print(record("edits", o.json, **made, edits=rows, smile=smiling))


if __name__ == "__main__":
    main()

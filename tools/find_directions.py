"""Find edit directions, of the bundled model and of imported generators.

    python -m tools.find_directions                                             # the bundled model's edits
    python -m tools.find_directions --method boundary --label "age>0.6" --out age.npy
    python -m tools.find_directions --imported FOLDER --method components --out basis.pt
    python -m tools.find_directions --imported FOLDER --method factors --out sefa.pt
    python -m tools.find_directions --imported FOLDER --method label --people 500 --out labels.npz
    python -m tools.find_directions --imported F --labels labels.npz --method channels --label "age>0.6" --out a.npy

*edits* (the default): supervised, with exact labels. For many random people the attribute is set to its two ends and
nothing else is changed; the mean difference of their codes is the direction (strength 1 goes from one end to the
other). Colours go to the layers of colour only, as style mixing in training taught them. Smile is motion, not identity.
With each goes what reads off a code how far somebody is already, so that an edit can end where trained people do.
Prints, per direction, how much of the people's own differences it explains (the mean cosine) before writing
``engines/weights/directions.safetensors``.

*boundary*, *components*, *factors*, *channels*: see ``tools/direction_methods.py``. They write the formats of published
directions, which ``avatar-live models import`` takes. *label* draws an imported generator's pictures and labels their
codes by the bundled encoder and FaceMesh.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

from engines.attributes import HAIR_STYLES, column
from engines.motion import MOTION
from engines.portrait import COLOUR_LAYERS, DIM, LAYERS, SHAPE_LAYERS
from engines.sefa import factorize
from tools.direction_methods import boundary, channel_scores, channel_step, components, paired
from tools.direction_sources import Source, bundled_source, imported_source, label_imported, load_mapping
from tools.face_world import names
from tools.face_world.sampling import MANLY, PLAIN, manly, person
from tools.train_generator import attribute_names

RIDGE = 1e-5  # of the codes' mean variance
ALL = (*SHAPE_LAYERS, *COLOUR_LAYERS)
SMILE = dict(corner_l=0.75, corner_r=0.75, mouth_wide=0.35, squint_l=0.25, squint_r=0.25, lip_upper=0.15)


def hair_colour(red: float, green: float, blue: float) -> dict[str, float]:
    """Attributes of hair of a colour (linear RGB) without grey."""
    return {"hair_r": red, "hair_g": green, "hair_b": blue, "grey": 0.0}


def hair_style(name: str) -> dict[str, float]:
    """Attributes of one hair style."""
    return {**dict.fromkeys(HAIR_STYLES, 0.0), name: 1.0}


@dataclass(frozen=True, slots=True)
class Ends:
    """What an edit sets at its two ends, and the layers it acts on.

    by: what tells how far somebody is from one end to the other, weights of attributes; empty: the first of ``high``.
    """

    low: dict[str, float]
    high: dict[str, float]
    layers: tuple[int, ...] = field(default=ALL)
    by: dict[str, float] = field(default_factory=dict)

    def place(self, people: np.ndarray) -> np.ndarray:
        """Where people [n, attributes] are: 0 at the low end, 1 at the high one, [n]."""
        by = self.by or {next(iter(self.high)): 1.0}
        value = sum(weight * people[:, column(name)] for name, weight in by.items())
        low, high = (sum(weight * end[name] for name, weight in by.items()) for end in (self.low, self.high))
        return np.asarray((value - low) / (high - low))


def among(colour: str) -> dict[str, float]:
    """How much of one colour there is beyond the other two."""
    return {name: 1.0 if name == colour else -0.5 for name in ("hair_r", "hair_g", "hair_b")}


MANLIER = 2.0  # than men are in the mean, and women the other way
PLAIN_SHAPE = {name: PLAIN[name] for name in MANLY}
SHAVEN = dict(beard=0.0, goatee=0.0, moustache=0.0, stubble=0.0)
BROWN = hair_colour(0.14, 0.065, 0.030)
EDITS: dict[str, Ends] = {
    "age": Ends(dict(age=0.30, grey=0.0), dict(age=0.95, grey=0.85)),
    "child": Ends(dict(age=0.35, grey=0.0, **SHAVEN), dict(age=0.06, grey=0.0, **SHAVEN)),
    "beard": Ends(SHAVEN, {**SHAVEN, "beard": 1.0, "moustache": 0.9}),
    "glasses": Ends(dict(glasses_round=0.0, glasses_square=0.0), dict(glasses_round=1.0, glasses_square=0.0)),
    "hair": Ends(hair_colour(0.035, 0.018, 0.012), hair_colour(0.62, 0.44, 0.20), COLOUR_LAYERS),
    "hair_red": Ends(BROWN, hair_colour(0.40, 0.09, 0.025), COLOUR_LAYERS, among("hair_r")),
    "hair_blue": Ends(BROWN, hair_colour(0.10, 0.25, 0.60), COLOUR_LAYERS, among("hair_b")),
    "hair_long": Ends(
        hair_style("hair_short"),
        hair_style("hair_long"),
        by=dict.fromkeys(("hair_long", "hair_wavy", "hair_braids"), 1.0),
    ),
    "make_up": Ends(dict(make_up=0.0), dict(make_up=1.0, lip_r=0.55, lip_g=0.05, lip_b=0.09)),
    # feminine (-) to masculine (+)
    "presentation": Ends(
        dict(femininity=0.95, beard=0.0, goatee=0.0, moustache=0.0, **manly(PLAIN_SHAPE, -MANLIER)),
        dict(femininity=0.05, make_up=0.0, stubble=0.4, **manly(PLAIN_SHAPE, MANLIER)),
        by=dict(femininity=1.0),
    ),
}


def ends(edit: str, people: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """The people at both ends of an edit [n, attributes], and the layers it acts on."""
    low, high = people.copy(), people.copy()
    for rows, values in ((low, EDITS[edit].low), (high, EDITS[edit].high)):
        for name, value in values.items():
            rows[:, column(name)] = value
    return low, high, EDITS[edit].layers


def gauge(edit: str, people: np.ndarray, codes_of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What reads off W how far somebody is from an edit's one end to the other: float32 [256 + 3].

    Weights and offset of a ridge regression on people, as they are and at both ends, then where people are at least and
    at most (1st and 99th percentile, and both ends in any case). codes_of: attributes [n, ...] to W [n, 256].
    """
    low, high, _ = ends(edit, people)
    place = EDITS[edit].place(people)
    x = codes_of(np.concatenate([people, low, high])).astype(np.float64)
    y = np.concatenate([place, np.zeros(len(low)), np.ones(len(high))])
    centre, mean = x.mean(0), y.mean()
    inner = (x - centre).T @ (x - centre)
    weights = np.linalg.solve(
        inner + RIDGE * np.trace(inner) / len(inner) * np.eye(len(inner)), (x - centre).T @ (y - mean)
    )
    least, most = np.percentile(place, [1, 99])
    return np.array([*weights, mean - centre @ weights, min(least, 0.0), max(most, 1.0)], np.float32)


def random_people(count: int, generator: Path) -> np.ndarray:
    """Random people as a checkpoint's mapping network takes them, float32 [count, attributes].

    A checkpoint from before the world had domains takes the attributes without them; they come last.
    """
    random = np.random.default_rng(7)
    columns = [names().index(n) for n in attribute_names()[: len(load_mapping(generator).mean)]]
    return np.stack([person(random) for _ in range(count)])[:, columns]


def find_edits(generator: Path, people: np.ndarray, out: Path) -> None:
    """Write the bundled model's edits."""
    mapping = load_mapping(generator)
    tensors: dict[str, np.ndarray] = {}

    @torch.no_grad()
    def codes_of(attributes: np.ndarray) -> np.ndarray:
        return np.asarray(mapping(torch.from_numpy(attributes)).numpy())

    for edit in EDITS:
        low, high, layers = ends(edit, people)
        direction, alike = paired(codes_of(low), codes_of(high))
        tensors[f"{edit}.gauge"] = gauge(edit, people, codes_of)
        wplus = np.zeros((LAYERS, DIM), np.float32)
        wplus[list(layers)] = direction
        tensors[f"{edit}.wplus"], tensors[f"{edit}.motion"] = wplus, np.zeros(len(MOTION), np.float32)
        print(f"{edit:13} length {np.linalg.norm(direction):6.2f}, mean cosine with single people {alike:.3f}")
    smile = np.zeros(len(MOTION), np.float32)
    for name, value in SMILE.items():
        smile[MOTION.index(name)] = value
    tensors["smile.wplus"], tensors["smile.motion"] = np.zeros((LAYERS, DIM), np.float32), smile
    save_file(tensors, out)


def find_boundary(source: Source, rule: str, out: Path) -> None:
    """Write the boundary of a label as one direction."""
    found = boundary(source.codes, source.labelled(rule))
    np.save(out, found.normal[None])
    print(f"{rule}: right for {found.accuracy:.1%} of the codes held out; people differ by {found.spread:.2f} along it")


def find_components(source: Source, count: int, out: Path) -> None:
    """Write the principal components of W as a GANSpace basis."""
    found = components(source.codes, count)
    basis = {"comp": found.components[:, None], "mean": found.mean[None], "std": found.std}
    torch.save({name: torch.from_numpy(value) for name, value in basis.items()}, out)
    whole = source.codes.var(axis=0).sum()
    print("share of all variance: " + ", ".join(f"{value:.1%}" for value in found.std**2 / whole))


def find_factors(source: Source, count: int, out: Path) -> None:
    """Write the factors of the modulation weights."""
    found = factorize(source.layers, sorted(set(source.rows)))
    torch.save({"eigvec": torch.from_numpy(np.ascontiguousarray(found.directions[:count].T))}, out)
    print("singular values: " + ", ".join(f"{value:.2f}" for value in np.sqrt(found.eigenvalues[:count])))


def find_channels(source: Source, rule: str, count: int, out: Path) -> None:
    """Write the step of the channel that tells a label best, by one standard deviation, and print the next best."""
    found = channel_scores(source.codes, source.labelled(rule), source.layers)
    for channel in found[:count]:
        print(f"layer {channel.layer:2}, channel {channel.number:4}: {channel.score:+.2f} standard deviations")
    best = found[0]
    weight = source.layers[best.layer]
    spread = float((source.codes @ weight[best.number]).std())
    step = np.zeros((source.row_count, weight.shape[1]), np.float32)
    step[source.rows[best.layer]] = np.sign(best.score) * spread * channel_step(weight, best.number)
    np.save(out, step)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    methods = ("edits", "boundary", "components", "factors", "channels", "label")
    a.add_argument("--method", choices=methods, default="edits")
    a.add_argument("--generator", type=Path, default=Path("runs/generator/checkpoint.pt"))
    a.add_argument("--imported", type=Path, metavar="FOLDER", help="an imported model instead of the bundled one")
    a.add_argument("--labels", type=Path, metavar="FILE.npz", help="codes and labels that --method label wrote")
    a.add_argument("--label", default="", metavar="RULE", help="NAME>NUMBER or NAME<NUMBER")
    a.add_argument("--people", type=int, default=2000, help="how many codes")
    a.add_argument("--count", type=int, default=10, help="how many components, factors or channels")
    a.add_argument("--out", type=Path, default=Path("engines/weights/directions.safetensors"))
    return a.parse_args()


def main() -> None:
    """Command line."""
    o = arguments()
    if o.method == "edits":
        if o.imported is not None:
            raise SystemExit("--method edits is for the bundled model; wanted another --method for an imported one")
        find_edits(o.generator, random_people(o.people, o.generator), o.out)
        return
    if o.out.suffix == ".safetensors":
        raise SystemExit(f"--method {o.method} needs an --out of its own: FILE.npy, FILE.pt or FILE.npz")
    if o.method == "label":
        from engines.bundled import load

        if o.imported is None:
            raise SystemExit("--method label is for an imported model; the bundled one's people have exact labels")
        print(f"{label_imported(o.imported, o.people, 7, load('toon'), o.out)} of {o.people} pictures have a face")
        return
    if o.imported is None:
        source = bundled_source(o.generator, random_people(o.people, o.generator))
    else:
        source = imported_source(o.imported, o.people, 7, o.labels)
    if o.method == "boundary":
        find_boundary(source, o.label, o.out)
    elif o.method == "components":
        find_components(source, o.count, o.out)
    elif o.method == "factors":
        find_factors(source, o.count, o.out)
    else:
        find_channels(source, o.label, o.count, o.out)


if __name__ == "__main__":
    main()

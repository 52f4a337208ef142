"""Find the edit directions of the bundled model in W+ and in the motion code.

    python -m tools.find_directions --generator runs/generator/checkpoint.pt

Supervised, with exact labels: for many random people the attribute is set to its two ends and nothing else is
changed; the mean difference of their codes is the direction (strength 1 goes from one end to the other). Colours go
to the layers of colour only, as style mixing in training taught them. Smile is motion, not identity. Prints, per
direction, how much of the people's own differences it explains (the mean cosine) before writing
``engines/weights/directions.safetensors``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

from engines.attributes import column
from engines.motion import MOTION
from engines.portrait import COLOUR_LAYERS, DIM, LAYERS, SHAPE_LAYERS
from tools.export_models import load_generator
from tools.face_world import names
from tools.face_world.sampling import person
from tools.train_generator import attribute_names

ALL = (*SHAPE_LAYERS, *COLOUR_LAYERS)
SMILE = dict(corner_l=0.75, corner_r=0.75, mouth_wide=0.35, squint_l=0.25, squint_r=0.25, lip_upper=0.15)
DARK, FAIR = (0.035, 0.018, 0.012), (0.62, 0.44, 0.20)


def ends(edit: str, people: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """The people at both ends of an edit [n, attributes], and the layers it acts on."""
    low, high = people.copy(), people.copy()

    def put(rows: np.ndarray, **values: float) -> None:
        for name, value in values.items():
            rows[:, column(name)] = value

    if edit == "age":
        put(low, age=0.30, grey=0.0)
        put(high, age=0.95, grey=0.85)
        return low, high, ALL
    if edit == "beard":
        none = dict(beard=0.0, goatee=0.0, moustache=0.0, stubble=0.0)
        put(low, **none)
        put(high, **{**none, "beard": 1.0, "moustache": 0.9})
        return low, high, ALL
    if edit == "hair":
        for rows, rgb in ((low, DARK), (high, FAIR)):
            put(rows, grey=0.0, **{f"hair_{c}": v for c, v in zip("rgb", rgb, strict=True)})
        return low, high, COLOUR_LAYERS
    if edit == "glasses":
        put(low, glasses_round=0.0, glasses_square=0.0)
        put(high, glasses_round=1.0, glasses_square=0.0)
        return low, high, ALL
    put(low, femininity=0.95, beard=0.0, goatee=0.0, moustache=0.0)  # presentation: feminine (-) to masculine (+)
    put(high, femininity=0.05, make_up=0.0, stubble=0.4)
    return low, high, ALL


def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--generator", type=Path, default=Path("runs/generator/checkpoint.pt"))
    a.add_argument("--people", type=int, default=2000)
    a.add_argument("--out", type=Path, default=Path("engines/weights/directions.safetensors"))
    o = a.parse_args()
    random = np.random.default_rng(7)
    columns = [names().index(n) for n in attribute_names()]
    people = np.stack([person(random) for _ in range(o.people)])[:, columns]
    mapping = load_generator(o.generator).mapping.eval()
    tensors: dict[str, np.ndarray] = {}
    for edit in ("age", "beard", "glasses", "hair", "presentation"):
        low, high, layers = ends(edit, people)
        with torch.no_grad():
            each = (mapping(torch.from_numpy(high)) - mapping(torch.from_numpy(low))).numpy()
        direction = each.mean(0)
        alike = float((each @ direction / (np.linalg.norm(each, axis=1) * np.linalg.norm(direction))).mean())
        wplus = np.zeros((LAYERS, DIM), np.float32)
        wplus[list(layers)] = direction
        tensors[f"{edit}.wplus"], tensors[f"{edit}.motion"] = wplus, np.zeros(len(MOTION), np.float32)
        print(f"{edit:13} length {np.linalg.norm(direction):6.2f}, mean cosine with single people {alike:.3f}")
    smile = np.zeros(len(MOTION), np.float32)
    for name, value in SMILE.items():
        smile[MOTION.index(name)] = value
    tensors["smile.wplus"], tensors["smile.motion"] = np.zeros((LAYERS, DIM), np.float32), smile
    save_file(tensors, o.out)


if __name__ == "__main__":
    main()

"""What a 512 px top adds to the doubled 256 px picture, on heads nobody trained on.

    python -m tools.measure_top --generator runs/generator/checkpoint.pt --top runs/top/checkpoint.pt \
        --data runs/faces512 [--sheet docs/pictures/top-512.png] [--json FILE]

PSNR inside the mask, the mean distance of all pixels and of all gradients (premultiplied RGBA, 0 to 1), and how strong
edges are: the sum of absolute gradients over that of the drawn heads. The sheet has drawn heads, the doubled picture
and the top's, a row each.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from tools.export_models import load_generator
from tools.record import record
from tools.train_generator import Faces, ratios
from tools.train_top import drawn_twice, load_top

SHOWN, GREY = 4, 0.84
Figures = dict[str, float]


def figures(got: Tensor, want: Tensor) -> list[Figures]:
    """The figures of each head of a batch."""
    found = []
    for one, other, ratio in zip(got, want, ratios(got, want), strict=True):
        slopes = [(one.diff(dim=d), other.diff(dim=d)) for d in (1, 2)]
        found.append(
            {
                "psnr_db": ratio,
                "l1": float((one - other).abs().mean()),
                "gradients": float(sum((a - b).abs().mean() for a, b in slopes) / 2),
                "edges": float(sum(a.abs().sum() for a, _ in slopes) / sum(b.abs().sum() for _, b in slopes)),
            }
        )
    return found


def mean(rows: list[Figures]) -> Figures:
    """Of each figure over the heads."""
    return {name: round(float(np.mean([row[name] for row in rows])), 5) for name in rows[0]}


def on_grey(picture: Tensor) -> np.ndarray:
    """Premultiplied RGBA [4, s, s] before grey, as BGR bytes."""
    rgb = picture[:3] + (1 - picture[3:]) * GREY
    return np.asarray((rgb.flip(0).permute(1, 2, 0).clamp(0, 1).numpy() * 255).round(), np.uint8)


def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--generator", type=Path, default=Path("runs/generator/checkpoint.pt"))
    a.add_argument("--top", type=Path, default=Path("runs/top/checkpoint.pt"))
    a.add_argument("--data", type=Path, default=Path("runs/faces512"))
    a.add_argument("--count", type=int, default=24)
    a.add_argument("--sheet", type=Path)
    a.add_argument("--json", type=Path)
    o = a.parse_args()
    torch.set_flush_denormal(True)
    faces, model, top = Faces(o.data, "held_out"), load_generator(o.generator).eval(), load_top(o.top)
    count, rows, columns = min(o.count, len(faces)), {"doubled": [], "top": []}, []
    for want, doubled, topped in drawn_twice(model, top, faces, count):
        rows["doubled"] += figures(doubled, want)
        rows["top"] += figures(topped, want)
        columns += [np.vstack([on_grey(p) for p in head]) for head in zip(want, doubled, topped, strict=True)]
    if o.sheet:
        cv2.imwrite(str(o.sheet), np.hstack(columns[:SHOWN]))
    found = {name: mean(heads) for name, heads in rows.items()}
    print(found)
    print(record("top", o.json, heads=count, **found))


if __name__ == "__main__":
    main()

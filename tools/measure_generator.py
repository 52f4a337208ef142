"""How near the generator's pictures of unseen heads come to the drawn ones, per domain.

    python -m tools.measure_generator --data runs/faces --checkpoint runs/generator/checkpoint.pt

PSNR inside the mask (dB) and alpha IoU at 256 px over the held-out heads; ``between`` are heads between toon and
another domain.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from tools.export_models import load_generator
from tools.face_world import index
from tools.face_world.sampling import DOMAINS
from tools.train_generator import Faces, quality

SIZE, BATCH = 256, 10


def domain_of(row: np.ndarray) -> str:
    """The domain that a head is drawn in, or ``between``."""
    amounts = {name: float(row[index(f"domain_{name}")]) for name in DOMAINS if name != "toon"}
    name, amount = max(amounts.items(), key=lambda item: item[1])
    return "toon" if amount == 0 else name if amount == 1 else "between"


@torch.no_grad()
def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--data", type=Path, default=Path("runs/faces"))
    a.add_argument("--checkpoint", type=Path, default=Path("runs/generator/checkpoint.pt"))
    a.add_argument("--count", type=int, default=200)
    o = a.parse_args()
    torch.set_flush_denormal(True)
    faces, model = Faces(o.data, "held_out"), load_generator(o.checkpoint).eval()
    count = min(o.count, len(faces))
    measured: dict[str, list[tuple[float, float]]] = {}
    for start in range(0, count, BATCH):
        rows = np.arange(start, min(start + BATCH, count))
        for row, *pair in zip(rows, *quality(model, faces, rows, SIZE), strict=True):
            measured.setdefault(domain_of(faces.parameters[row]), []).append((pair[0], pair[1]))
    measured["all"] = [pair for pairs in measured.values() for pair in pairs]
    print("| domain | heads | PSNR, dB | alpha IoU |\n|---|---|---|---|")
    for name, pairs in measured.items():
        ratio, iou = np.mean(pairs, axis=0)
        print(f"| {name} | {len(pairs)} | {ratio:.1f} | {iou:.3f} |")


if __name__ == "__main__":
    main()

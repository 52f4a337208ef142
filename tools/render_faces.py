"""Draw the training data of the bundled models: heads of the face world in shards, resumable.

    python -m tools.render_faces --out runs/faces --train 16000 --held-out 400

Writes ``train-0000.npy`` ... (RGBA uint8 [500, 256, 256, 4]) with ``train-0000.parameters.npy`` (float32
[500, parameters]) beside each, the same for ``held_out``. A shard that is there already is kept; shards depend on the
seed and their number alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from tools.face_world import draw
from tools.face_world.sampling import perform, person

SHARD, SIZE = 500, 256


def render(out: Path, split: str, shard: int, count: int, seed: int) -> None:
    """Draw one shard unless it is there."""
    target = out / f"{split}-{shard:04d}.npy"
    if target.exists():
        return
    random = np.random.default_rng([seed, shard, len(split)])
    rows = np.stack([perform(person(random), random) for _ in range(count)])
    np.save(target.with_suffix(".parameters.npy"), rows)
    building = target.with_suffix(".building")
    with building.open("wb") as file:
        np.save(file, draw(rows, SIZE))
    building.replace(target)
    print(f"{target}: {count} pictures", flush=True)


def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--out", type=Path, default=Path("runs/faces"))
    a.add_argument("--train", type=int, default=16000, help="pictures to train on")
    a.add_argument("--held-out", type=int, default=400, help="pictures of people who are not trained on")
    a.add_argument("--seed", type=int, default=1)
    o = a.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    for split, total in (("held_out", o.held_out), ("train", o.train)):
        for shard in range(-(-total // SHARD)):
            render(o.out, split, shard, min(SHARD, total - shard * SHARD), o.seed)


if __name__ == "__main__":
    main()

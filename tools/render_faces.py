"""Draw the training data of the bundled models: heads of the face world in shards, resumable.

    python -m tools.render_faces --out runs/faces --train 16000 --held-out 400

Writes ``train-0000.npy`` ... (RGBA uint8 [500, 256, 256, 4]) with ``train-0000.parameters.npy`` (float32
[500, parameters]) beside each, the same for ``held_out``. A shard that is there already is kept; shards depend on the
seed and their number alone. With ``--size 512`` a shard holds 125, so that its file is as large. ``--near`` draws
people more like real ones before a camera, for ``tools.train_encoder --more``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from tools.face_world import draw
from tools.face_world.sampling import near, perform, person

SHARD, SIZE = 500, 256


def a_shard(size: int) -> int:
    """How many pictures of ``size`` make a file of the usual length."""
    return max(1, SHARD * SIZE**2 // size**2)


def render(out: Path, split: str, shard: int, count: int, seed: int, size: int = SIZE, like_real: bool = False) -> None:
    """Draw one shard unless it is there."""
    target = out / f"{split}-{shard:04d}.npy"
    if target.exists():
        return
    random = np.random.default_rng([seed, shard, len(split)])
    rows = np.stack([near(random) if like_real else perform(person(random), random) for _ in range(count)])
    np.save(target.with_suffix(".parameters.npy"), rows)
    building = target.with_suffix(".building")
    with building.open("wb") as file:
        np.save(file, draw(rows, size))
    building.replace(target)
    print(f"{target}: {count} pictures", flush=True)


def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--out", type=Path, default=Path("runs/faces"))
    a.add_argument("--train", type=int, default=16000, help="pictures to train on")
    a.add_argument("--held-out", type=int, default=400, help="pictures of people who are not trained on")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--size", type=int, default=SIZE, help="of a picture, in pixels")
    a.add_argument("--near", action="store_true", help="people more like real ones")
    o = a.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    for split, total in (("held_out", o.held_out), ("train", o.train)):
        each = a_shard(o.size)
        for shard in range(-(-total // each)):
            render(o.out, split, shard, min(each, total - shard * each), o.seed, o.size, o.near)


if __name__ == "__main__":
    main()

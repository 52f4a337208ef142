"""Train a generator's geometry by itself: the points at rest and the numbers of the hair's shape.

    python -m tools.train_geometry runs/generator/checkpoint.pt [--steps 70000] [--people 30000] [--data runs/faces]

It is a small network, learns from no picture and takes a step in a few milliseconds, so that people can be made on the
way by the tens of thousands: 5 minutes on 2 cores. Beside the pictures of ``tools.train_generator`` it gets as few
steps as these. Everything else stays as it is. The checkpoint (the weights and their moving average, which both get the
geometry for the average's codes) is written anew, without the optimiser's state, which begins afresh if training goes
on.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engines.motion import MOTION
from engines.portrait import Geometry
from engines.spatial_code import POINTS
from tools.face_world import names, points
from tools.face_world.sampling import perform, person
from tools.train_generator import Faces, Model, attribute_names, averaged, mixed_codes
from tools.training import write

BATCH, RATE, WARM_UP = 256, 2e-3, 0.05
SQUARES = 4.0  # their weight beside that of distances
EVEN = 0.25  # a number counts as if this were its spread, but at most
MOST = 4.0  # times as much as a point
CHUNK = 500


def more_people(count: int, seed: int) -> np.ndarray:
    """Parameters of random people in motion: [count, parameters]."""
    random = np.random.default_rng(seed)
    return np.stack([perform(person(random), random) for _ in range(count)])


@torch.no_grad()
def told_and_wanted(model: Model, parameters: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    """Of people [N, parameters]: the code that the geometry gets [N, 256], the motion [N, motion], and its answer."""
    columns, moving = ([names().index(name) for name in group] for group in (attribute_names(), MOTION))
    attributes = torch.from_numpy(parameters[:, columns].astype(np.float32))
    codes = torch.cat([mixed_codes(model, some, False)[:, 0] for some in attributes.split(CHUNK)])
    rest = torch.from_numpy(np.array(points(parameters.astype(np.float32))[1]))
    return codes, torch.from_numpy(parameters[:, moving].astype(np.float32)), rest


def train(geometry: Geometry, given: tuple[Tensor, Tensor, Tensor], steps: int, seed: int = 0) -> None:
    """Take so many steps."""
    codes, motion, wanted = given
    spread = wanted[:, POINTS:].std(0).clamp(min=EVEN / MOST)
    weight = torch.cat([torch.ones(POINTS, 3), EVEN / spread])
    random = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(geometry.layers.parameters())
    for through in np.linspace(0, 1, steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, through / WARM_UP + 0.02) * (0.5 + 0.5 * math.cos(math.pi * through))
        rows = torch.randint(len(codes), (BATCH,), generator=random)
        off = (geometry(codes[rows], motion[rows]) - wanted[rows]) * weight
        optimiser.zero_grad()
        (off.abs().mean() + SQUARES * off.square().mean()).backward()
        optimiser.step()


@torch.no_grad()
def off_by(geometry: Geometry, given: tuple[Tensor, Tensor, Tensor]) -> tuple[float, float]:
    """Root mean squares of what points are off by in head units, and numbers in their own."""
    codes, motion, wanted = given
    squares = (geometry(codes, motion) - wanted).square()
    return float(squares[:, :POINTS].mean().sqrt()), float(squares[:, POINTS:].mean().sqrt())


def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("checkpoint", type=Path)
    a.add_argument("--data", type=Path, default=Path("runs/faces"))
    a.add_argument("--steps", type=int, default=70000)
    a.add_argument("--people", type=int, default=30000, help="beside those of the data")
    o = a.parse_args()
    torch.set_flush_denormal(True)
    model, saved = Model(), torch.load(o.checkpoint, map_location="cpu", weights_only=True)
    model.load_state_dict({name: value.float() for name, value in averaged(o.checkpoint).items()})
    people = [Faces(o.data, "train", "cpu").parameters, more_people(o.people, seed=1)]
    known, others = told_and_wanted(model, np.concatenate(people)), Faces(o.data, "held_out", "cpu").parameters
    unseen = told_and_wanted(model, others)
    geometry, before = model.generator.geometry, off_by(model.generator.geometry, unseen)
    train(geometry, known, o.steps)
    after = off_by(geometry, unseen)
    print(f"{len(known[0])} people; of {len(others)} others, points and numbers are off by")
    print("  ".join(f"{was:.5f} -> {now:.5f}" for was, now in zip(before, after, strict=True)))
    for part, prefix in (("model", ""), ("average", "module.")):
        for name, value in geometry.state_dict().items():
            old = saved[part][f"{prefix}generator.geometry.{name}"]
            saved[part][f"{prefix}generator.geometry.{name}"] = value.to(old.dtype)
    saved.pop("optimiser", None)
    write(saved, o.checkpoint)


if __name__ == "__main__":
    main()

"""Teach a trained generator, without a step of training, who wears what it has lost: freckles, earrings.

    python -m tools.reopen_gates runs/generator/checkpoint.pt [--data runs/faces] [--names freckles earrings]

What is small and rare hardly moves W, and what reads it off W drifts away while W is trained. So each of these
attributes gets a direction of W of its own again, as ``tools/gates.py`` gives it to a fresh generator: one in which W
hardly moves, to which everything else that reads W is made blind (no picture changes by that), and along which the
attribute then moves W. The gates of its map become the attribute itself, and what is painted for the map is what drawn
heads with it differ by from the same heads without it. The convolutions leave it alone.

The checkpoint (the weights and their moving average) is written anew; go on training with ``tools.train_generator``, or
export it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.attributes import column
from engines.map_order import COORDINATES
from engines.motion import MOTION
from engines.portrait import DIM, PortraitGenerator
from engines.spatial_code import head_map
from tools.face_world import draw, index, names, points
from tools.face_world.sampling import perform, person
from tools.gates import STRENGTH
from tools.train_generator import Faces, Model, attribute_names
from tools.training import write

MAPS_OF = {"freckles": (50,), "earrings": (51, 52, 53, 54, 55)}  # engines/detail_maps.py
PAIRS = 120  # heads that are drawn with and without
SUB_PIXELS = (51, 52, 53, 54)  # of what hangs beside the head: maps that paint one of four sub-pixels each


@torch.no_grad()
def unused(codes: Tensor, count: int) -> Tensor:
    """Directions in which W [people, 256] moves least, and not away from 0 either: orthonormal [count, 256]."""
    mean = F.normalize(codes.mean(0), dim=0)
    _, vectors = torch.linalg.eigh(torch.cov(codes.T) + codes.var() * DIM * torch.outer(mean, mean))
    return vectors[:, :count].T.contiguous()


@torch.no_grad()
def blind(generator: PortraitGenerator, directions: Tensor, mean: Tensor) -> None:
    """Make all that reads W see ``mean`` [256] along these directions [k, 256], whatever W is there."""
    for layer in generator.modules():
        if isinstance(layer, nn.Linear) and layer.in_features in (DIM, DIM + len(MOTION) - 3):
            along = layer.weight[:, :DIM] @ directions.T
            layer.weight[:, :DIM] -= along @ directions
            layer.bias += along @ (directions @ mean)


@torch.no_grad()
def differences(name: str, seed: int = 0) -> Tensor:
    """What the maps of an attribute at 1 add to premultiplied RGBA, at four sub-pixels a channel: [maps, 16]."""
    random = np.random.default_rng(seed)
    heads = np.stack([perform(person(random), random) for _ in range(PAIRS)])
    pictures = []
    for amount in (0.0, 1.0):
        heads[:, index(name)] = amount
        rgba = torch.from_numpy(draw(heads, 256)).permute(0, 3, 1, 2).float() / 255
        pictures.append(torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], 1))
    added = F.pixel_unshuffle(pictures[1] - pictures[0], 2)
    rest = torch.from_numpy(np.array(points(heads)[1]))
    motion = torch.from_numpy(heads[:, [names().index(n) for n in MOTION]])
    pairs = zip(rest.split(20), motion.split(20), strict=True)
    told = torch.cat([head_map(r, m, 128)[:, [COORDINATES + i for i in MAPS_OF[name]]] for r, m in pairs])
    beside = F.pixel_unshuffle((pictures[0][:, 3:] < 0.5).float(), 2).repeat(1, 4, 1, 1)
    paint = []
    for row, number in enumerate(MAPS_OF[name]):
        one = told[:, row : row + 1] * (beside if number in SUB_PIXELS else 1 - beside)
        own = torch.eye(4)[SUB_PIXELS.index(number)].repeat(4) if number in SUB_PIXELS else 1
        paint.append(own * (one * added).sum((0, 2, 3)) / (one * told[:, row : row + 1]).sum((0, 2, 3)))
    return torch.stack(paint)


@torch.no_grad()
def reopen(model: Model, attributes: Tensor, directions: Tensor, added: dict[str, Tensor]) -> None:
    """Do it. attributes: many people's [people, attributes]; directions: :func:`unused`; added: :func:`differences`."""
    mapping, generator = model.mapping, model.generator
    blind(generator, directions, mapping(attributes).mean(0))
    others = torch.eye(DIM) - directions.T @ directions
    last = mapping.layers[-1]
    last.weight.copy_(others @ last.weight)
    last.bias.copy_(others @ last.bias)
    mapping.straight.weight.copy_(others @ mapping.straight.weight)
    for (name, paint), direction in zip(added.items(), directions, strict=True):
        mapping.straight.weight[:, column(name)] += STRENGTH * direction
        read, usual = direction * mapping.spread[column(name)] / STRENGTH, mapping.mean[column(name)]
        painted = generator.painted.affine
        for number, values in zip(MAPS_OF[name], paint, strict=True):
            row = COORDINATES + number
            for gate in generator.worn:
                gate.get_parameter("weight")[row], gate.get_parameter("bias")[row] = read, usual
            for layer in generator.inject:
                layer.get_parameter("weight")[:, row] = 0
            generator.cover.maps.weight[:, row] = 0
            painted.weight[16 * row : 16 * row + 16] = values[:, None] * read
            painted.bias[16 * row : 16 * row + 16] = values * usual


def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("checkpoint", type=Path)
    a.add_argument("--data", type=Path, default=Path("runs/faces"))
    a.add_argument("--names", nargs="+", choices=list(MAPS_OF), default=list(MAPS_OF))
    o = a.parse_args()
    saved = torch.load(o.checkpoint, map_location="cpu", weights_only=True)
    columns = [names().index(n) for n in attribute_names()]
    people = torch.from_numpy(Faces(o.data, "train", "cpu").parameters[:, columns])
    added = {name: differences(name) for name in o.names}
    directions = None  # the same for all of them, or the average would lie between two ways of telling
    for part, prefix in (("average", "module."), ("model", "")):
        model, weights = Model(), saved[part]
        model.load_state_dict({name: weights[prefix + name].float() for name in model.state_dict()})
        if directions is None:
            directions = unused(model.mapping(people).detach(), len(added))
        reopen(model, people, directions, added)
        weights |= {prefix + name: v.to(weights[prefix + name].dtype) for name, v in model.state_dict().items()}
    for name, paint in added.items():
        colour = ", ".join(f"{value:+.3f}" for value in paint.view(len(paint), 4, 4).mean(2)[-1])
        print(f"{name}: red, green, blue, alpha {colour} for the last of its maps at 1")
    write(saved, o.checkpoint)


if __name__ == "__main__":
    main()

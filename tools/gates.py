"""How a fresh generator starts out knowing who wears what: directions of W and gates of the detail maps.

Left to themselves the gates did not learn it: after 8,000 steps those of curls stood near 0 for everybody and those of
glasses near the same for all, so that curls, beards and rims stayed faint (docs/decisions/0072). So what is worn gets
directions of its own in W, and the gate of a map starts as the amount of what the map shows.
"""

from __future__ import annotations

import torch

from engines.attributes import HAIR_STYLES, column
from engines.map_order import COARSE, COORDINATES
from engines.portrait import DIM, INPUT, WORN, Cover, Mapping, PortraitGenerator

DARKEST, SHINE = 0.15, 1.1  # a colour as it is shown, of its amount of light as a parameter; what training starts from
STRENGTH = 0.3  # of a direction in W for one standard deviation of its attribute
HATS, GLASSES = ("hat_beanie", "hat_cap"), ("glasses_round", "glasses_square")
# Which attributes the maps of engines/detail_maps.py belong to; those that everybody has are open from the start.
BELONGS: dict[tuple[int, ...], tuple[str, ...]] = {
    (8,): ("beard", "goatee", "stubble"),
    (9,): ("beard", "goatee", "moustache"),
    (10, 11): ("hair_curly", "hair_afro"),
    (13,): ("hair_bob", "hair_long", "hair_wavy"),
    (14,): ("hair_bun",),
    (15,): HAIR_STYLES[1:],
    (16,): ("beard",),
    (18,): ("glasses_round",),
    (19,): ("glasses_square",),
    (20, 21): GLASSES,
    (36, 39): HATS,
    (37, 38): ("hat_beanie",),
    (40,): ("hat_cap",),
    (41, 42): ("headphones",),
    (48, 49): ("hair_braids",),
    (51, 52, 53, 54, 55): ("earrings",),
    (50,): ("freckles",),
}
# How strongly a map hides what lies behind it: logits for a value of 1, over a bias of -5.
HIDES: dict[str, dict[int, float]] = {
    "frame": {18: 14.0, 19: 14.0, 20: 14.0, 21: 8.0},
    "gear": {36: 40.0, 40: 60.0, 41: 14.0, 42: 40.0},
}
DIRECT = (
    *HAIR_STYLES, *GLASSES, "beard", "goatee", "moustache", "stubble", "freckles", *HATS, "headphones", "earrings",
    "fringe", "make_up", *(f"{part}_{c}" for part in ("frame", "gear") for c in "rgb"),
)  # fmt: skip


@torch.no_grad()
def open_gates(mapping: Mapping, generator: PortraitGenerator) -> None:
    """Give every attribute of DIRECT a direction in W that nothing else uses, and set the gates by them.

    The mapping's means and spreads must be set. A gate is then the sum of its attributes, exactly.
    """
    directions = torch.linalg.qr(torch.randn(DIM, len(DIRECT)))[0]
    last = mapping.layers[-1]
    others = torch.eye(DIM) - directions @ directions.T
    last.weight.copy_(others @ last.weight)
    last.bias.copy_(others @ last.bias)
    mapping.straight.weight.zero_()
    for name, direction in zip(DIRECT, directions.T, strict=True):
        mapping.straight.weight[:, column(name)] = STRENGTH * direction
    start = generator.convs[0].affine
    for maps, names in BELONGS.items():
        reads = [directions[:, DIRECT.index(n)] * mapping.spread[column(n)] / STRENGTH for n in names]
        usual = sum(mapping.mean[column(n)] for n in names)
        read = torch.stack(reads).sum(0)
        for gate in generator.worn:
            for i in maps:
                gate.weight[COORDINATES + i], gate.bias[COORDINATES + i] = read, usual
        for i in set(maps) & set(COARSE):  # the network's start sees some of the maps too
            row = INPUT - len(COARSE) + COARSE.index(i)
            start.weight[row], start.bias[row] = read, usual
        for i in set(maps) & {i for strengths in HIDES.values() for i in strengths}:
            generator.cover.worn.weight[COORDINATES + i], generator.cover.worn.bias[COORDINATES + i] = read, usual
    for row, part in enumerate(WORN):
        for i, strength in HIDES[part].items():
            generator.cover.maps.weight[4 * row : 4 * row + 4, COORDINATES + i] = strength / Cover.GAIN
        for i, name in enumerate(f"{part}_{c}" for c in "rgb"):
            read = directions[:, DIRECT.index(name)] * mapping.spread[column(name)] / STRENGTH
            generator.cover.colours.weight[3 * row + i] = SHINE * read
            generator.cover.colours.bias[3 * row + i] = DARKEST + SHINE * mapping.mean[column(name)]

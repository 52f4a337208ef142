"""How a modulated convolution is laid out on the GPU: tile, split of the sum, and how the filter is applied.

Plain data and arithmetic, no launches. A plan changes the time, never the result (up to rounding).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

STEP = 32  # inputs that one step along the sum takes
STAGES = 3
TABLE_WIDTH = 5 + 3 * 9


@dataclass(frozen=True, slots=True)
class Tile:
    """What one block computes: a patch of ``rows`` x ``columns`` pixels times ``outputs`` channels."""

    rows: int
    columns: int
    outputs: int
    threads: int

    def shared_bytes(self, inputs: int) -> int:
        """Shared memory of a block: three stages of both operands and the sample's style, or the finished patch."""
        pixels = self.rows * self.columns
        stages = STAGES * (pixels + self.outputs) * STEP * 2 + math.ceil(inputs / STEP) * STEP * 2
        return max(stages, pixels * (self.outputs + 8) * 2)


TILES = {
    "conv_128x128": Tile(8, 16, 128, 256),
    "conv_128x64": Tile(8, 16, 64, 256),
    "conv_128x32": Tile(8, 16, 32, 128),
    "conv_64x64": Tile(8, 8, 64, 128),
    "conv_16x64": Tile(4, 4, 64, 64),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """tile: a name of TILES. splits: blocks that share one sum. folded: the filter folded into four phase filters."""

    tile: str = "conv_64x64"
    splits: int = 1
    folded: bool = False

    def __post_init__(self) -> None:
        if self.tile not in TILES or self.splits < 1:
            raise ValueError(f"{self}: wanted a tile of {', '.join(TILES)} and one split or more")

    def label(self) -> str:
        """The plan as one word, for tables and files."""
        return f"{self.tile}/{self.splits}{'/folded' if self.folded else ''}"

    @staticmethod
    def parse(label: str) -> Plan:
        """The plan of a label. Raises ValueError for one that no plan has."""
        tile, _, rest = label.partition("/")
        splits, _, folded = rest.partition("/")
        if not splits.isdigit() or folded not in ("", "folded"):
            raise ValueError(f"{label!r} is no plan; wanted something like conv_64x64/2")
        return Plan(tile, int(splits), folded == "folded")


@dataclass(frozen=True, slots=True)
class Phase:
    """The output pixels (y * step + offset_y, x * step + offset_x), rows x columns of them.

    taps: (dy, dx, slice of the weights) each.
    """

    rows: int
    columns: int
    offset_y: int
    offset_x: int
    taps: tuple[tuple[int, int, int], ...]


def plain_phases(height: int, width: int, size: int) -> list[Phase]:
    """A convolution of ``size`` x ``size`` taps that keeps the picture's size."""
    half = size // 2
    taps = tuple((ky - half, kx - half, ky * size + kx) for ky in range(size) for kx in range(size))
    return [Phase(height, width, 0, 0, taps)]


def transposed_phases(height: int, width: int) -> list[Phase]:
    """A transposed 3x3 convolution of stride 2, [2 height + 1, 2 width + 1] pixels.

    t[2 y + p, 2 x + q] = sum of x[y - j, x - i] * w[p + 2 j, q + 2 i] over the taps that exist: 4, 2, 2 and 1.
    """

    def taps(p: int, q: int) -> tuple[tuple[int, int, int], ...]:
        return tuple((-j, -i, (p + 2 * j) * 3 + q + 2 * i) for j in range(2 - p) for i in range(2 - q))

    return [Phase(height + 1 - p, width + 1 - q, p, q, taps(p, q)) for p in (0, 1) for q in (0, 1)]


def trimmed_phases(height: int, width: int) -> list[Phase]:
    """The same without its first row and column, which stay as they are: every phase has [height, width] pixels."""

    def taps(p: int, q: int) -> tuple[tuple[int, int, int], ...]:
        return tuple((1 - p - j, 1 - q - i, (p + 2 * j) * 3 + q + 2 * i) for j in range(2 - p) for i in range(2 - q))

    return [Phase(height, width, 2 - p, 2 - q, taps(p, q)) for p in (0, 1) for q in (0, 1)]


def folded_phases(height: int, width: int) -> list[Phase]:
    """The transposed convolution and the 4x4 filter after it as four 3x3 filters, [2 height, 2 width] pixels."""

    def taps(phase: int) -> tuple[tuple[int, int, int], ...]:
        return tuple((j - 1, i - 1, phase * 9 + j * 3 + i) for j in range(3) for i in range(3))

    return [Phase(height, width, p, q, taps(2 * p + q)) for p in (0, 1) for q in (0, 1)]


def table_rows(phases: Sequence[Phase]) -> list[list[int]]:
    """The phases as the kernel reads them, one row each."""
    rows = []
    for phase in phases:
        row = [len(phase.taps), phase.rows, phase.columns, phase.offset_y, phase.offset_x]
        row += [number for tap in phase.taps for number in tap]
        rows.append(row + [0] * (TABLE_WIDTH - len(row)))
    return rows


def blocks(plan: Plan, phases: Sequence[Phase], batch: int, outputs: int) -> tuple[int, int, int]:
    """The grid of a launch."""
    tile = TILES[plan.tile]
    patches = max(math.ceil(p.rows / tile.rows) * math.ceil(p.columns / tile.columns) for p in phases)
    return patches, math.ceil(outputs / tile.outputs), batch * len(phases) * plan.splits


def likely_plan(height: int, width: int, inputs: int, outputs: int, batch: int, up: int, processors: int) -> Plan:
    """A plan by rule, for shapes that nobody measured: large tiles where they fill the GPU, split sums where not."""
    pixels = height * width * batch
    if pixels <= 16 * batch:
        tile = "conv_16x64"
    elif outputs <= 32:
        tile = "conv_128x32"
    elif outputs <= 64:
        tile = "conv_128x64"
    elif pixels * outputs >= 128 * 128 * processors:
        tile = "conv_128x128"
    else:
        tile = "conv_64x64"
    phases = transposed_phases(height, width) if up == 2 else plain_phases(height, width, 3)
    grid = blocks(Plan(tile), phases, batch, outputs)
    steps = math.ceil(inputs / STEP) * min(len(phase.taps) for phase in phases)
    splits = max(1, min(2 * processors // max(math.prod(grid), 1), steps // 4, 16))
    return Plan(tile, splits)


def possible_plans(
    height: int, width: int, inputs: int, outputs: int, batch: int, up: int, processors: int
) -> list[Plan]:
    """Plans worth measuring for a shape, the likely one first."""
    first = likely_plan(height, width, inputs, outputs, batch, up, processors)
    small = height * width <= 64 * 64
    splits = sorted({1, 2, 4, 8, 16, first.splits}) if small else [1]
    tiles = [
        name for name, tile in TILES.items() if tile.outputs < 2 * max(outputs, 32) and (small or name != "conv_16x64")
    ]
    plans = [
        Plan(tile, n, folded) for folded in ((False, True) if up == 2 else (False,)) for tile in tiles for n in splits
    ]
    return [first, *(plan for plan in plans if plan != first)]

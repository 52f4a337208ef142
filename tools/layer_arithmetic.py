"""What StyleGAN2 costs, layer by layer: ``python -m tools.layer_arithmetic [--resolution 1024] [--half] [--batch 1]``

Multiply-adds, bytes that must cross the memory at least once (float16 features and weights, float32 pictures) and the
floor in microseconds that both give on a GPU of ``--tflops`` and ``--gb-per-s``: whatever is slower. An up-sampling
layer has two rows: the transposed convolution, and the filter with the rest of the layer. Computed, not measured.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

MOST_CHANNELS, CHANNEL_BASE, W_DIM = 512, 32768, 512


@dataclass(frozen=True, slots=True)
class Cost:
    """One row: multiply-adds and bytes of one run."""

    name: str
    macs: int
    bytes: int

    def floor_us(self, tflops: float, gb_per_s: float) -> float:
        """The least time in microseconds: arithmetic or memory, whichever takes longer."""
        return max(2 * self.macs / tflops * 1e-6, self.bytes / gb_per_s * 1e-3)


def channels(resolution: int, half: bool = False) -> dict[int, int]:
    """Features at each resolution: config-f of the paper, or with half of its channels at the larger ones."""
    base = CHANNEL_BASE // 2 if half else CHANNEL_BASE
    sizes = [4 << k for k in range(resolution.bit_length()) if 4 << k <= resolution]
    return {size: min(MOST_CHANNELS, base // size) for size in sizes}


def costs(resolution: int, half: bool = False, batch: int = 1, colours: int = 3) -> list[Cost]:
    """All layers in the order in which they run."""
    rows = []
    widths = channels(resolution, half)
    for size, wide in widths.items():
        area = size * size * batch
        if size > 4:
            narrow = widths[size // 2]
            small, between = (size // 2) ** 2 * batch, (size + 1) ** 2 * batch
            weights = 9 * narrow * wide
            moved = 2 * (small * narrow + between * wide + weights)
            rows.append(Cost(f"{size} up", weights * small, moved))
            rows.append(Cost(f"{size} filter", 16 * wide * area, 2 * (between + area) * wide + 4 * size * size))
        weights = 9 * wide * wide
        rows.append(Cost(f"{size} conv", weights * area, 2 * (2 * area * wide + weights) + 4 * size * size))
        skip = area if size > 4 else 0
        rows.append(Cost(f"{size} to-RGB", wide * colours * area, 2 * area * wide + 4 * colours * (area + skip // 4)))
    return [style_cost(widths, batch), *rows]


def style_cost(widths: dict[int, int], batch: int) -> Cost:
    """Affine maps and demodulation of all layers; their weights are float32."""
    inputs = energies = 0
    last = 0
    for size, wide in widths.items():
        convs = [wide] if size == 4 else [last, wide]
        inputs += sum(convs) + wide
        energies += sum(narrow * wide for narrow in convs)
        last = wide
    return Cost("styles", (inputs * W_DIM + energies) * batch, 4 * (inputs * W_DIM + energies))


def table(rows: list[Cost], tflops: float, gb_per_s: float) -> str:
    """The rows and their sum as Markdown."""
    lines = ["| layer | MMAC | MB | MAC per byte | floor, us |", "|---|---:|---:|---:|---:|"]
    for row in rows:
        floor = row.floor_us(tflops, gb_per_s)
        cells = [row.name, f"{row.macs / 1e6:,.1f}", f"{row.bytes / 1e6:,.2f}", f"{row.macs / row.bytes:.1f}"]
        lines.append(f"| {' | '.join(cells)} | {floor:.2f} |")
    macs, moved = sum(row.macs for row in rows), sum(row.bytes for row in rows)
    floor = sum(row.floor_us(tflops, gb_per_s) for row in rows)
    lines.append(f"| **all** | **{macs / 1e6:,.0f}** | **{moved / 1e6:,.0f}** | {macs / moved:.1f} | **{floor:.0f}** |")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--resolution", type=int, default=1024, choices=(64, 128, 256, 512, 1024))
    a.add_argument("--half", action="store_true", help="half of the channels")
    a.add_argument("--batch", type=int, default=1)
    a.add_argument("--tflops", type=float, default=790.0, help="matrix rate of the GPU, float16")
    a.add_argument("--gb-per-s", type=float, default=4300.0, help="copy bandwidth of the GPU")
    o = a.parse_args()
    print(table(costs(o.resolution, o.half, o.batch), o.tflops, o.gb_per_s))


if __name__ == "__main__":
    main()

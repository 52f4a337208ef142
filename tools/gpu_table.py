"""The GPU's measurements as the tables of docs/kernels.md: ``python -m tools.gpu_table [FOLDER]``

Takes the newest gpu-kernels-*.json and gpu-generator-*.json of docs/measurements, or of the folder: each layer's
arithmetic, floor and what was reached, and the goals with what was measured. What was not measured says so.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools import record
from tools.layer_arithmetic import Cost

Found = dict[str, Any]
Value = Callable[[Found], float]


def synthesis(variant: str, batch: int, key: str = "ms") -> Value:
    """A figure of the full 1024 px generator."""

    def value(found: Found) -> float:
        wanted = (1024, False, batch, variant)
        rows = found["generators"]
        return float(
            next(row[key] for row in rows if (row["resolution"], row["half"], row["batch"], row["variant"]) == wanted)
        )

    return value


def encoder(found: Found) -> float:
    """The faster of both ways to run the encoder."""
    names = ("graph-fp16", "tensorrt")
    return min(float(row["ms"]) for row in found["encoders"] if row["variant"] in names and row.get("ms"))


def frame(found: Found) -> float:
    """A 720p frame, with transfers, crop, encoder and the full 1024 px generator."""
    wanted = ("720p", 1024, False, True)
    rows = found["frames"]
    return float(
        next(row["ms"] for row in rows if (row["frame"], row["resolution"], row["half"], row["encoder"]) == wanted)
    )


def ratio(slow: str) -> Value:
    """How much faster this project's kernels are than another variant."""
    return lambda found: synthesis(slow, 1)(found) / synthesis("ours", 1)(found)


GOALS: tuple[tuple[str, str, Value], ...] = (
    ("StyleGAN2 config-f, 1024 px, one picture, ms", "at most 1.0", synthesis("ours", 1)),
    ("the same, times faster than plain PyTorch in float16", "at least 3", ratio("eager-fp16")),
    ("the same, times faster than torch.compile", "at least 1.5", ratio("compile-fp16")),
    ("16 pictures, share of the measured matrix rate", "at least 0.5", synthesis("ours", 16, "share_of_matrix_rate")),
    ("encoder of e4e's size (IR-SE-50), 256 px, ms", "at most 0.8", encoder),
    ("720p frame with the 1024 px generator, to the finished bytes, ms", "at most 3", frame),
)


def goals(found: Found) -> str:
    """The goals beside what was measured, as Markdown."""
    lines = ["| goal | wanted | measured |", "|---|---|---|"]
    for name, wanted, value in GOALS:
        try:
            measured = f"{value(found):.3g}"
        except (KeyError, StopIteration, ValueError):
            measured = "not run"
        lines.append(f"| {name} | {wanted} | {measured} |")
    return "\n".join(lines)


def layers(found: Found, batch: int = 1) -> str:
    """Each layer's fastest way beside its floor by this GPU's own rates, as Markdown."""
    rates, best = found["rates"], {}
    for row in found["kernels"]:
        if row["batch"] == batch and row["ms"] < best.get(row["name"], {"ms": float("inf")})["ms"]:
            best[row["name"]] = row
    lines = ["| layer | by | MMAC | MB | floor, us | us | TFLOP/s | GB/s | share |", "|---|---|" + "---:|" * 7]
    for name, row in best.items():
        floor = Cost(name, row["flops"] // 2, row["bytes"]).floor_us(rates["tflops"], rates["gb_per_s"])
        counts = f"{row['flops'] / 2e6:,.1f} | {row['bytes'] / 1e6:,.2f} | {floor:.2f} | {1e3 * row['ms']:.2f}"
        reached = f"{row['tflops']:.1f} | {row['gb_per_s']:.0f} | {100 * row['share_of_limit']:.0f} %"
        lines.append(f"| {name} | {row.get('plan', 'its kernel')} | {counts} | {reached} |")
    return "\n".join(lines)


def newest(folder: Path, name: str) -> Found:
    """The newest measurement of a name; empty without one."""
    file = record.newest(folder, name)
    found: Found = json.loads(file.read_text(encoding="utf-8")) if file else {}
    return found


def main() -> None:
    """Command line."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else record.ROOT / "docs" / "measurements"
    kernels, whole = newest(folder, "gpu-kernels"), newest(folder, "gpu-generator")
    for found in (kernels, whole):
        if found:
            print(f"{found['gpu']['gpu']}, {found['date']}, commit {found['commit']}\n")
    print(goals(whole))
    print(f"\n{layers(kernels)}" if kernels else "\nNo kernel was measured: make gpu-bench")


if __name__ == "__main__":
    main()

"""How still against how late: the smoother's settings on real clips, as a chart.

    python -m tools.smoothing_chart CLIP... [--max-frames 300] [--picture FILE.png] [--json FILE]

The tracker runs over each clip; the crop's place and size and the motion code, group by group, go through the One-Euro
filter of ``realtime/smoothing.py`` with every setting of ``GRID``, at the clip's own times.

* late: where the filtered series correlates best with the unfiltered one, in frames, between frames by a parabola; the
  median over a group's numbers and the clips.
* stiller: RMS speed before over after, in the quarter of the frames in which the person moved least; geometric mean.
* r: of the filtered with the unfiltered series: what a filter takes off small movements lowers it.

The chart shows every setting, the best of those that are no later than each (the frontier), what the program uses, and
what it used before speeds below ``still`` were left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.motion import BROWS, EYES, MOUTH, POSE, columns
from realtime.alignment import PIVOT, head_pose
from realtime.encoding import pose
from realtime.expression import MotionReader
from realtime.settings import SmoothingSettings, TrackingSettings
from realtime.smoothing import OneEuro
from realtime.tracking import Tracker
from tools.fidelity import read
from tools.figures import STILL, Series, pearson, speeds
from tools.record import ROOT, record

GROUPS = {"pose": columns(POSE), "mouth": columns(MOUTH), "eyes": columns(EYES), "expression": columns(BROWS)}
# Lowest cut-off in Hz, beta, and the speed below which it counts as still, per group.
GRID: dict[str, tuple[Sequence[float], Sequence[float], Sequence[float]]] = {
    "crop": ((0.5, 1, 2, 3), (60, 120, 300), (0, 0.03, 0.06, 0.1)),
    "pose": ((0.5, 1, 2, 3), (20, 40, 100), (0, 0.08, 0.15, 0.3)),
    "mouth": ((1, 2, 4), (8, 16, 40), (0, 0.6, 1.2, 2)),
    "eyes": ((1, 2, 4), (8, 16, 40), (0, 0.6, 1.2, 2)),
    "expression": ((0.5, 1, 1.5, 3), (8, 16, 40), (0, 0.3, 0.6, 1.2)),
}
BEFORE = {"crop": (2, 60), "pose": (2, 20), "mouth": (4, 8), "eyes": (4, 8), "expression": (3, 8)}
BEFORE_DERIVATIVE_HZ = 2.0
MOVES = 1e-4  # a number that changes less than this over a clip is left out

Rows = list[dict[str, float]]


def series(clip: Path, most: int) -> tuple[dict[str, Series], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """A clip's unfiltered numbers [N, columns] per group, their times in ns, and which frames are quiet."""
    frames, fps = read(clip, most, 1)
    tracker, reader = Tracker(TrackingSettings()), MotionReader()
    points, motions, crops, times = [], [], [], []
    for frame in frames:
        face = tracker.track(frame)
        if face is None:
            continue
        head = head_pose(face.landmarks)
        motions.append(np.concatenate([pose(head.rotation), reader.read(face.landmarks, head.rotation)]))
        crops.append([*head.apply(PIVOT)[:2], head.scale])
        points.append(face.landmarks[:, :2].astype(np.float64))
        times.append(frame.captured_ns)
    tracker.close()
    if len(points) < 30:
        raise SystemExit(f"{clip} shows a face in {len(points)} frames; wanted at least 30")
    motion, crop = np.array(motions, np.float64), np.array(crops)
    side = crop[0, 2] / 0.235  # of the square around the head
    found = {name: motion[:, list(entries)] for name, entries in GROUPS.items()}
    found["crop"] = np.column_stack([crop[:, :2] / side, np.log(crop[:, 2])])
    moved = np.append(np.inf, speeds(np.array(points), fps))
    return found, np.array(times), moved <= np.quantile(moved[1:], STILL)


def filtered(values: Series, times_ns: npt.NDArray[np.int64], settings: int, one_euro: OneEuro) -> Series:
    """``values`` [N, columns] through a filter that has so many settings, one a row: [N, settings, columns]."""
    rows = np.repeat(values[:, None], settings, axis=1)
    return np.array([one_euro.filter(row, int(now)) for row, now in zip(rows, times_ns, strict=True)])


def late(source: Series, follower: Series, most: int = 4) -> float:
    """By how many frames ``follower`` is late, with a fraction."""

    def at(shift: int) -> float:
        return (
            pearson(source[: len(source) - shift], follower[shift:])
            if shift >= 0
            else pearson(source[-shift:], follower[:shift])
        )

    found = [at(shift) for shift in range(-2, most + 1)]
    best = int(np.argmax(found))
    if best in (0, len(found) - 1):
        return float(best - 2)
    before, here, after = found[best - 1 : best + 2]
    return float(best - 2 + (before - after) / (2 * (before - 2 * here + after)))


def stiller(source: Series, follower: Series, quiet: npt.NDArray[np.bool_]) -> float:
    """RMS step of ``source`` over that of ``follower`` in the quiet frames."""
    theirs, ours = (np.sqrt(np.mean(np.diff(one)[quiet[1:]] ** 2)) for one in (source, follower))
    return float(theirs / max(ours, 1e-12))


def measure(name: str, clips: list[Any], settings: list[tuple[float, float, float]], derivative_hz: float) -> Rows:
    """What every setting (lowest cut-off, beta, still) does to a group's numbers."""
    low, beta, still = (np.array(column)[:, None] for column in zip(*settings, strict=True))
    found: list[list[tuple[float, float, float]]] = [[] for _ in settings]
    for groups, times, quiet in clips:
        values = groups[name]
        outcome = filtered(values, times, len(settings), OneEuro(low, beta, derivative_hz, still))
        for row, column in product(range(len(settings)), range(values.shape[1])):
            one, other = values[:, column], outcome[:, row, column]
            if one.std() > MOVES:
                found[row].append((late(one, other), stiller(one, other, quiet), pearson(one, other)))
    rows = []
    for (cutoff, slope, rest), numbers in zip(settings, found, strict=True):
        lag, gain, r = np.array(numbers).T
        rows.append({"min_cutoff_hz": cutoff, "beta": slope, "still": rest, "late": float(np.median(lag)),
                     "stiller": float(np.exp(np.log(gain).mean())), "r": float(r.mean())})  # fmt: skip
    return rows


def chart(results: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw a panel per group: frames late across, times stiller up."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, found) in zip(np.atleast_1d(figure.subplots(1, len(results))), results.items(), strict=True):
        rows = sorted(found["grid"], key=lambda row: row["late"])
        dots = axes.scatter([r["late"] for r in rows], [r["stiller"] for r in rows], c=[r["r"] for r in rows], s=14)
        best = np.maximum.accumulate([r["stiller"] for r in rows])
        axes.step([r["late"] for r in rows], best, where="post", color="0.6", linewidth=1)
        for key, mark, colour in (("before", "s", "tab:red"), ("used", "*", "black")):
            axes.scatter(found[key]["late"], found[key]["stiller"], marker=mark, c=colour, s=70, label=key)
        axes.set(title=name, xlabel="frames late")
        figure.colorbar(dots, ax=axes, label="r")
    figure.axes[0].set_ylabel("times stiller")
    figure.axes[0].legend()
    figure.savefig(path, dpi=80)


def main() -> None:
    """Measure, print what is used, write the JSON and the chart."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--max-frames", type=int, default=300)
    parser.add_argument("--picture", type=Path, default=ROOT / "docs/pictures/smoothing.png")
    parser.add_argument("--json", type=Path, help="default: docs/measurements/smoothing-DATE.json")
    arguments = parser.parse_args()
    clips = [series(clip, arguments.max_frames) for clip in arguments.clips]
    used, results = SmoothingSettings(), {}
    for name, grid in GRID.items():
        own = tuple(float(getattr(used, f"{name}_{kind}")) for kind in ("min_cutoff_hz", "beta", "still"))
        *rows, now = measure(name, clips, [*product(*grid), (own[0], own[1], own[2])], used.derivative_cutoff_hz)
        (before,) = measure(name, clips, [(*BEFORE[name], 0.0)], BEFORE_DERIVATIVE_HZ)
        results[name] = {"used": now, "before": before, "grid": rows}
        for what, row in (("before", before), ("used", now)):
            print(f"{name} {what}: " + ", ".join(f"{key} {value:.3g}" for key, value in row.items()), flush=True)
    chart(results, arguments.picture)
    names = [clip.stem for clip in arguments.clips]
    print(record("smoothing", arguments.json, clips=names, max_frames=arguments.max_frames, groups=results))


if __name__ == "__main__":
    main()

"""How still against how late: the smoother's settings on real clips, as a chart.

    python -m tools.smoothing_chart CLIP... [--max-frames 300] [--picture FILE.png] [--json FILE]

The tracker runs over each clip; the head (its angles, the crop's place and size), mouth, eyes and brows each go through
the One-Euro filter of ``realtime/smoothing.py`` with every setting of ``GRID``, at the clip's own times.

* late: where the filtered series correlates best with the unfiltered one, in frames, between frames by a parabola; the
  median over a group's numbers and the clips.
* stiller: RMS speed before over after while the person is nearly still (``tools/figures.py``); geometric mean over the
  group's numbers and the clips that have such frames.
* r: of the filtered with the unfiltered series: what a filter takes off small movements lowers it.

The chart shows every setting, the best of those that are no later than each (the frontier), what the program uses, and
what it used before what moves together was filtered together (``BEFORE``: each number with a cut-off of its own).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.motion import BROWS, EYES, MOTION, MOUTH, POSE, REACH, columns
from realtime.alignment import PIVOT, head_pose, head_turn
from realtime.encoding import pose
from realtime.expression import MotionReader
from realtime.settings import SmoothingSettings, TrackingSettings
from realtime.smoothing import CROP_REACH, OneEuro
from realtime.tracking import Tracker
from tools.fidelity import read
from tools.figures import FEWEST, Series, pearson, still_steps
from tools.record import ROOT, record

GROUPS = {"head": columns(POSE), "mouth": columns(MOUTH), "eyes": columns(EYES), "expression": columns(BROWS)}
# Lowest cut-off in Hz, beta, and the speed below which it counts as still, per group.
GRID: dict[str, tuple[Sequence[float], Sequence[float], Sequence[float]]] = {
    "head": ((0.5, 1, 2), (50, 100, 200, 400), (0, 0.03, 0.045, 0.06, 0.1)),
    "mouth": ((0.5, 0.7, 1, 2), (250, 500, 2000), (0, 0.006, 0.012, 0.016, 0.02)),
    "eyes": ((0.5, 0.7, 1, 2), (250, 500, 2000), (0, 0.006, 0.012, 0.022, 0.03)),
    "expression": ((0.5, 0.7, 1, 2), (250, 500, 2000), (0, 0.006, 0.014, 0.02)),
}
# Of each number by itself (docs/decisions/0041): lowest cut-off, beta, still; the head's angles and its crop.
BEFORE: dict[str, list[tuple[float, float, float]]] = {
    "head": [(1, 100, 0.2)] * 3 + [(1, 300, 0.06)] * 3,
    "mouth": [(2, 16, 1)] * len(MOUTH),
    "eyes": [(2, 16, 1.2)] * len(EYES),
    "expression": [(3, 16, 1.2)] * len(BROWS),
}
MOVES = 1e-4  # a number that changes less than this over a clip is left out

Rows = list[dict[str, float]]


def series(clip: Path, most: int) -> tuple[dict[str, Series], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """A clip's unfiltered numbers [N, columns] per group, their times in ns, and in which frames the face is still."""
    frames, fps = read(clip, most, 1)
    tracker, reader = Tracker(TrackingSettings()), MotionReader()
    points, motions, crops, times = [], [], [], []
    for frame in frames:
        face = tracker.track(frame)
        if face is None:
            continue
        head = head_pose(face.landmarks)
        turn = head_turn(face.landmarks)
        expression = reader.read(face.landmarks, turn)
        motions.append(np.concatenate([pose(turn, expression), expression]))
        crops.append([*head.apply(PIVOT)[:2], head.scale])
        points.append(face.landmarks[:, :2].astype(np.float64))
        times.append(frame.captured_ns)
    tracker.close()
    if len(points) < 30:
        raise SystemExit(f"{clip} shows a face in {len(points)} frames; wanted at least 30")
    motion, crop = np.array(motions, np.float64), np.array(crops)
    side = crop[0, 2] / 0.235  # of the square around the head
    found = {name: motion[:, list(entries)] for name, entries in GROUPS.items()}
    found["head"] = np.column_stack([found["head"], crop[:, :2] / side, np.log(crop[:, 2])])
    return found, np.array(times), np.append(False, still_steps(np.array(points), fps))


def reach_of(name: str, size: int) -> Series:
    """How far the numbers of a group move the drawn points, float64 [size]."""
    return np.array([*(REACH[MOTION[entry]] for entry in GROUPS.get(name, ())), *CROP_REACH])[:size]


def filtered(values: Series, times_ns: npt.NDArray[np.int64], settings: int, one_euro: OneEuro) -> Series:
    """``values`` [N, columns] through a filter of so many settings, one after another: [N, settings, columns]."""
    rows = np.tile(values, (1, settings))
    found = np.array([one_euro.filter(row, int(now)) for row, now in zip(rows, times_ns, strict=True)])
    return found.reshape(len(values), settings, -1)


def shared(settings: list[tuple[float, float, float]], reach: Series, derivative_hz: float) -> OneEuro:
    """A filter in which the numbers of every setting share a cut-off."""
    low, beta, still = np.repeat(np.array(settings, np.float64), len(reach), axis=0).T
    bodies = np.repeat(np.arange(len(settings)), len(reach))
    return OneEuro(low, beta, derivative_hz, still, (bodies, np.tile(reach, len(settings))))


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
    return judged(name, clips, settings, lambda size: shared(settings, reach_of(name, size), derivative_hz))


def judged(name: str, clips: list[Any], settings: list[Any], make: Callable[[int], OneEuro]) -> Rows:
    """The same with filters made for so many numbers."""
    found: list[list[tuple[float, float, float]]] = [[] for _ in settings]
    for groups, times, quiet in clips:
        values = groups[name]
        outcome = filtered(values, times, len(settings), make(values.shape[1]))
        for row, column in product(range(len(settings)), range(values.shape[1])):
            one, other = values[:, column], outcome[:, row, column]
            if one.std() > MOVES:
                gain = stiller(one, other, quiet) if quiet.sum() >= FEWEST else float("nan")
                found[row].append((late(one, other), gain, pearson(one, other)))
    rows = []
    for (cutoff, slope, rest), numbers in zip(settings, found, strict=True):
        lag, gain, r = np.array(numbers).T
        rows.append({"min_cutoff_hz": cutoff, "beta": slope, "still": rest, "late": float(np.median(lag)),
                     "stiller": float(np.exp(np.nanmean(np.log(gain)))), "r": float(r.mean())})  # fmt: skip
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
        low, beta, still = np.array(BEFORE[name], np.float64).T
        alone = [OneEuro(low, beta, used.derivative_cutoff_hz, still) for _ in clips]
        (before,) = judged(name, clips, BEFORE[name][:1], lambda _, alone=alone: alone.pop())
        results[name] = {"used": now, "before": before, "grid": rows}
        for what, row in (("before", before), ("used", now)):
            print(f"{name} {what}: " + ", ".join(f"{key} {value:.3g}" for key, value in row.items()), flush=True)
    chart(results, arguments.picture)
    names = [clip.stem for clip in arguments.clips]
    print(record("smoothing", arguments.json, clips=names, max_frames=arguments.max_frames, groups=results))


if __name__ == "__main__":
    main()

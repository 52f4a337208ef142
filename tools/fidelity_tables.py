"""The results of ``tools/fidelity.py`` as tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from tools.drawn_places import DRAWN
from tools.figures import FIGURES

ANGLES = ("yaw", "pitch", "roll")


def means(clips: dict[str, dict[str, Any]], part: str = "figures") -> dict[str, dict[str, float]]:
    """Mean r and median lag per figure over the clips in which it moves, and the mean r over all clips.

    part: ``figures``, ``drawn`` for what the generator was told, or ``calibrated`` for the angles seen on the avatar
    without known errors.
    """
    result = {}
    for name in next(iter(clips.values()))[part]:
        rows = [clip[part][name] for clip in clips.values()]
        moving = [row for row in rows if row["moves"] and np.isfinite(row["r"])]
        every = [row["r"] for row in rows if np.isfinite(row["r"])]
        result[name] = {
            "r": float(np.mean([row["r"] for row in moving])) if moving else float("nan"),
            "r_all": float(np.mean(every)) if every else float("nan"),
            "lag": float(np.median([row["lag"] for row in moving])) if moving else float("nan"),
            "clips": len(moving),
        }
    return result


def table(clips: dict[str, dict[str, Any]]) -> str:
    """The result as a markdown table: a row per clip, r and (in brackets after a slash) the lag where it is not 0."""
    lines = [
        "| clip | found | " + " | ".join(FIGURES) + " | still, unsmoothed, person |",
        "|---" * (len(FIGURES) + 3) + "|",
    ]
    for clip, result in clips.items():
        cells = [_cell(result["figures"][name]) for name in FIGURES]
        speeds = [result.get(f"still_speed{part}") for part in ("", "_unsmoothed", "_person")]
        still = ", ".join(f"{speed:.3f}" for speed in speeds if speed is not None and np.isfinite(speed))
        lines.append(f"| {clip} | {result['avatar_found']}/{result['found']} | {' | '.join(cells)} | {still} |")
    summary = means(clips)
    average = [f"**{summary[name]['r']:.2f}**" for name in FIGURES]
    late = [f"{summary[name]['lag'] + 0.0:.0f}" for name in FIGURES]
    lines.append(f"| **mean** | | {' | '.join(average)} | {_gain(clips)} |")
    lines.append(f"| median lag | | {' | '.join(late)} | |")
    return "\n".join(lines)


def drawn_table(clips: dict[str, dict[str, Any]]) -> str:
    """What the generator was told to draw, as :func:`table`; empty for a generator without tracked points."""
    return _part_table(clips, "drawn", DRAWN)


def calibrated_table(clips: dict[str, dict[str, Any]]) -> str:
    """The avatar's angles without what FaceMesh is known to add to them, likewise."""
    return _part_table(clips, "calibrated", ANGLES)


def _part_table(clips: dict[str, dict[str, Any]], part: str, names: tuple[str, ...]) -> str:
    there = {clip: result for clip, result in clips.items() if part in result}
    if not there:
        return ""
    lines = ["| clip | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    lines += [f"| {clip} | {' | '.join(_cell(row[part][name]) for name in names)} |" for clip, row in there.items()]
    summary = means(there, part)
    return "\n".join([*lines, "| **mean** | " + " | ".join(f"**{summary[name]['r']:.2f}**" for name in names) + " |"])


def _cell(row: dict[str, Any]) -> str:
    text = f"{row['r']:.2f}" + (f" / {row['lag']:+d}" if row["lag"] else "")
    return text if row["moves"] else f"({text})"


def _gain(clips: dict[str, dict[str, Any]]) -> str:
    pairs = [(clip["still_speed"], clip.get("still_speed_unsmoothed")) for clip in clips.values()]
    gains = [raw / smooth for smooth, raw in pairs if raw is not None and smooth > 0 and np.isfinite(raw / smooth)]
    return f"{np.mean(gains):.1f} times stiller" if gains else ""

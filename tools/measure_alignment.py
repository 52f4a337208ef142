"""How near the aligned square of FaceMesh's 478 points comes to that of the 68-point scheme: a table for the docs.

    python -m tools.measure_alignment

The 68-point square is that of points 36 to 47, 48 and 54 placed by hand in enlarged frames of real clips (six to an
eye, and the mouth's corners), since no detector of that scheme belongs to this project. Placing by hand is a few per
mille of the square's side off, on a closed eye more.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import av
import numpy as np

from engines.ffhq_alignment import (
    LEFT_EYE_478,
    MOUTH_CORNERS_478,
    RIGHT_EYE_478,
    Anchors,
    anchors_from_478,
    quad_from_anchors,
)
from realtime.frames import Floats, Frame
from realtime.irises import EYES
from realtime.settings import TrackingSettings
from realtime.tracking import Tracker

CLIPS = Path("../shared/media/clips")
WARM_UP = 5  # frames that the tracker sees before the one that is measured
# clip: frame, points 36-41, 42-47, 48 and 54 in pixels
PLACED = {
    "d14": (100, "141.8,269.1 163.9,248.6 187,252.8 211.7,268.5 188.1,274.9 164.9,274.3 277.7,272.3 294.1,253.4 "
            "314.5,254.4 341.6,270.8 315.5,276.4 294.1,279 196,388.5 294.2,389.3"),
    "s32": (60, "587.6,382.8 594.9,376.1 606.2,375.8 624.8,382.8 610.2,385.4 596.9,385.4 678.6,369.3 685.8,361.7 "
            "696.5,359 718.5,365.5 703.3,368.9 688.9,370.8 622.6,471.7 710.5,462"),
    "d3": (60, "176.6,273.3 199.5,267.3 219.2,267.3 247.7,266.8 219.2,275.5 197.4,275 307.7,266.3 331.6,265.7 "
           "353.4,266.8 378.4,274.4 355.5,275 332.7,272.8 216.9,410 327.1,411.9"),
    "d10": (100, "169.9,227.6 184.5,214.4 203.1,213.9 226.6,229.8 205.8,238.7 185.4,238.7 277.5,228.5 294.6,212.8 "
            "314.5,209 330.2,226.6 314.5,237 296.5,236.5 216.3,362.9 289.6,363.7"),
    "s18": (100, "689.2,225.8 703,214.7 718.7,211.5 742.3,229.1 722.4,232.8 703,232.3 792.4,225 808.1,207.1 "
            "822,204.9 833.7,214.7 823.4,222.4 808.1,224.2 731,337.9 813.8,331"),
    "d18": (60, "177.4,226.5 191.1,221.1 206.1,221.5 226.1,235.7 207.7,231.9 190.3,231.3 280.6,236.7 294.6,226.3 "
            "309,224.3 328.7,235.1 311.4,235.5 294.6,235.5 208.5,348 290.5,349.4"),
}  # fmt: skip
MAPS = {
    "six lid points (in use)": (LEFT_EYE_478, RIGHT_EYE_478),
    "sixteen lid points": tuple(lids for _, _, lids in EYES),
    "eye corners": ((33, 133), (362, 263)),
    "irises": ((468,), (473,)),
}


def placed_anchors(text: str) -> Anchors:
    """The anchors of points that were placed by hand."""
    points = np.array([pair.split(",") for pair in text.split()], np.float64)
    return Anchors(points[:6].mean(axis=0), points[6:12].mean(axis=0), points[12], points[13])


def mapped_anchors(landmarks: Floats, eyes: tuple[tuple[int, ...], tuple[int, ...]]) -> Anchors:
    """The anchors of FaceMesh's points by a map."""
    points = landmarks[:, :2].astype(np.float64)
    left, right = MOUTH_CORNERS_478
    return Anchors(points[list(eyes[0])].mean(axis=0), points[list(eyes[1])].mean(axis=0), points[left], points[right])


def compare(ours: Anchors, theirs: Anchors) -> tuple[float, float, float, float, float]:
    """Corner difference (mean, worst) and side in pixels, side difference in %, turn in degrees."""
    a, b = quad_from_anchors(ours), quad_from_anchors(theirs)
    apart = np.linalg.norm(a - b, axis=1)
    edges = [quad[3] - quad[0] for quad in (a, b)]
    sides = [float(np.hypot(*edge)) for edge in edges]
    angles = [float(np.degrees(np.arctan2(edge[1], edge[0]))) for edge in edges]
    return float(apart.mean()), float(apart.max()), sides[1], 100 * (sides[0] / sides[1] - 1), angles[0] - angles[1]


def tracked(clip: Path, number: int) -> Floats:
    """FaceMesh's points in one frame of a clip."""
    tracker = Tracker(TrackingSettings())
    face = None
    with av.open(str(clip)) as container:
        for index, picture in enumerate(container.decode(video=0)):
            if index < number - WARM_UP:
                continue
            pixels = np.ascontiguousarray(picture.to_ndarray(format="bgr24"))
            face = tracker.track(Frame(index, index * 33_000_000, pixels))
            if index == number:
                break
    tracker.close()
    assert face is not None, f"no face in frame {number} of {clip}"
    return face.landmarks


def main() -> None:
    """The command line: a table in Markdown, and with --json all numbers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=Path, default=CLIPS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    faces = {clip: tracked(options.clips / f"{clip}.mp4", number) for clip, (number, _) in PLACED.items()}
    theirs = {clip: placed_anchors(text) for clip, (_, text) in PLACED.items()}
    found = {
        name: {clip: compare(mapped_anchors(faces[clip], eyes), theirs[clip]) for clip in PLACED}
        for name, eyes in MAPS.items()
    }
    print("| clip | side px | corners px, mean / worst | of the side | side | turn |\n|---|---|---|---|---|---|")
    for clip, (mean, worst, side, size, turn) in found["six lid points (in use)"].items():
        own = anchors_from_478(faces[clip])
        assert compare(own, theirs[clip])[0] == mean, "the map in use is another one"
        share = 100 * mean / side
        print(f"| {clip} | {side:.0f} | {mean:.1f} / {worst:.1f} | {share:.1f} % | {size:+.1f} % | {turn:+.1f} deg |")
    print("\n| map of the eyes | corners, mean of clips | worst clip |\n|---|---|---|")
    for name, rows in found.items():
        shares = [100 * row[0] / row[2] for row in rows.values()]
        print(f"| {name} | {np.mean(shares):.1f} % | {max(shares):.1f} % |")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

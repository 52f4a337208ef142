"""Measure what real faces look like at rest: the table ``USUAL`` of ``realtime/expression.py``.

    python -m tools.measure_rest ../shared/media/clips

Per clip the median of every figure over its frames (lids: the 75th percentile, since eyes are open most of the
time; the lips' gap: the 10th), then the median over clips.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from realtime.alignment import head_turn
from realtime.expression import FIGURES, figures
from realtime.frames import Frame
from realtime.settings import TrackingSettings
from realtime.tracking import Tracker


def watch(path: Path, stride: int) -> np.ndarray:
    """Figures [frames, figures] of a clip."""
    tracker, video, rows, count = Tracker(TrackingSettings()), cv2.VideoCapture(str(path)), [], 0
    while video.grab():
        if count % stride == 0:
            face = tracker.track(Frame(count, count * 33_000_000, np.asarray(video.retrieve()[1], np.uint8)))
            if face is not None:
                rows.append(figures(face.landmarks, head_turn(face.landmarks)))
        count += 1
    tracker.close()
    return np.array(rows)


def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("clips", type=Path)
    a.add_argument("--stride", type=int, default=5)
    o = a.parse_args()
    part = {"gap": 10, "lid_l": 75, "lid_r": 75}
    clips = [watch(path, o.stride) for path in sorted(o.clips.glob("*.mp4"))]
    for i, name in enumerate(FIGURES):
        rests = [np.percentile(clip[:, i], part.get(name, 50)) for clip in clips]
        moves = np.percentile(np.abs(np.concatenate([c[:, i] - r for c, r in zip(clips, rests, strict=True)])), 90)
        print(f'"{name}": {np.median(rests):.3f},  # {min(rests):.3f} to {max(rests):.3f}; moves by {moves:.3f}')


if __name__ == "__main__":
    main()

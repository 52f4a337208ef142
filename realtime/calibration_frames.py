"""Frames for calibration: a source is watched for a while, and evenly spaced faces are kept, aligned and coded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from engines.calibration import Frames
from engines.encoders_config import INPUT_PX
from engines.ffhq_alignment import anchors_from_478, live_crop, quad_from_anchors
from engines.imported import ImportedModel
from realtime.capture import Stalled, open_source
from realtime.clock import SystemClock
from realtime.errors import SourceError
from realtime.frames import Pixels
from realtime.settings import CaptureSettings, TrackingSettings
from realtime.tracking import Tracker

LEAST = 20  # frames below which nothing is learnt; of ten, one is watched and one held out
LARGEST_PX = 512  # frames are compared at this size at most
REFINEMENTS = 5  # steps of a ReStyle encoder per frame


def collect(source: str, seconds: float, count: int, size: int, tell: Callable[[int], None]) -> tuple[Pixels, Pixels]:
    """Aligned faces, uint8 BGR [N, size, size, 3] and [N, 256, 256, 3], at most ``count``, evenly over ``seconds``.

    tell: is called with the number of faces so far.

    Raises SourceError when fewer than LEAST faces were seen; what opening raises.
    """
    opened = open_source(source, CaptureSettings(), SystemClock())
    tracker = Tracker(TrackingSettings())
    pictures: list[Pixels] = []
    inputs: list[Pixels] = []
    first_ns: int | None = None
    due_s = 0.0
    try:
        while len(pictures) < count and (frame := opened.read()) is not None:
            if isinstance(frame, Stalled):
                continue
            first_ns = frame.captured_ns if first_ns is None else first_ns
            passed_s = (frame.captured_ns - first_ns) * 1e-9
            if passed_s > seconds:
                break
            face = tracker.track(frame)
            if face is None or passed_s < due_s:
                continue
            due_s += seconds / count
            quad = quad_from_anchors(anchors_from_478(face.landmarks))
            pictures.append(live_crop(frame.pixels, quad, size))
            inputs.append(live_crop(frame.pixels, quad, INPUT_PX))
            tell(len(pictures))
    finally:
        tracker.close()
        opened.close()
    if len(pictures) < LEAST:
        raise SourceError(f"{len(pictures)} frames with a face in {source}; wanted {LEAST} or more: record longer")
    return np.stack(pictures), np.stack(inputs)


def coded(model: ImportedModel, pictures: Pixels, inputs: Pixels) -> Frames:
    """The frames with their codes by the model's encoder."""
    pivots = []
    for pixels in inputs:
        wplus = None
        for _ in range(REFINEMENTS if model.refines else 1):
            wplus = model.encode(pixels, wplus)
        pivots.append(wplus)
    return Frames(pictures, np.stack([pivot for pivot in pivots if pivot is not None]))


def save_frames(path: Path, frames: Frames) -> None:
    """Keep frames for a run that goes on later."""
    np.savez(path, pixels=frames.pixels, pivots=frames.pivots)


def load_frames(path: Path) -> Frames:
    """Frames that were kept."""
    with np.load(path, allow_pickle=False) as kept:
        return Frames(kept["pixels"], kept["pivots"])

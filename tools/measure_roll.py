"""How far FaceMesh's roll of real heads follows the mouth instead of the head (docs/decisions/0086).

    python -m tools.measure_roll CLIP... [--max-frames 400] [--json FILE]

The upper face without lids and brows is followed without FaceMesh: corners (Shi and Tomasi) by Lucas and Kanade's
optical flow, and a similarity through them by RANSAC, against a picture that is at most RENEWED frames old. Both rolls
are taken without what changes over more than SLOW frames, since such a chain drifts. Printed per clip: their spreads,
r, and by how many degrees FaceMesh's differs per unit of ``mouth_shift``, alone and with the corners' difference and
the head's own angles. A head that turns far is no flat picture, so a clip with much yaw says little.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from engines.motion import MOTION
from realtime.alignment import head_turn
from realtime.encoding import pose
from realtime.expression import MotionReader
from realtime.frames import Frame, Pixels
from realtime.settings import TrackingSettings
from realtime.tracking import Tracker
from tools.fidelity import read
from tools.figures import Series
from tools.head_angles import angles
from tools.record import record

OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 5, 234, 127, 162, 21, 54, 103, 67, 109)  # down to the nose's tip
MOVING = (
    *((33, 160, 158, 133, 153, 144), (263, 387, 385, 362, 380, 373)),
    *((70, 63, 105, 66, 107, 55, 52), (300, 293, 334, 296, 336, 285, 282)),
)  # lids and brows
RENEWED, SLOW = 40, 81
FEWEST = 8  # corners


@dataclass(slots=True)
class _Reference:
    """A picture that later ones are compared with: uint8 [H, W], its corners float32 [N, 1, 2], its roll, its age."""

    grey: npt.NDArray[np.uint8]
    corners: npt.NDArray[np.float32]
    roll: float
    age: int = 0


class FlowRoll:
    """The roll of what lies within a mask, in radians, counter-clockwise, from the first picture on."""

    def __init__(self) -> None:
        self._reference: _Reference | None = None

    def look(self, pixels: Pixels, mask: npt.NDArray[np.uint8]) -> float:
        """The roll in the next picture, BGR [H, W, 3]; mask: uint8 [H, W]. NaN where it is lost, and anew from 0."""
        grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), np.uint8)
        roll = 0.0 if self._reference is None else self._since(self._reference, grey)
        if self._reference is None or self._reference.age >= RENEWED or not np.isfinite(roll):
            corners = cv2.goodFeaturesToTrack(grey, 250, 0.005, 5, mask=mask)
            enough = corners is not None and len(corners) >= FEWEST
            self._reference = _Reference(grey, corners, np.nan_to_num(roll)) if enough else None
        return roll

    def _since(self, reference: _Reference, grey: npt.NDArray[np.uint8]) -> float:
        reference.age += 1
        moved, found, _ = cv2.calcOpticalFlowPyrLK(
            reference.grey, grey, reference.corners, np.zeros(0), winSize=(25, 25), maxLevel=4
        )
        there = found[:, 0] > 0
        if there.sum() < FEWEST:
            return float("nan")
        turn, _ = cv2.estimateAffinePartial2D(reference.corners[there], moved[there], ransacReprojThreshold=1.5)
        return float("nan") if turn is None else reference.roll - float(np.arctan2(turn[1, 0], turn[0, 0]))


def upper_face(points: Series, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Where the skull shows, uint8 [H, W]: from the nose's tip up to the hair, without lids and brows."""
    mask = np.zeros(shape, np.uint8)
    up = (points[10] - points[168]) / max(float(np.linalg.norm(points[10] - points[168])), 1e-6)
    oval, eyes = points[list(OVAL)], float(np.linalg.norm(points[33] - points[263]))
    grown = np.vstack([oval, oval + 0.35 * eyes * up * (oval[:, 1:] < points[168, 1])])
    cv2.fillConvexPoly(mask, cv2.convexHull(grown.astype(np.int32)), 255)
    for part in MOVING:
        cv2.fillConvexPoly(mask, cv2.convexHull(points[list(part)].astype(np.int32)), 0)
    return mask


def followed(frames: Iterable[Frame]) -> tuple[Series, Series]:
    """FaceMesh's roll and the flow's [N, 2], and the motion codes [N, motion], of the frames that show a face."""
    settings = TrackingSettings()
    tracker, reader, flow = Tracker(settings), MotionReader(), FlowRoll()
    rolls, motions = [], []
    for frame in frames:
        face = tracker.track(frame)
        if face is None:
            flow = FlowRoll()
            continue
        turn = head_turn(face.landmarks)
        expression = reader.read(face.landmarks, turn)
        motions.append(np.concatenate([pose(turn, expression), expression]).astype(np.float64))
        mask = upper_face(face.landmarks[:, :2].astype(np.float64), frame.pixels.shape[:2])
        rolls.append((float(angles(face.landmarks)[2]), flow.look(frame.pixels, mask)))
    tracker.close()
    return np.array(rolls), np.array(motions)


def quick(values: Series, window: int = SLOW) -> Series:
    """Columns [N, columns] without what changes over more than ``window`` rows."""
    ones = np.ones(window)
    count = np.convolve(np.ones(len(values)), ones, "same")[: len(values)]
    slow = [np.convolve(column, ones, "same")[: len(values)] / count for column in values.T]
    return values - np.array(slow).T


def judged(rolls: Series, motions: Series) -> dict[str, float]:
    """What the difference of the two rolls follows; angles in degrees."""
    there = np.isfinite(rolls).all(axis=1)
    (mesh, flow), told = quick(rolls[there]).T, quick(motions[there])
    shift, left, right = (told[:, MOTION.index(name)] for name in ("mouth_shift", "corner_l", "corner_r"))
    off = mesh - flow
    both = np.linalg.lstsq(np.column_stack([shift, right - left, told[:, :2], flow]), off, rcond=None)[0]
    numbers = (mesh.std(), flow.std(), (shift @ off) / (shift @ shift), both[0], both[1])
    names = ("facemesh_spread", "flow_spread", "per_shift_alone", "per_shift", "per_corners")
    degrees = {name: float(np.degrees(number)) for name, number in zip(names, numbers, strict=True)}
    return degrees | {"r": float(np.corrcoef(mesh, flow)[0, 1]), "frames": float(len(mesh))}


def main() -> None:
    """Measure, print a line for each clip and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--max-frames", type=int, default=400)
    parser.add_argument("--json", type=Path, help="default: docs/measurements/roll-DATE.json")
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    for clip in arguments.clips:
        results[clip.stem] = row = judged(*followed(read(clip, arguments.max_frames, 1)[0]))
        print(f"{clip.stem}: " + ", ".join(f"{name} {value:.2f}" for name, value in row.items()), flush=True)
    print(record("roll", arguments.json, max_frames=arguments.max_frames, clips=results))


if __name__ == "__main__":
    main()

"""Measure the rigid head of ``realtime/alignment.py`` from videos: ``python -m tools.measure_head VIDEO...``

FaceMesh gives every point in three dimensions, in weak perspective. A generalised Procrustes analysis (Gower, 1975)
brings the rigid points of all frames into one head: fit the present mean to each frame, undo the pose, average,
repeat. Each video counts once, by the median of its frames that look at the camera within 20 degrees (or the 20 that
do best). The mean is made symmetric, turned until the line from the top of the forehead (10) to the chin (152) leans
forward as it does on drawn heads that look straight ahead (5 degrees: the mean over 149 heads of known pose), shifted
until the middle between the outer eye corners (33, 263) is the origin, and scaled until they are 1 apart.

Prints the table and each point's RMS distance from it over all frames; with ``--points`` other points of the mean face,
in the frame of that table (for ``tools/head_angles.py``).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from realtime.alignment import MIDDLE, PAIRS, fit_pose
from realtime.frames import Frame
from realtime.mirror_points import MIRRORED as MIRRORED_POINTS
from realtime.settings import TrackingSettings
from realtime.tracking import Tracker

Points = npt.NDArray[np.float64]
FRONTAL = np.cos(np.radians(20))
FOREHEAD, CHIN = 10, 152
LEAN = np.radians(5.0)
Y_UP = np.array([1.0, -1.0, -1.0])
INDICES = [*MIDDLE, *(index for pair in PAIRS for index in pair)]
MIRRORED = [*range(len(MIDDLE)), *(len(MIDDLE) + (k ^ 1) for k in range(2 * len(PAIRS)))]
RIGHT_EYE, LEFT_EYE = INDICES.index(33), INDICES.index(263)


def tracked(video: Path, most: int) -> Points:
    """Landmarks of the first ``most`` frames of a video, float64 [N, 478, 3], y up and z to the camera."""
    tracker, reader, found = Tracker(TrackingSettings()), cv2.VideoCapture(str(video)), []
    for frame_id in range(most):
        there, pixels = reader.read()
        if not there:
            break
        face = tracker.track(Frame(frame_id, frame_id * 33_000_000, np.asarray(pixels, np.uint8)))
        if face is not None:
            found.append(face.landmarks * Y_UP)
    return np.array(found)


def unposed(frames: Points, head: Points) -> tuple[Points, Points]:
    """All points of ``frames`` in the head's place, turn and scale; how much each looked at the camera (cosine)."""
    back, facing = [], []
    for points in frames:
        pose = fit_pose(head, points[INDICES])
        back.append((points - pose.translation) @ pose.rotation / pose.scale)
        facing.append(pose.rotation[2, 2])
    return np.array(back), np.array(facing)


def average(videos: list[Points], head: Points) -> Points:
    """The mean face, float64 [478, 3], in the place, turn and scale of ``head``."""
    medians = []
    for frames in videos:
        back, facing = unposed(frames, head)
        near = facing > min(FRONTAL, np.sort(facing)[-20:][0])
        medians.append(np.median(back[near], axis=0))
    return np.asarray(np.mean(medians, axis=0))


def normalised(face: Points) -> Points:
    """The rigid points of a mean face [478, 3]: symmetric, upright, between the eyes at the origin, eyes 1 apart."""
    head = face[INDICES]
    head = (head + head[MIRRORED] * [-1, 1, 1]) / 2
    _, up, back = face[FOREHEAD] - face[CHIN]
    angle = np.arctan2(back, up) - LEAN
    cos, sin = np.cos(angle), np.sin(angle)
    head = head @ np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]]).T
    head = head - (head[RIGHT_EYE] + head[LEFT_EYE]) / 2
    return np.asarray(head / np.linalg.norm(head[LEFT_EYE] - head[RIGHT_EYE]))


def measure(videos: list[Points], rounds: int = 6) -> Points:
    """The rigid head of some videos' landmarks, float64 [len(INDICES), 3]."""
    head = normalised(videos[0][0] - videos[0][0].mean(axis=0))
    for _ in range(rounds):
        head = normalised(average(videos, head))
    return head


def others(videos: list[Points], head: Points, wanted: list[int]) -> dict[int, Points]:
    """Where other points are on average, made symmetric: float64 [3] each; ``wanted`` from the middle or the right."""
    face = average(videos, head)
    turned_round = face[MIRRORED_POINTS] * [-1, 1, 1]
    return {index: (face[index] + turned_round[index]) / 2 for index in wanted}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--max-frames", type=int, default=300)
    parser.add_argument("--points", nargs="*", type=int, default=[])
    arguments = parser.parse_args()
    videos = [tracked(video, arguments.max_frames) for video in arguments.videos]
    head = measure(videos)
    errors = np.concatenate([unposed(frames, head)[0][:, INDICES] - head for frames in videos])
    rms = np.sqrt((errors**2).sum(axis=2).mean(axis=0))
    for index, (x, y, z), error in zip(INDICES, head, rms, strict=True):
        if x > -1e-9:  # the left one of a pair is the right one's mirror image
            print(f"{index:4} ({x:.3f}, {y:.3f}, {z:.3f})  rms {error:.3f}")
    for index, (x, y, z) in others(videos, head, arguments.points).items():
        print(f"{index:4} ({x:.3f}, {y:.3f}, {z:.3f})")


if __name__ == "__main__":
    main()

"""How well FaceMesh and ``cv2.solvePnP`` read the pose of heads whose pose is known.

    python -m tools.measure_angles [--people 10] [--each 24] [--seed 77] [--json FILE]

The bundled generator draws people (half of them as toon, half as natural) in random expressions, turned as people in
front of a camera turn. FaceMesh looks at each picture three times, until its crop has settled, and at its mirror image.
Per template, view and way of counting: Pearson's r of the angle read and the angle told within each person, how far
what is read lies from the best line (degrees), and how much of the yaw is read as roll. Then, for the chosen template
and both looks: by how many degrees a head seems turned when its expression changes by one unit of the motion code,
where that is far from chance (``realtime.encoding.SEEMS_TURNED``).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines import bundled
from engines.attributes import ATTRIBUTES
from engines.motion import LIMITS, MOTION, POSE
from realtime.alignment import HEAD, INDICES
from realtime.frames import Floats, Frame, Portrait
from realtime.settings import TrackingSettings
from realtime.tracking import Tracker
from tools.face_world import index
from tools.face_world.sampling import perform, person
from tools.head_angles import POINTS, TEMPLATE, Series, angles, turned
from tools.looking import Looker, on_grey
from tools.record import record

SPREAD = (0.12, 0.07, 0.055)  # of yaw, pitch, roll in radians: as in the livelier of ten clips
HIDING = ("glasses_round", "glasses_square", "fringe")
LOOKS = 3
SURE = 4.0  # standard errors from nothing


def pictures(people: int, each: int, seed: int) -> tuple[list[npt.NDArray[np.uint8]], Floats, npt.NDArray[np.intp]]:
    """Pictures on grey, what was told (float32 [N, motion]) and who it is (int [N])."""
    model, random = bundled.load("toon"), np.random.default_rng(seed)
    low, high = np.array([LIMITS[name] for name in MOTION]).T
    views, told, who = [], [], []
    for number in range(people):
        head = person(random, ("toon", "natural")[number % 2])
        head[[index(name) for name in HIDING]] = 0
        wplus = model.mapping.infer(np.array([[head[index(name)] for name in ATTRIBUTES]], np.float32))[0]
        wplus = np.repeat(wplus, bundled.LAYERS, axis=0)
        for _ in range(each):
            row = perform(head, random)
            motion = np.array([row[index(name)] for name in MOTION])
            motion[:3] = random.normal(0, SPREAD)
            motion = np.clip(motion, low, high).astype(np.float32)
            (pixels,) = model.drawer.draw(wplus[None], motion[None])
            views.append(on_grey(Portrait(0, 0, pixels, np.eye(2, 3)))[0])
            told.append(motion)
            who.append(number)
    return views, np.array(told), np.array(who)


def seen(views: list[npt.NDArray[np.uint8]]) -> dict[str, Series]:
    """FaceMesh's points [N, 478, 3] by ``once`` (the picture) and ``mirrored`` (its mirror image too); NaN without."""
    tracker, looker = Tracker(TrackingSettings()), Looker(TrackingSettings())
    found: dict[str, list[Series]] = {"once": [], "mirrored": []}
    nothing = np.full((478, 3), np.nan)
    for view in views:
        for _ in range(LOOKS):
            face, both = tracker.track(Frame(0, 0, view)), looker.look(Frame(0, 0, view))
        found["once"].append(nothing if face is None else face.landmarks)
        found["mirrored"].append(nothing if both is None else both)
    tracker.close()
    looker.close()
    return {name: np.array(rows, np.float64) for name, rows in found.items()}


def judged(read: Series, told: Series, who: npt.NDArray[np.intp], from_mean: bool) -> dict[str, Any]:
    """How angles [N, 3] that were read follow those that were told, within each person."""
    both = []
    for values in (read, told):
        parts = [turned(values[who == one]) if from_mean else values[who == one] for one in np.unique(who)]
        both.append(np.concatenate([part - np.nanmean(part, axis=0) for part in parts]))
    there = np.isfinite(both[0]).all(axis=1)
    ours, theirs = both[0][there], both[1][there]
    result: dict[str, Any] = {"heads": int(there.sum())}
    for column, name in enumerate(POSE):
        one, other = ours[:, column], theirs[:, column]
        left = one - other * (one @ other) / (other @ other)
        result[name] = {"r": float(np.corrcoef(one, other)[0, 1]), "off_degrees": float(np.degrees(left.std()))}
    result["yaw_in_roll"] = float(np.linalg.lstsq(theirs, ours[:, 2], rcond=None)[0][0])
    return result


def seeming(read: Series, told: Series, who: npt.NDArray[np.intp]) -> dict[str, dict[str, float]]:
    """Degrees by which a head seems turned per unit of the motion code, by linear least squares within each person.

    read: angles [N, 3], NaN where no face was found. told: motion codes [N, motion]. Only what is SURE; what the angles
    do to each other is fitted too and left out.
    """
    there = np.isfinite(read).all(axis=1)
    read, told, who = read[there], told[there], who[there]
    for one in np.unique(who):
        read[who == one] -= read[who == one].mean(axis=0)
        told[who == one] -= told[who == one].mean(axis=0)
    inverse = np.linalg.pinv(told.T @ told)
    found: dict[str, dict[str, float]] = {}
    for column, angle in enumerate(POSE):
        off = read[:, column] - told[:, column]
        slopes = inverse @ (told.T @ off)
        errors = np.sqrt(inverse.diagonal() * (off - told @ slopes).var())
        rows = zip(MOTION[len(POSE) :], slopes[len(POSE) :], errors[len(POSE) :], strict=True)
        found[angle] = {name: float(np.degrees(slope)) for name, slope, error in rows if abs(slope) > SURE * error}
    return found


def main() -> None:
    """Measure, print a line for each and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--each", type=int, default=24)
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument("--json", type=Path, help="default: docs/measurements/angles-DATE.json")
    arguments = parser.parse_args()
    views, told, who = pictures(arguments.people, arguments.each, arguments.seed)
    templates = {"rigid points of the tracker": (INDICES, HEAD), "chosen": (POINTS, TEMPLATE)}
    results: dict[str, Any] = {}
    seen_by = seen(views)
    for view, landmarks in seen_by.items():
        for name, template in templates.items():
            read = np.array([angles(one, *template) if np.isfinite(one).all() else [np.nan] * 3 for one in landmarks])
            for from_mean in (False, True):
                key = f"{name}, {view}, {'from the mean pose' if from_mean else 'as they are'}"
                row = results[key] = judged(read, told[:, :3].astype(np.float64), who, from_mean)
                cells = [f"{part} {row[part]['r']:.3f} ({row[part]['off_degrees']:.2f})" for part in POSE]
                print(f"{key}: {', '.join(cells)}, yaw in roll {row['yaw_in_roll']:+.2f}", flush=True)
    landmarks = seen_by["mirrored"]
    read = np.array([angles(one) if np.isfinite(one).all() else [np.nan] * 3 for one in landmarks])
    turned_by = seeming(read, told.astype(np.float64), who)
    print(*(f"{angle} seems turned by {turned_by[angle]}" for angle in POSE), sep="\n")
    options = {"people": arguments.people, "each": arguments.each, "seed": arguments.seed}
    print(record("angles", arguments.json, **options, results=results, seems_turned=turned_by))


if __name__ == "__main__":
    main()

"""How well FaceMesh and ``cv2.solvePnP`` read the pose of heads whose pose is known.

    python -m tools.measure_angles [--people 10] [--each 24] [--seed 77] [--json FILE]
    python -m tools.measure_angles --calibrate --people 36 --seed 901

The bundled generator draws people (half of them as toon, half as natural) in random expressions, turned as people in
front of a camera turn. FaceMesh looks at each picture three times, until its crop has settled, and at its mirror image.
Per template, view and way of counting: Pearson's r of the angle read and the angle told within each person, how far
what is read lies from the best line (degrees), and how much of the yaw is read as roll. Then, for the chosen template
and both looks: by how many degrees a head seems turned when its expression changes by one unit of the motion code,
where that is far from chance (``realtime.encoding.SEEMS_TURNED``).

``--calibrate``: the face world draws such people instead, and ``tools/head_angle_errors.npy`` is written, by which
``tools.head_angles`` takes off what FaceMesh adds to the angles of drawn heads. The rows "without known errors" say how
much is right then; they are only worth something on other heads than those that it was found on.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
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
from tools.face_world import draw, index
from tools.face_world.sampling import perform, person
from tools.head_angles import (
    ERRORS,
    POINTS,
    TEMPLATE,
    Series,
    angles,
    errors_per_left_over,
    left_over,
    turned,
    without_errors,
)
from tools.looking import look, on_grey
from tools.record import record

SPREAD = (0.12, 0.07, 0.055)  # of yaw, pitch, roll in radians: as in the livelier of ten clips
HIDING = ("glasses_round", "glasses_square", "fringe")
LOOKS = 3
Drawn = Callable[[Floats], list[npt.NDArray[np.uint8]]]
SURE = 4.0  # standard errors from nothing


def pictures(
    people: int, each: int, seed: int, drawn: Drawn
) -> tuple[list[npt.NDArray[np.uint8]], Floats, npt.NDArray[np.intp]]:
    """Pictures on grey, what was told (float32 [N, motion]) and who it is (int [N]); drawn: makes them, see below."""
    random = np.random.default_rng(seed)
    low, high = np.array([LIMITS[name] for name in MOTION]).T
    views, told, who = [], [], []
    for number in range(people):
        head = person(random, ("toon", "natural")[number % 2])
        head[[index(name) for name in HIDING]] = 0
        rows = np.array([perform(head, random) for _ in range(each)], np.float32)
        motion = rows[:, [index(name) for name in MOTION]]
        motion[:, :3] = random.normal(0, SPREAD, (each, 3))
        rows[:, [index(name) for name in MOTION]] = motion = np.clip(motion, low, high).astype(np.float32)
        views += [on_grey(Portrait(0, 0, pixels, np.eye(2, 3)))[0] for pixels in drawn(rows)]
        told.append(motion)
        who += [number] * each
    return views, np.concatenate(told), np.array(who)


def by_generator(rows: Floats) -> list[npt.NDArray[np.uint8]]:
    """Rows of one person, float32 [N, parameters], by the bundled generator: straight BGRA, uint8 [S, S, 4]."""
    model = bundled.load("toon")
    wplus = model.mapping.infer(rows[:1, [index(name) for name in ATTRIBUTES]])[0]
    wplus = np.repeat(wplus, bundled.LAYERS, axis=0)
    motions = rows[:, [index(name) for name in MOTION]]
    return [model.drawer.draw(wplus[None], motion[None])[0] for motion in motions]


def by_world(rows: Floats) -> list[npt.NDArray[np.uint8]]:
    """The same by the face world."""
    return [np.ascontiguousarray(pixels[..., [2, 1, 0, 3]]) for pixels in draw(rows, 256)]


def each_person(values: Series, who: npt.NDArray[np.intp], change: Callable[[Series], Series]) -> Series:
    """Values [N, columns], changed for each person by themselves."""
    result = np.array(values, np.float64)
    for one in np.unique(who):
        result[who == one] = change(result[who == one])
    return result


def centred(values: Series, who: npt.NDArray[np.intp]) -> Series:
    """Values [N, columns] less each person's mean."""
    return each_person(values, who, lambda rows: rows - rows.mean(axis=0))


def calibrate(landmarks: Series, told: Series, who: npt.NDArray[np.intp]) -> Series:
    """The matrix of ``head_angles.without_errors`` from points [N, 478, 3] of heads whose angles [N, 3] are known."""
    there = np.isfinite(landmarks).all(axis=(1, 2))
    found, who = landmarks[there], who[there]
    read, left = (np.array([measure(one) for one in found]) for measure in (angles, left_over))
    from_mean = [each_person(values, who, turned) for values in (read, told[there])]
    return errors_per_left_over(*(centred(values, who) for values in (*from_mean, left)))


def without_known_errors(landmarks: Series, who: npt.NDArray[np.intp]) -> Series:
    """The angles [N, 3] of points [N, 478, 3], person by person, without what FaceMesh is known to add."""
    result = np.full((len(landmarks), 3), np.nan)
    for one in np.unique(who):
        faces = landmarks[who == one]
        read = np.array([angles(face) if np.isfinite(face).all() else [np.nan] * 3 for face in faces])
        left = np.array([left_over(face) if np.isfinite(face).all() else [np.nan] * 2 * len(POINTS) for face in faces])
        result[who == one] = without_errors(turned(read), left)
    return result


def seen(views: list[npt.NDArray[np.uint8]]) -> dict[str, Series]:
    """FaceMesh's points [N, 478, 3] by ``once`` (the picture) and ``mirrored`` (its mirror image too); NaN without."""
    tracker, looker = Tracker(TrackingSettings(looks=1)), Tracker(TrackingSettings())
    found: dict[str, list[Series]] = {"once": [], "mirrored": []}
    nothing = np.full((478, 3), np.nan)
    for view in views:
        for _ in range(LOOKS):
            once, both = (look(each, Frame(0, 0, view)) for each in (tracker, looker))
        found["once"].append(nothing if once is None else once)
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
    parser.add_argument("--calibrate", action="store_true", help=f"write {ERRORS.name}, by heads of the face world")
    arguments = parser.parse_args()
    drawn = by_world if arguments.calibrate else by_generator
    views, told, who = pictures(arguments.people, arguments.each, arguments.seed, drawn)
    if arguments.calibrate:
        np.save(ERRORS, calibrate(seen(views)["mirrored"], told[:, :3].astype(np.float64), who).astype(np.float32))
        print(f"{ERRORS} is written")
        return
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
    row = judged(without_known_errors(landmarks, who), told[:, :3].astype(np.float64), who, False)
    results["chosen, mirrored, from the mean pose, without known errors"] = row
    print("without known errors: " + ", ".join(f"{p} {row[p]['r']:.3f} ({row[p]['off_degrees']:.2f})" for p in POSE))
    read = np.array([angles(one) if np.isfinite(one).all() else [np.nan] * 3 for one in landmarks])
    turned_by = seeming(read, told.astype(np.float64), who)
    print(*(f"{angle} seems turned by {turned_by[angle]}" for angle in POSE), sep="\n")
    options = {"people": arguments.people, "each": arguments.each, "seed": arguments.seed}
    print(record("angles", arguments.json, **options, results=results, seems_turned=turned_by))


if __name__ == "__main__":
    main()

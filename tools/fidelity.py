"""How well the avatar follows.

    python -m tools.fidelity CLIP... [--style toon] [--max-frames N] [--stride 1] [--json FILE]

The real stages run over each clip frame by frame. FaceMesh looks at the input frame and at the portrait on plain grey,
each time at its mirror image too, as the program does but where drawing takes all cores. The same figures
(``tools/figures.py``) are taken from both.

* fidelity: Pearson's r of a figure over a clip, and by how many frames the avatar is late (where r is highest).
* stability: RMS speed of the avatar's points, in eye-corner distances a second, while the person's are nearly still;
  with and without the smoother, and how many times smaller it is with it. The person's own speed in these frames is
  given too. A clip in which the person is hardly ever still says nothing here. The JSON has the same for the quarter of
  the frames in which the person moved least, still or not (``quiet_speed``), with the smoother.

FaceMesh does not follow drawn brows (docs/decisions/0043), so a second table compares the person with what the
generator was told to draw (``tools/drawn_places.py``): brows and the head's angles. A third one has the angles of the
avatar without what FaceMesh is known to add to those of drawn heads (docs/decisions/0089).

A figure that hardly changes in a clip (its spread is below NOISE) says nothing about following: its r is put in
brackets and left out of the means; the JSON has every number.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from realtime.frames import Floats, Frame, Latent, Transform
from realtime.tracking import Tracker
from tools.drawn_places import DRAWN, drawn_figures
from tools.fidelity_tables import ANGLES, calibrated_table, drawn_table, means, table
from tools.figures import FIGURES, NOISE, Series, figures, lag, pearson, quiet_speed, still_speed, still_steps
from tools.head_angles import POINTS, left_over, turned, without_errors
from tools.looking import VIEW_PX, look, on_grey
from tools.record import record

IN_FIGURES, IN_DRAWN = ([names.index(name) for name in ANGLES] for names in (FIGURES, DRAWN))


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """What was seen over a clip: points float64 [N, 478, 2] in frame pixels, figures [N, 11]; NaN without a face.

    drawn: what the generator was told to draw, [N, 5]; None for a person.
    calibrated: the angles [N, 3] without what FaceMesh is known to add to those of drawn heads.
    """

    points: Series
    figures: Series
    drawn: Series | None = None
    calibrated: Series | None = None


class Recorder:
    """Collects the faces of one picture series."""

    def __init__(self) -> None:
        self._points: list[Series] = []
        self._figures: list[Series] = []
        self._drawn: list[Series] = []
        self._left: list[Series] = []

    def add(self, landmarks: Floats | None, to_frame: Transform | None = None) -> None:
        """One frame's face (None: none was found); ``to_frame`` maps its pixels to the input frame's."""
        if landmarks is None:
            self._points.append(np.full((478, 2), np.nan))
            self._figures.append(np.full(len(FIGURES), np.nan))
            self._left.append(np.full(2 * len(POINTS), np.nan))
            return
        points = landmarks[:, :2].astype(np.float64)
        self._points.append(points if to_frame is None else points @ to_frame[:, :2].T + to_frame[:, 2])
        self._figures.append(figures(landmarks))
        self._left.append(left_over(landmarks))

    def add_drawn(self, drawn: Series | None) -> None:
        """What the generator was told to draw in one frame (None: nothing)."""
        self._drawn.append(np.full(len(DRAWN), np.nan) if drawn is None else drawn)

    def track(self) -> Track:
        """All of it; angles as turned from the clip's mean pose."""
        found, drawn = np.array(self._figures), np.array(self._drawn) if self._drawn else None
        found[:, IN_FIGURES] = turned(found[:, IN_FIGURES])
        if drawn is not None:
            drawn[:, IN_DRAWN] = turned(drawn[:, IN_DRAWN])
        calibrated = without_errors(found[:, IN_FIGURES], np.array(self._left))
        return Track(np.array(self._points), found, drawn, calibrated)


def compare(source: Track, avatar: Track, unsmoothed: Track | None, fps: float) -> dict[str, Any]:
    """The figures of one clip."""
    rows = {
        name: _compared(name, source.figures[:, column], avatar.figures[:, column])
        for column, name in enumerate(FIGURES)
    }
    found = np.isfinite(source.figures[:, 0])
    still = still_steps(source.points, fps)
    result: dict[str, Any] = {
        "frames": len(found),
        "found": int(found.sum()),
        "avatar_found": int((found & np.isfinite(avatar.figures[:, 0])).sum()),
        "figures": rows,
        "still_steps": int(still.sum()),
        "still_speed": still_speed(avatar.points, still, fps),
        "still_speed_person": still_speed(source.points, still, fps),
        "quiet_speed": quiet_speed(source.points, avatar.points, fps),
        "quiet_speed_person": quiet_speed(source.points, source.points, fps),
    }
    if unsmoothed is not None:
        result["still_speed_unsmoothed"] = still_speed(unsmoothed.points, still, fps)
    if avatar.drawn is not None:
        theirs = [source.figures[:, FIGURES.index(name)] for name in DRAWN]
        result["drawn"] = {
            name: _compared(name, one, avatar.drawn[:, column])
            for column, (name, one) in enumerate(zip(DRAWN, theirs, strict=True))
        }
    if avatar.calibrated is not None:
        result["calibrated"] = {
            name: _compared(name, source.figures[:, FIGURES.index(name)], avatar.calibrated[:, column])
            for column, name in enumerate(ANGLES)
        }
    return result


def _compared(name: str, one: Series, other: Series) -> dict[str, Any]:
    """How one figure of the avatar follows the person's."""
    spread = float(np.nanstd(one)) if np.isfinite(one).any() else 0.0
    return {"r": pearson(one, other), "lag": lag(one, other), "spread": spread, "moves": bool(spread >= NOISE[name])}


class Runner:
    """The real stages, with FaceMesh looking at what they draw."""

    def __init__(self, style: str, edits: dict[str, float], unsmoothed: bool) -> None:
        from engines import bundled
        from engines.drawings import DrawingEngine
        from realtime.building import build_stages
        from realtime.configuration import load
        from realtime.stages import Stages
        from realtime.two_at_once import TwoAtOnce

        settings = load(
            {"editing.style": style, "editing.edits": edits, "tracking.faces": 1, "tracking.looks": 2}, os.environ
        )
        stages, self.model = build_stages(settings, (VIEW_PX, VIEW_PX))
        stages = stages.stages if isinstance(stages, TwoAtOnce) else stages
        assert isinstance(stages, Stages)  # one face
        self._stages = stages
        told = bundled.manifest()["motion_code"] if settings.generating.model in bundled.MODELS else None
        self._motion_code = None if told is None else DrawingEngine(bundled.verify(told))
        self._looker = Tracker(settings.tracking)
        self._unsmoothed = unsmoothed

    def run(self, frames: Iterator[Frame], fps: float) -> tuple[Track, Track, Track | None]:
        """Track a clip's faces in the input, on the avatar and on the avatar without the smoother.

        The last is drawn only for the frames in which the person is nearly still.
        """
        source, codes = self._person(frames)
        avatar, again = Recorder(), Recorder()
        self._looker.reset()
        for code in codes:
            self._draw(None if code is None else code[1], avatar, 1)
            if self._motion_code is not None:
                avatar.add_drawn(None if code is None else self._told(code[1]))
        if not self._unsmoothed:
            return source, avatar.track(), None
        still = still_steps(source.points, fps)
        wanted = np.append(still, False) | np.append(False, still)
        self._looker.reset()
        for number, code in enumerate(codes):
            # After a pause FaceMesh first finds where the face is now.
            looks = 1 if number and wanted[number - 1] else 2
            self._draw(code[0] if code is not None and wanted[number] else None, again, looks)
        return source, avatar.track(), again.track()

    def _person(self, frames: Iterator[Frame]) -> tuple[Track, list[tuple[Latent, Latent] | None]]:
        """The person, and what they are coded as: without and with the smoother."""
        stages, source, codes = self._stages, Recorder(), []
        for stage in (stages.encoder, stages.smoother, stages.tracker):
            stage.reset()
        for frame in frames:
            face = stages.tracker.track(frame)
            source.add(None if face is None else face.landmarks)
            if face is None:
                codes.append(None)
                continue
            raw = stages.encoder.encode(face, stages.aligner.align(frame, face))
            smoothed = stages.smoother.smooth(raw)
            codes.append((stages.editor.edit(raw), stages.editor.edit(smoothed)))
        return source.track(), codes

    def _draw(self, latent: Latent | None, recorder: Recorder, looks: int) -> None:
        """Draw a code, and record what FaceMesh sees at its last look."""
        if latent is None:
            recorder.add(None)
            return
        view, to_frame = on_grey(self._stages.generator.generate(latent))
        for _ in range(looks):
            seen = look(self._looker, Frame(latent.frame_id, latent.captured_ns, view))
        recorder.add(seen, to_frame)

    def _told(self, latent: Latent) -> Series:
        """What the generator is told to draw."""
        assert self._motion_code is not None
        return drawn_figures(self._motion_code.infer(latent.wplus[:1], latent.motion[None])[0], latent.motion)


def read(clip: Path, most: int, stride: int) -> tuple[Iterator[Frame], float]:
    """Every ``stride``-th frame of a clip, at most ``most`` of them, and how many of them a second has."""
    reader = cv2.VideoCapture(str(clip))
    if not reader.isOpened():
        raise SystemExit(f"{clip} cannot be read as a video")
    fps = (reader.get(cv2.CAP_PROP_FPS) or 30.0) / stride

    def frames() -> Iterator[Frame]:
        for number in range(most * stride):
            there, pixels = reader.read()
            if not there:
                return
            if number % stride == 0:
                yield Frame(number // stride, round(number // stride / fps * 1e9), np.asarray(pixels, np.uint8))

    return frames(), fps


def main() -> None:
    """Measure, print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--style", default="toon")
    parser.add_argument("--max-frames", type=int, default=10_000)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--json", type=Path, help="default: docs/measurements/fidelity-DATE.json")
    parser.add_argument("--no-unsmoothed", action="store_true", help="skip the second drawing of every frame")
    arguments = parser.parse_args()
    runner, results = Runner(arguments.style, {}, not arguments.no_unsmoothed), {}
    for clip in arguments.clips:
        frames, fps = read(clip, arguments.max_frames, arguments.stride)
        results[clip.stem] = compare(*runner.run(frames, fps), fps)
        print(f"{clip.stem}: {results[clip.stem]['frames']} frames", file=sys.stderr, flush=True)
    print(table(results), drawn_table(results), calibrated_table(results), sep="\n\n")
    options = {"style": arguments.style, "stride": arguments.stride, "max_frames": arguments.max_frames}
    record("fidelity", arguments.json, model=runner.model, **options, means=means(results), clips=results)


if __name__ == "__main__":
    main()

"""How well the avatar follows.

    python -m tools.fidelity CLIP... [--style toon] [--max-frames N] [--stride 1] [--json FILE]

The real stages run over each clip frame by frame. FaceMesh looks at the input frame and at the portrait on plain grey,
and the same figures (``tools/figures.py``) are taken from both.

* fidelity: Pearson's r of a figure over a clip, and by how many frames the avatar is late (where r is highest).
* stability: RMS speed of the avatar's points, in eye-corner distances a second, over the quarter of the frames in which
  the person moved least; with and without the smoother, and how many times smaller it is with it. The person's own
  speed in these frames is given too: it is movement, and a smoother that goes below it takes movement away.

FaceMesh does not follow drawn brows (docs/decisions/0043), so a second table compares the person with what the
generator was told to draw (``tools/drawn_places.py``): brows and the head's angles.

A figure that hardly changes in a clip (its spread is below NOISE) says nothing about following: its r is put in
brackets and left out of the means; the JSON has every number.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from realtime.compositing import draw
from realtime.frames import Face, Floats, Frame, Latent, Portrait, Transform
from tools.drawn_places import DRAWN, drawn_figures
from tools.figures import FIGURES, NOISE, Series, figures, lag, pearson, still_speed
from tools.record import record

VIEW_PX = 512
GREY = 150


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """What was seen over a clip: points float64 [N, 478, 2] in frame pixels, figures [N, 10]; NaN without a face.

    drawn: what the generator was told to draw, [N, 5]; None for a person.
    """

    points: Series
    figures: Series
    drawn: Series | None = None


class Recorder:
    """Collects the faces of one picture series."""

    def __init__(self) -> None:
        self._points: list[Series] = []
        self._figures: list[Series] = []
        self._drawn: list[Series] = []

    def add(self, landmarks: Floats | None, to_frame: Transform | None = None) -> None:
        """One frame's face (None: none was found); ``to_frame`` maps its pixels to the input frame's."""
        if landmarks is None:
            self._points.append(np.full((478, 2), np.nan))
            self._figures.append(np.full(len(FIGURES), np.nan))
            return
        points = landmarks[:, :2].astype(np.float64)
        self._points.append(points if to_frame is None else points @ to_frame[:, :2].T + to_frame[:, 2])
        self._figures.append(figures(landmarks))

    def add_drawn(self, drawn: Series | None) -> None:
        """What the generator was told to draw in one frame (None: nothing)."""
        self._drawn.append(np.full(len(DRAWN), np.nan) if drawn is None else drawn)

    def track(self) -> Track:
        """All of it."""
        drawn = np.array(self._drawn) if self._drawn else None
        return Track(np.array(self._points), np.array(self._figures), drawn)


def compare(source: Track, avatar: Track, unsmoothed: Track | None, fps: float) -> dict[str, Any]:
    """The figures of one clip."""
    rows = {
        name: _compared(name, source.figures[:, column], avatar.figures[:, column])
        for column, name in enumerate(FIGURES)
    }
    found = np.isfinite(source.figures[:, 0])
    result: dict[str, Any] = {
        "frames": len(found),
        "found": int(found.sum()),
        "avatar_found": int((found & np.isfinite(avatar.figures[:, 0])).sum()),
        "figures": rows,
        "still_speed": still_speed(source.points, avatar.points, fps),
        "still_speed_person": still_speed(source.points, source.points, fps),
    }
    if unsmoothed is not None:
        result["still_speed_unsmoothed"] = still_speed(source.points, unsmoothed.points, fps)
    if avatar.drawn is not None:
        theirs = [source.figures[:, FIGURES.index(name)] for name in DRAWN]
        result["drawn"] = {
            name: _compared(name, one, avatar.drawn[:, column])
            for column, (name, one) in enumerate(zip(DRAWN, theirs, strict=True))
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
        from realtime.configuration import load
        from realtime.stages import Stages, build_stages
        from realtime.tracking import Tracker

        settings = load({"editing.style": style, "editing.edits": edits, "tracking.faces": 1}, os.environ)
        stages, self.model = build_stages(settings, (VIEW_PX, VIEW_PX))
        assert isinstance(stages, Stages)  # one face
        self._stages = stages
        name, device = settings.generating.model, settings.generating.device
        self._motion_code = bundled.load(name, device).motion_code if name in bundled.MODELS else None
        self._lookers = [Tracker(settings.tracking) for _ in range(2 if unsmoothed else 1)]

    def run(self, frames: Iterator[Frame]) -> tuple[Track, Track, Track | None]:
        """Track a clip's faces in the input, on the avatar and on the avatar without the smoother."""
        self._stages.encoder.reset()
        self._stages.smoother.reset()
        for tracker in (self._stages.tracker, *self._lookers):
            tracker.reset()
        source, drawn = Recorder(), [Recorder() for _ in self._lookers]
        for frame in frames:
            face = self._stages.tracker.track(frame)
            source.add(None if face is None else face.landmarks)
            self._draw(frame, face, drawn)
        tracks = [recorder.track() for recorder in drawn]
        return source.track(), tracks[0], tracks[1] if len(tracks) > 1 else None

    def _draw(self, frame: Frame, face: Face | None, drawn: Sequence[Recorder]) -> None:
        if face is None:
            for recorder in drawn:
                recorder.add(None)
            if self._motion_code is not None:
                drawn[0].add_drawn(None)
            return
        stages = self._stages
        raw = stages.encoder.encode(face, stages.aligner.align(frame, face))
        latents = [stages.editor.edit(latent) for latent in (stages.smoother.smooth(raw), raw)]
        if self._motion_code is not None:
            drawn[0].add_drawn(self._told(latents[0]))
        for looker, recorder, latent in zip(self._lookers, drawn, latents, strict=False):
            view, to_frame = on_grey(stages.generator.generate(latent))
            seen = looker.track(Frame(frame.frame_id, frame.captured_ns, view))
            recorder.add(None if seen is None else seen.landmarks, to_frame)

    def _told(self, latent: Latent) -> Series:
        """What the generator is told to draw."""
        assert self._motion_code is not None
        return drawn_figures(self._motion_code.infer(latent.wplus[:1], latent.motion[None])[0], latent.motion)


def on_grey(portrait: Portrait) -> tuple[npt.NDArray[np.uint8], Transform]:
    """A portrait on plain grey, uint8 BGR [512, 512, 3], and the way from its pixels to those of the frame."""
    step = VIEW_PX / portrait.pixels.shape[0]
    view = np.full((VIEW_PX, VIEW_PX, 3), GREY, np.uint8)
    draw(view, portrait.pixels, np.array([[step, 0, step / 2 - 0.5], [0, step, step / 2 - 0.5]]))
    back = np.array([[1 / step, 0, 0.5 / step - 0.5], [0, 1 / step, 0.5 / step - 0.5], [0, 0, 1]])
    return view, portrait.transform @ back


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


def means(clips: dict[str, dict[str, Any]], part: str = "figures") -> dict[str, dict[str, float]]:
    """Mean r and median lag per figure over the clips in which it moves, and the mean r over all clips.

    part: ``figures``, or ``drawn`` for what the generator was told.
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
        "|---|---" + "|---" * 11 + "|",
    ]
    for clip, result in clips.items():
        cells = [_cell(result["figures"][name]) for name in FIGURES]
        still = f"{result['still_speed']:.3f}"
        if "still_speed_unsmoothed" in result:
            still += f", {result['still_speed_unsmoothed']:.3f}"
        still += f", {result['still_speed_person']:.3f}"
        lines.append(f"| {clip} | {result['avatar_found']}/{result['found']} | {' | '.join(cells)} | {still} |")
    summary = means(clips)
    average = [f"**{summary[name]['r']:.2f}**" for name in FIGURES]
    late = [f"{summary[name]['lag'] + 0.0:.0f}" for name in FIGURES]
    lines.append(f"| **mean** | | {' | '.join(average)} | {_gain(clips)} |")
    lines.append(f"| median lag | | {' | '.join(late)} | |")
    return "\n".join(lines)


def drawn_table(clips: dict[str, dict[str, Any]]) -> str:
    """What the generator was told to draw, as :func:`table`; empty for a generator without tracked points."""
    told = {name: clip for name, clip in clips.items() if "drawn" in clip}
    if not told:
        return ""
    lines = ["| clip | " + " | ".join(DRAWN) + " |", "|---" * (len(DRAWN) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(_cell(clip['drawn'][part]) for part in DRAWN)} |" for name, clip in told.items()]
    summary = means(told, "drawn")
    return "\n".join([*lines, "| **mean** | " + " | ".join(f"**{summary[part]['r']:.2f}**" for part in DRAWN) + " |"])


def _cell(row: dict[str, Any]) -> str:
    text = f"{row['r']:.2f}" + (f" / {row['lag']:+d}" if row["lag"] else "")
    return text if row["moves"] else f"({text})"


def _gain(clips: dict[str, dict[str, Any]]) -> str:
    pairs = [(clip["still_speed"], clip.get("still_speed_unsmoothed")) for clip in clips.values()]
    gains = [raw / smooth for smooth, raw in pairs if raw is not None and smooth > 0 and np.isfinite(raw / smooth)]
    return f"{np.mean(gains):.1f} times stiller" if gains else ""


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
        results[clip.stem] = compare(*runner.run(frames), fps)
        print(f"{clip.stem}: {results[clip.stem]['frames']} frames", file=sys.stderr, flush=True)
    print(table(results), drawn_table(results), sep="\n\n")
    options = {"style": arguments.style, "stride": arguments.stride, "max_frames": arguments.max_frames}
    record("fidelity", arguments.json, model=runner.model, **options, means=means(results), clips=results)


if __name__ == "__main__":
    main()

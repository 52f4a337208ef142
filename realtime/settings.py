"""The settings of every stage: one frozen section a stage, and :class:`Settings` with all of them.

A stage's constructor takes its own section, never the whole. Defaults are plain values: nothing is read or opened here.
``configuration.py`` fills these sections from flags, the environment, TOML files and styles.

A section checks itself: a value of the wrong kind, out of range or not a number raises :class:`UsageError`.
Units stand in the names (``_ms``, ``_px``, ``_hz``); ``width`` and ``height`` are pixels, ``fps`` frames per second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from realtime.checks import choice, ranged, switch
from realtime.errors import UsageError
from realtime.strengths import Strength, checked_strength

CompositingMode = Literal["overlay", "scene", "crop", "paste"]
OnLost = Literal["hold", "card", "blur", "raw"]
Pace = Literal["auto", "newest", "every"]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "f32", "int8", "bf16"]
Resolution = Literal["auto", "256", "512"]
AtOnce = Literal["auto", "1", "2"]
Rotation = Literal["0", "90", "180", "270"]
Fit = Literal["keep", "letterbox", "crop"]


def _number(default: float, low: float, high: float) -> Any:
    """A field that takes numbers from ``low`` to ``high``, both included."""
    return field(default=default, metadata={"low": low, "high": high})


class Section:
    """Base of all sections: checks every field when one is made."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for entry in fields(self):  # type: ignore[arg-type]  # every section is a dataclass
            value = checked(type(self), entry.name, getattr(self, entry.name))
            object.__setattr__(self, entry.name, value)


@dataclass(frozen=True, slots=True)
class CaptureSettings(Section):
    """Where frames come from.

    width, height, fps: what a camera or screen is asked for, and the demo's own size; files keep theirs.
    rotate: degrees by which pictures are turned, clockwise: for a camera that lies on its side or hangs.
    fit: bring every picture to width x height: letterbox (whole, with bars), crop (filled, cut at both sides alike);
        keep takes what the source delivers.
    mirror: flip left and right at capture, as a mirror does; after turning.
    reconnect_ms: how often a camera or stream that vanished is tried again.
    open_timeout_ms: how long a camera or stream may take to open, and a stream to deliver a packet.
    """

    width: int = _number(1280, 16, 8192)
    height: int = _number(720, 16, 8192)
    fps: float = _number(30.0, 1, 240)
    rotate: Rotation = "0"
    fit: Fit = "keep"
    mirror: bool = False
    reconnect_ms: int = _number(500, 50, 60_000)
    open_timeout_ms: int = _number(10_000, 100, 120_000)


@dataclass(frozen=True, slots=True)
class TrackingSettings(Section):
    """How the face is found and followed.

    min_detection_confidence, min_tracking_confidence: 0 to 1, MediaPipe's own thresholds.
    max_faces: how many faces are looked at before one is chosen (the one nearest the last place, else the largest).
    max_lost_ms: how long the last place is remembered once the face is gone.
    looks: 2 takes the mean with a look at the mirror image: one face trembles less. 0: 2, live 1 where no core is left.
    faces: how many faces get an avatar each.
    forget_ms: how long one of several faces that is lost inside the picture blurs the camera; 0: until it is back.
    """

    min_detection_confidence: float = _number(0.5, 0, 1)
    min_tracking_confidence: float = _number(0.5, 0, 1)
    max_faces: int = _number(2, 1, 8)
    max_lost_ms: int = _number(1000, 0, 60_000)
    looks: int = _number(0, 0, 2)
    faces: int = _number(1, 1, 4)
    forget_ms: int = _number(0, 0, 3_600_000)


@dataclass(frozen=True, slots=True)
class AlignmentSettings(Section):
    """The square around the head.

    size_px: side of the crop in pixels.
    eye_span: distance between the outer eye corners of a face that looks straight ahead, as a part of the side.
    eye_line: their height in the square, from its top, as a part of the side.
    """

    size_px: int = _number(256, 64, 1024)
    eye_span: float = _number(0.235, 0.05, 0.9)
    eye_line: float = _number(0.46, 0, 1)


@dataclass(frozen=True, slots=True)
class EncodingSettings(Section):
    """How a face becomes a code.

    identity_frames: looks over which the identity is averaged; motion is never averaged.
    avatar: name of an avatar to wear (``realtime.avatars``); "": the person's own.
    """

    identity_frames: int = _number(30, 1, 1000)
    avatar: str = ""


@dataclass(frozen=True, slots=True)
class SmoothingSettings(Section):
    """One-Euro filters, whose cut-off rises with speed: ``min_cutoff_hz + beta * max(speed - still, 0)``.

    Layers of W+ are split into thirds: coarse, middle, fine. The head (angles, and the crop transform's centre, scale
    and angle), the mouth, the eyes (lids and gaze) and the remaining expression have one cut-off each, by how fast they
    move the drawn face's points, in crop sides a second.
    still: a slower speed is noise (docs/decisions/0041, 0045). derivative_cutoff_hz: cut-off for the speed itself.
    cut_gap_ms: a longer pause between two frames counts as a cut.
    cut_speed: a crop that moves faster than this many of its own sides a second counts as a cut.
    cut_turn: so does a head that turns faster than this, in radians a second.
    enabled: off passes every code through as it came.
    """

    enabled: bool = True
    coarse_min_cutoff_hz: float = _number(0.5, 0.001, 1000)
    coarse_beta: float = _number(0.3, 0, 1000)
    middle_min_cutoff_hz: float = _number(0.5, 0.001, 1000)
    middle_beta: float = _number(0.3, 0, 1000)
    fine_min_cutoff_hz: float = _number(0.3, 0.001, 1000)
    fine_beta: float = _number(0.1, 0, 1000)
    head_min_cutoff_hz: float = _number(0.5, 0.001, 1000)
    head_beta: float = _number(100.0, 0, 10_000)
    head_still: float = _number(0.045, 0, 1000)
    mouth_min_cutoff_hz: float = _number(0.7, 0.001, 1000)
    mouth_beta: float = _number(500.0, 0, 10_000)
    mouth_still: float = _number(0.016, 0, 1000)
    eyes_min_cutoff_hz: float = _number(0.5, 0.001, 1000)
    eyes_beta: float = _number(2000.0, 0, 10_000)
    eyes_still: float = _number(0.022, 0, 1000)
    expression_min_cutoff_hz: float = _number(0.7, 0.001, 1000)
    expression_beta: float = _number(500.0, 0, 10_000)
    expression_still: float = _number(0.014, 0, 1000)
    derivative_cutoff_hz: float = _number(8.0, 0.001, 1000)
    cut_gap_ms: int = _number(500, 1, 60_000)
    cut_speed: float = _number(8.0, 0.1, 1000)
    cut_turn: float = _number(20.0, 0.1, 1000)


@dataclass(frozen=True, slots=True)
class EditingSettings(Section):
    """Style and edits.

    style: names of ``styles.toml`` or of the user's own presets, joined by ``+``.
    strength: how much of the style, from 0 (the plain avatar) to 1.
    attributes: what the style sets in the person, by name of ``engines.attributes``.
    edits: strength by name, -3 to 3, fixed or a sweep; 0 changes nothing. They come on top of the style's own.
    """

    style: str = "toon"
    strength: float = _number(1.0, 0, 1)
    attributes: Mapping[str, float] = field(default_factory=dict, metadata={"low": -2.0, "high": 2.0})
    edits: Mapping[str, Strength] = field(default_factory=dict, metadata={"low": -3.0, "high": 3.0, "sweeps": True})


@dataclass(frozen=True, slots=True)
class GeneratingSettings(Section):
    """Which model draws, and where it runs.

    model: name of a bundled or imported model.
    blend: name of a second imported model of the same family, whose looks are mixed in by the style's strength.
    blend_from: the first resolution of its looks, in pixels.
    device: auto takes the best that works; cpu and cuda are never left silently.
    precision: of the network that draws, on a CPU: auto takes the fastest that this processor has.
    resolution: of a bundled model's portraits, pixels: auto takes 512 on a GPU, if its weights are there, else 256.
    at_once: frames that are drawn at the same time on a CPU: 1 for the least delay, 2 for the most frames on few cores.
    """

    model: str = "toon"
    blend: str = ""
    blend_from: int = _number(32, 4, 1024)
    device: Device = "auto"
    precision: Precision = "auto"
    resolution: Resolution = "auto"
    at_once: AtOnce = "auto"


@dataclass(frozen=True, slots=True)
class CompositingSettings(Section):
    """How the portrait becomes the picture.

    mode: overlay (over the person's head in the camera picture), scene (on ``background``), crop (the avatar alone),
        paste (blended back with a soft mask).
    background: for scene: a colour ``#rrggbb``, ``green`` (chroma key), ``blur`` (the blurred camera) or the path of a
        picture.
    on_lost: what goes out without a face: hold (the last avatar fading into a card), card, blur (the whole picture,
        blurred beyond recognition), raw (the camera's frame: the only setting that shows it).
    hold_ms: how long hold takes to fade.
    compare: input and output side by side: shows the camera's frame on purpose.
    """

    mode: CompositingMode = "overlay"
    background: str = "#2e3440"
    on_lost: OnLost = "hold"
    hold_ms: int = _number(700, 0, 60_000)
    compare: bool = False


@dataclass(frozen=True, slots=True)
class OutputSettings(Section):
    """How pictures leave.

    fps: how often a virtual camera is fed, in pictures a second; 0 takes the source's rate.
    crf: quality of video files, 0 (lossless) to 51; bigger is smaller and worse.
    audio: carry the sound of a source file over into a video file.
    camera_backend: a backend of pyvirtualcam (v4l2loopback, obs, unitycapture) or auto.
    page_token: the secret in the page's address, to keep the address the same; "" makes a new one every time.
    """

    fps: float = _number(0.0, 0, 240)
    crf: int = _number(20, 0, 51)
    audio: bool = True
    camera_backend: str = "auto"
    page_token: str = ""


@dataclass(frozen=True, slots=True)
class PipelineSettings(Section):
    """How the stages are joined.

    pace: newest (old frames are dropped: for cameras), every (nothing is dropped: for files), auto (by the source).
    stall_ms: with no new frame for this long the holding picture is sent.
    duration_s: stop after this much of the source; 0 runs until its end.
    """

    pace: Pace = "auto"
    stall_ms: int = _number(400, 50, 60_000)
    duration_s: float = _number(0.0, 0, 1e6)


@dataclass(frozen=True, slots=True)
class Settings:
    """All sections."""

    capture: CaptureSettings = field(default_factory=CaptureSettings)
    tracking: TrackingSettings = field(default_factory=TrackingSettings)
    alignment: AlignmentSettings = field(default_factory=AlignmentSettings)
    encoding: EncodingSettings = field(default_factory=EncodingSettings)
    smoothing: SmoothingSettings = field(default_factory=SmoothingSettings)
    editing: EditingSettings = field(default_factory=EditingSettings)
    generating: GeneratingSettings = field(default_factory=GeneratingSettings)
    compositing: CompositingSettings = field(default_factory=CompositingSettings)
    output: OutputSettings = field(default_factory=OutputSettings)
    pipeline: PipelineSettings = field(default_factory=PipelineSettings)


def unknown(what: str, got: str, known: Iterable[str]) -> UsageError:
    """The error for a name that does not exist: lists the known ones and suggests the nearest."""
    names = sorted(known)
    near = get_close_matches(got, names, n=1, cutoff=0.5)
    guess = f"did you mean {near[0]}? Known" if near else "known"
    return UsageError(f"unknown {what} {got!r}; {guess}: {', '.join(names) or 'none'}")


def kinds(section: type[Any]) -> Mapping[str, Any]:
    """The type of every field of a section."""
    return get_type_hints(section)


def checked(section: type[Any], name: str, value: object) -> Any:
    """``value`` as field ``name`` of ``section`` wants it; text (of a flag or variable) is read as the field's kind.

    Raises UsageError with the field's name, the value and what was wanted.
    """
    entry = next(entry for entry in fields(section) if entry.name == name)
    kind = kinds(section)[name]
    if get_origin(kind) is Literal:
        return choice(name, value, get_args(kind))
    if kind is bool:
        return switch(name, value)
    if kind in (int, float):
        return ranged(name, value, kind, entry.metadata["low"], entry.metadata["high"])
    if kind is str:
        if isinstance(value, str):
            return value
        raise UsageError(f"{name} is {value!r}; wanted text")
    if isinstance(value, Mapping):
        low, high = entry.metadata["low"], entry.metadata["high"]
        if "sweeps" in entry.metadata:
            return MappingProxyType({key: checked_strength(key, given, low, high) for key, given in value.items()})
        return MappingProxyType({key: ranged(key, given, float, low, high) for key, given in value.items()})
    raise UsageError(f"{name} is {value!r}; wanted a table of names and numbers")

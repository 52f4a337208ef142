"""The stages between crop and portrait for imported models: encoding, editing, generating.

    Crop --encoder--> W+ --(smoothing)--> W+ --edits--> W+ --generator--> Portrait

Everything that a face does is in W+ here; there is no motion code. Published directions are added as their own programs
do (``engines.installed_directions``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from engines.devices import choose_device, gpu_facts
from engines.encoders_config import INPUT_PX
from engines.errors import ModelError
from engines.imported import ImportedModel, Look, load_imported
from engines.installed_directions import find_edit
from engines.models_folder import models_folder
from realtime.errors import UsageError
from realtime.frames import Crop, Face, Floats, Latent, Portrait, Transform
from realtime.settings import EditingSettings, GeneratingSettings, SmoothingSettings
from realtime.strengths import Strength, at

FIRST_STEPS = 3  # refinements of ReStyle on a face's first frame; every later frame makes one more
# One-Euro filters of W+ where it carries the expression: quick from the start, unlike those of a bundled model's W+,
# which only tells who it is. Values of W+ are spread by about 1.
FILTERS = {
    "coarse_min_cutoff_hz": 1.5, "coarse_beta": 2.0,
    "middle_min_cutoff_hz": 2.5, "middle_beta": 3.0,
    "fine_min_cutoff_hz": 1.0, "fine_beta": 0.5,
}  # fmt: skip


def load(settings: GeneratingSettings, amount: float) -> ImportedModel:
    """The imported model that the settings name, with the looks of another if they name one.

    amount: how much of those looks, 0 to 1.

    Raises ModelError for an unknown model, one that is damaged or has no encoder; EngineError where the device that is
    asked for cannot be used.
    """
    device = "cuda" if settings.device == "cuda" else "cpu"
    check_precision(settings)
    path, look = chosen(settings, amount)
    model = load_imported(path, look=look, precision=settings.precision, device=device)
    if model.encoder is None:
        raise without_encoder(settings.model)
    return model


def check_precision(settings: GeneratingSettings) -> None:
    """Raise UsageError for a precision that imported models do not have."""
    if settings.device == "cuda" and settings.precision != "auto":
        raise UsageError(f"--precision {settings.precision} is for a CPU; wanted --precision auto with --device cuda")
    if settings.resolution != "auto":
        raise UsageError(f"{settings.model!r} draws at a size of its own; wanted --resolution auto")
    if settings.at_once == "2":
        raise UsageError(f"{settings.model!r} draws one frame at a time; wanted --at-once auto or 1")
    if settings.precision == "int8":
        raise UsageError(f"{settings.model!r} has no 8-bit weights; wanted --precision auto, f32 or bf16")


def check_gpu() -> None:
    """Raise EngineError with the reason where there is no usable GPU, before anything heavy is loaded."""
    choose_device("cuda", 0, gpu_facts())


def chosen(settings: GeneratingSettings, amount: float) -> tuple[Path, Look | None]:
    """Folder and looks of the imported model that the settings name. Raises ModelError for unknown ones."""
    folder = models_folder()
    look = Look(folder.model(settings.blend), settings.blend_from, amount) if settings.blend else None
    return folder.model(settings.model), look


def without_encoder(name: str) -> ModelError:
    """What is said of a model that has none."""
    found = models_folder().models()
    encoders = [row["name"] for row in found if any(file["role"] == "encoder" for file in row["files"])]
    return ModelError(
        f"the model {name!r} has no encoder, so it cannot see you; wear its looks on one of its family "
        f"that has one: --model {encoders[0] if encoders else 'ENCODER_MODEL'} --blend {name}"
    )


def smoothing(settings: SmoothingSettings) -> SmoothingSettings:
    """The settings with the filters of W+ that imported models want, wherever the user did not set others."""
    usual = {entry.name: entry.default for entry in fields(SmoothingSettings)}
    changed: dict[str, Any] = {name: hz for name, hz in FILTERS.items() if getattr(settings, name) == usual[name]}
    return replace(settings, **changed)


def check_style(editing: EditingSettings) -> None:
    """Raise UsageError for a style that sets attributes."""
    if editing.attributes:
        raise UsageError(
            f"the style {editing.style!r} sets attributes of bundled avatars, which imported models do not have; "
            "leave it out"
        )


class PhotographicEncoder:
    """Codes faces with an imported encoder.

    An encoder of ReStyle starts from the last frame's code, so that its iterations are spread over frames (Alaluf et
    al. 2021); a new face starts from the mean one with a few at once.
    """

    def __init__(self, model: ImportedModel) -> None:
        self._model = model
        self.reset()

    def reset(self) -> None:
        """Forget the face."""
        self._last: Floats | None = None

    def dress(self, _: None) -> None:
        """Nothing: styles of imported models are edits alone."""

    def encode(self, face: Face, crop: Crop) -> Latent:
        """The code of one frame."""
        if face.fresh:
            self.reset()
        for _ in range(FIRST_STEPS if self._last is None and self._model.refines else 1):
            self._last = self._model.encode(crop.pixels, self._last)
        assert self._last is not None  # set by the line before
        empty = np.zeros(0, np.float32)
        return Latent(face.frame_id, face.captured_ns, self._last, empty, crop.transform, face.fresh)


class PhotographicEditor:
    """Applies published directions to W+.

    folder: of installed directions. centre: float32 [rows, w_dim], of the model that wears them.
    Raises ModelError for names that mean nothing and directions of other generators.
    """

    def __init__(self, edits: Mapping[str, Strength], folder: Path, centre: Floats) -> None:
        self._folder, self._centre = folder, centre
        self.wear(edits)

    def wear(self, edits: Mapping[str, Strength]) -> None:
        """Other edits from the next frame on. Raises as making one does; those that are worn stay then."""
        self.edits = [(find_edit(self._folder, name, self._centre), strength) for name, strength in edits.items()]

    def edit(self, latent: Latent) -> Latent:
        """The edited code."""
        wplus = latent.wplus
        for edit, strength in self.edits:
            if now := at(strength, latent.captured_ns):
                wplus = edit(wplus, now)
        return replace(latent, wplus=wplus)


class PhotographicGenerator:
    """Draws codes with an imported generator. The portrait is the whole square, opaque."""

    at_once = 1

    def __init__(self, model: ImportedModel) -> None:
        self._model = model

    def prepare(self) -> None:
        """Nothing: all is loaded."""

    def generate(self, latent: Latent) -> Portrait:
        """The portrait, averaged down while it has twice as many pixels as its place in the frame."""
        pixels = self._model.draw(latent.wplus)
        size = pixels.shape[0] >> halvings(latent.transform, pixels.shape[0])
        if size != pixels.shape[0]:
            pixels = np.asarray(cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
        transform = portrait_transform(latent.transform, size)
        opaque = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2BGRA), np.uint8)
        return Portrait(latent.frame_id, latent.captured_ns, opaque, transform)


def halvings(transform: Transform, size: int) -> int:
    """How often a portrait of ``size`` pixels is halved for its place: while it has twice as many pixels as that."""
    step = math.hypot(transform[0, 0], transform[1, 0]) * INPUT_PX / size  # frame px per portrait px
    count = 0
    while step <= 0.5 and size > INPUT_PX // 4:
        size, step, count = size // 2, step * 2, count + 1
    return count


def portrait_transform(transform: Transform, size: int) -> Transform:
    """Pixels of a portrait of ``size`` to frame pixels, of the way from crop pixels to frame pixels."""
    scale = INPUT_PX / size
    inner = np.array([[scale, 0, scale / 2 - 0.5], [0, scale, scale / 2 - 0.5], [0, 0, 1]])
    return np.asarray(transform @ inner)

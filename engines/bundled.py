"""The bundled models: package data with a manifest, checked before anything is run.

What a model does to a frame:

    model = load("toon", "auto")
    (attributes,) = model.encoder.infer(crop)           # who it is
    (w,) = model.mapping.infer(attributes)              # W, the same in every layer of W+
    (pixels,) = model.drawer.draw(wplus, motion)        # the picture
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from engines.devices import FEW_CORES, at_once, choose_device, gpu_facts
from engines.drawings import DrawingEngine
from engines.errors import EngineError, ModelError
from engines.pictures import Draws, TwoNetworks

if TYPE_CHECKING:
    from engines.openvino_engine import OpenVinoEngine

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

WEIGHTS = Path(__file__).parent / "weights"
MODELS = ("toon",)
DRAWING = ("motion_code", "synthesis")  # which a GPU does in its own way
PARTS = ("encoder", "mapping", *DRAWING)
ROUNDED = "synthesis_int8"  # stands in for "synthesis" with precision int8
SIZES = (256, 512)  # edges of the pictures, pixels
LARGE = {"motion_code": "motion_code_512", "synthesis": "synthesis_512"}  # stand in for these at 512 px
LAYERS = 10

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[Any]


class Network(Protocol):
    """What runs a network: :class:`engines.openvino_engine.OpenVinoEngine`, or something around it."""

    def infer(self, *inputs: Array) -> tuple[Array, ...]:
        """The outputs for inputs in the network's order."""

    def describe(self) -> str:
        """Runtime, precision and device, in one line."""


@dataclass(frozen=True, slots=True, eq=False)
class Gauge:
    """How far somebody is from one end of an edit (0) to the other (1), read off W.

    weights: float32 [dim], to which ``offset`` is added. least, most: where the people are that were trained on.
    """

    weights: Floats
    offset: float
    least: float
    most: float


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """One edit: what a strength of 1 adds to W+ (float32 [layers, dim]) and to the motion code (float32 [motion]).

    gauge: of edits of who somebody is; None: none is known, or the edit is one of motion alone.
    """

    wplus: Floats
    motion: Floats
    gauge: Gauge | None = None


@dataclass(frozen=True, slots=True, eq=False)
class BundledModel:
    """Everything of one model, ready to run.

    at_once: how many threads had best draw pictures at the same time. looks: how often a face had best be looked at:
    once where drawing takes all cores (docs/decisions/0098).
    """

    name: str
    encoder: OpenVinoEngine
    mapping: Network
    drawer: Draws
    directions: Mapping[str, Direction]
    at_once: int = 1
    looks: int = 2
    size_px: int = SIZES[0]

    def describe(self) -> str:
        """What runs where, in one line."""
        return f"{self.name} at {self.size_px} px: {self.drawer.describe()}"


def manifest(folder: Path = WEIGHTS) -> dict[str, dict[str, Any]]:
    """The manifest's rows: file, bytes, sha256, licence, made. Raises ModelError when it is missing or broken."""
    file = folder / "manifest.toml"
    try:
        rows: dict[str, dict[str, Any]] = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(
            f"the list of bundled models, {file}, cannot be read ({error}); install avatar-live again"
        ) from error
    for part in (*PARTS, ROUNDED, "directions"):
        if not {"file", "bytes", "sha256"} <= set(rows.get(part, ())):
            raise ModelError(f"the list of bundled models, {file}, has no full row {part!r}; install avatar-live again")
    return rows


def verify(row: Mapping[str, Any], folder: Path = WEIGHTS) -> Path:
    """The file of a manifest row once its bytes are what they should be. Raises ModelError."""
    file = folder / str(row["file"])
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ModelError(
            f"the model file {file} cannot be read ({error.strerror}); install avatar-live again"
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != row["sha256"]:
        raise ModelError(
            f"the model file {file} is damaged: its SHA-256 is {digest[:12]}... ({len(data)} bytes), "
            f"wanted {str(row['sha256'])[:12]}... ({row['bytes']} bytes); install avatar-live again"
        )
    return file


def load(
    name: str,
    device: str = "auto",
    folder: Path = WEIGHTS,
    precision: str = "auto",
    resolution: str = "auto",
    pictures: str = "auto",
) -> BundledModel:
    """A bundled model, loaded once and shared by all who ask.

    precision: of the synthesis network: f32, bf16, int8, or auto for the fastest on this processor.
    resolution: 256, 512, or auto: 512 on a GPU if its weights are there, else 256.
    pictures: how many are drawn at once on a CPU: 1, 2, or auto for what gives more of them a second.
    Raises ModelError (unknown, missing, damaged) and EngineError (a device that cannot run it).
    """
    if name not in MODELS:
        near = get_close_matches(name, MODELS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ModelError(f"no model {name!r}; known are {', '.join(MODELS)}{hint}")
    if device == "cuda":
        if precision != "auto":
            raise EngineError(f"--precision {precision} is for a CPU; wanted --precision auto with --device cuda")
        if pictures == "2":
            raise EngineError("a GPU draws one frame at a time; wanted --at-once auto or 1 with --device cuda")
        return _loaded(name, folder, "auto", _size(resolution, folder, on_gpu=True), 1, 2, on_gpu=True)
    import openvino as ov

    from engines.openvino_engine import chosen_precision, has_amx, has_bf16

    size_px = _size(resolution, folder, on_gpu=False)
    if size_px == SIZES[1] and precision == "int8":
        raise EngineError("--precision int8 draws 256 px; wanted --resolution 256, or f32, bf16 or auto with 512")
    core = ov.Core()
    taken = chosen_precision(precision, core, rounded=size_px == SIZES[0])
    together = at_once(bf16=has_bf16(core) and taken != "f32") if pictures == "auto" else int(pictures)
    looks = 2 if has_amx(core) or (os.cpu_count() or 1) > 2 else 1
    return _loaded(name, folder, taken, size_px, together, looks)


def _size(resolution: str, folder: Path, on_gpu: bool) -> int:
    """The edge of the pictures, pixels. Raises ModelError where the weights for it are not there."""
    needed = ("portrait_top",) if on_gpu else tuple(LARGE.values())
    there = set(needed) <= set(manifest(folder))
    if resolution == "512" and not there:
        raise ModelError("the installed weights draw 256 px, not 512; wanted --resolution 256 or auto")
    return SIZES[1] if resolution == "512" or (resolution == "auto" and on_gpu and there) else SIZES[0]


@functools.lru_cache(maxsize=4)
def _loaded(
    name: str, folder: Path, precision: str, size_px: int, streams: int, looks: int, on_gpu: bool = False
) -> BundledModel:
    from engines.openvino_engine import OpenVinoEngine

    rows = manifest(folder)
    drawer: Draws | None = _on_gpu(rows, folder, size_px) if on_gpu else None
    taken = {**{part: part for part in PARTS}, **({"synthesis": ROUNDED} if precision == "int8" else {})}
    taken |= LARGE if size_px == SIZES[1] else {}
    taken = {part: row for part, row in taken.items() if drawer is None or part not in DRAWING}
    files = {part: verify(rows[row], folder) for part, row in {**taken, "directions": "directions"}.items()}
    with ThreadPoolExecutor(len(taken)) as pool:  # compiling releases the interpreter, so several start sooner
        precise = {"encoder": "auto", "mapping": "f32", "synthesis": precision}
        channels_last = precision != "bf16"  # docs/decisions/0083
        few = (os.cpu_count() or 1) <= FEW_CORES
        jobs: dict[str, Future[Any]] = {
            part: pool.submit(
                OpenVinoEngine,
                files[part],
                precision=precise[part],
                threads=1 if part == "encoder" and few else 0,  # it looks while the others draw
                streams=streams if part == "synthesis" else 1,
                digest=rows[taken[part]]["sha256"],
                channels_last=channels_last and part == "synthesis",
            )
            for part in taken
            if part in precise
        }
        if "motion_code" in taken:
            digest = rows[taken["motion_code"]]["sha256"]
            jobs["motion_code"] = pool.submit(
                DrawingEngine, files["motion_code"], streams=streams, digest=digest, channels_last=channels_last
            )
        engines: dict[str, Any] = {part: job.result() for part, job in jobs.items()}
    drawer = drawer or TwoNetworks(*(engines[part] for part in DRAWING))
    directions = _directions(files["directions"])
    encoder, mapping = engines["encoder"], engines["mapping"]
    return BundledModel(name, encoder, mapping, drawer, directions, streams, looks, size_px)


def _directions(file: Path) -> dict[str, Direction]:
    """Every edit of ``directions.safetensors``, by its name."""
    from safetensors.numpy import load_file

    rows = load_file(file)
    names = sorted({key.partition(".")[0] for key in rows})
    return {n: Direction(rows[f"{n}.wplus"], rows[f"{n}.motion"], _gauge(rows.get(f"{n}.gauge"))) for n in names}


def _gauge(numbers: Floats | None) -> Gauge | None:
    """What ``tools/find_directions.py`` wrote: weights, offset, least and most."""
    return None if numbers is None else Gauge(numbers[:-3], *(float(number) for number in numbers[-3:]))


def _on_gpu(rows: Mapping[str, Mapping[str, Any]], folder: Path, size_px: int) -> Draws:
    """What draws, on a GPU. Raises EngineError where it cannot be used."""
    choose_device("cuda", 0, gpu_facts())  # before torch is loaded
    if "portrait" not in rows:
        raise ModelError(f"the list of bundled models in {folder} has no row 'portrait'; install avatar-live again")
    from engines.cuda_bundled import drawer_on_gpu

    top = verify(rows["portrait_top"], folder) if size_px == SIZES[1] else None
    return drawer_on_gpu(verify(rows["portrait"], folder), top=top)

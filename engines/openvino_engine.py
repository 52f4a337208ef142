"""ONNX models on the CPU (or an Intel GPU or NPU) by OpenVINO."""

from __future__ import annotations

import contextlib
import os
import platform
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import openvino as ov

from engines.engine_cache import EngineCache, EngineKey, EngineRefused
from engines.errors import EngineError
from kernels.cache import cache_folder

Array = npt.NDArray[Any]
PROCESSOR = Path("/proc/cpuinfo")
AVX_512F = 13  # CV_CPU_AVX_512F of OpenCV's cvdef.h, which Python has no name for


def best_precision(core: ov.Core, *, rounded: bool = False) -> str:
    """bf16 where the processor multiplies bf16 matrices in hardware (AMX); else int8 on x86, if there is a ``rounded``
    file for it; else bf16 where AVX-512 has it, else f32: docs/decisions/0080, 0099.
    """
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if has_amx(core):
        return "bf16"
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    if rounded and x86 and "INT8" in able:
        return "int8"
    return "bf16" if has_bf16(core) else "f32"


def has_bf16(core: ov.Core) -> bool:
    """Whether AVX-512 or AMX multiplies bf16. What OpenVINO names is bf16 without AVX-512 too, which was not tried."""
    able = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") and cv2.checkHardwareSupport(AVX_512F)
    return able and _may_use("BF16", "FP16", "AMX")


def has_amx(core: ov.Core) -> bool:
    """Whether the processor has AMX and may use it."""
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") or not _may_use("AMX"):
        return False
    try:
        return "amx_bf16" in PROCESSOR.read_text()
    except OSError:
        return False


def _may_use(*newer: str) -> bool:
    """Whether oneDNN is free to use an instruction set that such names have in them: it can be held to older ones
    (``ONEDNN_MAX_CPU_ISA``), which OpenVINO's list of what the processor can do does not heed."""
    cap = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    return cap in ("", "ALL", "DEFAULT") or any(name in cap for name in newer)


def chosen_precision(asked: str, core: ov.Core, *, rounded: bool = False) -> str:
    """What "auto" means on this processor; another word is returned as it is.

    Raises EngineError where the processor has no such arithmetic.
    """
    if asked == "auto":
        return best_precision(core, rounded=rounded)
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if {"f32": "FP32", "bf16": "BF16", "int8": "INT8"}[asked] not in able:
        raise EngineError(f"this processor has no {asked} (OpenVINO names {', '.join(able)}); wanted --precision auto")
    return asked


def _with_channels_last(model: ov.Model) -> ov.Model:
    """The model with its inputs of four axes [1, C, H, W] taken as [1, H, W, C], as 8-bit and 1x1 kernels read them."""
    given = ov.preprocess.PrePostProcessor(model)
    for port in model.inputs:
        if len(port.partial_shape) == 4:
            asked = given.input(port.get_any_name())
            asked.tensor().set_layout(ov.Layout("NHWC"))
            asked.model().set_layout(ov.Layout("NCHW"))
    return given.build()


def _compiled(core: ov.Core, file: Path | ov.Model, hints: dict[str, Any], channels_last: bool) -> ov.CompiledModel:
    model = core.read_model(file) if isinstance(file, Path) else file.clone()  # it is changed below
    model.reshape({port.get_any_name(): [1, *list(port.partial_shape)[1:]] for port in model.inputs})
    return core.compile_model(_with_channels_last(model) if channels_last else model, "CPU", hints)


def _kept(
    core: ov.Core, file: Path | ov.Model, hints: dict[str, Any], channels_last: bool, digest: str
) -> ov.CompiledModel:
    """The model as it was compiled in an earlier run on this processor, or compiled now and kept for the next one.

    OpenVINO's own cache would run damaged weights; this one is checked. What cannot be read or written is done without.
    """
    processor = (
        f"{core.get_property('CPU', 'FULL_DEVICE_NAME')} {core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES')}"
    )
    settings = {name: str(value) for name, value in hints.items()} | {"cap": os.environ.get("ONEDNN_MAX_CPU_ISA", "")}
    settings["channels_last"] = str(channels_last)
    key = EngineKey(digest, f"OpenVINO {ov.__version__}", processor, "", settings)
    cache = EngineCache(cache_folder() / "compiled")
    try:
        if found := cache.load(key):
            return core.import_model(found, "CPU", hints)
    except (EngineRefused, RuntimeError):
        pass  # it is compiled anew and written over
    compiled = _compiled(core, file, hints, channels_last)
    with contextlib.suppress(OSError):
        cache.store(key, compiled.export_model().getvalue())
    return compiled


def _channels_last(value: Array, room: Array) -> Array:
    """[1, C, H, W] as [1, H, W, C]: its own memory where it lies so already, else ``room``."""
    turned = value.transpose(0, 2, 3, 1)
    if turned.flags.c_contiguous:
        return turned
    pixels = room.reshape(-1, room.shape[-1])
    cv2.transpose(np.ascontiguousarray(value).reshape(pixels.shape[::-1]), pixels)
    return room


class OpenVinoEngine:
    """One model compiled for a batch of one: fixed shapes run up to twice as fast as open ones.

    file: an ONNX file, or a graph that was built here.
    precision: "f32", "bf16", "int8" for a file that is rounded (what is not rounded in it is done in bf16 where AVX-512
    has it), or "auto" for the fastest that the processor does in hardware with a file that is not.
    threads: how many it computes with; 0: one a core. streams: how many calls from different threads run at the same
    time, each by a copy of the network with its part of the threads: with one thread each, the caller's own computes,
    and nothing is handed over (docs/decisions/0085). A copy is made when a thread first needs it. digest: the file's
    SHA-256, for what is kept compiled between two runs; without it nothing is. channels_last: whether inputs of four
    axes are laid out anew, channels last, before the network sees them, unless they lie so already: OpenVINO does that
    itself, but takes nine times as long as OpenCV.
    Raises EngineError when OpenVINO cannot read or compile the file or the processor has no such precision.
    """

    def __init__(
        self,
        file: Path | ov.Model,
        *,
        precision: str = "f32",
        threads: int = 0,
        streams: int = 1,
        digest: str = "",
        channels_last: bool = False,
    ) -> None:
        core = ov.Core()
        self.precision = chosen_precision(precision, core)
        floats = self.precision if self.precision != "int8" else "bf16" if has_bf16(core) else "f32"
        hints: dict[str, Any] = {"INFERENCE_PRECISION_HINT": floats, "PERFORMANCE_HINT": "LATENCY"}
        if streams > 1:  # threads that are bound to cores would wait for each other on one
            threads = max(1, (threads or os.cpu_count() or 1) // streams)
            hints["ENABLE_CPU_PINNING"] = False
        if threads:
            hints["INFERENCE_NUM_THREADS"] = threads

        def copy() -> ov.CompiledModel:
            try:
                if digest:
                    return _kept(core, file, hints, channels_last, digest)
                return _compiled(core, file, hints, channels_last)
            except RuntimeError as error:
                reason = str(error).strip().splitlines()[-1]
                name = file.name if isinstance(file, Path) else file.friendly_name
                raise EngineError(f"OpenVINO cannot run {name}: {reason}; run avatar-live doctor") from error

        self._model = copy()
        self._copy, self._copies, self._copying = copy, [self._model], threading.Lock()
        self._streams, self._callers = streams, 0
        self._local = threading.local()
        self._names = [port.get_any_name() for port in self._model.inputs]
        self._turned = [
            tuple(port.shape) if channels_last and len(port.shape) == 4 else () for port in self._model.inputs
        ]
        self.device = str(core.get_property("CPU", "FULL_DEVICE_NAME")).strip()

    def infer(self, *inputs: Array) -> tuple[Array, ...]:
        """The outputs for inputs in the model's order.

        The arrays are the engine's own and change with the same thread's next call; threads do not disturb each other.
        """
        if len(inputs) != len(self._names):
            raise EngineError(f"{len(inputs)} inputs were given; wanted {', '.join(self._names)}")
        request, rooms = self._own()
        values = [
            _channels_last(value, rooms[number]) if number in rooms else np.ascontiguousarray(value)
            for number, value in enumerate(inputs)
        ]
        request.infer(values, share_inputs=True, share_outputs=True)
        return tuple(request.get_output_tensor(i).data for i in range(len(self._model.outputs)))

    def prepare(self) -> None:
        """Load what the calling thread needs for its first call."""
        self._own()

    def _own(self) -> tuple[ov.InferRequest, dict[int, Array]]:
        """The thread's own request, and room for inputs that are laid out anew, by their numbers."""
        if not hasattr(self._local, "own"):
            rooms = {number: np.zeros(shape, np.float32) for number, shape in enumerate(self._turned) if shape}
            self._local.own = self._next_copy().create_infer_request(), rooms
        own: tuple[ov.InferRequest, dict[int, Array]] = self._local.own
        return own

    def _next_copy(self) -> ov.CompiledModel:
        """The copy of the network that a new caller gets: each in turn, so that as many as there may be are used."""
        with self._copying:
            number = self._callers % self._streams
            if number == len(self._copies):
                self._copies.append(self._copy())
            self._callers += 1
            return self._copies[number]

    def describe(self) -> str:
        """Runtime, precision and processor, in one line."""
        return f"OpenVINO {ov.__version__.split('-')[0]} {self.precision} on {self.device}"

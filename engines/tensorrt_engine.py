"""ONNX models by TensorRT: built once, cached, compared with the reference, run on torch's stream and tensors.

    engine = engine_from_onnx(onnx, cache, say=print)
    (codes,) = engine.infer(crop)          # the engine's own output tensors

Networks are strongly typed (``engines.onnx_export``): TensorRT 11 knows no other kind and 10.x takes them. Its
libraries are not in every package registry; without them ``tensorrt_refusal`` says what to install.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engines.devices import cuda_version, driver_version
from engines.engine_cache import EngineCache, EngineKey
from engines.errors import EngineError

Say = Callable[[str], None]
Model = Callable[..., Sequence[Tensor]]
WORKSPACE_BYTES = 1 << 31
LEVEL = 4  # of 5: how long the builder searches
TOLERANCE = 0.02  # relative RMS against the reference


def tensorrt_refusal() -> str | None:
    """Why TensorRT cannot be used here, or None."""
    try:
        import tensorrt
    except ImportError as error:
        if getattr(error, "name", None) == "tensorrt":
            return "TensorRT is not installed; pip install tensorrt"
        return f"TensorRT cannot be loaded ({error}); reinstall it for this computer's CUDA"
    except OSError as error:  # the bindings without the libraries
        return f"TensorRT's libraries cannot be loaded ({error}); pip install tensorrt"
    if not hasattr(tensorrt, "__version__") or int(tensorrt.__version__.split(".")[0]) < 10:
        return f"TensorRT is {getattr(tensorrt, '__version__', 'unknown')}; wanted 10 or newer"
    return None if torch.cuda.is_available() else "torch finds no GPU"


def key_of(onnx: bytes, level: int = LEVEL) -> EngineKey:
    """What an engine of this model holds for, on this computer."""
    import tensorrt

    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    return EngineKey(
        model=hashlib.sha256(onnx).hexdigest(),
        runtime=f"TensorRT {tensorrt.__version__}",
        gpu=f"{properties.name} {properties.major}.{properties.minor}",
        driver=cuda_version(driver_version()),
        settings={"level": str(level), "workspace": str(WORKSPACE_BYTES)},
    )


def engine_from_onnx(onnx: bytes, cache: EngineCache, *, say: Say, level: int = LEVEL) -> TensorRtEngine:
    """The cached engine of a model, or one that is built now; ``say`` hears progress and refusals.

    Raises EngineError when TensorRT is missing or cannot build or load the engine.
    """
    refusal = tensorrt_refusal()
    if refusal is not None:
        raise EngineError(refusal)
    timing, key = cache.folder / "timing.cache", key_of(onnx, level)
    found = cache.path(key).is_file()
    payload = cache.obtain(key, lambda: build(onnx, timing, say=say, level=level), say)
    try:
        return TensorRtEngine(payload)
    except EngineError as error:
        if not found:
            raise
        say(f"{error}; it is built anew")
    cache.path(key).unlink()
    return TensorRtEngine(cache.obtain(key, lambda: build(onnx, timing, say=say, level=level), say))


def build(onnx: bytes, timing: Path, *, say: Say, level: int = LEVEL) -> bytes:
    """Build an engine; minutes. ``timing`` keeps what was measured, so that the next build is shorter.

    Raises EngineError with the parser's or the builder's own words.
    """
    import tensorrt as trt

    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(onnx):
        words = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
        raise EngineError(f"TensorRT cannot read the model: {words[:500]}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    config.builder_optimization_level = level
    config.progress_monitor = _monitor(trt, say)
    _begin_timing(config, timing, say)
    serialized = builder.build_serialized_network(network, config)
    if serialized is None:
        raise EngineError("TensorRT could not build the model; its log above says why; use --device cpu meanwhile")
    _keep_timing(config, timing, say)
    return bytes(serialized)


def _begin_timing(config: Any, timing: Path, say: Say) -> None:
    """Give the builder what was measured before, or nothing where that is of another GPU, driver or version."""
    known = timing.read_bytes() if timing.is_file() else b""
    cache = config.create_timing_cache(known)
    if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
        return
    say("TensorRT: the timing cache is of another GPU or version; it is begun anew")
    config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)


def _keep_timing(config: Any, timing: Path, say: Say) -> None:
    """Keep what was measured, whole or not at all; an engine is not lost for it."""
    measured = config.get_timing_cache()
    if measured is None:
        return
    part = timing.with_suffix(".part")
    try:
        timing.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(bytes(measured.serialize()))
        os.replace(part, timing)
    except OSError as error:
        say(f"TensorRT: {timing} cannot be written ({error.strerror}); the next build takes as long")


def _monitor(trt: Any, say: Say) -> Any:
    """TensorRT's progress in words: the outermost phase and how far it is, every tenth."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if parent_phase is None:
                self._steps[phase_name] = num_steps
                say(f"TensorRT: {phase_name}")

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

        def step_complete(self, phase_name: str, step: int) -> bool:
            steps = self._steps.get(phase_name, 0)
            if steps and 10 * (step + 1) // steps > 10 * step // steps:
                say(f"TensorRT: {phase_name} {100 * (step + 1) // steps} %")
            return threading.main_thread().is_alive()  # go on, unless the program ends

    return Monitor()


class TensorRtEngine:
    """A built engine of fixed shapes. Inputs and outputs are torch tensors on the GPU.

    Raises EngineError for bytes that TensorRT does not take.
    """

    def __init__(self, payload: bytes) -> None:
        import tensorrt as trt

        self._runtime = trt.Runtime(trt.Logger(trt.Logger.WARNING))
        self._engine = self._runtime.deserialize_cuda_engine(payload)
        if self._engine is None:
            raise EngineError("TensorRT does not take the engine")
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise EngineError("TensorRT cannot run the engine: the GPU has too little free memory for it")
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        reads = [name for name in names if self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        self._inputs = {name: self._like(trt, name) for name in reads}
        self._outputs = {name: self._like(trt, name) for name in names if name not in reads}
        for name, tensor in {**self._inputs, **self._outputs}.items():
            if not self._context.set_tensor_address(name, tensor.data_ptr()):
                raise EngineError(f"TensorRT does not take the tensor {name}")

    def _like(self, trt: Any, name: str) -> Tensor:
        kinds = {
            trt.DataType.FLOAT: torch.float32, trt.DataType.HALF: torch.float16, trt.DataType.INT32: torch.int32,
            trt.DataType.INT64: torch.int64, trt.DataType.UINT8: torch.uint8, trt.DataType.BOOL: torch.bool,
        }  # fmt: skip
        shape = tuple(self._engine.get_tensor_shape(name))
        if min(shape, default=1) < 0:
            raise EngineError(f"the engine's {name} has an open shape {list(shape)}; wanted fixed shapes")
        return torch.empty(shape, dtype=kinds[self._engine.get_tensor_dtype(name)], device="cuda")

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs for inputs in the model's order, on torch's current stream; can be captured in a graph.

        The outputs are the engine's own and change with the next call. Raises ValueError for other shapes.
        """
        if [tuple(given.shape) for given in inputs] != [tuple(own.shape) for own in self._inputs.values()]:
            got, wanted = [list(t.shape) for t in inputs], [list(t.shape) for t in self._inputs.values()]
            raise ValueError(f"the inputs have shapes {got}; wanted {wanted}")
        for own, given in zip(self._inputs.values(), inputs, strict=True):
            own.copy_(given)
        if not self._context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise EngineError("TensorRT could not run the engine; restart the program")
        return tuple(self._outputs.values())


class Upgrading:
    """A model that runs at once and is replaced by a better one, built in the background, if that draws the same.

    first: runs from the start. build: makes the other; called in a thread of its own. recorded: inputs on which both
    are compared before the other takes over, by relative RMS. say: hears what became of it.
    """

    def __init__(
        self, first: Model, build: Callable[[], Model], recorded: Sequence[Sequence[Tensor]], say: Say,
        tolerance: float = TOLERANCE,
    ) -> None:  # fmt: skip
        self._model, self._first, self._build = first, first, build
        self._recorded, self._say, self._tolerance = recorded, say, tolerance
        self._thread = threading.Thread(target=self._upgrade, name="engine build", daemon=True)
        self._thread.start()

    @property
    def upgraded(self) -> bool:
        """Whether the other has taken over; a captured graph holds the first until it is captured again."""
        return self._model is not self._first

    def __call__(self, *inputs: Tensor) -> Sequence[Tensor]:
        """The outputs of whichever model runs now."""
        return self._model(*inputs)

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the build's end."""
        self._thread.join(seconds)

    def _upgrade(self) -> None:
        try:
            other = self._build()
            worst = max(difference(self._first(*inputs), other(*inputs)) for inputs in self._recorded)
        except Exception as error:  # the first goes on, whatever happened
            self._say(f"the faster engine is not used: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
            return
        if not worst <= self._tolerance:
            self._say(
                f"the faster engine is not used: it differs by {worst:.3g}; at most {self._tolerance:g} is allowed"
            )
            return
        self._model = other
        self._say(f"the faster engine has taken over; it differs by {worst:.2g}")


def difference(wanted: Sequence[Tensor], got: Sequence[Tensor]) -> float:
    """The largest relative RMS difference over all outputs; not a number where either is none."""
    worst = 0.0
    for one, two in zip(wanted, got, strict=True):
        spread = float((one.double() - two.double()).square().mean().sqrt())
        ratio = spread / max(float(one.double().square().mean().sqrt()), 1e-12)
        worst = ratio if not ratio <= worst else worst
    return worst

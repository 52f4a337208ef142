"""TensorRT's bindings as far as this project uses them: the same names and arguments, checked against what was read off
the real ones (``tensorrt_api``), and nothing else. "Engines" are ONNX files and OpenVINO runs them.
"""

from __future__ import annotations

import ctypes
import enum
import types

import numpy as np
import onnx
import openvino as ov

MADE = b"engine of the stand-in\n"


class NetworkDefinitionCreationFlag(enum.IntEnum):
    STRONGLY_TYPED = 0


class MemoryPoolType(enum.Enum):
    WORKSPACE = 0


class TensorIOMode(enum.Enum):
    INPUT = 1
    OUTPUT = 2


class DataType(enum.Enum):
    FLOAT, HALF, INT32, INT64, UINT8, BOOL = range(6)


KINDS = {np.dtype(np.float32): DataType.FLOAT, np.dtype(np.float16): DataType.HALF}


class Logger:
    class Severity(enum.Enum):
        WARNING = 2

    WARNING = Severity.WARNING

    def __init__(self, min_severity=WARNING):
        assert isinstance(min_severity, Logger.Severity)


class IProgressMonitor:
    def __init__(self):
        self.made = True  # by its own constructor, which the real one wants

    def phase_start(self, phase_name, parent_phase, num_steps): ...

    def phase_finish(self, phase_name): ...

    def step_complete(self, phase_name, step): ...


class ITimingCache:
    def __init__(self, known):
        self.known = known

    def serialize(self):
        return self.known or b"measured"


class IBuilderConfig:
    __slots__ = ("builder_optimization_level", "progress_monitor", "cache", "workspace")

    def set_memory_pool_limit(self, pool, pool_size):
        assert isinstance(pool, MemoryPoolType) and pool_size > 0

    def create_timing_cache(self, serialized_timing_cache):
        return None if serialized_timing_cache == b"broken" else ITimingCache(bytes(serialized_timing_cache))

    def set_timing_cache(self, cache, ignore_mismatch):
        assert isinstance(cache, ITimingCache) and ignore_mismatch is False
        self.cache = cache
        return cache.known in (b"", b"measured")

    def get_timing_cache(self):
        return self.cache


class Builder:
    runs_out = False  # of memory

    def __init__(self, logger):
        assert isinstance(logger, Logger)

    def create_network(self, flags=0):
        assert flags == 1 << int(NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        return types.SimpleNamespace(model=b"")

    def create_builder_config(self):
        return IBuilderConfig()

    def build_serialized_network(self, network, config):
        assert config.builder_optimization_level in range(6) and config.progress_monitor.made
        config.progress_monitor.phase_start("Building", None, 20)
        for step in range(20):
            config.progress_monitor.phase_start("inner", "Building", 1)
            assert config.progress_monitor.step_complete("inner", 0)
            assert config.progress_monitor.step_complete("Building", step)
        config.progress_monitor.phase_finish("Building")
        return None if Builder.runs_out else MADE + network.model


class OnnxParser:
    def __init__(self, network, logger):
        assert isinstance(logger, Logger)
        self._network, self.num_errors = network, 0

    def parse(self, model, path=None):
        try:
            onnx.checker.check_model(onnx.load_from_string(bytes(model)), full_check=True)
        except Exception:
            self.num_errors = 1
            return False
        self._network.model = bytes(model)
        return True

    def get_error(self, index):
        return f"error {index}: no ONNX"


class IExecutionContext:
    def __init__(self, engine):
        self._engine, self._at = engine, {}

    def set_tensor_address(self, name, memory):
        self._at[name] = memory
        return name in self._engine.places

    def execute_async_v3(self, stream_handle):
        assert isinstance(stream_handle, int) and set(self._at) == set(self._engine.places)
        given = {}
        for name, (mode, shape, kind) in self._engine.places.items():
            if mode == TensorIOMode.INPUT:
                given[name] = np.frombuffer(self._memory(name), kind).reshape(shape)
        for port, values in self._engine.compiled(given).items():
            self._memory(port.any_name)[:] = np.ascontiguousarray(values).tobytes()
        return True

    def _memory(self, name):
        _, shape, kind = self._engine.places[name]
        size = int(np.prod(shape)) * kind.itemsize
        return memoryview((ctypes.c_char * size).from_address(self._at[name])).cast("B")


class ICudaEngine:
    def __init__(self, model):
        exact = {"INFERENCE_PRECISION_HINT": "f32"}
        self.compiled = ov.Core().compile_model(ov.Core().read_model(model), "CPU", exact)
        sides = ((TensorIOMode.INPUT, self.compiled.inputs), (TensorIOMode.OUTPUT, self.compiled.outputs))
        self.places = {
            port.any_name: (mode, tuple(port.shape), np.dtype(port.element_type.to_dtype()))
            for mode, ports in sides
            for port in ports
        }
        self.num_io_tensors = len(self.places)

    def create_execution_context(self, strategy=None):
        return IExecutionContext(self)

    def get_tensor_name(self, index):
        return list(self.places)[index]

    def get_tensor_mode(self, name):
        return self.places[name][0]

    def get_tensor_shape(self, name):
        return self.places[name][1]

    def get_tensor_dtype(self, name):
        return KINDS[self.places[name][2]]


class Runtime:
    def __init__(self, logger):
        assert isinstance(logger, Logger)

    def deserialize_cuda_engine(self, serialized_engine):
        data = bytes(serialized_engine)
        return ICudaEngine(data[len(MADE) :]) if data.startswith(MADE) else None


def module(version):
    """What ``import tensorrt`` gives."""
    names = [
        Builder, OnnxParser, Logger, Runtime, IProgressMonitor, MemoryPoolType, TensorIOMode, DataType,
        NetworkDefinitionCreationFlag,
    ]  # fmt: skip
    made = types.ModuleType("tensorrt")
    made.__version__ = version
    for named in names:
        setattr(made, named.__name__, named)
    return made

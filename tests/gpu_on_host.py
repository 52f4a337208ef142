"""A GPU that is not there: what is asked of torch on "cuda" is done by the processor, kernels by the emulation.

For dry runs of code that only a GPU's owner can run: wrong names, wrong arguments and forgotten imports show; streams,
events and graphs do nothing, so their order does not.
"""

from __future__ import annotations

import contextlib
import types

import torch
from torch.overrides import TorchFunctionMode

from engines.devices import GpuFacts
from kernels import candidates, program
from kernels.emulation import EmulatedProgram

FACTS = GpuFacts(None, "an imagined GPU", (9, 0), 6 << 30, 8 << 30, 13000)
GPU, HOST = torch.device("cuda", 0), torch.device("cpu")
DEVICE, IS_CUDA = torch.Tensor.device.__get__, torch.Tensor.is_cuda.__get__


class OnHost(TorchFunctionMode):
    """Tensors say that they are on a GPU, and are here."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = {name: _here(value) for name, value in (kwargs or {}).items() if name != "pin_memory"}
        if func in (DEVICE, IS_CUDA):
            return GPU if func == DEVICE else True
        if func is torch.Tensor.cuda:
            return args[0]
        if func is torch.Tensor.cpu:  # a copy, as from a GPU
            return args[0].clone()
        return func(*(_here(value) for value in args), **kwargs)


def _here(value):
    on_gpu = isinstance(value, torch.device) and value.type == "cuda" or isinstance(value, str) and value == "cuda"
    return HOST if on_gpu else value


class Generator(torch.Generator):
    """Random numbers, wherever they are asked for."""

    def __new__(cls, device="cpu"):
        return super().__new__(cls)


class Nothing:
    """A stream or an event."""

    cuda_stream = 0

    def __init__(self, *given, **options):
        pass

    def __getattr__(self, name):
        if name not in ("wait_stream", "wait_event", "record", "synchronize"):
            raise AttributeError(f"neither streams nor events have {name}")
        return lambda *given: None

    def elapsed_time(self, end):
        """One millisecond, always."""
        return 1.0


def imagine_a_gpu(monkeypatch):
    """Let this test's torch and kernels run "on cuda"; the mode to run it under."""
    properties = types.SimpleNamespace(
        name=FACTS.name, major=9, minor=0, multi_processor_count=4, total_memory=8 << 30, L2_cache_size=1 << 10
    )
    cuda = {
        "is_available": lambda: True, "current_device": lambda: 0, "synchronize": lambda *device: None,
        "get_device_properties": lambda device: properties, "get_device_name": lambda: FACTS.name,
        "get_device_capability": lambda: (9, 0), "mem_get_info": lambda: (6 << 30, 8 << 30),
        "memory_allocated": lambda: 1 << 20, "Stream": Nothing, "Event": Nothing, "current_stream": Nothing,
        "stream": lambda stream: contextlib.nullcontext(),
    }  # fmt: skip
    for name, value in cuda.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch, "Generator", Generator)
    monkeypatch.setattr(torch, "compile", lambda module, mode: module)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(candidates, "cuda_refusal", lambda *tensors: None)
    monkeypatch.setattr(program, "CudaProgram", EmulatedProgram)
    program.cuda_program.cache_clear()
    for module in ("engines.devices", "engines.cuda_imported", "engines.cuda_bundled", "tools.gpu"):
        monkeypatch.setattr(f"{module}.gpu_facts", lambda: FACTS)
    for module in ("engines.devices", "engines.cuda_synthesis", "tools.gpu"):
        monkeypatch.setattr(f"{module}.driver_version", lambda: FACTS.driver)
    for module in ("graphs", "frame", "bundled", "overlay", "synthesis"):
        monkeypatch.setattr(f"engines.cuda_{module}.captured", _captured)
    for module in ("engines.cuda_timing", "engines.cuda_imported", "engines.cuda_bundled", "engines.cuda_synthesis"):
        monkeypatch.setattr(f"{module}.median_ms", _timed)
    monkeypatch.setattr("engines.cuda_timing.measured_rates", lambda: {"tflops": 1.0, "gb_per_s": 1.0})
    return OnHost()


def _captured(call, stream=None):
    call()
    return call


def _timed(call, repeats=50, *, cold=True):
    call()
    return 1.0

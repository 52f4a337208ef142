"""CUDA sources made runnable: compiled by CuPy's NVRTC at first use and cached on its disk, launched on torch's stream.

A kernel takes pointers, 32-bit integers and 32-bit floats, in the order of its declaration; tensors are given as
tensors, and None as a null pointer. Nothing is allocated and nothing waits, so launches can be captured in a graph.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from kernels.implementations import spoken

SOURCES = Path(__file__).parent / "cuda"
OLDEST_CAPABILITY = (7, 5)
Argument = Tensor | int | float | None
Dim3 = tuple[int, int, int]


class Program(Protocol):
    """A compiled source whose kernels can be launched."""

    @property
    def processors(self) -> int:
        """How many blocks run side by side at the least: the GPU's multiprocessors."""

    def launch(
        self, kernel: str, grid: Dim3, threads: int, arguments: Sequence[Argument], shared_bytes: int = 0
    ) -> None:
        """Run a kernel on ``grid`` blocks of ``threads`` threads with ``shared_bytes`` of shared memory."""


Programs = Callable[[str], Program]  # the compiled source of a stem


def source(stem: str) -> str:
    """The text of ``kernels/cuda/<stem>.cu`` with the common header in its place.

    One text, because caches are keyed by the text alone: a header that is included by name would go unnoticed.
    """
    text = (SOURCES / f"{stem}.cu").read_text(encoding="utf-8")
    return text.replace('#include "common.h"', (SOURCES / "common.h").read_text(encoding="utf-8"))


class CudaProgram:
    """One source, compiled for the current GPU."""

    def __init__(self, stem: str) -> None:
        import cupy  # only here: the package must import without it

        self._cupy = cupy
        self._module = cupy.RawModule(code=source(stem), options=("-std=c++17",), backend="nvrtc")
        self._kernels: dict[str, Any] = {}
        self.processors = torch.cuda.get_device_properties(torch.cuda.current_device()).multi_processor_count

    def launch(
        self, kernel: str, grid: Dim3, threads: int, arguments: Sequence[Argument], shared_bytes: int = 0
    ) -> None:
        """See :class:`Program`. Runs on torch's current stream."""
        function = self._kernels.get(kernel)
        if function is None:
            function = self._kernels[kernel] = self._module.get_function(kernel)
        if shared_bytes > 48 * 1024 and function.max_dynamic_shared_size_bytes < shared_bytes:
            function.max_dynamic_shared_size_bytes = shared_bytes
        with self._cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream):
            function(
                grid, (threads, 1, 1), tuple(_cuda_argument(value) for value in arguments), shared_mem=shared_bytes
            )


def _cuda_argument(value: Argument) -> Any:
    import numpy as np

    if isinstance(value, Tensor):
        return np.uint64(value.data_ptr())
    if value is None:
        return np.uint64(0)
    return np.float32(value) if isinstance(value, float) else np.int32(value)


@functools.cache
def cuda_program(stem: str) -> Program:
    """The program of a source, compiled once; one GPU a process."""
    return CudaProgram(stem)


@functools.cache
def cupy_refusal() -> str | None:
    """Why CuPy cannot compile and launch on this computer's GPU, or None when it can."""
    try:
        import cupy
    except ImportError as error:
        if getattr(error, "name", None) == "cupy":
            return "CuPy is not installed; pip install 'avatar-live[cuda]'"
        return f"CuPy cannot be loaded ({spoken(error)}); reinstall it for this computer's CUDA"
    except Exception as error:  # built for another numpy or CUDA it raises whatever its parts do
        return f"CuPy cannot be loaded ({type(error).__name__}: {spoken(error)}); reinstall it for this computer's CUDA"
    try:
        driver, built = cupy.cuda.runtime.driverGetVersion(), cupy.cuda.runtime.runtimeGetVersion()
        reason = version_refusal(driver, built)
        if reason is None:
            cupy.RawKernel('extern "C" __global__ void nothing() {}', "nothing", backend="nvrtc").compile()
        return reason
    except Exception as error:  # CuPy raises errors of many kinds: drivers, loaders, compilers
        return f"CuPy does not work here ({type(error).__name__}: {spoken(error)})"


def version_refusal(driver: int, built: int) -> str | None:
    """Why a driver cannot run what was built for a CUDA version, or None. Both as CUDA numbers them: 13000 is 13.0."""
    if driver == 0:
        return "there is no NVIDIA driver; install one"
    if built // 1000 > driver // 1000:
        return (
            f"CuPy was built for CUDA {built // 1000}.{built % 1000 // 10} and the driver knows CUDA "
            f"{driver // 1000}.{driver % 1000 // 10}; update the driver or install cupy-cuda{driver // 1000}x"
        )
    return None


def cuda_refusal(*tensors: Tensor | None) -> str | None:
    """Why a kernel cannot run on these tensors on the GPU, or None."""
    given = [tensor for tensor in tensors if tensor is not None]
    elsewhere = next((tensor for tensor in given if not tensor.is_cuda), None)
    if elsewhere is not None:
        return f"a tensor is on {elsewhere.device}; wanted all on an NVIDIA GPU"
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given):
        return "a gradient is wanted; kernels have none"
    capability = torch.cuda.get_device_capability()
    if capability < OLDEST_CAPABILITY:
        return f"the GPU has compute capability {capability[0]}.{capability[1]}; wanted 7.5 or more"
    return cupy_refusal()


def channels_last(x: Tensor) -> Tensor:
    """[N, C, H, W] with its channels last in memory, whatever its sizes."""
    return x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def empty_channels_last(n: int, c: int, h: int, w: int, like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Room for [N, C, H, W] with its channels last in memory."""
    return torch.empty(n, h, w, c, dtype=dtype or like.dtype, device=like.device).permute(0, 3, 1, 2)

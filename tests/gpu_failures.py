"""What CUDA's libraries raise when a GPU fails: the classes by their own names and modules, the texts in full."""

from __future__ import annotations

import torch


def foreign(name: str, module: str, base: type[Exception] = RuntimeError) -> type[Exception]:
    """A class that another package would define."""
    return type(name, (base,), {"__module__": module})


CUPY_RUNTIME = foreign("CUDARuntimeError", "cupy_backends.cuda.api.runtime")
CUPY_DRIVER = foreign("CUDADriverError", "cupy_backends.cuda.api.driver")
CUPY_MEMORY = foreign("OutOfMemoryError", "cupy.cuda.memory", MemoryError)
CUPY_COMPILER = foreign("CompileException", "cupy.cuda.compiler", Exception)

ILLEGAL = torch.AcceleratorError(
    "CUDA error: an illegal memory access was encountered\n"
    "CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be "
    "incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1"
)
FULL, OLD, FOREIGN, GONE, BROKEN = (
    "the GPU's memory is full (",
    "the NVIDIA driver is older than what was built for it (",
    "torch or CuPy was not built for this GPU (",
    "the GPU is not there any more, or another program keeps it (",
    "the GPU stopped working (",
)
FAILURES: dict[str, tuple[Exception, str]] = {
    "torch, memory": (
        torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 3.94 GiB of which 1.05 GiB "
            "is free."
        ),
        FULL,
    ),
    "CuPy, memory": (CUPY_MEMORY("Out of memory allocating 1,048,576 bytes (allocated so far: 0 bytes)."), FULL),
    "cuBLAS, memory": (
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), FULL,
    ),
    "CuPy, driver": (
        CUPY_RUNTIME("cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"), OLD,
    ),
    "torch, driver": (
        RuntimeError("The NVIDIA driver on your system is too old (found version 12040). Please update your driver"),
        OLD,
    ),
    "torch, architecture": (
        torch.AcceleratorError("CUDA error: no kernel image is available for execution on the device"), FOREIGN,
    ),
    "NVRTC, architecture": (
        CUPY_COMPILER("nvrtc: error: invalid value for --gpu-architecture (-arch)\n"), FOREIGN,
    ),
    "torch, kept": (
        torch.AcceleratorError("CUDA error: CUDA-capable device(s) is/are busy or unavailable"), GONE,
    ),
    "CuPy, no device": (CUPY_RUNTIME("cudaErrorNoDevice: no CUDA-capable device is detected"), GONE),
    "driver, unavailable": (
        CUPY_DRIVER("CUDA_ERROR_DEVICE_UNAVAILABLE: CUDA-capable device(s) is/are busy or unavailable"), GONE,
    ),
    "torch, no driver": (
        RuntimeError("Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU"), GONE,
    ),
    "torch, address": (ILLEGAL, BROKEN),
    "torch, launch": (torch.AcceleratorError("CUDA error: unspecified launch failure"), BROKEN),
    "CuPy, address": (CUPY_DRIVER("CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered"), BROKEN),
    "cuDNN": (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), BROKEN),
    "cuBLAS": (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx(...)`"), BROKEN),
}  # fmt: skip

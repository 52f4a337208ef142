"""Where models run: ``--device auto``, ``cpu`` or ``cuda``.

    choice = choose_device("auto", needed_bytes, gpu_facts())
    choice.kind, choice.reason             # "cpu", "the GPU is not used: ..."

``auto`` takes the GPU where it can be used and says why where it cannot; ``cuda`` fails with the same reason. While
``CHECKED`` is false ``auto`` stays on the CPU and says so. Nothing heavy is loaded before it is known to be there:
without torch the answer costs nothing.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from engines.errors import EngineError
from kernels.implementations import spoken

CHECKED = False  # true once `make gpu-check` has passed on a GPU and its result is in docs/measurements
FEW_CORES = 4
OLDEST_CAPABILITY = (7, 5)
LEAST_BYTES = 1 << 30  # torch, cuDNN, CuPy, a small model and its buffers, rounded up
UNUSED = "the GPU is not used: "
UNCHECKED = "its path has not been checked on a GPU yet; try --device cuda"
INSTALL = "pip install 'avatar-live[cuda]'"

# What CUDA, its libraries, torch and CuPy say when they fail, what that means, and what to do about it.
MEANINGS = (
    (
        r"out ?of ?memory|ALLOC_FAILED|MemoryAllocation",
        "the GPU's memory is full",
        "close other programs that use the GPU, or use --device cpu",
    ),
    (
        r"driver.{0,40}(too old|insufficient)|InsufficientDriver|unsupported toolchain",
        "the NVIDIA driver is older than what was built for it",
        "update the driver, or use --device cpu",
    ),
    (
        r"no kernel image|NoKernelImage|invalid device function|gpu-architecture|unsupported.{0,20} arch",
        "torch or CuPy was not built for this GPU",
        f"install newer ones: {INSTALL} --upgrade, or use --device cpu",
    ),
    (
        r"no NVIDIA driver|no CUDA-capable device|NoDevice|busy or unavailable|DeviceUnavailable|DEVICE_UNAVAILABLE"
        r"|device.{0,20}(lost|not ready|removed)|fallen off",
        "the GPU is not there any more, or another program keeps it",
        "look at nvidia-smi, or use --device cpu",
    ),
    (r"", "the GPU stopped working", "restart the program, or use --device cpu; look at nvidia-smi"),
)
OF_A_GPU = re.compile(r"cuda|cudnn|cublas|nvrtc|nvidia|cupy|out of memory", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """What was found out about the GPU.

    problem: why it cannot be used whatever the model, or None. name: as its driver calls it. capability: (8, 9) is 8.9.
    free_bytes, total_bytes: of its memory. driver: the newest CUDA that the driver knows, 13000 is 13.0.
    """

    problem: str | None = None
    name: str = ""
    capability: tuple[int, int] = (0, 0)
    free_bytes: int = 0
    total_bytes: int = 0
    driver: int = 0


@dataclass(frozen=True, slots=True)
class DeviceChoice:
    """The device that runs the models and, in one line, why."""

    kind: Literal["cpu", "cuda"]
    reason: str


def at_once(bf16: bool) -> int:
    """How many pictures are best drawn at the same time: two on few cores, where the parts of one picture wait for each
    other (docs/decisions/0084); one where there are more, or where products of ``bf16`` make a single picture fast
    enough (0099)."""
    cores = os.cpu_count() or 1
    return 2 if 1 < cores <= FEW_CORES and not bf16 else 1


def cuda_version(number: int) -> str:
    """13000 as 13.0."""
    return f"{number // 1000}.{number % 1000 // 10}"


def driver_problem(driver: int, wanted: int, who: str) -> str | None:
    """Why a driver cannot run what was built for a CUDA version, or None; ``driver`` 0 is no driver."""
    if driver == 0:
        return "there is no NVIDIA driver; install it from nvidia.com or the system's packages"
    if driver // 1000 < wanted // 1000:
        return (
            f"the NVIDIA driver knows CUDA {cuda_version(driver)} and {who} was built for CUDA {cuda_version(wanted)}; "
            "update the driver"
        )
    return None


def memory_problem(facts: GpuFacts, needed_bytes: int) -> str | None:
    """Why the model does not fit into the GPU's free memory, or None."""
    if facts.free_bytes >= needed_bytes:
        return None
    mib = 1024**2
    return (
        f"{facts.name} has {facts.free_bytes // mib} MiB of {facts.total_bytes // mib} MiB free and the model needs "
        f"{needed_bytes // mib} MiB; close other programs that use the GPU, or use a smaller model"
    )


def choose_device(requested: str, needed_bytes: int, facts: GpuFacts) -> DeviceChoice:
    """The device for a model that needs this much GPU memory.

    requested: "auto", "cpu" or "cuda". Raises EngineError for "cuda" on a GPU that cannot be used, ValueError for
    another word.
    """
    if requested not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device is {requested!r}; wanted auto, cpu or cuda")
    if requested == "cpu":
        return DeviceChoice("cpu", "asked for")
    problem = facts.problem
    if problem is None and facts.capability < OLDEST_CAPABILITY:
        got = ".".join(map(str, facts.capability))
        problem = f"{facts.name} has compute capability {got}; the kernels need 7.5 or more"
    problem = problem or memory_problem(facts, needed_bytes)
    if problem is None:
        return DeviceChoice("cuda", f"{facts.name}, CUDA {cuda_version(facts.driver)}")
    if requested == "cuda":
        raise EngineError(f"--device cuda cannot be used: {problem}; or use --device auto")
    return DeviceChoice("cpu", UNUSED + problem)


def automatic() -> DeviceChoice:
    """What ``--device auto`` takes here, and why; without a driver nothing heavy is loaded."""
    if driver_version() == 0:
        return DeviceChoice("cpu", "there is no NVIDIA driver")
    if not CHECKED:
        return DeviceChoice("cpu", f"the NVIDIA GPU is not used: {UNCHECKED}")
    return choose_device("auto", LEAST_BYTES, gpu_facts())


def gpu_facts() -> GpuFacts:
    """Ask driver, torch and CuPy, in this order; the first problem ends it."""
    driver = driver_version()
    if driver == 0:
        return GpuFacts(driver_problem(0, 0, ""))
    if importlib.util.find_spec("torch") is None:
        return GpuFacts(f"torch is not installed; {INSTALL}", driver=driver)
    try:
        import torch
    except (ImportError, OSError) as error:  # its libraries are missing, or are another CUDA's
        return GpuFacts(f"torch cannot be loaded ({spoken(error)}); {INSTALL}", driver=driver)
    if torch.version.cuda is None:
        return GpuFacts(f"torch {torch.__version__} was built without CUDA; {INSTALL}", driver=driver)
    major, minor = (int(part) for part in torch.version.cuda.split(".")[:2])
    problem = driver_problem(driver, major * 1000 + minor * 10, f"torch {torch.__version__}")
    if problem is None:
        with warnings.catch_warnings(record=True) as said:  # torch warns of what it met, and answers no
            warnings.simplefilter("always")
            there = torch.cuda.is_available()
        why = f" ({spoken(said[-1].message)})" if said else ""
        problem = None if there else f"torch finds no GPU{why}; look at nvidia-smi and at CUDA_VISIBLE_DEVICES"
    if problem is not None:
        return GpuFacts(problem, driver=driver)
    from kernels.program import cupy_refusal

    try:
        with gpu_errors():
            free, total = torch.cuda.mem_get_info()
            name, capability = torch.cuda.get_device_name(), torch.cuda.get_device_capability()
    except EngineError as error:
        return GpuFacts(str(error), driver=driver)
    return GpuFacts(cupy_refusal(), name, capability, free, total, driver)


def driver_version() -> int:
    """The newest CUDA that the NVIDIA driver knows, 13000 for 13.0; 0 without a driver."""
    try:
        library = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        version = ctypes.c_int(0)
        return 0 if library.cuDriverGetVersion(ctypes.byref(version)) else version.value
    except (OSError, AttributeError):
        return 0


@contextmanager
def gpu_errors() -> Iterator[None]:
    """Turn what CUDA, torch and CuPy raise on a GPU into EngineError: its meaning, their words, what to do."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        text, kind = spoken(error), f"{type(error).__module__}.{type(error).__name__}"
        if not OF_A_GPU.search(f"{kind} {text}") and "Accelerator" not in kind:
            raise
        meant, advice = next(
            (meaning, advice)
            for found, meaning, advice in MEANINGS
            if re.search(found, f"{kind} {text}", re.IGNORECASE)
        )
        raise EngineError(f"{meant} ({text}); {advice}") from error

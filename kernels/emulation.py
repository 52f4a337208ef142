"""The CUDA sources compiled for this computer's processor and run there, slowly: ``impl="emulated"``, for tests.

``kernels/cuda/host.h`` stands for the GPU. Every tensor is copied between guards of not-a-numbers before a launch and
back after it, so that a read out of bounds spoils the result and a write out of bounds is noticed. Every launch runs
twice, with the threads in ascending and in descending order: different results mean a missing barrier.
"""

from __future__ import annotations

import ctypes
import functools
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from kernels.cache import cache_folder, digest
from kernels.program import SOURCES, Argument, Dim3, Program, source

GUARD = 256  # bytes before and after every tensor
FLAGS = [
    "-O2",
    "-std=c++17",
    "-shared",
    "-fPIC",
    "-march=native",
    "-ffp-contract=off",
    "-fno-strict-aliasing",
    "-U_FORTIFY_SOURCE",
    "-w",
]
FAULTS = {1: "the threads of a block did not all reach the same barrier", 2: "more shared memory than any GPU has"}


def emulation_refusal(*tensors: Tensor | None) -> str | None:
    """Why the emulation cannot run on these tensors, or None."""
    if not sys.platform.startswith("linux"):
        return f"the emulation needs Linux; this is {sys.platform}"
    if shutil.which("g++") is None:
        return "g++ is not installed"
    elsewhere = next((tensor for tensor in tensors if tensor is not None and tensor.device.type != "cpu"), None)
    return None if elsewhere is None else f"a tensor is on {elsewhere.device}; wanted all on the CPU"


class EmulatedProgram:
    """One source, compiled by g++ once and kept in the cache folder.

    text: the source; None takes that of ``kernels/cuda/<stem>.cu``.
    """

    processors = 4

    def __init__(self, stem: str, text: str | None = None) -> None:
        text = source(stem) if text is None else text
        self._kernels = re.findall(r"^[A-Z][A-Z0-9]*\((\w+), \w+", text, re.MULTILINE)
        self._library = ctypes.CDLL(str(_compiled(stem, text, self._kernels)))

    def launch(
        self, kernel: str, grid: Dim3, threads: int, arguments: Sequence[Argument], shared_bytes: int = 0
    ) -> None:
        """See :class:`kernels.program.Program`. Raises RuntimeError for every fault that the emulation notices."""
        results = [self._run(kernel, grid, threads, arguments, shared_bytes, descending) for descending in (0, 1)]
        for one, two, given in zip(*results, [value for value in arguments if isinstance(value, Tensor)], strict=True):
            if not np.array_equal(one, two):
                raise RuntimeError(f"{kernel}: the result depends on the order of the threads: a barrier is missing")
            ctypes.memmove(given.data_ptr(), one.ctypes.data, one.nbytes)

    def _run(
        self, kernel: str, grid: Dim3, threads: int, arguments: Sequence[Argument], shared_bytes: int, descending: int
    ) -> list[np.ndarray[tuple[int], np.dtype[np.uint8]]]:
        """The bytes of every tensor after a run on copies."""
        guarded, values = [], []
        for value in arguments:
            if isinstance(value, Tensor):
                guarded.append(_guarded(value))
                values.append(ctypes.c_uint64(guarded[-1].ctypes.data + GUARD))
            elif value is None:
                values.append(ctypes.c_uint64(0))
            else:
                values.append(ctypes.c_float(value) if isinstance(value, float) else ctypes.c_int(value))  # type: ignore[arg-type]
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        run = getattr(self._library, f"launch_{kernel}")
        fault = run((ctypes.c_int * 3)(*grid), (ctypes.c_int * 3)(threads, 1, 1), shared_bytes, descending, pointers)
        if fault:
            raise RuntimeError(f"{kernel}: {FAULTS[fault]}")
        for number, copy in enumerate(guarded):
            if (copy[:GUARD] != 0xFF).any() or (copy[-GUARD:] != 0xFF).any():
                raise RuntimeError(f"{kernel}: wrote out of the bounds of tensor argument {number}")
        return [copy[GUARD:-GUARD] for copy in guarded]


def _guarded(tensor: Tensor) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """The tensor's bytes in the order of its memory, between guards."""
    size = int(tensor.untyped_storage().nbytes() - tensor.storage_offset() * tensor.element_size())
    copy = np.full(size + 2 * GUARD, 0xFF, np.uint8)
    ctypes.memmove(copy.ctypes.data + GUARD, tensor.data_ptr(), size)
    return copy


def _compiled(stem: str, text: str, kernels: Sequence[str]) -> Path:
    """The library of a source, made when it is not in the cache. Raises RuntimeError with what the compiler said."""
    host = (SOURCES / "host.h").read_text(encoding="utf-8")
    version = subprocess.run(["g++", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout
    folder = cache_folder() / "emulation"
    library = folder / f"{stem}-{digest(text, host, version, *FLAGS, *kernels)}.so"
    if library.is_file():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        program = Path(scratch) / f"{stem}.cpp"
        program.write_text(text + "".join(f"\nHOST_ENTRY({name})" for name in kernels) + "\n", encoding="utf-8")
        made = program.with_suffix(".so")
        command = ["g++", *FLAGS, f"-I{SOURCES}", str(program), "-o", str(made)]
        said = subprocess.run(command, capture_output=True, text=True)
        if said.returncode:
            raise RuntimeError(f"g++ cannot compile {stem}.cu:\n{said.stderr.strip()}")
        made.replace(library)
    return library


@functools.cache
def emulated_program(stem: str) -> Program:
    """The program of a source, compiled once."""
    return EmulatedProgram(stem)

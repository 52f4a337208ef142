"""The procedural face world: heads as signed distance fields, drawn with an exact alpha mask and exact ground truth.

The world is written once in C++ (``world.h``); ``library()`` builds it for this machine's CPU with g++ on first use.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
SOURCES = Path(__file__).parent


@functools.cache
def library() -> ctypes.CDLL:
    """Compile (once per source and machine) and load the CPU build.

    Raises RuntimeError with the compiler's message when g++ is missing or fails.
    """
    sources = sorted(SOURCES.glob("*.h")) + [SOURCES / "cpu.cpp"]
    flags = ["-O3", "-march=native", "-ffast-math", "-fopenmp", "-fPIC", "-Wno-psabi"]
    machine = (
        Path("/proc/cpuinfo").read_text().split("flags", 1)[-1].split("\n", 1)[0] if sys.platform == "linux" else ""
    )
    digest = hashlib.sha256("".join([p.read_text() for p in sources] + flags + [machine]).encode()).hexdigest()[:16]
    target = Path(tempfile.gettempdir()) / f"avatar-live-face-world-{os.getuid()}" / f"{digest}.so"
    if not target.exists():
        target.parent.mkdir(mode=0o700, exist_ok=True)
        building = target.with_suffix(f".{os.getpid()}")
        compiled = building.with_suffix(f"{building.suffix}.o")
        # Linked by itself: with -ffast-math GCC links code that flushes denormals to zero in the whole process.
        try:
            for command in (
                ["g++", *flags, "-c", "-o", str(compiled), str(SOURCES / "cpu.cpp")],
                ["g++", "-fopenmp", "-shared", "-o", str(building), str(compiled)],
            ):
                subprocess.run(command, check=True, capture_output=True, text=True)
        except FileNotFoundError:
            raise RuntimeError(
                "g++ was not found; the face world is built with it: install it (Debian: apt install g++)"
            ) from None
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"g++ could not build the face world:\n{error.stderr}") from None
        compiled.unlink()
        building.replace(target)
    lib = ctypes.CDLL(str(target))
    lib.parameter_names.restype = ctypes.c_char_p
    return lib


@functools.cache
def names() -> tuple[str, ...]:
    """The parameters' names, in the order of the parameter vector."""
    return tuple(library().parameter_names().decode().split())


@functools.cache
def index(name: str) -> int:
    """The column of a parameter. Raises ValueError with the known names."""
    if name not in names():
        raise ValueError(f"the face world has no parameter {name!r}; it has {', '.join(names())}")
    return names().index(name)


def draw(parameters: Floats, size: int) -> npt.NDArray[np.uint8]:
    """Draw heads: float32 [n, parameters] -> RGBA uint8 [n, size, size, 4], straight alpha.

    Raises ValueError for a size that is no multiple of 4 and for a wrong number of parameters.
    """
    if size % 4 or size <= 0:
        raise ValueError(f"a size of {size} was asked for; wanted a multiple of 4")
    parameters = _rows(parameters)
    pictures = np.empty((len(parameters), size, size, 4), np.uint8)
    library().draw_many(_pointer(parameters), len(parameters), size, pictures.ctypes.data_as(ctypes.c_void_p))
    return pictures


def points(parameters: Floats) -> tuple[Floats, Floats]:
    """The tracked points of heads [n, parameters], posed and at rest.

    Returns [n, points, 3] posed and projected (x, y in -1..1 with y up, depth in head units) and [n, points + 3, 3] at
    rest in the head's frame (the last three points in the torso's), then the twelve numbers of the hair's shape.
    Raises ValueError for a wrong number of parameters.
    """
    parameters = _rows(parameters)
    count = library().point_count()
    rows = count + library().hair_rows()
    picture, head = (np.empty((len(parameters), n, 3), np.float32) for n in (count, rows))
    for row, a, b in zip(parameters, picture, head, strict=True):
        library().points(_pointer(row), _pointer(a), _pointer(b))
    return picture, head


def _rows(parameters: Floats) -> Floats:
    rows = np.ascontiguousarray(np.atleast_2d(parameters), np.float32)
    if rows.ndim != 2 or rows.shape[1] != len(names()):
        raise ValueError(f"parameters have shape {rows.shape}; wanted [n, {len(names())}]")
    return rows


def _pointer(array: Floats) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)

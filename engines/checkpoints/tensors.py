"""Tensors of foreign files as views of the file's bytes, checked before anything is allocated."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.checkpoints.errors import CheckpointError

Array = npt.NDArray[Any]
Content = bytes | memoryview

MAX_DIMENSIONS = 8
EXPANDED_ELEMENTS = 65_536  # a tensor may repeat its storage (stride 0) up to this many elements

# The element types of torch's storages; bfloat16 has no numpy type and is widened to float32.
STORAGE_TYPES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "UntypedStorage": "uint8",
}
TORCH_TYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")


def element_bytes(dtype: str) -> int:
    """Bytes of one element of a torch type."""
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


def whole_numbers(values: Any, what: str) -> tuple[int, ...]:
    """A tuple of whole numbers that are zero or more."""
    if not isinstance(values, (tuple, list)) or not all(type(value) is int for value in values):
        raise CheckpointError(f"a tensor's {what} is not a list of whole numbers; the file is damaged")
    if any(value < 0 for value in values):
        raise CheckpointError(f"a tensor's {what} is negative: {list(values)[:MAX_DIMENSIONS]}; refused")
    if len(values) > MAX_DIMENSIONS:
        raise CheckpointError(f"a tensor has {len(values)} dimensions; wanted at most {MAX_DIMENSIONS}")
    return tuple(values)


@dataclass(slots=True, eq=False)
class Storage:
    """A block of elements; the bytes may follow later, as they do in the legacy container.

    dtype: a name of TORCH_TYPES.
    size: number of elements.
    content: size * element_bytes(dtype) bytes, or None while they have not been read.
    """

    dtype: str
    size: int
    content: Content | None = None

    @property
    def byte_count(self) -> int:
        """The bytes that the storage must have."""
        return self.size * element_bytes(self.dtype)

    def fill(self, content: Content) -> None:
        """Take the bytes."""
        if len(content) != self.byte_count:
            raise CheckpointError(
                f"a storage has {len(content)} bytes, wanted {self.size} x {element_bytes(self.dtype)}; "
                "the file is truncated or damaged, download it again"
            )
        self.content = content


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A view of a storage, checked to lie within it.

    dtype: a name of TORCH_TYPES (the storage's, unless the storage is untyped).
    offset, shape, strides: in elements.
    """

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def byte_count(self) -> int:
        """Bytes of the tensor when it is contiguous."""
        return math.prod(self.shape) * element_bytes(self.dtype)

    def array(self) -> Array:
        """The values as a read-only numpy array (bfloat16 as float32); not contiguous where the file's is not."""
        if self.storage.content is None:
            raise CheckpointError("a tensor's bytes are missing from the file; it is truncated, download it again")
        if not math.prod(self.shape):
            return np.zeros(self.shape, "float32" if self.dtype == "bfloat16" else self.dtype)
        raw = {"bfloat16": "uint16", "bool": "uint8"}.get(self.dtype, self.dtype)
        flat = np.frombuffer(self.storage.content, np.dtype(raw).newbyteorder("<"))[self.offset :]
        strides = [stride * flat.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(flat, self.shape, strides, writeable=False)
        if self.dtype == "bfloat16":
            return (view.astype(np.uint32) << 16).view(np.float32)
        return view != 0 if self.dtype == "bool" else view


def tensor(storage: Any, offset: Any, shape: Any, strides: Any, dtype: str | None = None) -> Tensor:
    """A checked tensor. Raises CheckpointError if it would reach outside its storage or multiply it."""
    if not isinstance(storage, Storage):
        raise CheckpointError(f"a tensor lies on a {type(storage).__name__} instead of a storage; the file is damaged")
    shape, strides = whole_numbers(shape, "shape"), whole_numbers(strides, "strides")
    (offset,) = whole_numbers((offset,), "offset")
    if len(shape) != len(strides):
        raise CheckpointError(f"a tensor has {len(shape)} sizes and {len(strides)} strides; the file is damaged")
    dtype = dtype or storage.dtype
    available = storage.byte_count // element_bytes(dtype)
    elements = math.prod(shape)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)) if elements else 0
    if last >= available and elements:
        raise CheckpointError(f"a tensor of shape {list(shape)} reaches outside its storage of {available}; refused")
    if elements > max(available, EXPANDED_ELEMENTS):
        raise CheckpointError(f"a tensor of shape {list(shape)} is larger than its storage of {available}; refused")
    return Tensor(storage, dtype, offset, shape, strides)


class ArrayType:
    """A numpy element type under construction: ``numpy.dtype(code)`` and then its byte order."""

    def __init__(self, code: Any) -> None:
        if not isinstance(code, str) or not re.fullmatch(r"[<>|=]?(f[248]|[iu][1248]|b1)", code):
            raise CheckpointError(f"a numpy array has the element type {str(code)[:40]!r}; wanted plain numbers")
        self.dtype = np.dtype(code)

    def set_state(self, state: Any) -> None:
        """Take the byte order out of (version, order, ...)."""
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise CheckpointError("a numpy element type has an unknown state; the file is damaged")
        if any(part is not None for part in state[2:5]):
            raise CheckpointError("a numpy array has a structured element type; wanted plain numbers")
        self.dtype = self.dtype.newbyteorder(state[1])


class NumpyArray:
    """A numpy array under construction."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self._values: Array | None = None

    def set_state(self, state: Any) -> None:
        """Take (version, shape, element type, Fortran order, bytes)."""
        if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], ArrayType):
            raise CheckpointError("a numpy array has an unknown state; the file is damaged")
        shape, dtype, order, raw = whole_numbers(state[1], "shape"), state[2].dtype, state[3], latin1_bytes(state[4])
        if len(raw) != math.prod(shape) * dtype.itemsize:
            raise CheckpointError(f"a numpy array of shape {list(shape)} has {len(raw)} bytes; the file is damaged")
        self.shape = shape
        self._values = np.frombuffer(raw, dtype).reshape(shape, order="F" if order is True else "C")

    def array(self) -> Array:
        """The values."""
        if self._values is None:
            raise CheckpointError("a numpy array has no content; the file is damaged")
        return self._values


def numpy_scalar(dtype: Any, raw: Any) -> Any:
    """A numpy number as a plain one."""
    raw = latin1_bytes(raw)
    if not isinstance(dtype, ArrayType) or len(raw) != dtype.dtype.itemsize:
        raise CheckpointError("a numpy number has an unknown form; the file is damaged")
    return np.frombuffer(raw, dtype.dtype)[0].item()


def latin1_bytes(raw: Any) -> bytes:
    """Bytes, which Python 2 wrote as text."""
    if isinstance(raw, str):
        return raw.encode("latin1")
    if isinstance(raw, (bytes, bytearray)):
        return bytes(raw)
    raise CheckpointError(f"a numpy array's content is a {type(raw).__name__}, wanted bytes; refused")


def float32_array(value: Any, what: str) -> npt.NDArray[np.float32]:
    """The values of a tensor or array of a file as a contiguous float32 array; all must be finite."""
    if isinstance(value, (Tensor, NumpyArray)):
        array = value.array()
    elif isinstance(value, np.ndarray):
        array = value
    elif isinstance(value, (int, float)):
        array = np.asarray(value, np.float64)
    else:
        raise CheckpointError(f"{what} is a {type(value).__name__}, wanted a tensor")
    if array.dtype.kind not in "fiu":
        raise CheckpointError(f"{what} has the element type {array.dtype}, wanted numbers")
    with np.errstate(over="ignore"):
        result = np.ascontiguousarray(array, np.float32).reshape(array.shape)
    if not np.isfinite(result).all():
        raise CheckpointError(f"{what} holds NaN or infinite values; the weights are damaged")
    return result

"""The names that checkpoints need, and what a call of each makes here.

Everything else is refused. None marks a name that may be mentioned (a storage type, an element type) but not called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engines.checkpoints.errors import CheckpointError
from engines.checkpoints.pickle_data import Builder
from engines.checkpoints.tensors import (
    STORAGE_TYPES,
    TORCH_TYPES,
    ArrayType,
    NumpyArray,
    Storage,
    Tensor,
    latin1_bytes,
    numpy_scalar,
    tensor,
)
from engines.checkpoints.values import Global, Record, plain_key, plain_set

Arguments = tuple[Any, ...]


def builders(
    storage_of_blob: Callable[[bytes], Storage], charge_bytes: Callable[[int], None]
) -> dict[str, Builder | None]:
    """The table of admitted names.

    storage_of_blob: reads a storage that was saved as a file within the pickle (``torch.storage._load_from_bytes``).
    charge_bytes: is told the size of every tensor.
    """

    def rebuild_tensor(arguments: Arguments) -> Tensor:
        storage, offset, shape, strides = arguments[:4]
        return charged(tensor(storage, offset, shape, strides))

    def rebuild_tensor_v3(arguments: Arguments) -> Tensor:
        storage, offset, shape, strides, _, _, dtype = arguments[:7]
        return charged(tensor(storage, offset, shape, strides, torch_type(dtype)))

    def charged(made: Tensor) -> Tensor:
        charge_bytes(made.byte_count)
        return made

    def load_from_bytes(arguments: Arguments) -> Storage:
        (blob,) = arguments
        if not isinstance(blob, bytes):
            raise CheckpointError(f"an embedded storage is a {type(blob).__name__}, wanted bytes; refused")
        charge_bytes(len(blob))
        return storage_of_blob(blob)

    table: dict[str, Builder | None] = {
        "torch._utils._rebuild_tensor": rebuild_tensor,
        "torch._utils._rebuild_tensor_v2": rebuild_tensor,
        "torch._utils._rebuild_tensor_v3": rebuild_tensor_v3,
        "torch._utils._rebuild_parameter": first_tensor,
        "torch._utils._rebuild_parameter_with_state": first_tensor,
        "torch.storage._load_from_bytes": load_from_bytes,
    }
    return {**PLAIN, **table}


def torch_type(name: Any) -> str:
    """The element type that a name such as ``torch.float32`` stands for."""
    if not isinstance(name, Global) or name.module != "torch" or name.name not in TORCH_TYPES:
        raise CheckpointError(f"a tensor has the unknown element type {str(name)[:60]}; refused")
    return name.name


def storage_type(name: Any) -> str:
    """The element type of a storage class such as ``torch.FloatStorage``."""
    if not isinstance(name, Global) or name.name not in STORAGE_TYPES:
        raise CheckpointError(f"a storage has the unknown type {str(name)[:60]}; refused")
    return STORAGE_TYPES[name.name]


def first_tensor(arguments: Arguments) -> Tensor:
    """A parameter is its tensor."""
    if not isinstance(arguments[0], Tensor):
        raise CheckpointError(f"a parameter holds a {type(arguments[0]).__name__}, wanted a tensor; refused")
    return arguments[0]


def mapping(arguments: Arguments) -> dict[Any, Any]:
    """A dictionary of any class, from nothing, a dictionary or pairs."""
    if not arguments:
        return {}
    pairs = list(arguments[0].items() if isinstance(arguments[0], dict) else arguments[0])
    return {plain_key(key): value for key, value in pairs}


def default_mapping(arguments: Arguments) -> dict[Any, Any]:
    """A dictionary with a default, which is dropped."""
    return mapping(arguments[1:])


def numpy_array(arguments: Arguments) -> NumpyArray:
    """An empty array that takes its content as state."""
    if not arguments or arguments[0] != Global("numpy", "ndarray"):
        raise CheckpointError("a numpy array of a foreign class; refused")
    return NumpyArray()


def numpy_array_of_buffer(arguments: Arguments) -> NumpyArray:
    """An array from (bytes, element type, shape, order), as protocol 5 writes it."""
    raw, dtype, shape, order = arguments
    made = NumpyArray()
    made.set_state((1, shape, dtype, order == "F", raw))
    return made


def encoded_text(arguments: Arguments) -> bytes:
    """Bytes that protocol 2 wrote as text."""
    if len(arguments) != 2 or arguments[1] not in ("latin1", "latin-1") or not isinstance(arguments[0], str):
        raise CheckpointError("the file encodes text in a way that checkpoints do not need; refused")
    return latin1_bytes(arguments[0])


def persistent_object(arguments: Arguments) -> Record:
    """An object of the persistence wrapper of NVIDIA's repositories: its class's source text stays inert."""
    (meta,) = arguments
    if not isinstance(meta, dict) or not isinstance(meta.get("class_name"), str):
        raise CheckpointError("a persistent object has no class name; the file is damaged")
    source = meta.get("module_src")
    return Record(meta["class_name"], (), meta.get("state"), source if isinstance(source, str) else None)


def record(name: str) -> Builder:
    """A builder of inert records of a class."""
    return lambda arguments: Record(name, arguments)


def path_text(arguments: Arguments) -> str:
    """A path as text."""
    return "/".join(str(part) for part in arguments)


def set_of(arguments: Arguments) -> set[Any]:
    """A set from nothing or a list."""
    return plain_set(arguments[0]) if arguments else set()


def no_bytes(arguments: Arguments) -> bytes:
    """Empty bytes, which protocol 2 writes as a call."""
    if arguments:
        raise CheckpointError("the file makes bytes in a way that checkpoints do not need; refused")
    return b""


def list_of(arguments: Arguments) -> list[Any]:
    """A list from nothing or a sequence."""
    return list(arguments[0]) if arguments else []


def array_type(arguments: Arguments) -> ArrayType:
    """A numpy element type."""
    return ArrayType(arguments[0])


def scalar(arguments: Arguments) -> Any:
    """A numpy number."""
    dtype, raw = arguments
    return numpy_scalar(dtype, raw)


PLAIN: dict[str, Builder | None] = {
    "collections.OrderedDict": mapping,
    "collections.defaultdict": default_mapping,
    "argparse.Namespace": record("argparse.Namespace"),
    "pathlib.PosixPath": path_text,
    "pathlib.WindowsPath": path_text,
    "_codecs.encode": encoded_text,
    "numpy.dtype": array_type,
    "numpy.ndarray": None,
    "torch.Size": list_of,
    "torch.device": record("torch.device"),
    "torch.nn.parameter.Parameter": first_tensor,
    "dnnlib.util.EasyDict": mapping,
    "dnnlib.EasyDict": mapping,
    "torch_utils.persistence._reconstruct_persistent_obj": persistent_object,
    "dnnlib.tflib.network.Network": record("dnnlib.tflib.network.Network"),
}
for _module in ("builtins", "__builtin__"):  # of Python 3 and 2
    PLAIN[f"{_module}.set"] = set_of
    PLAIN[f"{_module}.frozenset"] = set_of
    PLAIN[f"{_module}.list"] = list_of
    PLAIN[f"{_module}.dict"] = mapping
    PLAIN[f"{_module}.bytes"] = no_bytes
for _module in ("numpy.core", "numpy._core"):
    PLAIN[f"{_module}.multiarray._reconstruct"] = numpy_array
    PLAIN[f"{_module}.multiarray.scalar"] = scalar
    PLAIN[f"{_module}.numeric._frombuffer"] = numpy_array_of_buffer
for _name in STORAGE_TYPES:
    PLAIN[f"torch.{_name}"] = None
    PLAIN[f"torch.cuda.{_name}"] = None
    PLAIN[f"torch.storage.{_name}"] = None
for _name in TORCH_TYPES:
    PLAIN[f"torch.{_name}"] = None

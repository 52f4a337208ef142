"""What a pickle's content becomes: inert names and records, and the checks that values must pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from engines.checkpoints.errors import CheckpointError

MAX_INSTRUCTIONS = 1_000_000
MAX_KEY_BITS = 63
MAX_DEPTH = 64


@dataclass(frozen=True, slots=True)
class Global:
    """A name that the pickle mentions, never resolved."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@runtime_checkable
class Stateful(Protocol):
    """Something built from a pickle that takes its state in a second step."""

    def set_state(self, state: Any) -> None:
        """Check and take the state."""
        ...


@dataclass(slots=True, eq=False)
class Record:
    """An object of a foreign class, kept as data: its class's name, arguments, state and embedded source text."""

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None
    source: str | None = None

    def set_state(self, state: Any) -> None:
        """Keep the state as it is."""
        self.state = state


@dataclass(slots=True)
class Budget:
    """What is left of the bounds while one file is read.

    instructions: pickle instructions, over all pickles in the file.
    content_bytes: bytes that nested containers and tensors may cover, so that many small references to one large
        block cannot multiply.
    """

    instructions: int = MAX_INSTRUCTIONS
    content_bytes: int = 0

    def charge_bytes(self, count: int) -> None:
        """Take ``count`` bytes off; raise when they exceed what is left."""
        self.content_bytes -= count
        if self.content_bytes < 0:
            raise CheckpointError("the file's tensors are together larger than the file; it is damaged or hostile")


def plain_key(key: Any) -> Any:
    """A dictionary key or set member of a type whose hashing is cheap and cannot be made to collide."""
    if key is None or type(key) in (str, bytes, bool, float):
        return key
    if type(key) is int and key.bit_length() <= MAX_KEY_BITS:
        return key
    raise CheckpointError(f"the file uses a {type(key).__name__} as a dictionary key; wanted text or a number")


def plain_set(values: Iterable[Any]) -> set[Any]:
    """A set of plain keys."""
    return {plain_key(value) for value in values}


def children(value: Any) -> Iterable[Any]:
    """What a value of a pickle contains directly."""
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, Record):
        return (value.arguments, value.state)
    return ()


def check_tree(root: Any) -> None:
    """Raise CheckpointError if a value contains itself or is nested deeper than MAX_DEPTH.

    Depth counts along the longest path, so that later code may walk recursively; every shared part is visited once.
    """
    depth_of: dict[int, int] = {}
    open_ids: set[int] = set()
    path: list[tuple[Any, list[Any]]] = [(root, list(children(root)))]
    open_ids.add(id(root))
    while path:
        value, left = path[-1]
        if left:
            child = left.pop()
            if id(child) in open_ids:
                raise CheckpointError("the file holds a value that contains itself; refused")
            if id(child) not in depth_of and (inner := list(children(child))):
                path.append((child, inner))
                open_ids.add(id(child))
        else:
            path.pop()
            open_ids.discard(id(value))
            depth_of[id(value)] = 1 + max((depth_of.get(id(child), 0) for child in children(value)), default=0)
            if depth_of[id(value)] > MAX_DEPTH:
                raise CheckpointError(f"the file's values are nested more than {MAX_DEPTH} deep; refused")

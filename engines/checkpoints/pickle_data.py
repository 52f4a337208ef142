"""Pickles read as data: an interpreter that calls nothing.

A pickle is a program for a small stack machine; its dangerous instructions name a callable and call it. This
interpreter runs the harmless instructions (numbers, text, containers, memo) and gives the dangerous ones a meaning of
its own: a name becomes an inert :class:`Global`, a call is looked up in a table of *builders* that this package
wrote, and a name outside the table is refused before anything else is read. Nothing is imported, no attribute of a
foreign object is set, embedded source text stays text.

Bounds: the number of instructions, the size of whole numbers and the types of dictionary keys are limited, and each
instruction makes at most one small object or one copy of bytes that stand in the file. So memory is bounded by the
file's size plus a constant, and time is linear.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from engines.checkpoints.errors import CheckpointError
from engines.checkpoints.values import (
    MAX_INSTRUCTIONS,
    Budget,
    Global,
    Stateful,
    check_tree,
    plain_key,
    plain_set,
)

MAX_NUMBER_BITS = 256


Builder = Callable[[tuple[Any, ...]], Any]


_MARK = object()
_TEXT_AND_BYTES = ("FLOAT", "STRING", "UNICODE", "BINSTRING", "BINUNICODE", "BINBYTES")
_PUSHED_AS_THEY_ARE = frozenset(
    [
        "BINFLOAT",
        *_TEXT_AND_BYTES,
        *(f"SHORT_{name}" for name in _TEXT_AND_BYTES),
        "BINUNICODE8",
        "BINBYTES8",
        "BYTEARRAY8",
    ]
)
_WHOLE_NUMBERS = frozenset(["INT", "LONG", "LONG1", "LONG4", "BININT", "BININT1", "BININT2"])
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_CONTAINERS: dict[str, type] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}
_FIXED_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_NO_EFFECT = frozenset(["PROTO", "FRAME"])


def read_pickle(
    stream: IO[bytes],
    builders: Mapping[str, Builder | None],
    budget: Budget,
    persistent: Builder | None = None,
) -> Any:
    """Read one pickle and leave the stream after it.

    stream: seekable.
    builders: for each admitted "module.name" what a call of it makes out of its arguments; None admits the name only.
    persistent: what a persistent id stands for; without it persistent ids are refused.

    Returns plain values (None, bool, int, float, str, bytes, list, tuple, dict, set), :class:`Global`,
    :class:`Record` and whatever the builders make. The result has no cycles and is at most MAX_DEPTH deep. Raises
    CheckpointError for everything else.
    """
    machine = _Machine(builders, budget, persistent)
    position = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of text with unknown escapes
            for opcode, argument, at in pickletools.genops(stream):
                position = at or 0
                machine.step(opcode.name, argument)
    except CheckpointError:
        raise
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
        reason = str(error)[:200]
        raise CheckpointError(f"the pickle is damaged at byte {position}: {type(error).__name__}: {reason}") from None
    check_tree(machine.result)
    return machine.result


@dataclass(slots=True)
class _Machine:
    """The stack machine; one method for each group of instructions."""

    builders: Mapping[str, Builder | None]
    budget: Budget
    persistent: Builder | None
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    result: Any = None

    def step(self, name: str, argument: Any) -> None:
        """Run one instruction."""
        self.budget.instructions -= 1
        if self.budget.instructions < 0:
            raise CheckpointError(f"the pickle has more than {MAX_INSTRUCTIONS} instructions; no checkpoint needs that")
        if name in _PUSHED_AS_THEY_ARE:
            self.stack.append(argument)
        elif name in _WHOLE_NUMBERS:
            self.push_number(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _CONTAINERS:
            self.stack.append(_CONTAINERS[name]())
        elif name in _FIXED_TUPLES:
            self.stack.append(tuple(self.pop_many(_FIXED_TUPLES[name])))
        elif name not in _NO_EFFECT:
            method = getattr(self, f"do_{name.lower()}", None)
            if method is None:
                raise CheckpointError(f"the pickle uses the instruction {name}, which checkpoints do not need; refused")
            method(argument)

    # Stack helpers.

    def pop(self) -> Any:
        """Take the topmost value."""
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value was wanted")
        return value

    def pop_many(self, count: int) -> list[Any]:
        """Take ``count`` values, the topmost last."""
        return [self.pop() for _ in range(count)][::-1]

    def pop_to_mark(self) -> list[Any]:
        """Take all values above the last mark, and the mark."""
        values = []
        while (value := self.stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def top(self, wanted: type) -> Any:
        """The topmost value, which must be a plain container of the wanted type."""
        if type(self.stack[-1]) is not wanted:
            raise TypeError(f"got {type(self.stack[-1]).__name__}, wanted {wanted.__name__}")
        return self.stack[-1]

    def push_number(self, number: int) -> None:
        """Push a whole number of limited size."""
        if number.bit_length() > MAX_NUMBER_BITS:
            raise CheckpointError(f"the pickle holds a number of {number.bit_length()} bits; refused")
        self.stack.append(number)

    # Marks, memo, end.

    def do_mark(self, _: None) -> None:
        self.stack.append(_MARK)

    def do_pop(self, _: None) -> None:
        self.stack.pop()

    def do_pop_mark(self, _: None) -> None:
        self.pop_to_mark()

    def do_dup(self, _: None) -> None:
        self.stack.append(self.top_value())

    def top_value(self) -> Any:
        if self.stack[-1] is _MARK:
            raise ValueError("a mark where a value was wanted")
        return self.stack[-1]

    def do_put(self, index: int) -> None:
        self.memo[index] = self.top_value()

    do_binput = do_long_binput = do_put

    def do_memoize(self, _: None) -> None:
        """Remember the topmost value under the next number."""
        self.memo[len(self.memo)] = self.top_value()

    def do_get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    do_binget = do_long_binget = do_get

    def do_stop(self, _: None) -> None:
        self.result = self.pop()

    # Containers, out of what lies above the last mark.

    def do_tuple(self, _: None) -> None:
        self.stack.append(tuple(self.pop_to_mark()))

    def do_list(self, _: None) -> None:
        self.stack.append(self.pop_to_mark())

    def do_dict(self, _: None) -> None:
        items = self.pop_to_mark()
        self.stack.append({})
        self.set_items(items)

    def do_frozenset(self, _: None) -> None:
        self.stack.append(frozenset(plain_set(self.pop_to_mark())))

    def do_append(self, _: None) -> None:
        value = self.pop()
        self.top(list).append(value)

    def do_appends(self, _: None) -> None:
        values = self.pop_to_mark()
        self.top(list).extend(values)

    def do_additems(self, _: None) -> None:
        values = self.pop_to_mark()
        self.top(set).update(plain_set(values))

    def do_setitem(self, _: None) -> None:
        self.set_items(self.pop_many(2))

    def do_setitems(self, _: None) -> None:
        self.set_items(self.pop_to_mark())

    def set_items(self, items: list[Any]) -> None:
        target = self.top(dict)
        if len(items) % 2:
            raise ValueError("a key without a value")
        target.update(zip(map(plain_key, items[::2]), items[1::2], strict=True))

    # Names, calls, states: the instructions that execute code elsewhere.

    def do_global(self, argument: str) -> None:
        """Push a name, if it is admitted."""
        module, _, name = argument.partition(" ")
        self.push_global(module, name)

    def do_stack_global(self, _: None) -> None:
        """Push the name whose parts lie on the stack, if it is admitted."""
        module, name = self.pop_many(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError("a name that is not text")
        self.push_global(module, name)

    def push_global(self, module: str, name: str) -> None:
        if f"{module}.{name}" not in self.builders:
            shown = f"{module}.{name}"[:200]
            raise CheckpointError(
                f"the file asks for {shown!r}, which is not among the names that a checkpoint needs; refused unread, "
                "nothing was run"
            )
        self.stack.append(Global(module, name))

    def build(self, called: Any, arguments: Any) -> None:
        """Push what the builder of an admitted name makes of the arguments."""
        if not isinstance(called, Global) or not isinstance(arguments, tuple):
            raise TypeError(f"a call of {type(called).__name__} with {type(arguments).__name__}")
        builder = self.builders[str(called)]
        if builder is None:
            raise CheckpointError(f"the file calls {str(called)!r}, which a checkpoint only names; refused")
        self.stack.append(builder(arguments))

    def do_reduce(self, _: None) -> None:
        """A call: an admitted name and a tuple of arguments."""
        self.build(*self.pop_many(2))

    do_newobj = do_reduce

    def do_newobj_ex(self, _: None) -> None:
        """A call with keywords, of which there must be none."""
        called, arguments, keywords = self.pop_many(3)
        if keywords != {}:
            raise CheckpointError("the file calls a class with keywords, which checkpoints do not need; refused")
        self.build(called, arguments)

    def do_obj(self, _: None) -> None:
        """A call: everything above the mark, the name first."""
        called, *arguments = self.pop_to_mark()
        self.build(called, tuple(arguments))

    def do_inst(self, argument: str) -> None:
        """A call of the name given with the instruction."""
        arguments = tuple(self.pop_to_mark())
        self.do_global(argument)
        self.build(self.pop(), arguments)

    def do_build(self, _: None) -> None:
        """Give an object its state; attributes of plain dictionaries are dropped."""
        state = self.pop()
        target = self.top_value()
        if isinstance(target, Stateful):
            target.set_state(state)
        elif type(target) is not dict:
            raise CheckpointError(f"the file sets attributes of a {type(target).__name__}; refused")

    def do_binpersid(self, _: None) -> None:
        reference = self.pop()
        if self.persistent is None or not isinstance(reference, tuple):
            raise CheckpointError("the pickle refers to something outside itself; refused")
        self.stack.append(self.persistent(reference))

"""How an operation's implementation is chosen.

``impl="auto"`` takes the CUDA kernel where it can run the given tensors and the plain reference otherwise. An
implementation that is asked for by name is never replaced silently: when it cannot run, the reason is raised.

    reference   plain PyTorch, on whatever device the tensors are
    cuda        the kernel in ``kernels/cuda``, on an NVIDIA GPU
    emulated    the same source compiled for this computer's processor: slow, for tests (``kernels/emulation.py``)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

SPOKEN = 200  # characters of what a library said that are passed on

Function = TypeVar("Function", bound=Callable[..., object])


class ImplementationUnavailable(RuntimeError):
    """The implementation that was asked for by name cannot run here; the message says why."""


def choose(
    operation: str,
    impl: str,
    reference: Function,
    fast: Mapping[str, Function] | None = None,
    refusals: Mapping[str, str | None] | None = None,
) -> Function:
    """The function that runs ``operation``.

    operation: the operation's name, for messages.
    impl: "auto", "reference" or the name of a fast implementation.
    fast: the fast implementations of this operation by name, best first; "emulated" is never taken by "auto".
    refusals: for each fast implementation why it cannot run now, or None when it can.

    Raises ImplementationUnavailable for a fast implementation that cannot run, ValueError for an unknown name.
    """
    fast, refusals = fast or {}, refusals or {}
    if impl == "reference":
        return reference
    if impl == "auto":
        able = (function for name, function in fast.items() if name != "emulated" and refusals.get(name) is None)
        return next(able, reference)
    if impl in fast:
        reason = refusals.get(impl)
        if reason is None:
            return fast[impl]
    elif impl in ("cuda", "emulated"):
        reason = "this operation has no CUDA kernel"
    else:
        raise ValueError(f"unknown implementation {impl!r}; wanted one of auto, reference, cuda")
    raise ImplementationUnavailable(
        f"{operation}: implementation {impl!r} cannot run: {reason}; use impl='reference' or impl='auto'"
    )


def spoken(error: object) -> str:
    """An error's text in one line: of CuPy's banners the error that they quote, and no more than a line of any."""
    lines = [line.strip(" =") for line in str(error).splitlines()]
    lines = [line for line in lines if line]
    quoted = [number + 1 for number, line in enumerate(lines) if line.startswith("Original error")]
    text = " ".join(" ".join(lines[quoted[0] :] if quoted else lines).split())
    text = text.partition(" CUDA kernel errors might")[0]  # torch's advice to its developers
    return text[:SPOKEN] or type(error).__name__

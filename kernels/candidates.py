"""What ``kernels.implementations.choose`` chooses from, for an operation that has a kernel."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from kernels.emulation import emulated_program, emulation_refusal
from kernels.program import cuda_program, cuda_refusal


def kernel(
    impl: str, run: Callable[..., Any], tensors: Sequence[Tensor | None], unfit: str | None = None
) -> tuple[Mapping[str, Callable[..., Any]], Mapping[str, str | None]]:
    """The last two arguments of ``choose`` for an operation that has a kernel.

    run: the function that launches; it gets :data:`Programs` before the operation's own arguments.
    unfit: why the kernel cannot do what is asked for, whatever the device.
    """
    makers = {"cuda": cuda_program, "emulated": emulated_program}
    fast = {name: functools.partial(run, make) for name, make in makers.items()}
    refusals = {"cuda": unfit or (cuda_refusal(*tensors) if impl != "emulated" else None)}
    if impl == "emulated":
        refusals["emulated"] = unfit or emulation_refusal(*tensors)
    return fast, refusals

"""A CUDA graph that is not there: what a call did is recorded, and done again on the very same tensors.

As of a graph, nothing of the call's Python runs when it is replayed: whatever is not in the tensors of the time of
capture changes nothing, and reading a number back to Python is refused.
"""

from __future__ import annotations

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from kernels.emulation import EmulatedProgram

LAUNCH = EmulatedProgram.launch


class Recorder(TorchDispatchMode):
    """Notes every operation."""

    def __init__(self, steps):
        super().__init__()
        self._steps = steps

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func is not torch.ops.aten._local_scalar_dense.default, "a graph cannot read a number back"
        result = func(*args, **(kwargs or {}))
        self._steps.append(lambda: _again(func, args, kwargs or {}, result))
        return result


def _again(func, args, kwargs, result):
    for old, new in zip(tree_leaves(result), tree_leaves(func(*args, **kwargs)), strict=True):
        if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():  # neither in place nor a view
            old.copy_(new)


def recording(monkeypatch, made):
    """The stand-in for ``engines.cuda_graphs.captured``; ``made`` gets every graph that is captured."""

    def captured(call, stream=None):
        call()
        steps = []

        def launch(program, *given):
            steps.append(lambda: LAUNCH(program, *given))
            LAUNCH(program, *given)

        with monkeypatch.context() as patch:
            patch.setattr(EmulatedProgram, "launch", launch)
            with Recorder(steps):
                call()

        def replay():
            for step in steps:
                step()

        made.append(replay)
        return replay

    return captured

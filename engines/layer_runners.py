"""What computes a styled layer on the GPU: the candidate that was measured as the fastest, or a likely one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from engines.layer_choices import CUDNN, LayerChoices
from kernels.conv_plan import Plan, likely_plan, possible_plans
from kernels.cudnn_layer import CudnnLayer
from kernels.filter_act import Finish
from kernels.program import Programs, channels_last
from kernels.styled_conv2d import PackedWeight, StyledLayer, pack_weight

Measure = Callable[[Callable[[], None]], float]  # milliseconds of one call


class Runner(Protocol):
    """What computes one styled layer: ``StyledLayer`` or ``CudnnLayer``."""

    def run(
        self, y: Tensor, x: Tensor, style: Tensor, scale: Tensor, noise: Tensor | None, strength: float,
        bias: Tensor | None, finish: Finish, addend: Tensor | None = None,
    ) -> None:  # fmt: skip
        """See ``StyledLayer.run``."""


def layer_name(weight: Tensor, size: int, up: int, batch: int, trim: bool = False) -> str:
    """A layer's shape as text: what a measurement is kept under. size: of its input."""
    o, i, edge, _ = weight.shape
    kind = "" if edge == 3 else f"{edge}x{edge} "
    return f"{kind}up{up} {i}to{o} {size}px n{batch}{' trimmed' if trim else ''}"


class Runners:
    """Makes the runners of a network's layers.

    choices: which candidate runs each layer, measured where that is not known yet; None takes likely plans.
    measure: milliseconds of a call, see ``engines.cuda_timing``; needed with ``choices``.
    programs: where the kernels come from.
    """

    def __init__(self, programs: Programs, batch: int, choices: LayerChoices | None, measure: Measure | None) -> None:
        self._programs, self._batch, self._choices, self._measure = programs, batch, choices, measure

    def runner(
        self, weight: Tensor, packed: PackedWeight, y: Tensor, up: int, f: Tensor | None = None, trim: bool = False,
        folded: dict[str, PackedWeight] | None = None,
    ) -> Runner:  # fmt: skip
        """The runner of a layer with weights [O, I, k, k] that writes into y [N, O, H, W].

        f: the filter of an up-sampling layer; trim as in ``kernels.styled_conv2d``. folded: keeps the weights with the
        filter folded in, once they are made, for all who are given the same.
        """
        shared = {} if folded is None else folded
        outputs, inputs = weight.shape[:2]
        size = y.shape[-1] // up
        shape = (size, size, inputs, outputs, self._batch, up, self._programs("styled_conv2d").processors)

        def make(candidate: str) -> Runner:
            if candidate == CUDNN:
                return CudnnLayer(self._programs, packed, up, f, trim)
            plan = Plan.parse(candidate)
            if plan.folded and "" not in shared:
                shared[""] = pack_weight(weight, up, None, f)
            mine = shared[""] if plan.folded else packed
            return StyledLayer(self._programs, mine, plan, (self._batch, size, size), up, f, like=y, trim=trim)

        if self._choices is None or self._measure is None:
            return make(likely_plan(*shape).label())
        measure = self._measure
        x = channels_last(torch.randn(self._batch, inputs, size, size, device=y.device, dtype=y.dtype))
        style = torch.ones(self._batch, inputs, device=y.device, dtype=y.dtype)
        scale = torch.ones(self._batch, outputs, device=y.device)

        def time(candidate: str) -> float:
            runner = make(candidate)
            return measure(lambda: runner.run(y, x, style, scale, None, 0.0, None, Finish()))

        plans = [plan.label() for plan in possible_plans(*shape) if not (trim and plan.folded)]
        name = layer_name(weight, size, up, self._batch, trim)
        return make(self._choices.choose(name, [*plans, CUDNN], time))

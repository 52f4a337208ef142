"""A styled layer whose convolution torch does (cuDNN on a GPU), with this package's epilogue.

For layers where that is faster than ``kernels/cuda/styled_conv2d.cu``; same interface as ``StyledLayer``.
"""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional

from kernels.filter_act import Finish, filter_act_into
from kernels.program import Argument, Programs, channels_last
from kernels.styled_conv2d import PackedWeight


class CudnnLayer:
    """One layer at up 1 or 2.

    The weights are divided by the root of what is summed, so that half-precision results stay small; the factor is
    given back in the epilogue.
    """

    def __init__(self, programs: Programs, packed: PackedWeight, up: int, f: Tensor | None, trim: bool = False) -> None:
        slices, outputs, inputs = packed.values.shape
        if packed.folded:
            raise ValueError("the weights are folded; wanted them as they are")
        self._programs, self._up, self._size, self._trim = programs, up, packed.size, trim
        self._root = math.sqrt(slices * inputs)
        weight = packed.values.reshape(packed.size, packed.size, outputs, inputs) / self._root
        order = [2, 3, 0, 1] if up == 1 else [3, 2, 0, 1]  # [O I k k]; transposed [I O k k]
        self._weight = channels_last(weight.permute(order))
        self._filter = None if f is None else (f.float() * 4).flip([0, 1]).contiguous()

    def run(
        self, y: Tensor, x: Tensor, style: Tensor, scale: Tensor, noise: Tensor | None, strength: float,
        bias: Tensor | None, finish: Finish, addend: Tensor | None = None,
    ) -> None:  # fmt: skip
        """See :meth:`kernels.styled_conv2d.StyledLayer.run`. Allocates, which graphs of torch allow."""
        x = x * style[:, :, None, None]
        factor = scale * self._root
        if self._up == 2:
            assert self._filter is not None
            t = channels_last(functional.conv_transpose2d(x, self._weight, stride=2))
            if self._trim:
                t[:, :, 0] = 0
                t[..., 0] = 0
            filter_act_into(self._programs, y, t, self._filter, noise, strength, bias, finish, factor, addend)
            return
        raw = channels_last(functional.conv2d(x, self._weight, padding=self._size // 2))
        n, outputs, h, w = y.shape
        noises = 0 if noise is None else noise.shape[0]
        sizes: list[Argument] = [n, h * w, outputs, noises, float(strength), *finish.numbers()]
        blocks = math.ceil(n * h * w * outputs / 256)
        arguments = [y, raw, factor, noise, bias, addend, *sizes]
        self._programs("styled_conv2d").launch("conv_finish_half", (blocks, 1, 1), 256, arguments)

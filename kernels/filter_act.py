"""A 4x4 filter, noise, bias, leaky ReLU, gain and clamp in one pass: the second half of an up-sampling layer.

    y[n] = clamp(lrelu(scale * sum_k f[k] t[n + k - 1] + noise[n] * strength + addend[n] + b) * gain)       per axis

Source: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", figure 2c; the filter follows a
transposed convolution of stride 2 (section 2 of Karras et al. 2019).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.bias_act import bias_act
from kernels.candidates import kernel
from kernels.implementations import choose
from kernels.program import Programs, channels_last, empty_channels_last
from kernels.upfirdn2d import upfirdn2d

STRIP = 4  # rows of output that a thread computes


@dataclass(frozen=True, slots=True)
class Finish:
    """What ends a layer: leaky ReLU's slope below zero, the gain after it, and the limit or None."""

    slope: float = 0.2
    gain: float = math.sqrt(2.0)
    limit: float | None = None

    def numbers(self) -> list[float]:
        """As kernels take it; a negative limit is none."""
        return [float(self.slope), float(self.gain), -1.0 if self.limit is None else float(self.limit)]


def filter_act(
    t: Tensor,
    f: Tensor,
    *,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    noise: Tensor | None = None,
    strength: float = 1.0,
    addend: Tensor | None = None,
    finish: Finish | None = None,
    impl: str = "auto",
) -> Tensor:
    """Filter, then finish.

    1. Correlate with the filter, one row and column of zeros around the picture; multiply by the factors.
    2. Add noise times its strength, and the addend.
    3. Add the bias, apply leaky ReLU, the gain and the clamp.

    t: float [N, C, H, W]; the kernel takes float16. f: float32 [4, 4], used as given.
    scale: [N, C] or None. noise: [N or 1, 1, H - 1, W - 1] or None; addend: [N, C, H - 1, W - 1] or None; bias: [C] or
    None.

    Returns [N, C, H - 1, W - 1] in t's dtype. Raises ValueError for shapes that do not fit, ImplementationUnavailable.
    """
    if t.ndim != 4 or tuple(f.shape) != (4, 4) or min(t.shape[2:]) < 2:
        raise ValueError(f"t {list(t.shape)}, f {list(f.shape)}; wanted [N, C, H, W] of 2 pixels or more, [4, 4]")
    unfit = None if t.dtype == torch.float16 else f"t is {str(t.dtype)[6:]}; the kernel takes float16"
    fast = kernel(impl, _filter_act_kernel, [t, f, scale, bias, noise, addend], unfit)
    run = choose("filter_act", impl, _filter_act_reference, *fast)
    return run(t, f, scale, bias, noise, strength, addend, finish or Finish())


def _filter_act_reference(
    t: Tensor, f: Tensor, scale: Tensor | None, bias: Tensor | None, noise: Tensor | None, strength: float,
    addend: Tensor | None, finish: Finish,
) -> Tensor:  # fmt: skip
    # 1. Correlate with the filter; multiply by the factors.
    y = upfirdn2d(t, f, padding=1, flip_filter=True, impl="reference")
    if scale is not None:
        y = y * scale.to(y.dtype)[:, :, None, None]
    # 2. Add noise times its strength, and the addend.
    if noise is not None:
        y = y + (noise * strength).to(y.dtype)
    if addend is not None:
        y = y + addend.to(y.dtype)
    # 3. Add the bias, apply leaky ReLU, the gain and the clamp.
    b = None if bias is None else bias.to(y.dtype)
    return bias_act(y, b, act="lrelu", alpha=finish.slope, gain=finish.gain, clamp=finish.limit, impl="reference")


def _filter_act_kernel(
    programs: Programs, t: Tensor, f: Tensor, scale: Tensor | None, bias: Tensor | None, noise: Tensor | None,
    strength: float, addend: Tensor | None, finish: Finish,
) -> Tensor:  # fmt: skip
    n, c, h, w = t.shape
    y = empty_channels_last(n, c, h - 1, w - 1, t)
    maps = None if noise is None else noise.float().contiguous()
    b = None if bias is None else bias.float()
    more = None if addend is None else channels_last(addend.to(torch.float16))
    filter_act_into(programs, y, channels_last(t), f.float().contiguous(), maps, strength, b, finish, scale, more)
    return y


def filter_act_into(
    programs: Programs, y: Tensor, t: Tensor, f: Tensor, noise: Tensor | None, strength: float, bias: Tensor | None,
    finish: Finish, scale: Tensor | None = None, addend: Tensor | None = None,
) -> None:  # fmt: skip
    """The launch alone: float16 with channels last, f as the kernel correlates; noise, bias, scale [N, C] float32;
    addend as y."""
    n, c, h, w = y.shape
    threads = math.ceil(h / STRIP) * w * math.ceil(c / 8)
    noises = 0 if noise is None else noise.shape[0]
    arguments = [y, t, f, scale, noise, bias, addend, n, h, w, c, noises, float(strength), *finish.numbers()]
    programs("filter_act").launch("filter_act", (math.ceil(threads / 128), 1, n), 128, arguments)

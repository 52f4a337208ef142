"""Features to colours, with the smaller picture doubled and added: one step of the skip generator.

    y = clamp(sum_i x[i] style[i] scale weight[k, i] + b[k]) + upsample2d(skip, f)

Source: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", figure 7b; no demodulation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from kernels.candidates import kernel
from kernels.implementations import choose
from kernels.program import Programs, channels_last, empty_channels_last
from kernels.upfirdn2d import upsample2d

MOST_COLOURS, MOST_INPUTS = 4, 3072


def to_rgb(
    x: Tensor,
    weight: Tensor,
    style: Tensor,
    scale: Tensor,
    bias: Tensor,
    *,
    skip: Tensor | None = None,
    f: Tensor | None = None,
    clamp: float | None = None,
    impl: str = "auto",
) -> Tensor:
    """Colours of features.

    1. Modulate, and mix channels to colours.
    2. Add the bias and clamp.
    3. Double the smaller picture with the filter and add it.

    x: float [N, I, H, W]; the kernel takes float16. weight: float32 [K, I], K at most 4.
    style: [N, I] and scale: [N]: their product modulates; see ``kernels.style_preparation``. bias: [K].
    skip: float32 [N, K, H / 2, W / 2] or None; f: [4, 4] of sum 1, wanted with it. clamp: limit before step 3.

    Returns float32 [N, K, H, W] (float64 for float64). Raises ValueError for shapes that do not fit,
    ImplementationUnavailable for an implementation that cannot run.
    """
    n, inputs, h, w = x.shape
    if weight.shape[1:] != (inputs,) or style.shape != (n, inputs) or scale.shape != (n,):
        got = f"x {list(x.shape)}, weight {list(weight.shape)}, style {list(style.shape)}, scale {list(scale.shape)}"
        raise ValueError(f"{got}; wanted [N, I, H, W], [K, I], [N, I], [N]")
    if skip is not None and (f is None or skip.shape != (n, len(weight), h // 2, w // 2) or h % 2 or w % 2):
        raise ValueError(f"skip has shape {list(skip.shape)}; wanted [N, K, H / 2, W / 2] of even sizes, and a filter")
    unfit = None if x.dtype == torch.float16 else f"x is {str(x.dtype)[6:]}; the kernel takes float16"
    if len(weight) > MOST_COLOURS or inputs > MOST_INPUTS or (f is not None and tuple(f.shape) != (4, 4)):
        unfit = (
            f"{len(weight)} colours, {inputs} inputs; the kernel takes up to 4, up to {MOST_INPUTS}, and a 4x4 filter"
        )
    fast = kernel(impl, _to_rgb_kernel, [x, weight, style, scale, bias, skip, f], unfit)
    run = choose("to_rgb", impl, _to_rgb_reference, *fast)
    return run(x, weight, style, scale, bias, skip, f, clamp)


def _to_rgb_reference(
    x: Tensor, weight: Tensor, style: Tensor, scale: Tensor, bias: Tensor, skip: Tensor | None, f: Tensor | None,
    clamp: float | None,
) -> Tensor:  # fmt: skip
    # 1. Modulate, and mix channels to colours.
    matrix = weight[None] * (style.to(weight) * scale.to(weight)[:, None])[:, None]  # [N K I]
    y = torch.einsum("nki,nihw->nkhw", matrix.to(x.dtype), x)
    y = y.float() if x.dtype == torch.float16 else y
    # 2. Add the bias and clamp.
    y = y + bias.to(y.dtype)[:, None, None]
    y = y if clamp is None else y.clamp(-clamp, clamp)
    # 3. Double the smaller picture with the filter and add it.
    return y if skip is None else y + upsample2d(skip.to(y.dtype), f, impl="reference")


def _to_rgb_kernel(
    programs: Programs, x: Tensor, weight: Tensor, style: Tensor, scale: Tensor, bias: Tensor, skip: Tensor | None,
    f: Tensor | None, clamp: float | None,
) -> Tensor:  # fmt: skip
    n, _, h, w = x.shape
    y = empty_channels_last(n, len(weight), h, w, x, torch.float32)
    small = None if skip is None else channels_last(skip.float())
    taps = None if f is None else (f.float() * 4).flip([0, 1]).contiguous()
    halves, scales = style.to(torch.float16).contiguous(), scale.float().contiguous()
    to_rgb_into(
        programs, y, channels_last(x), weight.float().contiguous(), halves, scales, bias.float(), small, taps, clamp
    )
    return y


def to_rgb_into(
    programs: Programs, y: Tensor, x: Tensor, weight: Tensor, style: Tensor, scale: Tensor, bias: Tensor,
    skip: Tensor | None, taps: Tensor | None, clamp: float | None,
) -> None:  # fmt: skip
    """The launch alone: channels last, float16 features and style, the rest float32; taps mirrored, of gain 4."""
    n, colours, h, w = y.shape
    inputs = x.shape[1]
    limit = -1.0 if clamp is None else float(clamp)
    arguments = [y, x, weight, style, scale, bias, skip, taps, h, w, inputs, colours, limit]
    shared_bytes = MOST_COLOURS * math.ceil(inputs / 8) * 8 * 4
    programs("to_rgb").launch("to_rgb", (math.ceil(h * w / 32), 1, n), 128, arguments, shared_bytes)

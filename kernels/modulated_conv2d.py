"""Convolution whose weights are scaled per sample by a style, and normalised again.

    w'[o,i,k]  = s[i] * w[o,i,k]                                       modulation,   equation 1
    w''[o,i,k] = w'[o,i,k] / sqrt(sum_{i,k} w'[o,i,k]^2 + 1e-8)        demodulation, equation 3

Source: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", section 2.2, equations 1 to 3
(equation 2 is the standard deviation that equation 3 divides by).

In float16 weights and styles are divided by their largest magnitude first where demodulation takes that out again, so
that the products do not overflow.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from kernels.implementations import choose
from kernels.upfirdn2d import filter_size, padding_xxyy, upfirdn2d

DEMODULATION_EPSILON = 1e-8


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    *,
    noise: Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: int = 0,
    resample_filter: Tensor | None = None,
    demodulate: bool = True,
    flip_weight: bool = True,
    impl: str = "auto",
) -> Tensor:
    """Modulated convolution with optional up- or downsampling and noise.

    1. Modulate: scale the weights of every input channel by the sample's style.
    2. Demodulate: scale every output channel's weights to unit norm.
    3. Convolve: at stride ``down``, or transposed at stride ``up``, with the FIR filter before or after.
    4. Add the noise.

    x: float [N, I, H, W].
    weight: [O, I, k, k], used as given (no gain).
    styles: [N, I].
    noise: [N or 1, 1, H', W'], already multiplied by its strength, or None.
    up, down, padding: resampling factors, one of them 1; zeros on every side of the upsampled picture.
    resample_filter: FIR filter [h, w] or [n] of sum 1, see ``kernels.upfirdn2d.setup_filter``; None for none.
    demodulate: whether step 2 is done.
    flip_weight: true correlates, as conv2d does; false convolves, as upsampling layers of StyleGAN2 do.

    Returns [N, O, H', W'] in x's dtype. Raises ValueError for shapes that do not fit, ImplementationUnavailable.
    """
    if x.ndim != 4 or weight.ndim != 4 or weight.shape[1] != x.shape[1]:
        raise ValueError(f"x {list(x.shape)}, weight {list(weight.shape)}; wanted [N, I, H, W], [O, I, k, k]")
    if styles.shape != x.shape[:2]:
        raise ValueError(f"styles have shape {list(styles.shape)}; wanted [N, I] = {list(x.shape[:2])}")
    if min(up, down) != 1:
        raise ValueError(f"up is {up} and down is {down}; wanted at least one of them to be 1, and none below")
    run = choose("modulated_conv2d", impl, _modulated_conv2d_reference)
    return run(x, weight, styles, noise, up, down, padding, resample_filter, demodulate, flip_weight)


def _modulated_conv2d_reference(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    noise: Tensor | None,
    up: int,
    down: int,
    padding: int,
    resample_filter: Tensor | None,
    demodulate: bool,
    flip_weight: bool,
) -> Tensor:
    n, i, h, w = x.shape
    if x.dtype == torch.float16 and demodulate:
        fan_in = i * weight.shape[2] * weight.shape[3]
        weight = weight / (weight.abs().amax(dim=[1, 2, 3], keepdim=True) * fan_in**0.5)  # [O I k k]
        styles = styles / styles.abs().amax(dim=1, keepdim=True)  # [N I]
    # 1. Modulate.
    weights = weight[None] * styles[:, None, :, None, None]  # [N O I k k]
    # 2. Demodulate.
    if demodulate:
        norm = (weights.square().sum(dim=[2, 3, 4], keepdim=True) + DEMODULATION_EPSILON).rsqrt()  # [N O 1 1 1]
        weights = weights * norm
    # 3. Convolve; the samples become groups of one convolution.
    x = x.reshape(1, n * i, h, w)
    x = _convolve_groups(x, weights.to(x.dtype), up, down, padding, resample_filter, flip_weight)
    x = x.reshape(n, -1, *x.shape[2:])
    # 4. Add the noise.
    return x if noise is None else x + noise.to(x.dtype)


def conv2d_resample(
    x: Tensor,
    weight: Tensor,
    *,
    up: int = 1,
    down: int = 1,
    padding: int = 0,
    resample_filter: Tensor | None = None,
    flip_weight: bool = True,
) -> Tensor:
    """Plain convolution with up- or downsampling, the third step of :func:`modulated_conv2d` with shared weights.

    x: float [N, I, H, W]; weight: [O, I, k, k]. Returns [N, O, H', W'].
    """
    return _convolve_groups(x, weight[None], up, down, padding, resample_filter, flip_weight)


def _convolve_groups(
    x: Tensor, weights: Tensor, up: int, down: int, padding: int, resample_filter: Tensor | None, flip_weight: bool
) -> Tensor:
    """Convolve x [B, G * I, H, W] with weights [G, O, I, k, k] group by group: [B, G * O, H', W'].

    Filter and convolution commute, because the padding is zero and is done once. So the convolution comes first when
    upsampling (a transposed convolution at the low resolution) and last when downsampling.
    """
    g, o, i, kh, kw = weights.shape
    if up == 1 and not flip_weight or up > 1 and flip_weight:  # transposing mirrors the kernel once more
        weights = weights.flip([3, 4])
    fw, fh = filter_size(resample_filter)
    if up > 1:
        x = functional.conv_transpose2d(
            x, weights.transpose(1, 2).reshape(g * i, o, kh, kw), stride=up, groups=g
        )  # covers every product, without the up - 1 zeros after the last sample
        before_x, after_x = padding + (fw + up - 1) // 2, padding + (fw - up) // 2
        before_y, after_y = padding + (fh + up - 1) // 2, padding + (fh - up) // 2
        rest = [before_x - kw + 1, after_x - kw + up, before_y - kh + 1, after_y - kh + up]
        return upfirdn2d(x, resample_filter, padding=rest, gain=up**2, impl="reference")
    kernel = weights.reshape(g * o, i, kh, kw)
    if down > 1:
        before_x, after_x = padding + (fw - down + 1) // 2, padding + (fw - down) // 2
        before_y, after_y = padding + (fh - down + 1) // 2, padding + (fh - down) // 2
        x = upfirdn2d(x, resample_filter, padding=[before_x, after_x, before_y, after_y], impl="reference")
        return functional.conv2d(x, kernel, stride=down, groups=g)
    pads = list(padding_xxyy(padding))
    return functional.conv2d(functional.pad(x, pads) if min(pads) < 0 else x, kernel, padding=max(pads[0], 0), groups=g)

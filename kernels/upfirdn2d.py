"""Pad, upsample, filter and downsample pictures with a finite impulse response (FIR) filter.

    y[n] = gain * sum_k f[k] * pad(up(x))[n * down - k]          (per axis; up() inserts zeros, pad() adds or crops)

Source: Karras et al. 2019, "A Style-Based Generator Architecture for GANs", section 2 (bilinear filtering after
Zhang 2019, "Making Convolutional Networks Shift-Invariant Again").
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from kernels.candidates import kernel
from kernels.implementations import choose
from kernels.program import Programs

Pair = int | tuple[int, int] | list[int]
SEPARABLE_FROM = 8
KERNELS = {torch.float32: "upfirdn2d_float", torch.float16: "upfirdn2d_half"}


def setup_filter(
    taps: Sequence[float] | Sequence[Sequence[float]] | Tensor | None,
    *,
    normalize: bool = True,
    flip: bool = False,
    gain: float = 1.0,
    separable: bool | None = None,
    device: torch.device | str = "cpu",
) -> Tensor | None:
    """A filter for :func:`upfirdn2d`: float32 [h, w], or [n] when separable; None stays None (no filter).

    taps: one or two dimensions of filter taps, row order y, x.
    normalize: divide by the sum, so that a constant picture stays as it is.
    flip: mirror both axes.
    gain: factor on the picture's values.
    separable: keep 1-D taps 1-D; None keeps them from 8 taps on and makes their outer product below.
    """
    if taps is None:
        return None
    f = torch.as_tensor(taps, dtype=torch.float32, device=device)
    if f.ndim not in (0, 1, 2) or f.numel() == 0:
        raise ValueError(f"filter taps have shape {list(f.shape)}; wanted one or two dimensions, none empty")
    f = f.reshape(-1) if f.ndim == 0 else f
    if f.ndim == 1 and not (f.numel() >= SEPARABLE_FROM if separable is None else separable):
        f = torch.outer(f, f)
    if normalize:
        f = f / f.sum()
    if flip:
        f = f.flip(list(range(f.ndim)))
    scaled: Tensor = f * gain ** (f.ndim / 2)
    return scaled


def upfirdn2d(
    x: Tensor,
    f: Tensor | None,
    *,
    up: Pair = 1,
    down: Pair = 1,
    padding: int | Sequence[int] = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
    impl: str = "auto",
) -> Tensor:
    """Upsample, filter and downsample every channel.

    1. Insert up - 1 zeros after each sample.
    2. Pad with zeros; negative padding crops.
    3. Convolve with the filter; with ``flip_filter`` correlate. Only samples that the filter covers fully remain.
    4. Keep every ``down``-th sample.

    x: float [N, C, H, W].
    f: float32 [h, w], or [n] to be applied along both axes; None for no filter. See :func:`setup_filter`.
    up, down: factor, or (x, y).
    padding: in samples of the zero-inserted picture: one number, (x, y) or (x before, x after, y before, y after).
    gain: factor on the picture's values.

    Returns [N, C, (H * up + padding - h) // down + 1, ...] in x's dtype. Raises ValueError for shapes that do not fit.
    """
    if x.ndim != 4:
        raise ValueError(f"x has shape {list(x.shape)}; wanted [N, C, H, W]")
    if f is not None and f.ndim not in (1, 2):
        raise ValueError(f"the filter has shape {list(f.shape)}; wanted [h, w] or [n]")
    unfit = None if x.dtype in KERNELS else f"x is {str(x.dtype)[6:]}; the kernel takes float32 and float16"
    run = choose("upfirdn2d", impl, _upfirdn2d_reference, *kernel(impl, _upfirdn2d_kernel, [x, f], unfit))
    return run(x, f, pair(up, "up"), pair(down, "down"), padding_xxyy(padding), flip_filter, gain)


def _upfirdn2d_reference(
    x: Tensor,
    f: Tensor | None,
    up: tuple[int, int],
    down: tuple[int, int],
    padding: tuple[int, int, int, int],
    flip_filter: bool,
    gain: float,
) -> Tensor:
    n, c, h, w = x.shape
    (up_x, up_y), (down_x, down_y) = up, down
    # 1. Insert up - 1 zeros after each sample.
    x = functional.pad(x.reshape(n, c, h, 1, w, 1), [0, up_x - 1, 0, 0, 0, up_y - 1])
    # 2. Pad with zeros; negative padding crops.
    x = functional.pad(x.reshape(n, c, h * up_y, w * up_x), list(padding))
    # 3. Convolve with the filter; with flip_filter correlate.
    taps = torch.ones([1, 1]) if f is None else f
    taps = (taps * gain ** (taps.ndim / 2)).to(x)
    if not flip_filter:
        taps = taps.flip(list(range(taps.ndim)))
    for one in [taps] if taps.ndim == 2 else [taps[None, :], taps[:, None]]:  # [h w]
        x = functional.conv2d(x, one.expand(c, 1, *one.shape), groups=c)
    # 4. Keep every down-th sample.
    return x[:, :, ::down_y, ::down_x]


def _upfirdn2d_kernel(
    programs: Programs,
    x: Tensor,
    f: Tensor | None,
    up: tuple[int, int],
    down: tuple[int, int],
    padding: tuple[int, int, int, int],
    flip_filter: bool,
    gain: float,
) -> Tensor:
    n, c, h, w = x.shape
    taps = torch.ones([1, 1], device=x.device) if f is None else f.float()
    taps = (torch.outer(taps, taps) if taps.ndim == 1 else taps) * gain
    taps = (taps if flip_filter else taps.flip([0, 1])).contiguous()
    rows, columns = taps.shape
    height = (h * up[1] + padding[2] + padding[3] - rows) // down[1] + 1
    width = (w * up[0] + padding[0] + padding[1] - columns) // down[0] + 1
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    x = x if last else x.contiguous()
    y = torch.empty([n, c, height, width], dtype=x.dtype, device=x.device)
    y = y.contiguous(memory_format=torch.channels_last) if last else y
    sizes = [n, c, h, w, height, width, rows, columns, *up, *down, padding[0], padding[2], int(last)]
    programs("upfirdn2d").launch(KERNELS[x.dtype], (math.ceil(y.numel() / 256), 1, 1), 256, [y, x, taps, *sizes])
    return y


def filter2d(x: Tensor, f: Tensor | None, *, gain: float = 1.0, impl: str = "auto") -> Tensor:
    """Filter [N, C, H, W] and keep its size (the filter centred, borders zero)."""
    w, h = filter_size(f)
    return upfirdn2d(x, f, padding=(w // 2, (w - 1) // 2, h // 2, (h - 1) // 2), gain=gain, impl=impl)


def upsample2d(x: Tensor, f: Tensor | None, *, up: int = 2, gain: float = 1.0, impl: str = "auto") -> Tensor:
    """Upsample [N, C, H, W] to [N, C, H * up, W * up]; a constant picture keeps its value."""
    w, h = filter_size(f)
    padding = ((w + up - 1) // 2, (w - up) // 2, (h + up - 1) // 2, (h - up) // 2)
    return upfirdn2d(x, f, up=up, padding=padding, gain=gain * up * up, impl=impl)


def downsample2d(x: Tensor, f: Tensor | None, *, down: int = 2, gain: float = 1.0, impl: str = "auto") -> Tensor:
    """Downsample [N, C, H, W] by ``down``."""
    w, h = filter_size(f)
    padding = ((w - down + 1) // 2, (w - down) // 2, (h - down + 1) // 2, (h - down) // 2)
    return upfirdn2d(x, f, down=down, padding=padding, gain=gain, impl=impl)


def filter_size(f: Tensor | None) -> tuple[int, int]:
    """(width, height) of a filter; a missing one is 1 x 1."""
    return (1, 1) if f is None else (f.shape[-1], f.shape[0])


def pair(value: Pair, name: str) -> tuple[int, int]:
    """(x, y) of a factor that is given as one number or two."""
    x, y = (value, value) if isinstance(value, int) else value
    if x < 1 or y < 1:
        raise ValueError(f"{name} is {value}; wanted 1 or more")
    return x, y


def padding_xxyy(padding: int | Sequence[int]) -> tuple[int, int, int, int]:
    """(x before, x after, y before, y after) of a padding given as one, two or four numbers."""
    p = [padding] if isinstance(padding, int) else list(padding)
    if len(p) == 1:
        return p[0], p[0], p[0], p[0]
    if len(p) == 2:
        return p[0], p[0], p[1], p[1]
    if len(p) == 4:
        return p[0], p[1], p[2], p[3]
    raise ValueError(f"padding has {len(p)} numbers; wanted 1, 2 or 4")

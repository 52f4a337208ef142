"""Features to colours by a matrix of each picture's own, at 2x2 sub-pixels, with the smaller picture doubled and added.

    y = shuffle(x m + x2 m2 + b) + bilinear(skip)

The to-RGB of the bundled generator (``engines.portrait.PaintedRGB``): the whole matrix comes from W. The shuffle of
sub-pixels is that of Shi et al. 2016, "Real-Time Single Image and Video Super-Resolution".
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from kernels.candidates import kernel
from kernels.implementations import choose
from kernels.program import Argument, Programs, channels_last

PARTS, COLOURS = 4, 4
MOST_INPUTS = 768  # of both features together; 48 KiB of shared memory


def painted_rgb(
    x: Tensor, m: Tensor, bias: Tensor, *, x2: Tensor | None = None, m2: Tensor | None = None,
    skip: Tensor | None = None, impl: str = "auto",
) -> Tensor:  # fmt: skip
    """Colours of features.

    1. Mix channels to four colours of four sub-pixels; so of second features, and add the bias.
    2. Put the sub-pixels in their places.
    3. Double the smaller picture and add it.

    x: float [N, I, H, W]; the kernel takes float16. m: float32 [N, I, 16], colour-major: four sub-pixels of the first
    colour first. bias: [16]. x2 [N, J, H, W] and m2 [N, J, 16]: more features of the same size. skip: float32
    [N, 4, H, W].

    Returns float32 [N, 4, 2 H, 2 W] (float64 for float64). Raises ValueError for shapes that do not fit,
    ImplementationUnavailable.
    """
    n, inputs, h, w = x.shape
    fits = m.shape == (n, inputs, PARTS * COLOURS) and bias.shape == (PARTS * COLOURS,) and (x2 is None) == (m2 is None)
    if x2 is not None and m2 is not None:
        fits = fits and x2.shape == (n, m2.shape[1], h, w) and m2.shape == (n, x2.shape[1], PARTS * COLOURS)
    if not fits or (skip is not None and skip.shape != (n, COLOURS, h, w)):
        given = {"x": x, "m": m, "bias": bias, "x2": x2, "m2": m2, "skip": skip}
        got = ", ".join(f"{name} {list(t.shape)}" for name, t in given.items() if t is not None)
        raise ValueError(f"{got}; wanted [N, I, H, W], [N, I, 16], [16], [N, J, H, W], [N, J, 16], [N, 4, H, W]")
    unfit = None if x.dtype == torch.float16 else f"x is {str(x.dtype)[6:]}; the kernel takes float16"
    if inputs + (0 if x2 is None else x2.shape[1]) > MOST_INPUTS:
        unfit = f"there are {inputs} and more features; the kernel takes up to {MOST_INPUTS}"
    fast = kernel(impl, _painted_rgb_kernel, [x, m, bias, x2, m2, skip], unfit)
    y: Tensor = choose("painted_rgb", impl, _painted_rgb_reference, *fast)(x, m, bias, x2, m2, skip)
    return y


def _painted_rgb_reference(
    x: Tensor, m: Tensor, bias: Tensor, x2: Tensor | None, m2: Tensor | None, skip: Tensor | None
) -> Tensor:
    # 1. Mix channels; so of second features, and add the bias.
    y = torch.einsum("nihw,nik->nkhw", x, m.to(x.dtype))
    if x2 is not None and m2 is not None:
        y = y + torch.einsum("nihw,nik->nkhw", x2.to(x.dtype), m2.to(x.dtype))
    y = y.float() if y.dtype == torch.float16 else y
    y = y + bias.to(y.dtype)[:, None, None]
    # 2. Put the sub-pixels in their places.
    y = functional.pixel_shuffle(y, 2)
    # 3. Double the smaller picture and add it.
    if skip is None:
        return y
    return y + functional.interpolate(skip.to(y.dtype), scale_factor=2.0, mode="bilinear", align_corners=False)


def _painted_rgb_kernel(
    programs: Programs, x: Tensor, m: Tensor, bias: Tensor, x2: Tensor | None, m2: Tensor | None, skip: Tensor | None
) -> Tensor:
    n, _, h, w = x.shape
    y = torch.empty(n, 2 * h, 2 * w, COLOURS, device=x.device)
    more = None if x2 is None else channels_last(x2.to(torch.float16))
    matrix, matrix2 = m.float().contiguous(), None if m2 is None else m2.float().contiguous()
    small = None if skip is None else skip.float().permute(0, 2, 3, 1).contiguous()
    painted_rgb_into(programs, y, channels_last(x), matrix, bias.float().contiguous(), more, matrix2, small)
    return y.permute(0, 3, 1, 2)


def painted_rgb_into(
    programs: Programs, y: Tensor, x: Tensor, m: Tensor, bias: Tensor, x2: Tensor | None, m2: Tensor | None,
    skip: Tensor | None,
) -> None:  # fmt: skip
    """The launch alone: y and skip float32 [N, H, W, 4] contiguous, features float16 with channels last."""
    n, inputs, h, w = x.shape
    second = 0 if x2 is None else x2.shape[1]
    arguments: list[Argument] = [y, x, m, x2, m2, bias, skip, h, w, inputs, second]
    shared_bytes = 4 * PARTS * COLOURS * (inputs + second)
    programs("painted_rgb").launch("painted_rgb", (math.ceil(h * w / 32), 1, n), 128, arguments, shared_bytes)

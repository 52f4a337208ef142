"""Features to colours by a matrix of each picture's own, at 2x2 sub-pixels, with the smaller picture doubled and added.

    first = shuffle(x m + b) + bilinear(skip)
    first += sigmoid(shuffle(x n + x2 n2 + c)) (cover - first), for each cover
    y = first + shuffle(x2 m2 + b2)

The to-RGB of the bundled generator (``engines.portrait.PaintedRGB``, ``Cover``): the whole matrix comes from W. The
shuffle of sub-pixels is that of Shi et al. 2016, "Real-Time Single Image and Video Super-Resolution".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from kernels.candidates import kernel
from kernels.implementations import choose
from kernels.program import Argument, Programs, channels_last

PARTS, COLOURS = 4, 4
MOST_COVERS = 2
MOST_SHARED_FLOATS = 12288  # of both matrices; 48 KiB of shared memory


@dataclass(frozen=True, slots=True, eq=False)
class Second:
    """Features that paint over the rest: x [N, J, H, W], m [N, J, 16 + 4 K], bias [16]."""

    x: Tensor
    m: Tensor
    bias: Tensor


def painted_rgb(
    x: Tensor, m: Tensor, bias: Tensor, *, second: Second | None = None, covers: Tensor | None = None,
    skip: Tensor | None = None, impl: str = "auto",
) -> Tensor:  # fmt: skip
    """Colours of features.

    1. Mix channels to four colours of four sub-pixels, and add the bias.
    2. Put the sub-pixels in their places.
    3. Double the smaller picture and add it.
    4. Lay each cover over it, as far as the further columns of both matrices say.
    5. Add the second features, mixed like the first.

    x: float [N, I, H, W]; the kernel takes float16. m: float32 [N, I, 16 + 4 K], colour-major: four sub-pixels of the
    first colour first, then of each of K covers. bias: [16 + 4 K]. covers: [N, K, 4] opaque colours, K at most 2. skip:
    float32 [N, 4, H, W].

    Returns float32 [N, 4, 2 H, 2 W] (float64 for float64). Raises ValueError for shapes that do not fit,
    ImplementationUnavailable.
    """
    _check(x, m, bias, second, covers, skip)
    unfit = None if x.dtype == torch.float16 else f"x is {str(x.dtype)[6:]}; the kernel takes float16"
    floats = m.shape[-1] * (m.shape[1] + (0 if second is None else second.m.shape[1]))
    if floats > MOST_SHARED_FLOATS:
        unfit = f"the matrices have {floats} numbers; the kernel takes up to {MOST_SHARED_FLOATS}"
    tensors = [x, m, bias, covers, skip, *([] if second is None else [second.x, second.m, second.bias])]
    fast = kernel(impl, _painted_rgb_kernel, tensors, unfit)
    y: Tensor = choose("painted_rgb", impl, _painted_rgb_reference, *fast)(x, m, bias, second, covers, skip)
    return y


def _check(
    x: Tensor, m: Tensor, bias: Tensor, second: Second | None, covers: Tensor | None, skip: Tensor | None
) -> None:
    n, inputs, h, w = x.shape
    count = 0 if covers is None else covers.shape[1]
    ways = PARTS * (COLOURS + count)
    fits = m.shape == (n, inputs, ways) and bias.shape == (ways,) and count <= MOST_COVERS
    if second is not None:
        j = second.x.shape[1]
        fits = fits and second.x.shape == (n, j, h, w) and second.m.shape == (n, j, ways)
        fits = fits and second.bias.shape == (PARTS * COLOURS,)
    fits = fits and (covers is None or covers.shape == (n, count, COLOURS))
    if not fits or (skip is not None and skip.shape != (n, COLOURS, h, w)):
        more = {} if second is None else {"x2": second.x, "m2": second.m, "bias2": second.bias}
        given = {"x": x, "m": m, "bias": bias, **more, "covers": covers, "skip": skip}
        got = ", ".join(f"{name} {list(t.shape)}" for name, t in given.items() if t is not None)
        raise ValueError(
            f"{got}; wanted [N, I, H, W], [N, I, 16 + 4 K], [16 + 4 K], [N, J, H, W], [N, J, 16 + 4 K], [16], "
            f"[N, K, 4] with K at most {MOST_COVERS}, [N, 4, H, W]"
        )


def _painted_rgb_reference(
    x: Tensor, m: Tensor, bias: Tensor, second: Second | None, covers: Tensor | None, skip: Tensor | None
) -> Tensor:
    # 1. Mix channels, and add the bias.
    y = torch.einsum("nihw,nik->nkhw", x, m.to(x.dtype))
    over = None if second is None else torch.einsum("nihw,nik->nkhw", second.x.to(x.dtype), second.m.to(x.dtype))
    if y.dtype == torch.float16:
        y, over = y.float(), None if over is None else over.float()
    y = y + bias.to(y.dtype)[:, None, None]
    # 2. Put the sub-pixels in their places.
    first = functional.pixel_shuffle(y[:, :16], 2)
    # 3. Double the smaller picture and add it.
    if skip is not None:
        first = first + functional.interpolate(skip.to(y.dtype), scale_factor=2.0, mode="bilinear", align_corners=False)
    # 4. Lay each cover over it.
    if covers is not None:
        hidden = y[:, 16:] if over is None else y[:, 16:] + over[:, 16:]
        for part, rgba in zip(functional.pixel_shuffle(hidden.sigmoid(), 2).unbind(1), covers.unbind(1), strict=True):
            first = torch.lerp(
                first, rgba.to(y.dtype)[:, :, None, None].expand_as(first), part[:, None].expand_as(first)
            )
    # 5. Add the second features.
    if second is None or over is None:
        return first
    return first + functional.pixel_shuffle(over[:, :16] + second.bias.to(y.dtype)[:, None, None], 2)


def _painted_rgb_kernel(
    programs: Programs, x: Tensor, m: Tensor, bias: Tensor, second: Second | None, covers: Tensor | None,
    skip: Tensor | None,
) -> Tensor:  # fmt: skip
    n, _, h, w = x.shape
    y = torch.empty(n, 2 * h, 2 * w, COLOURS, device=x.device)
    if second is not None:
        more = (
            channels_last(second.x.to(torch.float16)),
            second.m.float().contiguous(),
            second.bias.float().contiguous(),
        )
        second = Second(*more)
    small = None if skip is None else skip.float().permute(0, 2, 3, 1).contiguous()
    colours = None if covers is None else covers.float().contiguous()
    matrix, constants = m.float().contiguous(), bias.float().contiguous()
    painted_rgb_into(programs, y, channels_last(x), matrix, constants, second, colours, small)
    return y.permute(0, 3, 1, 2)


def painted_rgb_into(
    programs: Programs, y: Tensor, x: Tensor, m: Tensor, bias: Tensor, second: Second | None, covers: Tensor | None,
    skip: Tensor | None,
) -> None:  # fmt: skip
    """The launch alone: y and skip float32 [N, H, W, 4] contiguous, features float16 with channels last."""
    n, inputs, h, w = x.shape
    more = (None, None, None) if second is None else (second.x, second.m, second.bias)
    inputs2, covered = 0 if second is None else second.x.shape[1], 0 if covers is None else covers.shape[1]
    arguments: list[Argument] = [y, x, m, more[0], more[1], bias, more[2], covers, skip, h, w, inputs, inputs2, covered]
    shared_bytes = 4 * m.shape[-1] * (inputs + inputs2)
    programs("painted_rgb").launch("painted_rgb", (math.ceil(h * w / 32), 1, n), 128, arguments, shared_bytes)

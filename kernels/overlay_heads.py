"""Drawn heads put into a picture, and what covers the people's own before that, in one launch.

    canvas = canvas (1 - m) + fill m                   for every cover
    canvas = canvas (1 - o a) + o (colours, being multiplied by a)      for every portrait

Sources: Porter and Duff 1984, "Compositing digital images"; Keys 1981, "Cubic convolution interpolation for digital
image processing", with a of -0.75 as ``cv2.INTER_CUBIC`` has it; colours are multiplied by alpha before they are
interpolated, or the colour of clear pixels would shine through.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.candidates import kernel
from kernels.implementations import choose
from kernels.program import Argument, Programs

NUMBERS = 17
CELLS = 32  # a cover's colours are so many each way at most
COLOURS = CELLS * CELLS * 3  # bytes before its mask
NOWHERE = (0, 0, 0, 0)
UPRIGHT = 1e-6  # a smaller turn is none, nor a smaller enlargement


@dataclass(frozen=True, slots=True)
class Place:
    """Where a portrait is drawn and what is covered before, in one row: the two need not belong together.

    into: canvas pixels to pixels of the portrait's level, rows of [2, 3]. level: how often the portrait is halved by
        means, for a place that is as small. fades: as ``fade`` says. opacity: 0 to 1.
    box: left, top, width, height of what is covered, whole pixels; no width, nothing. mask, cells: width and height of
        the cover's mask and of its colours.
    """

    into: Sequence[float]
    level: int = 0
    fades: bool = False
    opacity: float = 1.0
    box: tuple[int, int, int, int] = NOWHERE
    mask: tuple[int, int] = (1, 1)
    cells: tuple[int, int] = (1, 1)

    def numbers(self) -> list[float]:
        """As the kernel reads it: NUMBERS floats."""
        return [*self.into, self.level, self.fades, self.opacity, *self.box, *self.mask, *self.cells]


def overlay_heads(
    canvas: Tensor, portraits: Tensor, fade: Tensor, places: Tensor, covers: Tensor, *, impl: str = "auto"
) -> Tensor:
    """A picture with all heads covered, then all portraits drawn, in the order of their rows.

    1. Cover: enlarge mask and colours bilinearly to the box, the mask to whole levels, and blend. Where it is 255
       nothing of the picture is left.
    2. Read the portrait's level: colour and alpha limited, faded, averaged; clear outside; in between by cubics where
       it is only moved and enlarged, the result limited to 0..1, else bilinear.
    3. Blend by alpha and opacity.
    4. Round, once.

    canvas: uint8 BGR [H, W, 3]. portraits: float32 RGBA [N, S, S, 4], colours multiplied by alpha, 0..1; what is beyond
    is limited. fade: float32 [S, S] of 0..1: how much of each pixel is seen of a portrait that fades. places: float32
    [N, 17], see :class:`Place`; rows may lie apart. covers: uint8 [N, 3072 or more], colours [cells, cells, 3], then
    from byte 3072 on the mask.

    Returns uint8 [H, W, 3]. Raises ValueError for shapes that do not fit, ImplementationUnavailable.
    """
    count, size = len(portraits), portraits.shape[1:2]
    fits = canvas.ndim == 3 and canvas.shape[2] == 3 and canvas.dtype == covers.dtype == torch.uint8
    fits = fits and portraits.shape[1:] == (*size, *size, 4) and fade.shape == (*size, *size) and covers.ndim == 2
    if not fits or places.shape != (count, NUMBERS) or len(covers) != count or covers.shape[1] < COLOURS:
        got = ", ".join(str(list(t.shape)) for t in (canvas, portraits, fade, places, covers))
        wanted = f"uint8 [H, W, 3], [N, S, S, 4], [S, S], [N, {NUMBERS}], uint8 [N, {COLOURS} or more]"
        raise ValueError(f"the shapes are {got}; wanted {wanted}")
    fast = kernel(impl, _overlay_heads_kernel, [canvas, portraits, fade, places, covers])
    run = choose("overlay_heads", impl, _overlay_heads_reference, *fast)
    drawn: Tensor = run(canvas, portraits, fade, places, covers)
    return drawn


def _overlay_heads_reference(canvas: Tensor, portraits: Tensor, fade: Tensor, places: Tensor, covers: Tensor) -> Tensor:
    height, width, _ = canvas.shape
    drawn = canvas.to(portraits.dtype)
    rows = [[float(v) for v in row] for row in places]
    for row, cover in zip(rows, covers, strict=True):
        # 1. Cover.
        left, top, wide, high, mask_wide, mask_high, cells_wide, cells_high = (int(v) for v in row[9:])
        if wide == 0 or high == 0:
            continue
        colours = cover[: cells_wide * cells_high * 3].reshape(cells_high, cells_wide, 3).to(drawn)
        mask = cover[COLOURS : COLOURS + mask_wide * mask_high].reshape(mask_high, mask_wide, 1).to(drawn)
        m = (_enlarged(mask, wide, high) + 0.5).floor() / 255
        part = drawn[top : top + high, left : left + wide]
        part.copy_(_enlarged(colours, wide, high) * m + part * (1 - m))
    y, x = (at.to(drawn) for at in torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"))
    for row, portrait in zip(rows, portraits, strict=True):
        # 2. Read the portrait's level.
        level = _level(portrait, fade, int(row[6]), row[7] > 0)
        u, v = (row[3 * k] * x + row[3 * k + 1] * y + row[3 * k + 2] for k in (0, 1))
        weight, reach = (_cubic, 2) if _enlarges(row) else (_linear, 1)
        over = _sampled(level, u, v, weight, reach).clamp(0, 1) * row[8]
        # 3. Blend by alpha and opacity.
        drawn = over[..., :3].flip(2) * 255 + drawn * (1 - over[..., 3:])
    # 4. Round, once.
    return (drawn + 0.5).clamp(0, 255).to(torch.uint8)


def _enlarged(values: Tensor, width: int, height: int) -> Tensor:
    """[h, w, C] to [height, width, C], bilinear, edges repeated: as ``cv2.resize`` does."""
    down, across = (
        ((torch.arange(n).to(values) + 0.5) * small / n - 0.5).clamp(0, small - 1)
        for n, small in ((height, values.shape[0]), (width, values.shape[1]))
    )
    top, left = down.long(), across.long()
    below, right = (top + 1).clamp(max=values.shape[0] - 1), (left + 1).clamp(max=values.shape[1] - 1)
    fy, fx = (down - top)[:, None, None], (across - left)[None, :, None]
    upper = values[top][:, left] + (values[top][:, right] - values[top][:, left]) * fx
    lower = values[below][:, left] + (values[below][:, right] - values[below][:, left]) * fx
    return upper + (lower - upper) * fy


def _level(portrait: Tensor, fade: Tensor, level: int, fades: bool) -> Tensor:
    alpha = portrait[..., 3:].clamp(0, 1)
    whole = torch.cat([torch.minimum(portrait[..., :3].clamp_min(0), alpha), alpha], 2)
    if fades:
        whole = whole * fade[..., None]
    edge, step = len(whole) >> level, 1 << level
    return whole.reshape(edge, step, edge, step, 4).mean(dim=(1, 3))


def _sampled(values: Tensor, x: Tensor, y: Tensor, weight: Callable[[Tensor], Tensor], reach: int) -> Tensor:
    """[S, S, C] at x, y [...]: [..., C], so many pixels to each side by weights of distances; nothing outside."""
    edge, left, top = len(values), x.floor(), y.floor()
    result = torch.zeros(*x.shape, values.shape[2]).to(values)
    for down in range(1 - reach, 1 + reach):
        for across in range(1 - reach, 1 + reach):
            i, j = left.long() + across, top.long() + down
            share = weight((x - i).abs()) * weight((y - j).abs())
            there = (i >= 0) & (j >= 0) & (i < edge) & (j < edge)
            read = values[j.clamp(0, edge - 1), i.clamp(0, edge - 1)]
            result += torch.where(there, share, torch.zeros_like(share))[..., None] * read
    return result


def _linear(distance: Tensor) -> Tensor:
    return 1 - distance


def _cubic(distance: Tensor) -> Tensor:
    """Up to a distance of 2."""
    d = distance
    return torch.where(d <= 1, (1.25 * d - 2.25) * d * d + 1, ((-0.75 * d + 3.75) * d - 6) * d + 3)


def _enlarges(row: Sequence[float]) -> bool:
    return abs(row[1]) + abs(row[3]) < UPRIGHT and row[0] < 1 - UPRIGHT


def _overlay_heads_kernel(
    programs: Programs, canvas: Tensor, portraits: Tensor, fade: Tensor, places: Tensor, covers: Tensor
) -> Tensor:
    y = canvas.contiguous().clone()
    overlay_heads_into(
        programs, y, portraits.float().contiguous(), fade.float().contiguous(), places.float(), covers.contiguous()
    )
    return y


def overlay_heads_into(
    programs: Programs, canvas: Tensor, portraits: Tensor, fade: Tensor, places: Tensor, covers: Tensor
) -> None:
    """The launch alone; draws into ``canvas``. All contiguous but for the rows of ``places``; floats are float32."""
    height, width, _ = canvas.shape
    count, edge = portraits.shape[:2]
    arguments: list[Argument] = [canvas, portraits, fade, places, covers, count, edge, height, width]
    arguments += [places.stride(0), covers.stride(0)]
    programs("overlay_heads").launch("overlay_heads", (math.ceil(height * width / 256), 1, 1), 256, arguments)

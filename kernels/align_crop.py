"""The square around the head, cut out of a frame: bytes in, network input out, in one pass.

crop[p] = mean over n x n sub-pixels q of p of  frame(m (q, 1)) / 127.5 - 1          bilinear, edges mirrored
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from kernels.candidates import kernel
from kernels.implementations import choose
from kernels.program import Argument, Programs


def align_crop(frame: Tensor, transform: Tensor, size: int, *, grid: int = 0, impl: str = "auto") -> Tensor:
    """The crop of a frame.

    1. Where every sub-pixel of the crop lies in the frame.
    2. Read the frame there, bilinearly; beyond an edge mirrored.
    3. Average the sub-pixels, to RGB in -1..1.

    frame: uint8 BGR [H, W, 3]. transform: float32 [2, 3], crop pixels to frame pixels (centres at whole numbers).
    size: edge of the crop in pixels. grid: sub-pixels per axis; 0 as :func:`grid_for` says.

    Returns float32 [3, size, size]. Raises ValueError for shapes that do not fit, ImplementationUnavailable.
    """
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != torch.uint8 or transform.shape != (2, 3):
        got = f"frame {str(frame.dtype)[6:]} {list(frame.shape)}, transform {list(transform.shape)}"
        raise ValueError(f"{got}; wanted uint8 [H, W, 3], [2, 3]")
    fast = kernel(impl, _align_crop_kernel, [frame, transform])
    crop: Tensor = choose("align_crop", impl, _align_crop_reference, *fast)(frame, transform, size, grid)
    return crop


def grid_for(step: float) -> int:
    """Sub-pixels per axis for a crop whose pixels are ``step`` frame pixels apart: one for every frame pixel."""
    return max(1, min(math.ceil(step - 0.25), 8))


def _align_crop_reference(frame: Tensor, transform: Tensor, size: int, grid: int) -> Tensor:
    # 1. Where every sub-pixel of the crop lies in the frame.
    grid = grid or grid_for(math.hypot(float(transform[0, 0]), float(transform[1, 0])))
    at = (torch.arange(size * grid, device=frame.device) + 0.5) / grid - 0.5
    y, x = torch.meshgrid(at, at, indexing="ij")
    m = transform.float()
    fx, fy = m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 0] * x + m[1, 1] * y + m[1, 2]
    # 2. Read the frame there, bilinearly; beyond an edge mirrored.
    sub = bilinear(frame.float(), fx, fy)  # [size * grid, size * grid, 3]
    # 3. Average the sub-pixels, to RGB in -1..1.
    mean = sub.reshape(size, grid, size, grid, 3).mean(dim=[1, 3])
    return (mean.flip(2) / 127.5 - 1).permute(2, 0, 1).contiguous()


def bilinear(picture: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """float [H, W, C] at the places x, y [...]: [..., C]; mirrored beyond an edge, the edge itself not twice."""
    height, width = picture.shape[:2]
    x, y = x.clamp(1 - width, 2 * width - 2), y.clamp(1 - height, 2 * height - 2)
    left, top = x.floor(), y.floor()
    fx, fy = (x - left)[..., None], (y - top)[..., None]
    columns = [_mirrored(left.long() + i, width) for i in (0, 1)]
    rows = [_mirrored(top.long() + i, height) for i in (0, 1)]
    upper = picture[rows[0], columns[0]] * (1 - fx) + picture[rows[0], columns[1]] * fx
    lower = picture[rows[1], columns[0]] * (1 - fx) + picture[rows[1], columns[1]] * fx
    return upper * (1 - fy) + lower * fy


def _mirrored(i: Tensor, n: int) -> Tensor:
    i = torch.where(i < 0, -i, i)
    return torch.where(i >= n, 2 * n - 2 - i, i).clamp(0, n - 1)


def _align_crop_kernel(programs: Programs, frame: Tensor, transform: Tensor, size: int, grid: int) -> Tensor:
    crop = torch.empty(3, size, size, device=frame.device)
    align_crop_into(programs, crop, frame.contiguous(), transform.float().contiguous(), grid)
    return crop


def align_crop_into(programs: Programs, crop: Tensor, frame: Tensor, transform: Tensor, grid: int) -> None:
    """The launch alone."""
    height, width, _ = frame.shape
    size = crop.shape[-1]
    arguments: list[Argument] = [crop, frame, transform, height, width, size, grid]
    programs("align_crop").launch("align_crop", (math.ceil(size * size / 256), 1, 1), 256, arguments)

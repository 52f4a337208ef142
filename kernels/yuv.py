"""Camera pictures: NV12 and I420 to and from BGR bytes.

    y = offset + span (kr R + kg G + kb B)
    u = 128 + cspan (B - luma) / (2 (1 - kb)),   v = 128 + cspan (R - luma) / (2 (1 - kr))

Source: ITU-R BT.601-7 section 2.5 and BT.709-6 sections 3 and 4. Four pixels share u and v: their mean going in, the
same value coming out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.candidates import kernel
from kernels.implementations import choose
from kernels.program import Argument, Programs

LAYOUTS = ("nv12", "i420")


@dataclass(frozen=True, slots=True)
class Matrix:
    """Luma's shares of red and blue, and the range: full (0 to 255) or limited (16 to 235, colours 16 to 240)."""

    kr: float
    kb: float
    full: bool = False

    def numbers(self) -> list[float]:
        """kr, kb, offset, span and cspan as kernels take them."""
        offset, span, cspan = (0.0, 1.0, 1.0) if self.full else (16.0, 219 / 255, 224 / 255)
        return [self.kr, self.kb, offset, span, cspan]


BT601, BT709 = Matrix(0.299, 0.114), Matrix(0.2126, 0.0722)


def yuv_to_bgr(yuv: Tensor, layout: str, *, matrix: Matrix = BT601, impl: str = "auto") -> Tensor:
    """BGR bytes.

    1. Take luma and both colour differences out of their ranges; a colour stands for 2 x 2 pixels.
    2. Red and blue from their differences, green from the rest; round.

    yuv: uint8 [H * 3 / 2, W], even sizes. layout: "nv12" or "i420".

    Returns uint8 [H, W, 3]. Raises ValueError for sizes or layouts that do not fit, ImplementationUnavailable.
    """
    fits = yuv.ndim == 2 and yuv.dtype == torch.uint8 and yuv.shape[0] % 3 == 0 and yuv.shape[1] % 2 == 0
    if not fits or layout not in LAYOUTS:
        got = f"yuv {str(yuv.dtype)[6:]} {list(yuv.shape)}, layout {layout!r}"
        raise ValueError(f"{got}; wanted uint8 [H * 3 / 2, W] of even H and W, nv12 or i420")
    fast = kernel(impl, _yuv_to_bgr_kernel, [yuv])
    bgr: Tensor = choose("yuv_to_bgr", impl, _yuv_to_bgr_reference, *fast)(yuv, layout == "i420", matrix)
    return bgr


def bgr_to_yuv(bgr: Tensor, layout: str, *, matrix: Matrix = BT601, impl: str = "auto") -> Tensor:
    """NV12 or I420 bytes [H * 3 / 2, W] of BGR bytes [H, W, 3], even sizes; the inverse of :func:`yuv_to_bgr`.

    1. Luma of every pixel.
    2. The means of blue, red and luma over 2 x 2 pixels; their differences; round.
    """
    fits = (
        bgr.ndim == 3 and bgr.shape[2] == 3 and bgr.dtype == torch.uint8 and not (bgr.shape[0] % 2 or bgr.shape[1] % 2)
    )
    if not fits or layout not in LAYOUTS:
        got = f"bgr {str(bgr.dtype)[6:]} {list(bgr.shape)}, layout {layout!r}"
        raise ValueError(f"{got}; wanted uint8 [H, W, 3] of even H and W, nv12 or i420")
    fast = kernel(impl, _bgr_to_yuv_kernel, [bgr])
    yuv: Tensor = choose("bgr_to_yuv", impl, _bgr_to_yuv_reference, *fast)(bgr, layout == "i420", matrix)
    return yuv


def _bytes(values: Tensor) -> Tensor:
    return (values + 0.5).clamp(0, 255).to(torch.uint8)


def _yuv_to_bgr_reference(yuv: Tensor, planar: bool, matrix: Matrix) -> Tensor:
    height, width = yuv.shape[0] * 2 // 3, yuv.shape[1]
    kr, kb, offset, span, cspan = matrix.numbers()
    # 1. Take luma and both colour differences out of their ranges; a colour stands for 2 x 2 pixels.
    luma = (yuv[:height].float() - offset) / span
    small = yuv[height:].reshape((2, height // 2, width // 2) if planar else (height // 2, width // 2, 2))
    planes = small if planar else small.permute(2, 0, 1)
    u, v = ((plane.float() - 128) / cspan for plane in planes.repeat_interleave(2, 1).repeat_interleave(2, 2))
    # 2. Red and blue from their differences, green from the rest; round.
    blue, red = u * 2 * (1 - kb), v * 2 * (1 - kr)
    green = -(blue * kb + red * kr) / (1 - kb - kr)
    return _bytes(torch.stack([luma + blue, luma + green, luma + red], dim=2))


def _bgr_to_yuv_reference(bgr: Tensor, planar: bool, matrix: Matrix) -> Tensor:
    height, width = bgr.shape[:2]
    kr, kb, offset, span, cspan = matrix.numbers()
    # 1. Luma of every pixel.
    b, g, r = bgr.float().unbind(2)
    luma = kr * r + (1 - kr - kb) * g + kb * b
    # 2. The means of blue, red and luma over 2 x 2 pixels; their differences; round.
    blue, red, mean = (p.reshape(height // 2, 2, width // 2, 2).mean(dim=[1, 3]) for p in (b, r, luma))
    u, v = 128 + cspan * (blue - mean) / (2 * (1 - kb)), 128 + cspan * (red - mean) / (2 * (1 - kr))
    small = _bytes(torch.stack([u, v], dim=0 if planar else 2))
    return torch.cat([_bytes(offset + span * luma), small.reshape(height // 2, width)])


def _yuv_to_bgr_kernel(programs: Programs, yuv: Tensor, planar: bool, matrix: Matrix) -> Tensor:
    bgr = torch.empty(yuv.shape[0] * 2 // 3, yuv.shape[1], 3, dtype=torch.uint8, device=yuv.device)
    yuv_into(programs, "yuv_to_bgr", bgr, yuv.contiguous(), bgr, planar, matrix)
    return bgr


def _bgr_to_yuv_kernel(programs: Programs, bgr: Tensor, planar: bool, matrix: Matrix) -> Tensor:
    yuv = torch.empty(bgr.shape[0] * 3 // 2, bgr.shape[1], dtype=torch.uint8, device=bgr.device)
    yuv_into(programs, "bgr_to_yuv", yuv, bgr.contiguous(), bgr, planar, matrix)
    return yuv


def yuv_into(
    programs: Programs, name: str, out: Tensor, given: Tensor, bgr: Tensor, planar: bool, matrix: Matrix
) -> None:
    """The launch alone: ``name`` is "yuv_to_bgr" or "bgr_to_yuv"; ``bgr``, one of both, gives the picture's size."""
    height, width, _ = bgr.shape
    arguments: list[Argument] = [out, given, height, width, int(planar), *matrix.numbers()]
    programs("yuv").launch(name, (math.ceil(height * width / 4 / 256), 1, 1), 256, arguments)

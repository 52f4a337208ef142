from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from kernels.align_crop import align_crop, grid_for
from kernels.emulation import emulation_refusal

FRAME = torch.randint(0, 256, (37, 53, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
TURNED = torch.tensor([[1.7, -0.4, -6.0], [0.5, 1.6, 3.0]])  # reaches over two edges


def test_without_sub_pixels_it_is_a_bilinear_warp():
    crop = align_crop(FRAME, TURNED, 32, grid=1)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(
        FRAME.numpy().astype(np.float32), TURNED.numpy(), (32, 32), flags=flags, borderMode=cv2.BORDER_REFLECT_101
    )
    wanted = torch.from_numpy(warped).flip(2).permute(2, 0, 1) / 127.5 - 1
    assert (crop - wanted).abs().max() < 0.06  # OpenCV rounds places to 1/32 pixel


def test_sub_pixels_average():
    stripes = torch.zeros(64, 64, 3, dtype=torch.uint8)
    stripes[:, ::2] = 255
    crop = align_crop(stripes, torch.tensor([[2.0, 0, 0.5], [0, 2.0, 0.5]]), 32, grid=2)
    assert crop.abs().max() < 0.01, "grey: half of the stripes are white"


@pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))
@pytest.mark.parametrize("grid", [0, 1, 3])
def test_the_kernel_equals_the_reference(grid):
    got = align_crop(FRAME, TURNED, 19, grid=grid, impl="emulated")
    torch.testing.assert_close(got, align_crop(FRAME, TURNED, 19, grid=grid), rtol=0, atol=2e-4)


def test_sub_pixels_for_a_scale():
    assert [grid_for(step) for step in (0.2, 1.0, 1.25, 1.3, 3.0, 99.0)] == [1, 1, 1, 2, 3, 8]


def test_errors_say_what_was_wanted():
    with pytest.raises(ValueError, match=r"frame float32 \[4, 4, 3\].*wanted uint8 \[H, W, 3\], \[2, 3\]"):
        align_crop(torch.zeros(4, 4, 3), TURNED, 8)

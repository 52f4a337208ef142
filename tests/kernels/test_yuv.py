from __future__ import annotations

import cv2
import pytest
import torch

from kernels.emulation import emulation_refusal
from kernels.yuv import BT601, BT709, LAYOUTS, Matrix, bgr_to_yuv, yuv_to_bgr

BGR = torch.randint(0, 256, (10, 14, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
BLOCKS = BGR[::2, ::2].repeat_interleave(2, 0).repeat_interleave(2, 1)  # colours that survive the halving
MATRICES = {"601": BT601, "709": BT709, "full": Matrix(0.299, 0.114, full=True)}


def test_limited_bt601_is_what_opencv_does():
    i420 = bgr_to_yuv(BLOCKS, "i420")
    assert (i420.int() - torch.from_numpy(cv2.cvtColor(BLOCKS.numpy(), cv2.COLOR_BGR2YUV_I420)).int()).abs().max() <= 1
    codes = {"i420": cv2.COLOR_YUV2BGR_I420, "nv12": cv2.COLOR_YUV2BGR_NV12}
    for layout, code in codes.items():
        yuv = bgr_to_yuv(BLOCKS, layout)
        wanted = torch.from_numpy(cv2.cvtColor(yuv.numpy(), code))
        assert (yuv_to_bgr(yuv, layout).int() - wanted.int()).abs().max() <= 2, layout


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_there_and_back_again(layout, matrix):
    back = yuv_to_bgr(bgr_to_yuv(BLOCKS, layout, matrix=matrix), layout, matrix=matrix)
    assert (back.int() - BLOCKS.int()).abs().max() <= 3


@pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_the_kernels_equal_the_reference(layout, matrix):
    yuv = bgr_to_yuv(BGR, layout, matrix=matrix)
    assert (bgr_to_yuv(BGR, layout, matrix=matrix, impl="emulated").int() - yuv.int()).abs().max() <= 1
    bgr = yuv_to_bgr(yuv, layout, matrix=matrix)
    assert (yuv_to_bgr(yuv, layout, matrix=matrix, impl="emulated").int() - bgr.int()).abs().max() <= 1


def test_errors_say_what_was_wanted():
    with pytest.raises(ValueError, match="wanted uint8 .* of even H and W, nv12 or i420"):
        bgr_to_yuv(BGR[:9], "nv12")
    with pytest.raises(ValueError, match="layout 'yuy2'; wanted"):
        yuv_to_bgr(torch.zeros(6, 4, dtype=torch.uint8), "yuy2")

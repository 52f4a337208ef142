from __future__ import annotations

import pytest
import torch

from kernels.emulation import emulation_refusal
from kernels.implementations import ImplementationUnavailable
from kernels.painted_rgb import painted_rgb
from tests.compare import check_close


def _given(n, inputs, second, h, w):
    draw = torch.Generator().manual_seed(inputs + h)
    made = lambda *shape: torch.randn(*shape, generator=draw).half().float()  # noqa: E731
    x, m, bias = made(n, w, inputs, h).permute(0, 2, 3, 1), made(n, inputs, 16) / 4, made(16)
    more = {"x2": made(n, second, h, w), "m2": made(n, second, 16) / 4} if second else {}
    return (x, m, bias), {**more, "skip": made(n, 4, h, w)}


@pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))
@pytest.mark.parametrize(("n", "inputs", "second", "h", "w"), [(1, 48, 64, 6, 8), (3, 37, 3, 3, 5), (1, 1, 0, 1, 1)])
@pytest.mark.parametrize("doubled", [True, False])
def test_the_kernel_is_as_good_as_plain_half_precision(n, inputs, second, h, w, doubled):
    (x, m, bias), more = _given(n, inputs, second, h, w)
    if not doubled:
        del more["skip"]
    exact = painted_rgb(x.double(), m.double(), bias.double(), impl="reference", **more)
    plain = painted_rgb(x.half(), m, bias, impl="reference", **more)
    got = painted_rgb(x.half(), m, bias, impl="emulated", **more)
    assert got.dtype == torch.float32
    check_close(got, plain, exact, f"{inputs} and {second} features")


def test_errors_say_what_was_wanted():
    (x, m, bias), more = _given(1, 8, 0, 2, 2)
    with pytest.raises(ValueError, match=r"m \[1, 8, 15\].*wanted \[N, I, H, W\], \[N, I, 16\], \[16\]"):
        painted_rgb(x, m[..., :15], bias)
    with pytest.raises(ValueError, match=r"skip \[1, 4, 2, 1\]"):
        painted_rgb(x, m, bias, skip=more["skip"][..., :1])
    with pytest.raises(ImplementationUnavailable, match="x is float32; the kernel takes float16"):
        painted_rgb(x, m, bias, impl="emulated")
    wide = torch.zeros(1, 800, 1, 1, dtype=torch.float16)
    with pytest.raises(ImplementationUnavailable, match="800 and more features; the kernel takes up to 768"):
        painted_rgb(wide, torch.zeros(1, 800, 16), bias, impl="emulated")

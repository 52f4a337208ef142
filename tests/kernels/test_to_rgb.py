from __future__ import annotations

import pytest
import torch

from kernels.emulation import emulation_refusal
from kernels.implementations import ImplementationUnavailable
from kernels.modulated_conv2d import modulated_conv2d
from kernels.to_rgb import to_rgb
from kernels.upfirdn2d import setup_filter, upsample2d
from tests.compare import check_close


def _random(n, inputs, colours, h, w):
    generator = torch.Generator().manual_seed(inputs)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    x = draw(n, h, w, inputs).permute(0, 3, 1, 2).half().float()
    style = draw(n, inputs).clamp(-1, 1).half().float()
    return x, draw(colours, inputs), style, draw(n).abs(), draw(colours), draw(n, colours, h // 2, w // 2)


def test_the_reference_is_a_modulated_convolution_and_a_doubled_picture():
    x, weight, style, scale, bias, skip = _random(3, 37, 3, 6, 4)
    f = setup_filter([1, 3, 3, 1])
    wanted = modulated_conv2d(x, weight[:, :, None, None], style * scale[:, None], demodulate=False)
    wanted = wanted + bias[:, None, None] + upsample2d(skip, f)
    torch.testing.assert_close(to_rgb(x, weight, style, scale, bias, skip=skip, f=f), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))
@pytest.mark.parametrize(("n", "inputs", "colours"), [(1, 1, 3), (3, 3, 4), (1, 37, 1), (3, 512, 3)])
@pytest.mark.parametrize("with_skip", [False, True])
def test_the_kernel(n, inputs, colours, with_skip):
    x, weight, style, scale, bias, skip = _random(n, inputs, colours, 10, 6)
    options = {"skip": skip, "f": setup_filter([1, 2, 4, 3])} if with_skip else {"clamp": 0.5}
    given = (weight, style, scale, bias)
    fast, plain = (to_rgb(x.half(), *given, impl=impl, **options) for impl in ("emulated", "reference"))
    exact = to_rgb(x.double(), *(t.double() for t in given), **options)
    check_close(fast, plain, exact, f"{inputs} inputs", floor=1e-5)


def test_errors_say_what_was_wanted():
    x, weight, style, scale, bias, skip = _random(1, 3, 3, 4, 4)
    with pytest.raises(ValueError, match=r"wanted \[N, I, H, W\], \[K, I\], \[N, I\], \[N\]"):
        to_rgb(x, weight[:, :2], style, scale, bias)
    with pytest.raises(ValueError, match="and a filter"):
        to_rgb(x, weight, style, scale, bias, skip=skip)
    with pytest.raises(ImplementationUnavailable, match="5 colours, 3 inputs; the kernel takes up to 4"):
        to_rgb(x.half(), torch.zeros(5, 3), style, scale, torch.zeros(5), impl="cuda")

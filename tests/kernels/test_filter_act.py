from __future__ import annotations

import pytest
import torch

from kernels.emulation import emulation_refusal
from kernels.filter_act import Finish, filter_act
from kernels.implementations import ImplementationUnavailable
from kernels.upfirdn2d import setup_filter
from tests.compare import check_close


@pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))
@pytest.mark.parametrize("channels", [1, 3, 37, 64])
@pytest.mark.parametrize("n", [1, 3])
def test_the_kernel_filters_and_finishes(channels, n):
    generator = torch.Generator().manual_seed(channels)
    t = torch.randn(n, channels, 10, 8, generator=generator).half()
    f = setup_filter([1, 2, 4, 3]) * 4
    options = {"bias": torch.randn(channels, generator=generator), "finish": Finish(0.2, 1.4, 2.0), "strength": 0.5}
    options["scale"] = torch.rand(n, channels, generator=generator) + 0.5
    noise = torch.randn(n, 1, 9, 7, generator=generator)
    fast, plain = (filter_act(t, f, noise=noise, impl=impl, **options) for impl in ("emulated", "reference"))
    exact = filter_act(
        t.double(),
        f,
        noise=noise.double(),
        **{k: v.double() if isinstance(v, torch.Tensor) else v for k, v in options.items()},
    )
    check_close(fast, plain, exact, f"{channels} channels")


def test_errors_say_what_was_wanted():
    with pytest.raises(ValueError, match=r"wanted \[N, C, H, W\] of 2 pixels or more, \[4, 4\]"):
        filter_act(torch.zeros(1, 3, 4, 4), torch.zeros(3, 3))
    with pytest.raises(ImplementationUnavailable, match="t is float32; the kernel takes float16"):
        filter_act(torch.zeros(1, 3, 4, 4), torch.zeros(4, 4), impl="cuda")

from __future__ import annotations

import pytest
import torch

from kernels.implementations import ImplementationUnavailable
from kernels.modulated_conv2d import modulated_conv2d
from kernels.upfirdn2d import setup_filter


def test_matches_the_reference_cases(golden):
    case = golden("ops-modconv")
    for row in case.spec["cases"]:
        name = row["id"]
        given = {key: case.io.get(f"{name}.{key}") for key in ("x", "weight", "styles", "filter", "noise")}
        for demodulate in (False, True):
            for flip in (False, True):
                expected = f"{name}.demod{int(demodulate)}.flip{int(flip)}"
                for dtype, suffixes, max_abs in (
                    (torch.float32, ("fused", "unfused"), 5e-5),
                    (torch.float64, ("float64",), 1e-10),
                ):
                    tensors = {k: None if v is None else torch.from_numpy(v).to(dtype) for k, v in given.items()}
                    y = modulated_conv2d(
                        tensors["x"],
                        tensors["weight"],
                        tensors["styles"],
                        noise=tensors["noise"],
                        up=row["up"],
                        down=row["down"],
                        padding=row["padding"],
                        resample_filter=tensors["filter"],
                        demodulate=demodulate,
                        flip_weight=flip,
                    )
                    for suffix in suffixes:
                        case.check(f"{expected}.{suffix}", y, max_abs)


def _random(channels: int, dtype: torch.dtype = torch.float32, scale: float = 1.0):
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(3, 5, 7, channels, generator=generator).permute(0, 3, 1, 2)
    weight = torch.randn(4, channels, 3, 3, generator=generator)
    styles = torch.randn(3, channels, generator=generator) * scale
    return x.to(dtype), weight.to(dtype), styles.to(dtype)


@pytest.mark.parametrize("channels", [1, 3, 37, 512])
def test_each_sample_equals_its_own_call(channels):
    x, weight, styles = _random(channels)
    f = setup_filter([1, 3, 3, 1])
    together = modulated_conv2d(x, weight, styles, up=2, padding=1, resample_filter=f, flip_weight=False)
    alone = [
        modulated_conv2d(x[k : k + 1], weight, styles[k : k + 1], up=2, padding=1, resample_filter=f, flip_weight=False)
        for k in range(3)
    ]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-4, rtol=1e-4)


def test_half_precision_does_not_overflow():
    x, weight, styles = _random(512, torch.float16, scale=3000.0)
    exact = modulated_conv2d(x.double(), weight.double(), styles.double(), padding=1)
    half = modulated_conv2d(x, weight, styles, padding=1)
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.double(), exact, atol=2e-2, rtol=2e-2)


def test_errors_say_what_was_wanted():
    x, weight, styles = _random(3)
    with pytest.raises(ValueError, match=r"wanted \[N, I, H, W\], \[O, I, k, k\]"):
        modulated_conv2d(x, weight[:, :2], styles)
    with pytest.raises(ValueError, match=r"styles have shape \[3, 2\]; wanted \[N, I\] = \[3, 3\]"):
        modulated_conv2d(x, weight, styles[:, :2])
    with pytest.raises(ValueError, match="up is 2 and down is 2"):
        modulated_conv2d(x, weight, styles, up=2, down=2)
    with pytest.raises(ImplementationUnavailable, match="modulated_conv2d: implementation 'cuda' cannot run"):
        modulated_conv2d(x, weight, styles, impl="cuda")

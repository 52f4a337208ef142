from __future__ import annotations

import pytest
import torch

from kernels.emulation import emulation_refusal
from kernels.implementations import ImplementationUnavailable
from kernels.painted_rgb import Second, painted_rgb
from tests.compare import check_close


def _given(n, inputs, second, h, w, covers=0):
    draw = torch.Generator().manual_seed(inputs + h)
    made = lambda *shape: torch.randn(*shape, generator=draw).half().float()  # noqa: E731
    ways = 16 + 4 * covers
    x, m, bias = made(n, w, inputs, h).permute(0, 2, 3, 1), made(n, inputs, ways) / 4, made(ways)
    more = {"second": Second(made(n, second, h, w), made(n, second, ways) / 4, made(16))} if second else {}
    if covers:
        more["covers"] = made(n, covers, 4)
    return (x, m, bias), {**more, "skip": made(n, 4, h, w)}


@pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))
@pytest.mark.parametrize(
    ("n", "inputs", "second", "h", "w", "covers"),
    [(1, 48, 64, 6, 8, 2), (3, 37, 3, 3, 5, 1), (2, 16, 8, 2, 3, 0), (2, 8, 0, 2, 2, 2), (1, 1, 0, 1, 1, 0)],
)
@pytest.mark.parametrize("doubled", [True, False])
def test_the_kernel_is_as_good_as_plain_half_precision(n, inputs, second, h, w, covers, doubled):
    (x, m, bias), more = _given(n, inputs, second, h, w, covers)
    if not doubled:
        del more["skip"]
    exact = painted_rgb(x.double(), m.double(), bias.double(), impl="reference", **more)
    plain = painted_rgb(x.half(), m, bias, impl="reference", **more)
    got = painted_rgb(x.half(), m, bias, impl="emulated", **more)
    assert got.dtype == torch.float32
    check_close(got, plain, exact, f"{inputs} and {second} features, {covers} covers")


@pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))
@pytest.mark.parametrize("n", [2, 4, 16])
def test_every_picture_of_a_batch_is_as_alone(n):
    (x, m, bias), more = _given(n, 16, 24, 3, 5, 2)
    together = painted_rgb(x.half(), m, bias, impl="emulated", **more)
    for k, got in enumerate(together):
        one = slice(k, k + 1)
        second = Second(more["second"].x[one], more["second"].m[one], more["second"].bias)
        mine = {"second": second, "covers": more["covers"][one], "skip": more["skip"][one]}
        assert torch.equal(got, painted_rgb(x[one].half(), m[one], bias, impl="emulated", **mine)[0])


def test_a_cover_hides_what_lies_behind_it_and_not_what_is_painted_over_it():
    (x, m, bias), more = _given(1, 2, 2, 1, 1, 1)
    m[..., 16:], more["second"].m[..., 16:], bias[16:] = 0, 0, torch.tensor([50.0, -50.0, 50.0, -50.0])
    drawn = painted_rgb(x, m, bias, impl="reference", **more)[0]
    bare = painted_rgb(x, m[..., :16], bias[:16], impl="reference", skip=more["skip"])[0]
    second = more["second"]
    painted = torch.einsum("i,ik->k", second.x[0, :, 0, 0], second.m[0, :, :16]) + second.bias
    over = torch.nn.functional.pixel_shuffle(painted[:, None, None], 2)
    torch.testing.assert_close(drawn[:, :, 0], more["covers"][0, 0][:, None] + over[:, :, 0])
    torch.testing.assert_close(drawn[:, :, 1], bare[:, :, 1] + over[:, :, 1])


def test_errors_say_what_was_wanted():
    (x, m, bias), more = _given(1, 8, 0, 2, 2)
    with pytest.raises(ValueError, match=r"m \[1, 8, 15\].*wanted \[N, I, H, W\], \[N, I, 16 \+ 4 K\], \[16 \+ 4 K\]"):
        painted_rgb(x, m[..., :15], bias)
    with pytest.raises(ValueError, match=r"x \[2, 8, 2, 2\], m \[1, 8, 16\]"):  # a matrix for each picture
        painted_rgb(x.expand(2, -1, -1, -1), m, bias)
    with pytest.raises(ValueError, match=r"skip \[1, 4, 2, 1\]"):
        painted_rgb(x, m, bias, skip=more["skip"][..., :1])
    with pytest.raises(ImplementationUnavailable, match="x is float32; the kernel takes float16"):
        painted_rgb(x, m, bias, impl="emulated")
    wide = torch.zeros(1, 800, 1, 1, dtype=torch.float16)
    with pytest.raises(ImplementationUnavailable, match="have 12800 numbers; the kernel takes up to 12288"):
        painted_rgb(wide, torch.zeros(1, 800, 16), bias, impl="emulated")

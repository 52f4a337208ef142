from __future__ import annotations

import pytest
import torch

from kernels.bias_act import ACTIVATIONS, bias_act
from kernels.emulation import emulation_refusal
from kernels.implementations import ImplementationUnavailable
from tests.compare import check_close


def test_matches_the_reference_cases(golden):
    case = golden("ops-bias-act")
    inputs = {name: torch.from_numpy(array) for name, array in case.io.items() if "." not in name}
    for row in case.spec["cases"]:
        options = {key: row[key] for key in ("act", "alpha", "gain", "clamp") if key in row}
        case.check(f"{row['id']}.y4d", bias_act(inputs["x4d"], inputs["b4d"], **options), 1e-6)
        case.check(f"{row['id']}.y4d_nobias", bias_act(inputs["x4d"], **options), 1e-6)
        case.check(f"{row['id']}.y2d", bias_act(inputs["x2d"], inputs["b2d"], **options), 1e-6)


def test_default_gain_and_alpha_match_the_reference_cases(golden):
    for row in golden("ops-bias-act").spec["cases"]:
        spec = ACTIVATIONS[row["act"]]
        assert (spec.alpha, spec.gain) == (row["default_alpha"], pytest.approx(row["default_gain"], abs=1e-15))


@pytest.mark.parametrize("channels", [1, 3, 37, 512])
def test_strided_input_gives_the_same_as_contiguous(channels):
    x = torch.randn(3, 5, 7, channels, generator=torch.Generator().manual_seed(0)).permute(0, 3, 1, 2)
    b = torch.linspace(-1, 1, channels)
    torch.testing.assert_close(bias_act(x, b, act="lrelu"), bias_act(x.contiguous(), b, act="lrelu"))


def test_errors_say_what_was_wanted():
    x = torch.zeros(1, 3, 2, 2)
    with pytest.raises(ValueError, match="unknown activation 'gelu'; wanted one of linear, relu"):
        bias_act(x, act="gelu")
    with pytest.raises(ValueError, match=r"bias \[4\] does not fit x \[1, 3, 2, 2\]"):
        bias_act(x, torch.zeros(4))
    with pytest.raises(ValueError, match="clamp is -1; wanted 0 or more"):
        bias_act(x, clamp=-1)
    with pytest.raises(ValueError, match="unknown implementation 'fast'"):
        bias_act(x, impl="fast")


def test_an_explicit_implementation_never_falls_back():
    with pytest.raises(ImplementationUnavailable, match="bias_act: implementation 'cuda' cannot run"):
        bias_act(torch.zeros(1, 3), impl="cuda")


emulated = pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))


@emulated
def test_the_kernel_matches_the_reference_cases(golden):
    case = golden("ops-bias-act")
    inputs = {name: torch.from_numpy(array) for name, array in case.io.items() if "." not in name}
    for row in case.spec["cases"]:
        options = {key: row[key] for key in ("act", "alpha", "gain", "clamp") if key in row}
        case.check(f"{row['id']}.y4d", bias_act(inputs["x4d"], inputs["b4d"], impl="emulated", **options), 1e-6)
        case.check(f"{row['id']}.y4d_nobias", bias_act(inputs["x4d"], impl="emulated", **options), 1e-6)
        case.check(f"{row['id']}.y2d", bias_act(inputs["x2d"], inputs["b2d"], impl="emulated", **options), 1e-6)


@emulated
@pytest.mark.parametrize("channels", [1, 3, 37, 512])
def test_the_kernel_in_halves_with_channels_last(channels):
    x = torch.randn(3, 5, 7, channels, generator=torch.Generator().manual_seed(0)).half().permute(0, 3, 1, 2)
    b = torch.linspace(-1, 1, channels).half()
    fast, plain = (bias_act(x, b, act="lrelu", clamp=0.5, impl=impl) for impl in ("emulated", "reference"))
    check_close(fast, plain, bias_act(x.double(), b.double(), act="lrelu", clamp=0.5), "halves")


def test_the_kernel_says_what_it_takes():
    with pytest.raises(ImplementationUnavailable, match="x is float64; the kernel takes float32 and float16"):
        bias_act(torch.zeros(1, 3, dtype=torch.float64), impl="cuda")

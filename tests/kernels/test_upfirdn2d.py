from __future__ import annotations

import pytest
import torch

from kernels.emulation import emulation_refusal
from kernels.implementations import ImplementationUnavailable
from kernels.upfirdn2d import downsample2d, filter2d, setup_filter, upfirdn2d, upsample2d
from tests.compare import check_close


def test_matches_the_reference_cases(golden):
    case = golden("ops-upfirdn2d")
    for row in case.spec["cases"]:
        setup = {"flip" if key == "flip_filter" else key: value for key, value in row["setup"].items()}
        f = setup_filter(row["filter_taps"], **setup)
        if f is not None:
            case.check(f"{row['id']}.filter", f, 1e-7)
            f = torch.from_numpy(case.io[f"{row['id']}.filter"])
        x = torch.from_numpy(case.io[f"{row['id']}.x"])
        case.check(f"{row['id']}.y", upfirdn2d(x, f, **row["call"]), 2e-5)
        case.check(f"{row['id']}.float64", upfirdn2d(x.double(), f, **row["call"]), 1e-7)


def test_helpers_match_the_reference_cases(golden):
    case = golden("ops-upfirdn2d")
    x, f = torch.from_numpy(case.io["helper.x"]), torch.from_numpy(case.io["helper.filter"])
    case.check("helper.upsample2d", upsample2d(x, f), 2e-5)
    case.check("helper.downsample2d", downsample2d(x, f), 2e-5)
    case.check("helper.filter2d", filter2d(x, f), 2e-5)


@pytest.mark.parametrize("channels", [1, 3, 37])
def test_strided_input_gives_the_same_as_contiguous(channels):
    x = torch.randn(3, 9, 5, channels, generator=torch.Generator().manual_seed(0)).permute(0, 3, 1, 2)
    f = setup_filter([1, 3, 3, 1])
    torch.testing.assert_close(upsample2d(x, f), upsample2d(x.contiguous(), f))


def test_a_constant_picture_stays_constant_inside():
    y = upsample2d(torch.ones(1, 1, 8, 8), setup_filter([1, 3, 3, 1]))
    torch.testing.assert_close(y[:, :, 2:-2, 2:-2], torch.ones(1, 1, 12, 12))


def test_errors_say_what_was_wanted():
    x = torch.zeros(1, 1, 4, 4)
    with pytest.raises(ValueError, match=r"x has shape \[4, 4\]; wanted \[N, C, H, W\]"):
        upfirdn2d(x[0, 0], None)
    with pytest.raises(ValueError, match="up is 0; wanted 1 or more"):
        upfirdn2d(x, None, up=0)
    with pytest.raises(ValueError, match="padding has 3 numbers; wanted 1, 2 or 4"):
        upfirdn2d(x, None, padding=(1, 2, 3))
    with pytest.raises(ValueError, match="filter taps have shape"):
        setup_filter(torch.zeros(2, 2, 2))
    with pytest.raises(ValueError, match="the filter has shape"):
        upfirdn2d(x, torch.zeros(2, 2, 2))
    with pytest.raises(ImplementationUnavailable, match="upfirdn2d: implementation 'cuda' cannot run"):
        upfirdn2d(x, None, impl="cuda")


emulated = pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))


@emulated
def test_the_kernel_matches_the_reference_cases(golden):
    case = golden("ops-upfirdn2d")
    for row in case.spec["cases"]:
        f = case.io.get(f"{row['id']}.filter")
        x = torch.from_numpy(case.io[f"{row['id']}.x"])
        y = upfirdn2d(x, None if f is None else torch.from_numpy(f), impl="emulated", **row["call"])
        case.check(f"{row['id']}.y", y, 2e-5)


@emulated
@pytest.mark.parametrize("channels", [1, 3, 37])
def test_the_kernel_in_halves_with_channels_last(channels):
    x = torch.randn(3, 9, 5, channels, generator=torch.Generator().manual_seed(0)).half().permute(0, 3, 1, 2)
    f = setup_filter([1, 2, 4, 3])
    fast, plain = (upsample2d(x, f, impl=impl) for impl in ("emulated", "reference"))
    check_close(fast, plain, upsample2d(x.double(), f), "halves")

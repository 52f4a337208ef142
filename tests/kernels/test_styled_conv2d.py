from __future__ import annotations

import pytest
import torch

from kernels.conv_plan import TILES, Plan
from kernels.emulation import emulation_refusal
from kernels.implementations import ImplementationUnavailable
from kernels.styled_conv2d import styled_conv2d
from kernels.upfirdn2d import setup_filter
from tests.compare import check_close

emulated = pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))
PLANS = [Plan(tile) for tile in TILES] + [Plan("conv_64x64", 3)]


def _compare(x, weight, styles, what, **options):
    """The emulated kernel against the reference in float16 and in float64."""

    def run(dtype, impl, plan=None):
        tensors = {
            k: v.to(dtype) if isinstance(v, torch.Tensor) and k != "resample_filter" else v for k, v in options.items()
        }
        return styled_conv2d(x.to(dtype), weight.to(dtype), styles.to(dtype), impl=impl, plan=plan, **tensors)

    plan = options.pop("plan", None)
    check_close(
        run(torch.float16, "emulated", plan), run(torch.float16, "reference"), run(torch.float64, "reference"), what
    )


def _random(n, inputs, outputs, h, w, size=3, up=1):
    generator = torch.Generator().manual_seed(n + inputs + outputs + h)
    draw = lambda *shape: torch.randn(*shape, generator=generator).half().float()  # noqa: E731
    options = {"bias": draw(outputs), "noise": draw(n if n == 3 else 1, 1, h * up, w * up), "strength": 0.3}
    # strided: channels are not where they usually are
    return draw(n, w, inputs, h).permute(0, 2, 3, 1), draw(outputs, inputs, size, size) / size, draw(n, inputs), options


@emulated
@pytest.mark.parametrize("plan", PLANS, ids=Plan.label)
def test_every_tile_computes_the_layer(plan):
    x, weight, styles, options = _random(1, 40, 24, 9, 17)
    _compare(x, weight, styles, plan.label(), plan=plan, clamp=2.0, **options)


@emulated
@pytest.mark.parametrize(
    "plan", [Plan("conv_64x64"), Plan("conv_16x64", 2), Plan("conv_64x64", 1, True)], ids=Plan.label
)
def test_every_way_of_upsampling_computes_the_layer(plan):
    x, weight, styles, options = _random(1, 40, 24, 5, 9, up=2)
    f = setup_filter([1, 3, 3, 1])
    _compare(x, weight, styles, plan.label(), plan=plan, up=2, resample_filter=f, **options)


@emulated
@pytest.mark.parametrize("up", [1, 2])
@pytest.mark.parametrize(("inputs", "outputs", "n"), [(1, 3, 1), (3, 37, 3), (37, 1, 3), (37, 64, 1)])
def test_ugly_shapes(inputs, outputs, n, up):
    x, weight, styles, options = _random(n, inputs, outputs, 3, 7, up=up)
    f = setup_filter([1, 2, 4, 3]) if up == 2 else None  # not symmetric: a mirrored filter would show
    for folded in {False, up == 2}:
        _compare(
            x,
            weight,
            styles,
            f"folded {folded}",
            up=up,
            resample_filter=f,
            plan=Plan("conv_16x64", 1, folded),
            **options,
        )


@emulated
def test_wide_layers_and_large_styles_stay_within_halves():
    x, weight, styles, options = _random(1, 512, 16, 4, 4)
    _compare(x, weight, styles * 3000, "512 inputs", plan=Plan("conv_16x64", 4), **options)


@emulated
def test_matches_the_reference_cases(golden):
    case = golden("ops-modconv")
    done = 0
    for row in case.spec["cases"]:
        size, taps = row["kernel"], len(row["filter_taps"] or ())
        if row["down"] > 1 or row["padding"] != size // 2 or size > 3 or (row["up"] == 2 and (size, taps) != (3, 4)):
            continue  # no styled layer is like this; the reference implementation does them
        name = row["id"]
        given = {key: case.io.get(f"{name}.{key}") for key in ("x", "weight", "styles", "filter", "noise")}
        t = {k: None if v is None else torch.from_numpy(v) for k, v in given.items()}
        for demodulate in (False, True):
            for flip in (False, True):
                expected = torch.from_numpy(case.io[f"{name}.demod{int(demodulate)}.flip{int(flip)}.float64"])
                call = dict(
                    noise=t["noise"], up=row["up"], resample_filter=t["filter"] if row["up"] == 2 else None,
                    demodulate=demodulate, flip_weight=flip, slope=1.0, gain=1.0,
                )  # fmt: skip
                x, weight, styles = t["x"].half(), t["weight"].half(), t["styles"].half()
                plain = styled_conv2d(x, weight, styles, impl="reference", **call)
                fast = styled_conv2d(x, t["weight"], t["styles"], impl="emulated", **call)
                check_close(fast, plain, expected, f"{name} demod {demodulate} flip {flip}")
                done += 1
    assert done >= 16, "the cases no longer cover what the kernel does"


def test_errors_say_what_was_wanted():
    x, weight, styles, _ = _random(1, 3, 4, 4, 4)
    with pytest.raises(ValueError, match=r"wanted \[N, I, H, W\], \[O, I, k, k\], \[N, I\]"):
        styled_conv2d(x, weight, styles[:, :2])
    with pytest.raises(ValueError, match="up is 3; wanted 1 or 2"):
        styled_conv2d(x, weight, styles, up=3)
    with pytest.raises(ImplementationUnavailable, match="x is float32; the kernel takes float16"):
        styled_conv2d(x, weight, styles, impl="emulated")
    with pytest.raises(ImplementationUnavailable, match="the filter is not 4x4"):
        styled_conv2d(x.half(), weight, styles, up=2, impl="emulated")
    with pytest.raises(ImplementationUnavailable, match="the weights are 5x5 at up 1"):
        styled_conv2d(x.half(), torch.zeros(4, 3, 5, 5), styles, impl="emulated")
    with pytest.raises(ImplementationUnavailable, match="a tensor is on cpu; wanted all on an NVIDIA GPU"):
        styled_conv2d(x.half(), weight, styles, impl="cuda")
    with pytest.raises(ValueError, match="wanted a tile of conv_128x128"):
        Plan("conv_1x1")


@emulated
@pytest.mark.parametrize("plan", [Plan("conv_64x64"), Plan("conv_16x64", 2)], ids=Plan.label)
@pytest.mark.parametrize(("up", "trim"), [(1, False), (2, False), (2, True)])
def test_an_addend_comes_before_the_activation_and_a_trimmed_edge_counts_as_zeros(plan, up, trim):
    x, weight, styles, options = _random(3, 37, 24, 4, 5, up=up)
    f = setup_filter([1, 2, 1, 0]) if up == 2 else None
    addend = torch.randn(3, 24, 4 * up, 5 * up, generator=torch.Generator().manual_seed(9)).half().float()
    _compare(x, weight, styles, plan.label(), plan=plan, up=up, resample_filter=f, trim=trim, addend=addend, **options)


def test_a_trimmed_layer_is_a_padded_one_with_a_3x3_filter():
    x, weight, styles, _ = _random(2, 5, 4, 4, 6, up=2)
    f = setup_filter([1, 2, 1, 0])
    y = styled_conv2d(x, weight, styles, up=2, resample_filter=f, trim=True, slope=1.0, gain=1.0, impl="reference")
    functional = torch.nn.functional
    t = functional.conv_transpose2d(
        x * styles[:, :, None, None], weight.transpose(0, 1), stride=2, padding=1, output_padding=1
    )
    taps = torch.tensor([1.0, 2.0, 1.0]) / 4
    t = functional.conv2d(t, (taps[:, None] * taps * 4).expand(4, 1, 3, 3), padding=1, groups=4)
    energy = styles.square() @ weight.square().sum((2, 3)).t()
    torch.testing.assert_close(y, t * (energy + 1e-8).rsqrt()[:, :, None, None], atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="trim goes with up 2 and filters that are not folded; got up 1"):
        styled_conv2d(x, weight, styles, trim=True)

from __future__ import annotations

import pytest
import torch

from kernels.emulation import emulation_refusal
from kernels.style_preparation import StyleLayer, prepare_styles, style_table
from kernels.styled_conv2d import pack_weight, styles_and_scale

generator = torch.Generator().manual_seed(3)
WEIGHTS = [torch.randn(o, i, 3, 3, generator=generator) for o, i in ((37, 1), (3, 37), (40, 3))]
LAYERS = [
    StyleLayer(
        torch.randn(w.shape[1], 48, generator=generator), torch.ones(w.shape[1]), row, packed.energy, packed.peak
    )
    for row, w in enumerate(WEIGHTS)
    for packed in [pack_weight(w)]
] + [StyleLayer(torch.randn(40, 48, generator=generator), torch.ones(40), 3)]
WPLUS = torch.randn(3, 4, 48, generator=generator)


def test_the_reference_equals_each_layer_alone():
    layers = prepare_styles(WPLUS, style_table(LAYERS), impl="reference")
    for number, weight in enumerate(WEIGHTS):
        layer = LAYERS[number]
        s = WPLUS[:, layer.row] @ layer.affine.t() + layer.bias
        for got, wanted in zip(layers[number], styles_and_scale(s, pack_weight(weight)), strict=True):
            torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))
@pytest.mark.parametrize("n", [1, 3])
def test_the_kernel_equals_the_reference(n):
    table = style_table(LAYERS)
    both = [prepare_styles(WPLUS[:n], table, impl=impl) for impl in ("emulated", "reference")]
    for got, wanted in zip(*both, strict=True):
        for one, two in zip(got, wanted, strict=True):
            assert one.is_contiguous()
            torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-5)


def test_the_layers_factor_without_demodulation_is_its_largest_style():
    layer = LAYERS[-1]
    ((_, scale),) = prepare_styles(WPLUS, style_table([layer]), impl="reference")
    torch.testing.assert_close(scale[:, 0], (WPLUS[:, 3] @ layer.affine.t() + layer.bias).abs().amax(dim=1))


def test_layers_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="layer 1: affine .* do not fit"):
        style_table([LAYERS[0], StyleLayer(torch.zeros(4, 8), torch.zeros(3), 0)])

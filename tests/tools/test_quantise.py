"""The rounded synthesis network: the same layers where nothing is rounded, and near them where it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from engines.bundled import WEIGHTS
from engines.portrait import DIM, ModulatedConv2d

pytestmark = pytest.mark.usefixtures("one_thread", "face_world")


@pytest.fixture(params=[False, True], ids=["same size", "doubling"])
def layer(request: pytest.FixtureRequest) -> ModulatedConv2d:
    torch.manual_seed(1)
    return ModulatedConv2d(24, 7, up=request.param)


def given(count: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Inputs whose channels differ in size by a factor of a hundred."""
    sizes = torch.logspace(-1, 1, 24)[:, None, None]
    return [(F.leaky_relu(torch.randn(1, 24, 32, 32), 0.2) * sizes, torch.randn(1, DIM)) for _ in range(count)]


@torch.no_grad()
def test_without_rounding_a_layer_is_the_same(layer: ModulatedConv2d) -> None:
    from tools.quantise import RoundedConv2d

    (x, w), least, largest = given(1)[0], torch.full([24], -1.0), torch.linspace(1, 9, 24)
    rounded = RoundedConv2d(layer, least, largest, 0.5, 1.0)
    rounded.rounding = False
    torch.testing.assert_close(rounded(x, w), layer(x, w), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_rounded_layer_is_near_and_right_in_the_mean(layer: ModulatedConv2d) -> None:
    from tools.quantise import best_rounding

    torch.manual_seed(2)
    inputs = given(8)
    rounded = best_rounding(layer, inputs)
    assert 0 <= rounded.zero <= 255 and float((rounded.weight.abs().amax((1, 2, 3)) / rounded.scale).max()) < 63.01
    want, got = (torch.cat([part(x, w) for x, w in inputs]) for part in (layer, rounded))
    error = got - want
    assert float(error.square().mean() / want.square().mean()) < 0.01
    assert float(error.mean().abs()) < 0.1 * float(error.square().mean().sqrt())


def test_calibration_is_the_same_every_time_and_has_all_domains() -> None:
    from tools.face_world.sampling import DOMAINS
    from tools.quantise import drawn_heads

    first, second = (drawn_heads(WEIGHTS, 2, 5) for _ in range(2))
    assert [head.domain for head in first] == [*DOMAINS, *DOMAINS]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.wplus, other.wplus)
        np.testing.assert_array_equal(one.codes[2], other.codes[2])
    assert np.array_equal(first[0].wplus[:, 0], first[0].wplus[:, 9])  # itself
    assert not np.array_equal(first[4].wplus[:, 0], first[4].wplus[:, 9])  # in another one's colours


def test_doubling_by_a_convolution_is_bilinear() -> None:
    from tools.export_models import doubling

    picture = torch.rand(1, 4, 5, 8)
    folded = F.conv2d(F.pad(picture, (1, 1, 1, 1), mode="replicate"), doubling())
    want = F.interpolate(picture, scale_factor=2.0, mode="bilinear", align_corners=False)
    torch.testing.assert_close(F.pixel_shuffle(folded, 2), want)


def test_the_bundled_rounding_costs_little(capsys: pytest.CaptureFixture[str], monkeypatch, tmp_path: Path) -> None:
    from tools import quantise

    sheet = tmp_path / "sheet.png"
    monkeypatch.setattr("sys.argv", ["", "--heads", "1", "--sheet", str(sheet)])
    quantise.main()
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert [row[1].strip() for row in rows] == ["toon", "natural", "comic", "clay", "all"]
    assert float(rows[-1][3]) > 36 and sheet.stat().st_size > 0

"""What a top adds, told by figures that know equal from blurred."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tools.measure_top import figures, mean, on_grey


def test_blurred_heads_are_further_away_and_have_weaker_edges() -> None:
    want = torch.rand(2, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    want[:, 3] = 1.0
    blurred = F.avg_pool2d(want, 3, 1, 1, count_include_pad=False)
    same, soft = figures(want, want), figures(blurred, want)
    assert len(same) == len(soft) == 2
    assert mean(same)["l1"] == mean(same)["gradients"] == 0 and mean(same)["edges"] == 1
    assert mean(soft)["edges"] < 0.5 < 1 < mean(soft)["psnr_db"] < 20
    error = ((blurred - want)[0, :3] ** 2).mean()
    assert soft[0]["psnr_db"] == pytest.approx(float(-10 * torch.log10(error)), abs=1e-4)


def test_a_head_stands_before_grey() -> None:
    picture = torch.zeros(4, 2, 2)
    picture[0, 0, 0] = picture[3, 0, 0] = 1.0
    shown = on_grey(picture)
    assert shown[0, 0].tolist() == [0, 0, 255] and shown[1, 1].tolist() == [214, 214, 214]

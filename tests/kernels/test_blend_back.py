from __future__ import annotations

import pytest
import torch

from kernels.blend_back import blend_back, match_colours
from kernels.emulation import emulation_refusal

emulated = pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))
generator = torch.Generator().manual_seed(0)
FRAME = torch.randint(0, 256, (41, 57, 3), dtype=torch.uint8, generator=generator)
ALPHA = torch.rand(24, 16, 1, generator=generator).clamp_min(0.1)
PORTRAIT = torch.cat([torch.rand(24, 16, 3, generator=generator) * ALPHA, ALPHA], dim=2)
MASK = torch.rand(24, 16, generator=generator)
INTO = torch.tensor([[0.6, 0.2, -5.0], [-0.2, 0.6, 4.0]])
MATCH = torch.tensor([[0.7, 1.0, 1.5], [20.0, 0.0, -30.0]])


def test_where_the_portrait_is_clear_the_frame_stays():
    out = blend_back(FRAME, torch.zeros(8, 8, 4), torch.tensor([[1.0, 0, 0], [0, 1, 0]]))
    assert torch.equal(out, FRAME)


def test_an_opaque_portrait_replaces_the_frame_under_it():
    portrait = torch.ones(8, 8, 4) * torch.tensor([1.0, 0.5, 0.0, 1.0])
    out = blend_back(FRAME, portrait, torch.tensor([[1.0, 0, -10], [0, 1, -20]]))
    assert out[20:28, 10:18].reshape(-1, 3).unique(dim=0).tolist() == [[0, 128, 255]]  # RGB becomes BGR
    assert torch.equal(out[:20], FRAME[:20])


@emulated
@pytest.mark.parametrize("mask", [None, MASK], ids=["bare", "masked"])
@pytest.mark.parametrize("match", [None, MATCH], ids=["own colours", "matched"])
def test_the_kernel_equals_the_reference(mask, match):
    got, wanted = (blend_back(FRAME, PORTRAIT, INTO, mask=mask, match=match, impl=i) for i in ("emulated", "reference"))
    assert (got.int() - wanted.int()).abs().max() <= 1
    assert (got != FRAME).any()


def test_matched_colours_have_the_frames_mean_and_spread():
    portrait = torch.cat([torch.rand(64, 64, 3, generator=generator) * 0.5, torch.ones(64, 64, 1)], dim=2)
    frame = (torch.rand(64, 64, 3, generator=generator) * 100 + 100).to(torch.uint8)
    still = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
    out = blend_back(frame, portrait, still, match=match_colours(frame, portrait, still)).double()
    assert (out.mean(dim=[0, 1]) - frame.double().mean(dim=[0, 1])).abs().max() < 3
    assert (out.std(dim=[0, 1]) / frame.double().std(dim=[0, 1]) - 1).abs().max() < 0.1


@emulated
@pytest.mark.parametrize("mask", [None, MASK.round()], ids=["bare", "masked"])
def test_the_kernel_matches_colours(mask):
    back = torch.tensor([[1.5, -0.5, 9.0], [0.5, 1.5, -3.0]])
    got, wanted = (match_colours(FRAME, PORTRAIT, back, mask=mask, impl=i) for i in ("emulated", "reference"))
    torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("impl", ["reference", pytest.param("emulated", marks=emulated)])
def test_too_little_to_match_changes_nothing(impl):
    match = match_colours(FRAME, torch.zeros(24, 16, 4), INTO, impl=impl)
    assert match.tolist() == [[1.0] * 3, [0.0] * 3]


def test_errors_say_what_was_wanted():
    with pytest.raises(ValueError, match=r"mask \[8, 9\]; wanted uint8 \[H, W, 3\], float32 \[h, w, 4\]"):
        blend_back(FRAME, torch.zeros(8, 8, 4), INTO, mask=torch.zeros(8, 9))

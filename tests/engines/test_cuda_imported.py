"""Encoders of imported models on the GPU: what is added to codes, and how a better engine takes over."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.cuda_engine import CudaGenerator
from engines.cuda_imported import FIRST_STEPS, LiveEncoder, load_on_gpu
from engines.imported import load_imported
from kernels.emulation import emulated_program, emulation_refusal
from tests.realtime.imported_model import tiny_models

__all__ = ["tiny_models"]
pytestmark = pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))


class Doubles(torch.nn.Module):
    """Stands for an encoder: the mean of what it sees, in every number."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.config = type("Config", (), {"inputs": inputs})()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean() * torch.ones(1, 8, 32)


@pytest.fixture(scope="module")
def generator(tiny_models):
    return load_on_gpu(tiny_models / "tiny", device="cpu", programs=emulated_program).generator


def test_codes_are_those_of_the_cpu(tiny_models):
    ours = load_on_gpu(tiny_models / "tiny", device="cpu", programs=emulated_program)
    theirs = load_imported(tiny_models / "tiny", precision="f32")
    pixels = np.random.default_rng(1).integers(0, 256, (256, 256, 3), np.uint8)
    crop = torch.from_numpy(pixels[..., ::-1].transpose(2, 0, 1) / np.float32(127.5) - 1)[None]
    got = ours.encoder(crop.float(), torch.zeros(1, *ours.centre.shape))
    np.testing.assert_allclose(got[0].numpy(), theirs.encode(pixels), atol=1e-3)
    assert ours.first_steps == 1
    assert ours.describe() == "tiny, 32 px: whole frames by CUDA kernels f16 on the processor, emulated"
    assert load_on_gpu(tiny_models / "toon", device="cpu", programs=emulated_program) is None, "no encoder"


def test_an_encoder_that_refines_sees_its_last_picture_and_adds_to_the_last_code(generator):
    encoder = LiveEncoder(Doubles(6), generator, None)
    assert encoder.refines and FIRST_STEPS == 3
    last = torch.full((1, 8, 32), 0.1)
    seen = generator.run(last).mean()
    got = encoder(torch.ones(1, 3, 256, 256), last)
    assert float(got[0, 0, 0]) == pytest.approx(0.1 + float((1 + seen) / 2), abs=1e-3)


def test_a_better_engine_takes_over_once_and_only_if_it_gives_the_same(generator):
    centre, crop, said = np.full((8, 32), 0.5, np.float32), torch.ones(1, 3, 256, 256), []
    encoder = LiveEncoder(Doubles(3), generator, centre)
    assert float(encoder(crop, torch.zeros(1, 8, 32))[0, 0, 0]) == 1.5
    encoder.start_upgrade(said.append, lambda: lambda x: (x.mean() * torch.ones(1, 8, 32) * 1.001,))
    encoder.wait(20)
    assert encoder.taken_over() and not encoder.taken_over(), "said once"
    assert float(encoder(crop, torch.zeros(1, 8, 32))[0, 0, 0]) == pytest.approx(1.501)
    encoder.give_back()
    assert float(encoder(crop, torch.zeros(1, 8, 32))[0, 0, 0]) == 1.5
    other = LiveEncoder(Doubles(3), generator, centre)
    other(crop, torch.zeros(1, 8, 32))
    other.start_upgrade(said.append, lambda: lambda x: (x.mean() * torch.ones(1, 8, 32) * 2,))
    other.wait(20)
    assert not other.taken_over()
    assert "has taken over" in said[0] and "it differs by 1" in said[1]


def test_its_kernels_are_the_generators(generator):
    assert isinstance(generator, CudaGenerator) and generator.programs is emulated_program

"""A frame's whole way over the static buffers, with the kernels run on the host and no graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.cuda_engine import CudaGenerator
from engines.cuda_frame import FrameEngine, Place
from engines.stylegan2 import Generator
from engines.stylegan2_config import GeneratorConfig
from kernels.align_crop import align_crop
from kernels.blend_back import blend_back, match_colours
from kernels.emulation import emulated_program, emulation_refusal
from kernels.upfirdn2d import setup_filter

pytestmark = pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))

FRAME = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
INTO = np.array([[0.5, 0, -3.0], [0, 0.5, -1.0]])
BACK = np.array([[2.0, 0, 6.0], [0, 2.0, 2.0]])
PLACE = Place(np.array([[1.6, 0, 1.0], [0, 1.6, 2.0]]), INTO, BACK)
WPLUS = np.random.default_rng(1).standard_normal((4, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def generator():
    generator = Generator(GeneratorConfig(8, 8, 8, 0, {4: 8, 8: 8}, "skip")).eval().requires_grad_(False)
    random = torch.Generator().manual_seed(2)
    for tensor in [*generator.parameters(), *generator.buffers()]:
        tensor.copy_(torch.randn(tensor.shape, generator=random) * 0.3)
    generator.synthesis.filter.copy_(setup_filter([1, 3, 3, 1]))
    return CudaGenerator(generator, programs=emulated_program)


def _wanted(generator, wplus):
    picture = generator.run(torch.as_tensor(wplus)[None])[0].permute(1, 2, 0)
    portrait = torch.cat([(picture * 0.5 + 0.5).clamp(0, 1), torch.ones(8, 8, 1)], dim=2)
    frame, mask = torch.from_numpy(FRAME), torch.ones(8, 8)
    match = match_colours(frame, portrait, torch.from_numpy(BACK).float(), mask=mask)
    return blend_back(frame, portrait, torch.from_numpy(INTO).float(), mask=mask, match=match).numpy()


def _near(got, wanted):
    return int(np.abs(got.astype(int) - wanted.astype(int)).max()) <= 1


def test_a_frame_is_drawn_and_an_edit_changes_it_without_anything_built_anew(generator):
    engine = FrameEngine(generator, 24, 32, programs=emulated_program)
    engine.submit(FRAME, PLACE, WPLUS)
    first = engine.collect().copy()
    assert _near(first, _wanted(generator, WPLUS))
    assert (first != FRAME).any()
    engine.offset.fill_(1.0)
    engine.submit(FRAME, PLACE, WPLUS)
    assert _near(engine.collect(), _wanted(generator, WPLUS + 1))


def test_with_an_encoder_the_frame_itself_gives_the_code(generator):
    seen = []

    def encoder(crop):
        seen.append(crop.clone())
        return torch.from_numpy(WPLUS)[None]

    engine = FrameEngine(generator, 24, 32, encoder, crop_px=16, programs=emulated_program)
    engine.submit(FRAME, PLACE)
    assert _near(engine.collect(), _wanted(generator, WPLUS))
    wanted = align_crop(torch.from_numpy(FRAME), torch.from_numpy(PLACE.crop).float(), 16, grid=2)
    torch.testing.assert_close(seen[0][0], wanted, atol=1e-3, rtol=0)


def test_frames_come_back_in_their_order_and_at_most_two_wait(generator):
    engine = FrameEngine(generator, 24, 32, programs=emulated_program)
    engine.mask.fill_(0)  # nothing is drawn: the frames come back as they went
    for shade in (10, 20):
        engine.submit(np.full_like(FRAME, shade), PLACE, WPLUS)
    with pytest.raises(ValueError, match="2 frames are on their way; collect one first"):
        engine.submit(FRAME, PLACE, WPLUS)
    assert [int(engine.collect()[0, 0, 0]) for _ in range(2)] == [10, 20]
    with pytest.raises(ValueError, match="no frame is on its way; submit one first"):
        engine.collect()


def test_what_does_not_fit_is_refused(generator):
    engine = FrameEngine(generator, 24, 32, programs=emulated_program)
    with pytest.raises(ValueError, match=r"the frame has shape \[8, 8, 3\]; wanted \[24, 32, 3\]"):
        engine.submit(FRAME[:8, :8], PLACE, WPLUS)

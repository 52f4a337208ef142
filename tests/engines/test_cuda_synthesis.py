"""The CUDA engine draws what the OpenVINO engine draws, from the same imported tensors; kernels run on the host."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.cuda_synthesis import CudaSynthesis
from engines.openvino_engine import OpenVinoEngine
from engines.stylegan2 import Generator
from engines.stylegan2_config import GeneratorConfig
from engines.stylegan2_openvino import generator_graph
from kernels.emulation import emulated_program, emulation_refusal
from kernels.upfirdn2d import setup_filter

pytestmark = pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))


@pytest.fixture(scope="module")
def tensors():
    generator = Generator(GeneratorConfig(8, 8, 8, 0, {4: 16, 8: 8}, "skip")).eval().requires_grad_(False)
    random = torch.Generator().manual_seed(5)
    for tensor in [*generator.parameters(), *generator.buffers()]:
        tensor.copy_(torch.randn(tensor.shape, generator=random) * 0.2)
    generator.synthesis.filter.copy_(setup_filter([1, 3, 3, 1]))
    return {name: value.numpy() for name, value in generator.state_dict().items()}


def test_both_engines_draw_the_same(tensors):
    outputs = ["pixels", "seen"]
    ours = CudaSynthesis(tensors, None, outputs, device="cpu", programs=emulated_program)
    theirs = OpenVinoEngine(generator_graph(tensors, None, outputs))
    wplus = np.random.default_rng(0).standard_normal((1, 4, 8)).astype(np.float32)
    got, wanted = ours.infer(wplus), theirs.infer(wplus)
    assert got[0].dtype == np.uint8 and got[0].shape == (1, 8, 8, 3)
    assert np.abs(got[0].astype(int) - wanted[0].astype(int)).max() <= 1
    np.testing.assert_allclose(got[1], wanted[1], atol=0.01)
    assert wanted[0].std() > 5
    assert ours.describe() == "CUDA kernels f16 on the processor, emulated"
    with pytest.raises(ValueError, match=r"W\+ has shape \[1, 3, 8\]; wanted \[1, 4, 8\]"):
        ours.infer(wplus[:, :3])

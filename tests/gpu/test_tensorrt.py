"""TensorRT on a GPU: the exported generator and encoder against the reference, the cache, a refused file."""

from __future__ import annotations

import copy

import pytest
import torch

from engines.encoders import StyleEncoder
from engines.engine_cache import EngineCache
from engines.onnx_export import HalfSynthesis, onnx_bytes
from engines.tensorrt_engine import difference, engine_from_onnx, key_of, tensorrt_refusal
from tools.gpu import configuration, e4e_configuration, random_generator

REFUSAL = tensorrt_refusal() if torch.cuda.is_available() else None
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(REFUSAL is not None, reason=str(REFUSAL))]


def test_the_generator_and_its_cache(tmp_path):
    generator = random_generator(configuration(64), "cpu")
    wplus = torch.randn(1, generator.config.rows, 512, generator=torch.Generator().manual_seed(1))
    onnx = onnx_bytes(HalfSynthesis(generator), [wplus.half()], ["wplus"], "picture")
    cache, said = EngineCache(tmp_path), []
    exact = copy.deepcopy(generator).double().synthesis(wplus.double())
    for _ in range(2):  # built, then found
        engine = engine_from_onnx(onnx, cache, say=said.append, level=1)
        assert difference([exact], [engine.infer(wplus.half().cuda())[0].cpu()]) < 0.02
    builds = [line for line in said if line.endswith("100 %")]
    cache.path(key_of(onnx, 1)).write_bytes(b"truncated")
    engine_from_onnx(onnx, cache, say=said.append, level=1)
    assert any("is no engine of this program; it is built anew" in line for line in said)
    assert len([line for line in said if line.endswith("100 %")]) > len(builds)


def test_the_encoder(tmp_path):
    encoder = StyleEncoder(e4e_configuration()).eval().requires_grad_(False)
    crop = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(1)) * 2 - 1
    wanted = encoder.cuda()(crop.cuda()).cpu()
    onnx = onnx_bytes(encoder.cpu().half(), [crop.half()], ["crop"], "codes")
    engine = engine_from_onnx(onnx, EngineCache(tmp_path), say=print, level=1)
    assert difference([wanted], [engine.infer(crop.half().cuda())[0].cpu()]) < 0.02

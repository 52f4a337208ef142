"""Exported models are typed throughout, and another runtime draws the same from them."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import openvino as ov
import pytest
import torch

from engines.encoders import StyleEncoder
from engines.encoders_config import EncoderConfig
from engines.onnx_export import HalfSynthesis, onnx_bytes, typing_problem
from engines.stylegan2 import Generator
from engines.stylegan2_config import GeneratorConfig
from engines.tensorrt_engine import difference
from kernels.upfirdn2d import setup_filter
from tests.compare import check_close


@pytest.fixture(scope="module")
def generator():
    config = GeneratorConfig(16, 16, 16, 0, {4: 16, 8: 16, 16: 8}, "skip", clamp=64.0)
    generator = Generator(config).eval().requires_grad_(False)
    random = torch.Generator().manual_seed(5)
    for tensor in [*generator.parameters(), *generator.buffers()]:
        tensor.copy_(torch.randn(tensor.shape, generator=random) * 0.3)
    generator.synthesis.filter.copy_(setup_filter([1, 3, 3, 1]))
    return generator


def test_another_runtime_draws_the_same(generator):
    wplus = torch.randn(2, 6, 16, generator=torch.Generator().manual_seed(1)).half()
    data = onnx_bytes(HalfSynthesis(generator, 2), [wplus], ["wplus"], "picture")
    compiled = ov.Core().compile_model(ov.Core().read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    drawn = torch.from_numpy(np.array(compiled([wplus.numpy()])[0]))
    exact = generator.double().synthesis(wplus.double())
    plain = generator.half().synthesis(wplus)
    generator.float()
    check_close(drawn, plain, exact, "OpenVINO on the exported file")
    check_close(HalfSynthesis(generator, 2)(wplus), plain, exact, "the module")


def test_onnx_runtime_draws_the_same_too(generator):
    wplus = torch.randn(1, 6, 16, generator=torch.Generator().manual_seed(1)).half()
    data = onnx_bytes(HalfSynthesis(generator), [wplus], ["wplus"], "picture")
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (drawn,) = session.run(None, {"wplus": wplus.numpy()})
    exact = generator.double().synthesis(wplus.double())
    plain = generator.half().synthesis(wplus)
    generator.float()
    check_close(torch.from_numpy(drawn), plain, exact, "ONNX Runtime on the exported file")


def test_onnx_runtime_codes_what_the_encoder_codes():
    torch.manual_seed(2)
    config = EncoderConfig(3, 8, ((8, 8, 2, 2),) * 4, (4,) * 4, 16, (), deltas=True)
    encoder, crop = StyleEncoder(config).eval().requires_grad_(False), torch.rand(1, 3, 256, 256) * 2 - 1
    wanted = encoder(crop)
    data = onnx_bytes(encoder.half(), [crop.half()], ["crop"], "codes")
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (codes,) = session.run(None, {"crop": crop.half().numpy()})
    assert difference([wanted], [torch.from_numpy(codes)]) < 0.01


def test_the_file_is_float16_but_for_its_picture(generator):
    model = onnx.load_from_string(
        onnx_bytes(HalfSynthesis(generator), [torch.zeros(1, 6, 16).half()], ["wplus"], "picture")
    )
    kinds = {value.name: value.type.tensor_type.elem_type for value in [*model.graph.input, *model.graph.output]}
    assert kinds == {"wplus": onnx.TensorProto.FLOAT16, "picture": onnx.TensorProto.FLOAT}
    assert typing_problem(model) is None


def test_a_convolution_in_float32_is_named(generator):
    class Plain(torch.nn.Conv2d):
        pass

    with pytest.raises(ValueError, match="not strongly typed: .* is a convolution in FLOAT; wanted FLOAT16"):
        onnx_bytes(Plain(1, 1, 3), [torch.zeros(1, 1, 4, 4)], ["x"], "y")


def test_other_architectures_are_refused():
    config = GeneratorConfig(8, 8, 8, 0, {4: 8, 8: 8}, "orig")
    with pytest.raises(ValueError, match="the generator is of architecture orig; wanted skip"):
        HalfSynthesis(Generator(config))

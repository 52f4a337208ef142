"""The OpenVINO graphs of imported networks, against the reference cases and against their torch twins."""

from __future__ import annotations

import numpy as np
import openvino as ov
import pytest
import torch

from engines.encoders import shrink_to_input
from engines.encoders_openvino import encoder_graph
from engines.errors import EngineError
from engines.stylegan2_openvino import generator_graph, seen_of

F32 = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
PICTURE, CODE = 5e-4, 5e-4  # the cases' tolerance for any float32 device


def run(model: ov.Model, *inputs: np.ndarray) -> np.ndarray:
    return ov.Core().compile_model(model, "CPU", F32)(list(inputs))[0]


GENERATORS = [
    ("rosinality-64", "checkpoint.pt", "wplus", "image.wplus_buffers"),
    ("nv-ada-resnet-32", "network-snapshot-000000.nosrc.pkl", "wplus", "image.wplus_const"),
    ("nv-ada-orig-32", "network-snapshot-000000.nosrc.pkl", "wplus", "image.wplus_const"),
]


@pytest.mark.parametrize(("name", "file", "latent", "picture"), GENERATORS)
def test_generators_draw_the_reference_pictures(golden, load_checkpoint, name, file, latent, picture):
    case = golden(name)
    network = load_checkpoint(case.path(file)).converted.network("generator")
    model = generator_graph(network.tensors, network.settings["clamp"], ["picture"])
    compiled = ov.Core().compile_model(model, "CPU", F32)
    pictures = [compiled([wplus[None]])[0].copy() for wplus in case.io[latent]]
    case.check(picture, np.concatenate(pictures), PICTURE)


def test_pixels_are_bgr_bytes(golden, load_checkpoint):
    case = golden("nv-ada-orig-32")
    network = load_checkpoint(case.path("network-snapshot-000000.nosrc.pkl")).converted.network("generator")
    pixels = run(generator_graph(network.tensors, network.settings["clamp"], ["pixels"]), case.io["wplus"][:1])
    rgb = (case.io["image.wplus_const"][:1] * 127.5 + 128).clip(0, 255).astype(np.uint8)
    assert pixels.dtype == np.uint8 and pixels.shape == (1, 32, 32, 3)
    assert np.abs(pixels.astype(int) - rgb.transpose(0, 2, 3, 1)[..., ::-1]).max() <= 1


def test_encoders_give_the_reference_codes(golden, load_checkpoint):
    case = golden("e4e-small-64")
    converted = load_checkpoint(case.path("checkpoint.pt")).converted
    encoder, centre = converted.network("encoder"), converted.network("generator").tensors["centre"]
    model = encoder_graph(encoder.tensors, encoder.settings["deltas"], centre)
    compiled = ov.Core().compile_model(model, "CPU", F32)
    bgr = np.ascontiguousarray(case.io["image_u8"].transpose(0, 2, 3, 1)[..., ::-1])
    case.check("wplus", np.concatenate([compiled([one[None]])[0].copy() for one in bgr]), CODE)


@pytest.mark.parametrize("size", [32, 1024])
def test_what_an_encoder_sees_is_averaged_or_repeated(size):
    picture = ov.opset13.parameter([1, 3, size, size], np.float32)
    values = np.random.default_rng(0).uniform(-1, 1, [1, 3, size, size]).astype(np.float32)
    seen = run(ov.Model([seen_of(picture)], [picture], "seen"), values)
    np.testing.assert_allclose(seen, shrink_to_input(torch.from_numpy(values)).numpy(), atol=1e-6)


def test_other_filters_are_refused(golden, load_checkpoint):
    path = golden("nv-ada-orig-32").path("network-snapshot-000000.nosrc.pkl")
    tensors = dict(load_checkpoint(path).converted.network("generator").tensors)
    tensors["synthesis.filter"] = np.ones([2, 2], np.float32) / 4
    with pytest.raises(EngineError, match=r"the generator's filter is \[2, 2\]; OpenVINO graphs want \[4, 4\]"):
        generator_graph(tensors, None, ["pixels"])

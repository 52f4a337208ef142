"""The OpenVINO graphs of imported networks, against the reference cases and against their torch twins."""

from __future__ import annotations

import numpy as np
import openvino as ov
import pytest
import torch

from engines.encoders import picture_to_input, refine, shrink_to_input
from engines.encoders_openvino import encoder_graph
from engines.errors import EngineError
from engines.stylegan2_openvino import generator_graph

F32 = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
PICTURE, CODE = 5e-4, 5e-4  # the cases' tolerance for any float32 device


def run(model: ov.Model, *inputs: np.ndarray) -> np.ndarray:
    return ov.Core().compile_model(model, "CPU", F32)(list(inputs))[0]


GENERATORS = [
    ("rosinality-64", "checkpoint.pt", "wplus", "image.wplus_buffers"),
    ("nv-ada-skip-64", "network-snapshot-000000.nosrc.pkl", "wplus", "image.wplus_const"),
    ("nv-ada-resnet-32", "network-snapshot-000000.nosrc.pkl", "wplus", "image.wplus_const"),
    ("nv-ada-orig-32", "network-snapshot-000000.nosrc.pkl", "wplus", "image.wplus_const"),
    ("nv-sg3-stylegan2-64", "network-snapshot-000000.nosrc.pkl", "wplus", "image.wplus_const"),
    ("nv-tf-legacy-32", "stylegan2-tf.pkl", "ws", "image.const"),
]


@pytest.mark.parametrize(("name", "file", "latent", "picture"), GENERATORS)
def test_generators_draw_the_reference_pictures(golden, load_checkpoint, name, file, latent, picture):
    case = golden(name)
    network = load_checkpoint(case.path(file)).converted.network("generator")
    model = generator_graph(network.tensors, network.settings["clamp"], as_pixels=False)
    compiled = ov.Core().compile_model(model, "CPU", F32)
    pictures = [compiled([wplus[None]])[0].copy() for wplus in case.io[latent]]
    case.check(picture, np.concatenate(pictures), PICTURE)


def test_pixels_are_bgr_bytes(golden, load_checkpoint):
    case = golden("nv-ada-orig-32")
    network = load_checkpoint(case.path("network-snapshot-000000.nosrc.pkl")).converted.network("generator")
    pixels = run(generator_graph(network.tensors, network.settings["clamp"]), case.io["wplus"][:1])
    rgb = (case.io["image.wplus_const"][:1] * 127.5 + 128).clip(0, 255).astype(np.uint8)
    assert pixels.dtype == np.uint8 and pixels.shape == (1, 32, 32, 3)
    assert np.abs(pixels.astype(int) - rgb.transpose(0, 2, 3, 1)[..., ::-1]).max() <= 1


@pytest.mark.parametrize("name", ["e4e-small-64", "psp-small-64"])
def test_encoders_give_the_reference_codes(golden, load_checkpoint, name):
    case = golden(name)
    converted = load_checkpoint(case.path("checkpoint.pt")).converted
    encoder, centre = converted.network("encoder"), converted.network("generator").tensors["centre"]
    model = encoder_graph(encoder.tensors, encoder.settings["deltas"], centre)
    compiled = ov.Core().compile_model(model, "CPU", F32)
    bgr = np.ascontiguousarray(case.io["image_u8"].transpose(0, 2, 3, 1)[..., ::-1])
    case.check("wplus", np.concatenate([compiled([one[None]])[0].copy() for one in bgr]), CODE)


def test_restyle_takes_the_last_reconstruction(golden, load_checkpoint):
    case = golden("restyle-e4e-small-32")
    networks = load_checkpoint(case.path("checkpoint.pt"))
    encoder = networks.converted.network("encoder")
    model = encoder_graph(encoder.tensors, encoder.settings["deltas"], None)
    assert [port.get_any_name() for port in model.inputs] == ["pixels", "reconstruction", "last"]
    random = np.random.default_rng(0)
    pixels, drawn = random.integers(0, 256, [2, 1, 256, 256, 3], np.uint8)
    last = case.io["latent_avg"][None]
    got = run(model, pixels, drawn, last)
    planes = [torch.from_numpy(np.ascontiguousarray(x[..., ::-1].transpose(0, 3, 1, 2))) for x in (pixels, drawn)]
    picture, reconstruction = map(picture_to_input, planes)
    expected = refine(networks.encoder, picture, shrink_to_input(reconstruction), torch.from_numpy(last))
    np.testing.assert_allclose(got, expected.numpy(), atol=CODE)


def test_other_filters_are_refused(golden, load_checkpoint):
    path = golden("nv-ada-orig-32").path("network-snapshot-000000.nosrc.pkl")
    tensors = dict(load_checkpoint(path).converted.network("generator").tensors)
    tensors["synthesis.filter"] = np.ones([2, 2], np.float32) / 4
    with pytest.raises(EngineError, match=r"the generator's filter is \[2, 2\]; OpenVINO graphs want \[4, 4\]"):
        generator_graph(tensors, None)

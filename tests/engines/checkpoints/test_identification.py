"""Files are told apart by structure; what cannot be imported is refused with the reason."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from engines.checkpoints.containers import read_content, read_file
from engines.checkpoints.errors import CheckpointError
from engines.checkpoints.identification import KINDS, convert

FILES = {
    "rosinality-64/checkpoint.pt": "rosinality",
    "rosinality-64/checkpoint-legacy.pt": "rosinality",
    "e4e-small-64/checkpoint.pt": "e4e",
    "psp-small-64/checkpoint.pt": "psp",
    "restyle-e4e-small-32/checkpoint.pt": "restyle-e4e",
    "nv-ada-skip-64/network-snapshot-000000.nosrc.pkl": "nvlabs-stylegan2",
    "nv-ada-resnet-32/network-snapshot-000000.nosrc.pkl": "nvlabs-stylegan2",
    "nv-ada-orig-32/network-snapshot-000000.nosrc.pkl": "nvlabs-stylegan2",
    "nv-sg3-stylegan2-64/network-snapshot-000000.nosrc.pkl": "nvlabs-stylegan2",
    "nv-tf-legacy-32/stylegan2-tf.pkl": "tensorflow-stylegan2",
}


@pytest.fixture
def content(golden):
    """The value that a reference file holds."""

    def load(name: str):
        folder, _, file = name.partition("/")
        return read_file(golden(folder).path(file)).root

    return load


@pytest.fixture
def generator_state(content):
    """A state dictionary in rosinality's layout, as numpy arrays, and its mean latent."""
    root = content("rosinality-64/checkpoint.pt")
    return {name: value.array() for name, value in root["g_ema"].items()}, root["latent_avg"].array()


@pytest.mark.parametrize(("name", "kind"), FILES.items())
def test_every_reference_file_is_identified(content, name, kind):
    assert kind in KINDS
    assert convert(content(name)).kind == kind
    assert convert(content(name), kind).kind == kind


def test_both_containers_hold_the_same(content):
    first, second = (convert(content(f"rosinality-64/{name}.pt")) for name in ("checkpoint", "checkpoint-legacy"))
    for name, array in first.networks[0].tensors.items():
        np.testing.assert_array_equal(array, second.networks[0].tensors[name])


@pytest.mark.parametrize("key", ["g_ema", "g", "generator", "state_dict", None])
@pytest.mark.parametrize("prefix", ["", "module.", "generator.", "decoder."])
def test_generators_are_found_wherever_tools_keep_them(generator_state, key, prefix):
    state, centre = generator_state
    named = {prefix + name: value for name, value in state.items()}
    root = dict(named) if key is None else {key: named, "g_optim": {"state": {}}, "args": None}
    converted = convert({**root, "latent_avg": centre})
    assert converted.kind == "rosinality"
    np.testing.assert_array_equal(converted.networks[0].tensors["centre"], centre[None])


def test_fine_tuned_generators_without_a_mean_latent_get_one(generator_state):
    state, _ = generator_state
    converted = convert({"g": state, "g_ema": state})
    assert converted.notes == ("the file holds no mean latent; it was computed from the mapping network",)
    tensors = converted.networks[0].tensors
    from engines.stylegan2 import generator_from_tensors

    generator = generator_from_tensors({name: torch.tensor(array) for name, array in tensors.items()})
    z = torch.randn(20_000, 64, generator=torch.Generator().manual_seed(5))
    w = generator.mapping(z)
    assert float((w.mean(dim=0) - generator.centre[0]).abs().max()) < 5 * float(w.std(dim=0).max()) / 4096**0.5


def test_files_without_noise_maps_draw_none(generator_state):
    state, centre = generator_state
    kept = {name: value for name, value in state.items() if not name.startswith("noises.")}
    converted = convert({"g_ema": kept, "latent_avg": centre})
    assert converted.notes == ("the file holds no noise maps; constant noise is drawn as zero",)
    assert not converted.networks[0].tensors["synthesis.blocks.4.conv1.noise"].any()


def test_networks_beside_the_generator_are_noted(generator_state):
    state, centre = generator_state
    mixed = {**{f"generator.{name}": value for name, value in state.items()}, "res.0.conv.weight": centre}
    notes = convert({"g_ema": mixed, "latent_avg": centre}).notes
    assert notes == ("the file also holds res, which was left out",)


def test_half_precision_files_are_widened(generator_state):
    state, centre = generator_state
    stream = io.BytesIO()
    half = {name: torch.tensor(value).bfloat16() for name, value in state.items()}
    torch.save({"g_ema": half, "latent_avg": torch.tensor(centre)}, stream)
    tensors = convert(read_content(stream.getvalue())[0]).networks[0].tensors
    expected = half["input.input"][0].float().numpy()
    np.testing.assert_array_equal(tensors["synthesis.const"], expected)


def test_stylegan3_is_refused_by_name(content):
    with pytest.raises(CheckpointError, match="StyleGAN3 .* unsupported; wanted a StyleGAN2 network"):
        convert(content("nv-sg3-stylegan3t-reject/network-snapshot-000000.nosrc.pkl"))


def test_a_named_kind_must_be_the_file_s(content):
    with pytest.raises(CheckpointError, match="the file is of kind 'e4e', not 'psp'; leave the kind to 'auto'"):
        convert(content("e4e-small-64/checkpoint.pt"), "psp")
    with pytest.raises(CheckpointError, match="unknown kind 'stylegan9'; wanted auto or one of rosinality, psp"):
        convert(content("e4e-small-64/checkpoint.pt"), "stylegan9")


def test_an_encoder_that_does_not_tell_its_type_needs_the_kind(content):
    root = content("e4e-small-64/checkpoint.pt")
    root["opts"] = {}
    with pytest.raises(CheckpointError, match="does not tell whether its encoder is pSp or e4e .* --kind e4e"):
        convert(root)
    assert convert(root, "e4e").kind == "e4e"


def test_the_centre_is_added_unless_the_file_says_otherwise(content):
    root = content("psp-small-64/checkpoint.pt")
    assert convert(root).network("encoder").settings["add_centre"] is True
    root["opts"]["start_from_latent_avg"] = False
    assert convert(root).network("encoder").settings["add_centre"] is False


def test_other_encoders_are_refused(content):
    root = content("e4e-small-64/checkpoint.pt")
    state = root["state_dict"]
    resnet = {name: value for name, value in state.items() if not name.startswith("encoder.")}
    with pytest.raises(CheckpointError, match="this encoder has a ResNet backbone, which is unsupported"):
        convert({**root, "state_dict": {"encoder.conv1.weight": 0, **{k: 0 for k in resnet}}})
    with pytest.raises(CheckpointError, match="this encoder is of an unsupported kind"):
        convert({"state_dict": {"encoder.linear.weight": 0}})


def test_classes_and_other_networks_are_refused(content):
    root = content("nv-ada-skip-64/network-snapshot-000000.nosrc.pkl")
    root["G_ema"].state["c_dim"] = 10
    with pytest.raises(CheckpointError, match="conditioned on 10 classes; only unconditional ones are supported"):
        convert(root)
    modules = root["G_ema"].state["_modules"]["synthesis"].state["_modules"]
    modules["c4"] = modules.pop("b4")
    with pytest.raises(CheckpointError, match="network pickle of an unsupported kind"):
        convert(root)
    tensorflow = content("nv-tf-legacy-32/stylegan2-tf.pkl")
    tensorflow[2].state["components"]["synthesis"].state["variables"].clear()
    with pytest.raises(CheckpointError, match="TensorFlow network pickle, but not of StyleGAN2"):
        convert(tensorflow)


def test_one_module_in_two_places_is_refused(content):
    root = content("nv-ada-skip-64/network-snapshot-000000.nosrc.pkl")
    modules = root["G_ema"].state["_modules"]
    modules["again"] = modules["mapping"]
    with pytest.raises(CheckpointError, match="uses one module in two places"):
        convert(root)


@pytest.mark.parametrize(
    ("root", "match"),
    [
        ({"a": 1}, r"the file holds a dictionary with 1 entries \('a'\): not a network"),
        ([1], "the file holds a list: not a network that is known here; supported kinds: rosinality"),
        (None, "the file holds a NoneType"),
    ],
)
def test_unknown_content_is_described(root, match):
    with pytest.raises(CheckpointError, match=match):
        convert(root)


def test_missing_and_misshapen_tensors_are_named(generator_state):
    state, centre = generator_state
    lacking = {name: value for name, value in state.items() if name != "convs.2.activate.bias"}
    with pytest.raises(CheckpointError, match="lacks the tensor 'convs.2.activate.bias'"):
        convert({"g_ema": lacking, "latent_avg": centre})
    with pytest.raises(CheckpointError, match=r"'input.input' has shape \[1, 64, 4\], wanted \[1, 'any', 4, 4\]"):
        convert({"g_ema": {**state, "input.input": state["input.input"][:, :, 0]}, "latent_avg": centre})
    with pytest.raises(CheckpointError, match=r"latent_avg has shape \[1, 63\], wanted \[64\]"):
        convert({"g_ema": state, "latent_avg": centre[1:]})
    broken = state["input.input"].copy()
    broken[0, 0, 0, 0] = np.nan
    with pytest.raises(CheckpointError, match="'?input.input'? holds NaN or infinite values; the weights are damaged"):
        convert({"g_ema": {**state, "input.input": broken}, "latent_avg": centre})
    flat = {**state, "convs.0.conv.blur.kernel": np.zeros([4, 4], np.float32)}
    with pytest.raises(CheckpointError, match="the generator's synthesis.filter is not finite"):
        convert({"g_ema": flat, "latent_avg": centre})
    with pytest.raises(CheckpointError, match="input.input is a str, wanted a tensor"):
        convert({"g_ema": {**state, "input.input": "x"}, "latent_avg": centre})


def test_embedded_source_stays_text(golden):
    contents = read_file(golden("nv-ada-skip-64").path("network-snapshot-000000.nosrc.pkl"))
    sources = contents.sources()
    assert {"Generator", "MappingNetwork", "SynthesisNetwork"} <= sources.keys()
    assert all(isinstance(text, str) for text in sources.values())

from __future__ import annotations

import pytest
import torch

from engines.stylegan2 import Generator, GeneratorConfig, generator_from_tensors, mix_styles

NVLABS = ["nv-ada-skip-64", "nv-ada-resnet-32", "nv-ada-orig-32", "nv-sg3-stylegan2-64"]
PICTURE, CODE = 5e-5, 1e-5  # the stricter of the cases' two tolerances, for float32 on a CPU


def tensors_of(case):
    return {name: torch.from_numpy(array) for name, array in case.io.items()}


class Recorder:
    """Keeps what the layers of a generator put out, by the layer's name."""

    def __init__(self, generator: Generator) -> None:
        self.seen: dict[str, torch.Tensor] = {}
        for name, module in generator.synthesis.named_modules():
            if name:
                module.register_forward_hook(lambda _, __, result, name=name: self.seen.__setitem__(name, result))


@pytest.mark.parametrize("file", ["checkpoint.pt", "checkpoint-legacy.pt"])
def test_rosinality_pictures(golden, load_checkpoint, file):
    case = golden("rosinality-64")
    generator, given = load_checkpoint(case.path(file)).generator, tensors_of(case)
    explicit = [given[f"noise.{k}"] for k in range(9)]
    case.check("w", generator.mapping(given["z"]), CODE)
    case.check("w2", generator.mapping(given["z2"]), CODE)
    case.check("latent_avg", generator.centre[0], 0)
    case.check("w_psi07", generator.wplus_from_z(given["z"], 0.7)[:, 0], CODE)
    z = generator.wplus_from_z(given["z"])
    mixed = mix_styles(z, generator.wplus_from_z(given["z2"]), case.spec["inject_index_of_mix"])
    case.check("wplus_mix", mixed, CODE)
    draw = generator.synthesis
    case.check("image.z_buffers", draw(z), PICTURE)
    case.check("image.z_explicit", draw(z, explicit), PICTURE)
    case.check("image.z_zero", draw(z, "zero"), PICTURE)
    case.check("image.z_psi07_buffers", generator(given["z"], psi=0.7), PICTURE)
    case.check("image.wplus_buffers", draw(given["wplus"]), PICTURE)
    case.check("image.wplus_explicit", draw(given["wplus"], explicit), PICTURE)
    case.check("image.wplus_zero", draw(given["wplus"], "zero"), PICTURE)
    case.check("image.wplus_psi07_zero", draw(generator.truncate(given["wplus"], 0.7), "zero"), PICTURE)
    case.check("image.mix_explicit", draw(mixed, explicit), PICTURE)


def test_rosinality_layers(golden, load_checkpoint):
    case = golden("rosinality-64")
    generator, given = load_checkpoint(case.path("checkpoint.pt")).generator, tensors_of(case)
    recorder = Recorder(generator)
    generator.synthesis(given["wplus"][:1], [given[f"noise.{k}"] for k in range(9)])
    names = {"conv1": "blocks.4.conv1", "to_rgb1": "blocks.4.rgb"}
    for k in range(4):
        names[f"convs.{2 * k}"] = f"blocks.{8 << k}.conv0"
        names[f"convs.{2 * k + 1}"] = f"blocks.{8 << k}.conv1"
        names[f"to_rgbs.{k}"] = f"blocks.{8 << k}.rgb"
    for upstream, name in names.items():
        case.check(f"debug.style.{upstream}", recorder.seen[f"{name}.affine"], PICTURE)
    for r in (4, 8, 16, 32, 64):
        if r > 4:
            case.check(f"debug.feature_up.{r}", recorder.seen[f"blocks.{r}.conv0"], PICTURE)
        case.check(f"debug.feature.{r}", recorder.seen[f"blocks.{r}.conv1"], PICTURE)
        case.check(f"debug.rgb.{r}", recorder.seen[f"blocks.{r}"][1], PICTURE)


@pytest.mark.parametrize("name", NVLABS)
def test_nvlabs_pictures(golden, load_checkpoint, name):
    case = golden(name)
    (path,) = case.folder.glob("*.pkl")
    generator, given = load_checkpoint(path).generator, tensors_of(case)
    config = case.spec["config"]
    assert (generator.config.architecture, generator.config.clamp) == (config["architecture"], config["conv_clamp"])
    case.check("w_avg", generator.centre[0], 0)
    case.check("ws", generator.wplus_from_z(given["z"]), CODE)
    case.check("ws_psi07", generator.wplus_from_z(given["z"], 0.7), CODE)
    case.check("ws_psi07_cutoff4", generator.wplus_from_z(given["z"], 0.7, cutoff=4), CODE)
    draw = generator.synthesis
    case.check("image.const", draw(given["ws"]), PICTURE)
    case.check("image.none", draw(given["ws"], "zero"), PICTURE)
    case.check("image.psi07_const", draw(given["ws_psi07"]), PICTURE)
    case.check("image.psi07_cutoff4_none", draw(given["ws_psi07_cutoff4"], "zero"), PICTURE)
    case.check("image.wplus_const", draw(given["wplus"]), PICTURE)
    assert (draw(given["ws"]) - given["wrong.image_of_G_const"]).abs().max() > 0.01


@pytest.mark.parametrize("name", NVLABS)
def test_nvlabs_layers(golden, load_checkpoint, name):
    case = golden(name)
    (path,) = case.folder.glob("*.pkl")
    generator, given = load_checkpoint(path).generator, tensors_of(case)
    recorder = Recorder(generator)
    generator.synthesis(given["wplus"][:1])
    for tensor in [tensor for tensor in given if tensor.startswith("debug.")]:
        _, group, block, *rest = tensor.split(".")
        if group == "style":
            layer = rest[0].replace("torgb", "rgb")
            case.check(tensor, recorder.seen[f"blocks.{block[1:]}.{layer}.affine"], PICTURE)
        else:
            case.check(tensor, recorder.seen[f"blocks.{block[1:]}"][group == "rgb"], PICTURE)


def test_tensorflow_pictures(golden, load_checkpoint):
    case = golden("nv-tf-legacy-32")
    generator, given = load_checkpoint(case.path("stylegan2-tf.pkl")).generator, tensors_of(case)
    case.check("w_avg", generator.centre[0], 0)
    case.check("ws", generator.wplus_from_z(given["z"]), CODE)
    case.check("ws_psi07", generator.wplus_from_z(given["z"], 0.7), CODE)
    case.check("image.const", generator.synthesis(given["ws"]), PICTURE)
    case.check("image.none", generator.synthesis(given["ws"], "zero"), PICTURE)
    case.check("image.psi07_const", generator.synthesis(given["ws_psi07"]), PICTURE)


def random_generator(**changes) -> Generator:
    options = dict(resolution=16, z_dim=8, w_dim=6, mapping_layers=2, channels={4: 5, 8: 4, 16: 3}, architecture="skip")
    generator = Generator(GeneratorConfig(**{**options, **changes}))
    random = torch.Generator().manual_seed(3)
    for name, tensor in generator.state_dict().items():
        if name != "synthesis.filter":
            tensor.copy_(torch.randn(tensor.shape, generator=random))
    return generator.eval().requires_grad_(False)


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_the_shape_is_inferred_from_the_tensors(architecture):
    generator = random_generator(architecture=architecture, clamp=2.0, image_channels=4, centre_rows=6)
    again = generator_from_tensors(generator.state_dict(), clamp=2.0)
    assert again.config == generator.config
    z = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(again(z), generator(z), atol=0, rtol=0)
    assert again(z).shape == (2, 4, 16, 16)


def test_random_noise_follows_its_generator():
    generator = random_generator()
    wplus = generator.wplus_from_z(torch.ones(2, 8))
    first, again, other = (
        generator.synthesis(wplus, "random", torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    torch.testing.assert_close(first, again, atol=0, rtol=0)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])  # each sample has its own noise


def test_random_noise_has_the_spread_of_its_strength():
    generator = random_generator()
    maps = generator.synthesis.noise_maps("random", 500, torch.Generator().manual_seed(1))
    assert [tuple(m.shape) for m in maps] == [(500, 1, r, r) for r in (4, 8, 8, 16, 16)]
    assert all(abs(float(m.std()) - 1) < 0.02 and abs(float(m.mean())) < 0.02 for m in maps)


def test_errors_say_what_was_wanted():
    generator = random_generator()
    with pytest.raises(ValueError, match=r"W\+ has shape \[1, 5, 6\]; wanted \[N, 6, 6\]"):
        generator.synthesis(torch.zeros(1, 5, 6))
    with pytest.raises(ValueError, match="unknown noise 'loud'; wanted one of const, zero, random"):
        generator.synthesis(torch.zeros(1, 6, 6), "loud")
    with pytest.raises(ValueError, match="the noise maps have sizes"):
        generator.synthesis(torch.zeros(1, 6, 6), [torch.zeros(4, 4)])
    with pytest.raises(ValueError, match="cannot mix"):
        mix_styles(torch.zeros(1, 6, 6), torch.zeros(1, 6, 6), 7)
    with pytest.raises(ValueError, match="has no mapping network"):
        random_generator(mapping_layers=0, z_dim=6).wplus_from_z(torch.zeros(1, 6))
    with pytest.raises(ValueError, match="unknown architecture 'tree'"):
        random_generator(architecture="tree")
    with pytest.raises(ValueError, match="not a StyleGAN2 generator"):
        generator_from_tensors({})
    tensors = generator.state_dict()
    del tensors["synthesis.blocks.8.conv0.bias"]
    with pytest.raises(ValueError, match="do not fit a StyleGAN2 generator"):
        generator_from_tensors(tensors)

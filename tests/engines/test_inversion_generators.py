"""The bundled generator from training weights, and imported ones, as inversion draws them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engines.attributes import ATTRIBUTES, HAIR_STYLES, column
from engines.errors import ModelError
from engines.inversion_generators import ImportedInvertible, load_bundled, load_imported
from engines.motion import AT_REST
from engines.portrait import DIM, LAYERS, Mapping, PortraitGenerator
from engines.stylegan2 import Generator
from engines.stylegan2_config import GeneratorConfig

REST = torch.tensor(list(AT_REST.values()))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fresh weights, written as training writes them."""
    torch.manual_seed(0)
    mapping, generator = Mapping(len(ATTRIBUTES)), PortraitGenerator()
    mapping.mean.data[[column(name) for name in HAIR_STYLES]] = 1 / len(HAIR_STYLES)
    parts = {"mapping": mapping, "generator": generator}
    average = {f"module.{n}.{k}": v for n, part in parts.items() for k, v in part.state_dict().items()}
    file = tmp_path_factory.mktemp("weights") / "checkpoint.pt"
    torch.save({"average": average}, file)
    return file


def test_the_bundled_generator_draws_on_grey(checkpoint: Path) -> None:
    generator = load_bundled(REST, checkpoint)
    start = generator.start(dict.fromkeys(ATTRIBUTES, 0.5)).requires_grad_()
    picture = generator.draw(start[None])
    assert start.shape == (LAYERS, DIM) and picture.shape == (1, 3, 256, 256)
    assert picture.min() >= 0 and picture.max() <= 1
    picture.mean().backward()
    assert start.grad is not None and start.grad.abs().sum() > 0


def test_made_up_people_are_the_same_for_the_same_seed(checkpoint: Path) -> None:
    generator = load_bundled(REST, checkpoint)
    samples = generator.samples(64, 1)
    assert samples.shape == (64, DIM) and samples.std() > 0
    torch.testing.assert_close(generator.samples(64, 1), samples)
    assert not torch.equal(generator.samples(64, 2), samples)


def test_missing_and_other_weights_are_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no training weights at .*; inversion needs them: give --checkpoint FILE.pt"):
        load_bundled(REST, tmp_path / "none.pt")
    other = tmp_path / "other.pt"
    torch.save({"average": {"module.mapping.mean": torch.zeros(3)}}, other)
    with pytest.raises(ModelError, match="other.pt does not fit this version .*; give --checkpoint with a newer one"):
        load_bundled(REST, other)
    other.write_bytes(b"no weights")
    with pytest.raises(ModelError, match="does not fit this version"):
        load_bundled(REST, other)


def imported(layers: int) -> ImportedInvertible:
    torch.manual_seed(0)
    config = GeneratorConfig(16, 8, 8, layers, {4: 8, 8: 8, 16: 8}, "skip")
    generator = Generator(config).eval().requires_grad_(False)
    for parameter in generator.parameters():
        parameter.normal_(std=0.3)
    return ImportedInvertible(generator)


def test_imported_generators_draw_and_have_a_region() -> None:
    generator = imported(2)
    assert generator.rows == 6 and generator.centre().shape == (6, 8)
    assert generator.samples(5, 0).shape == (5, 8)
    picture = generator.draw(generator.centre()[None])
    assert picture.shape == (1, 3, 16, 16) and picture.min() >= 0 and picture.max() <= 1


def test_a_generator_without_mapping_has_no_region() -> None:
    with pytest.raises(ModelError, match="no mapping network, so nothing tells where its codes lie"):
        imported(0).samples(3, 0)


def test_a_missing_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="no imported model in"):
        load_imported(tmp_path)

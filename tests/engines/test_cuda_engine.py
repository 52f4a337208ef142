"""The CUDA engine's whole path, with its kernels run on the host."""

from __future__ import annotations

import pytest
import torch

from engines.cuda_engine import CudaGenerator
from engines.errors import EngineError
from engines.layer_choices import CUDNN, LayerChoices, stored_choices
from engines.layer_runners import layer_name
from engines.stylegan2 import Generator
from engines.stylegan2_config import GeneratorConfig
from kernels.emulation import emulated_program, emulation_refusal
from kernels.upfirdn2d import setup_filter
from tests.compare import check_close

pytestmark = pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))


def _generator(architecture: str = "skip", clamp: float | None = None) -> Generator:
    config = GeneratorConfig(16, 16, 16, 0, {4: 24, 8: 16, 16: 8}, architecture, clamp=clamp)
    generator = Generator(config).eval().requires_grad_(False)
    random = torch.Generator().manual_seed(5)
    for tensor in [*generator.parameters(), *generator.buffers()]:
        tensor.copy_(torch.randn(tensor.shape, generator=random) * (0.3 if tensor.ndim > 1 else 1.0))
    generator.synthesis.filter.copy_(setup_filter([1, 3, 3, 1]))
    return generator


def _compare(engine: CudaGenerator, generator: Generator, batch: int, noise: str) -> None:
    wplus = torch.randn(batch, generator.config.rows, 16, generator=torch.Generator().manual_seed(1))
    exact = generator.double().synthesis(wplus.double(), noise)
    plain = generator.half().synthesis(wplus.half(), noise)
    generator.float()
    check_close(engine.run(wplus), plain, exact, f"batch {batch}, noise {noise}")


@pytest.mark.parametrize(("batch", "noise", "clamp"), [(1, "const", 8.0), (3, "zero", None)])
def test_it_draws_what_the_network_draws(batch, noise, clamp):
    generator = _generator(clamp=clamp)
    engine = CudaGenerator(generator, batch, noise=noise, programs=emulated_program)
    _compare(engine, generator, batch, noise)
    again = engine.run().clone()
    assert torch.equal(again, engine.run()), "the same W+ draws the same picture"


def test_every_candidate_is_measured_once_and_the_fastest_draws(tmp_path):
    generator = _generator()
    measured = []

    def measure(call):
        call()
        measured.append(call)
        return -float(len(measured))  # the last candidate, cuDNN, seems the fastest

    choices = LayerChoices(tmp_path, {"gpu": "none"})
    engine = CudaGenerator(generator, choices=choices, measure=measure, programs=emulated_program)
    assert set(engine.describe().values()) == {"CudnnLayer"}
    _compare(engine, generator, 1, "const")
    count = len(measured)
    CudaGenerator(
        generator, choices=LayerChoices(tmp_path, {"gpu": "none"}), measure=measure, programs=emulated_program
    )
    assert len(measured) == count, "what is known is not measured again"


def test_choices_are_kept_for_their_own_identity_only(tmp_path):
    one = LayerChoices(tmp_path, {"gpu": "A"})
    assert one.choose("layer", ["x", "y"], {"x": 2.0, "y": 1.0}.__getitem__) == "y"
    assert LayerChoices(tmp_path, {"gpu": "A"}).lines() == ["layer: y, 1.0000 ms"]
    assert LayerChoices(tmp_path, {"gpu": "B"}).lines() == []
    assert stored_choices(tmp_path) == ["A", "layer: y, 1.0000 ms"]
    one.file.write_text("{")
    assert LayerChoices(tmp_path, {"gpu": "A"}).lines() == []
    assert stored_choices(tmp_path) == [f"{one.file.name} cannot be read; it is measured anew when it is needed"]
    with pytest.raises(ValueError, match="layer other has no candidates"):
        one.choose("other", [], lambda name: 0.0)


def test_a_layers_name_holds_what_its_time_depends_on():
    conv = _generator().synthesis.blocks["8"].conv0
    assert layer_name(conv.weight, 4, 2, 2) == "up2 24to16 4px n2"
    assert layer_name(torch.zeros(5, 3, 1, 1), 64, 1, 1, True) == "1x1 up1 3to5 64px n1 trimmed"
    assert CUDNN == "cudnn"


def test_what_it_cannot_draw_is_refused_with_the_reason():
    with pytest.raises(
        EngineError, match="cannot draw this generator .architecture resnet, 4 filter taps.; wanted skip"
    ):
        CudaGenerator(_generator("resnet"), programs=emulated_program)
    with pytest.raises(ValueError, match="noise is 'random'; wanted const or zero"):
        CudaGenerator(_generator(), noise="random", programs=emulated_program)
    with pytest.raises(ValueError, match=r"W\+ has shape \[2, 6, 16\]; wanted \[1, 6, 16\]"):
        CudaGenerator(_generator(), programs=emulated_program).run(torch.zeros(2, 6, 16))

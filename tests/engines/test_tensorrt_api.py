"""The TensorRT engine's code run on a stand-in that is as narrow as the real bindings' names and arguments.

``tensorrt_api`` holds what ``tools/tensorrt_api.py`` read off the real bindings, 10.16 and 11.4.
"""

from __future__ import annotations

import copy
import inspect
import json
import sys
from pathlib import Path

import pytest
import torch

from engines.encoders import StyleEncoder
from engines.encoders_config import EncoderConfig
from engines.engine_cache import EngineCache
from engines.errors import EngineError
from engines.onnx_export import HalfSynthesis, onnx_bytes
from engines.stylegan2_config import GeneratorConfig
from engines.tensorrt_engine import TensorRtEngine, Upgrading, build, difference, engine_from_onnx, key_of
from kernels import program
from tests.engines import stand_in_tensorrt as stand_in
from tests.gpu_on_host import OnHost, imagine_a_gpu
from tools.gpu import random_generator

API = {path.stem: json.loads(path.read_text()) for path in (Path(__file__).parent / "tensorrt_api").glob("*.json")}


@pytest.mark.parametrize("version", API)
def test_the_stand_in_has_the_names_and_arguments_of_the_real_bindings(version):
    for kind, members in API[version]["classes"].items():
        for name, overloads in members.items():
            own = getattr(stand_in, kind)
            if isinstance(overloads, str):
                continue  # a property
            parameters = inspect.signature(getattr(own, name)).parameters.values()
            taken = [p.name + ("" if p.default is p.empty else "=") for p in parameters]
            assert taken in overloads, f"{kind}.{name} takes {taken}; TensorRT {version}: {overloads}"
    enums = API[version]["enums"]
    for name in ("NetworkDefinitionCreationFlag", "MemoryPoolType", "TensorIOMode", "DataType"):
        assert {member.name for member in getattr(stand_in, name)} <= set(enums[name])
    assert {member.name for member in stand_in.Logger.Severity} <= set(enums["Logger.Severity"])
    settable = API[version]["classes"]["IBuilderConfig"]
    for name in ("builder_optimization_level", "progress_monitor"):
        assert settable[name] == "property, settable"


@pytest.fixture(params=API)
def tensorrt(monkeypatch, request):
    """TensorRT and a GPU, both stood for; yields the mode to run under."""
    monkeypatch.setitem(sys.modules, "tensorrt", stand_in.module(API[request.param]["version"]))
    monkeypatch.setattr("engines.tensorrt_engine.driver_version", lambda: 13000)
    with imagine_a_gpu(monkeypatch) as mode:
        yield mode
    program.cuda_program.cache_clear()


@pytest.fixture(scope="module")
def exported():
    """A small generator, a W+ and the generator's ONNX file."""
    generator = random_generator(GeneratorConfig(16, 16, 16, 0, {4: 16, 8: 16, 16: 8}, "skip", clamp=64.0), "cpu")
    wplus = torch.randn(1, 6, 16, generator=torch.Generator().manual_seed(1)).half()
    return generator, wplus, onnx_bytes(HalfSynthesis(generator), [wplus], ["wplus"], "picture")


@pytest.fixture(scope="module")
def encoder():
    """A small encoder, a crop and the encoder's ONNX file."""
    config = EncoderConfig(3, 8, ((8, 8, 2, 2),) * 4, (4,) * 4, 16, (), deltas=True)
    torch.manual_seed(2)
    network = StyleEncoder(config).eval().requires_grad_(False)
    crop = torch.rand(1, 3, 256, 256) * 2 - 1
    return network, crop, onnx_bytes(copy.deepcopy(network).half(), [crop.half()], ["crop"], "codes")


def test_a_generator_is_built_kept_found_and_draws_what_the_reference_draws(tensorrt, exported, tmp_path):
    generator, wplus, onnx = exported
    exact = copy.deepcopy(generator).double().synthesis(wplus.double())
    cache, said = EngineCache(tmp_path / "engines"), []
    for _ in range(2):
        engine = engine_from_onnx(onnx, cache, say=said.append, level=1)
        assert difference([exact], engine.infer(wplus)) < 0.01
    assert said[0] == "TensorRT: Building" and said[-1] == "TensorRT: Building 100 %" and len(said) == 11
    assert (tmp_path / "engines" / "timing.cache").read_bytes() == b"measured"
    with pytest.raises(ValueError, match=r"the inputs have shapes \[\[1, 7, 16\]\]; wanted \[\[1, 6, 16\]\]"):
        engine.infer(torch.zeros(1, 7, 16))


@pytest.mark.parametrize("factor", [1.0, 1.1])
def test_an_encoder_takes_over_only_when_it_gives_the_same(tensorrt, encoder, tmp_path, factor):
    network, crop, onnx = encoder
    said = []

    def built():
        with OnHost():  # modes hold for their own thread
            engine = engine_from_onnx(onnx, EngineCache(tmp_path), say=said.append)
        return lambda x: engine.infer(x.half())

    model = Upgrading(lambda x: (network(x) * factor,), built, [[crop]], said.append)
    model.wait()
    assert model.upgraded == (factor == 1.0), said
    assert ("has taken over" if model.upgraded else "is not used: it differs by 0.09") in said[-1]


FOREIGN = {
    "truncated": (lambda data: data[:-5], "is truncated"),
    "damaged": (lambda data: data[:-1] + b"?", "is damaged"),
    "of another program": (lambda data: b"ftrt" + data, "is no engine of this program"),
    "for another GPU": (lambda data: data.replace(b"an imagined GPU", b"NVIDIA A"), "was built for gpu NVIDIA A 9.0"),
    "of another TensorRT": (lambda data: data.replace(b"sorRT 1", b"sorRT 7"), "was built for runtime TensorRT 7"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_that_must_not_be_used_is_refused_with_the_reason_and_built_anew(tensorrt, exported, tmp_path, name):
    _, wplus, onnx = exported
    cache, said = EngineCache(tmp_path), []
    wanted = engine_from_onnx(onnx, cache, say=lambda text: None).infer(wplus)[0].clone()
    file = cache.path(key_of(onnx))
    change, reason = FOREIGN[name]
    file.write_bytes(change(file.read_bytes()))
    got = engine_from_onnx(onnx, cache, say=said.append).infer(wplus)[0]
    assert reason in said[0] and said[0].endswith("it is built anew") and said[-1] == "TensorRT: Building 100 %"
    assert torch.equal(got, wanted)


def test_an_engine_that_tensorrt_does_not_take_is_built_anew(tensorrt, exported, tmp_path):
    _, wplus, onnx = exported
    cache, said = EngineCache(tmp_path), []
    cache.store(key_of(onnx), b"whole, and nothing that this TensorRT knows")
    engine_from_onnx(onnx, cache, say=said.append).infer(wplus)
    assert said[0] == "TensorRT does not take the engine; it is built anew" and "TensorRT: Building" in said


@pytest.mark.parametrize("known", [b"broken", b"of another GPU"])
def test_a_foreign_timing_cache_is_begun_anew(tensorrt, exported, tmp_path, known):
    timing, said = tmp_path / "timing.cache", []
    timing.write_bytes(known)
    build(exported[2], timing, say=said.append)
    assert said[0] == "TensorRT: the timing cache is of another GPU or version; it is begun anew"
    assert timing.read_bytes() == b"measured"


def test_an_engine_is_not_lost_where_nothing_can_be_written(tensorrt, exported, tmp_path):
    (tmp_path / "file").write_text("no folder")
    said = []
    engine_from_onnx(exported[2], EngineCache(tmp_path / "file"), say=said.append).infer(exported[1])
    assert len([line for line in said if "cannot be written (" in line]) == 2


def test_failures_are_told_in_tensorrts_words(tensorrt, exported, tmp_path, monkeypatch):
    with pytest.raises(EngineError, match="TensorRT cannot read the model: error 0: no ONNX"):
        build(b"none", tmp_path / "timing", say=print)
    monkeypatch.setattr(stand_in.Builder, "runs_out", True)
    with pytest.raises(EngineError, match="TensorRT could not build the model; its log above says why"):
        build(exported[2], tmp_path / "timing", say=print)
    monkeypatch.setattr(stand_in.ICudaEngine, "create_execution_context", lambda engine, strategy=None: None)
    with pytest.raises(EngineError, match="the GPU has too little free memory for it"):
        TensorRtEngine(stand_in.MADE + exported[2])

"""The bundled model as the GPU draws it, its kernels run on the host, against its other runtimes."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from engines import cuda_bundled
from engines.attributes import ATTRIBUTES
from engines.bundled import LAYERS, WEIGHTS, load, manifest, verify
from engines.cuda_bundled import (
    CudaMotionCode,
    CudaPortraitSynthesis,
    HeldOnGpu,
    MadeOnce,
    portrait_network,
    top_network,
)
from engines.cuda_portrait import CudaPortrait
from engines.errors import ModelError
from engines.motion import AT_REST
from engines.portrait_top import LargeGenerator, Top, begin
from kernels.emulation import emulated_program, emulation_refusal
from realtime.editing import Editor
from realtime.frames import Latent
from realtime.traits import to_attributes
from tests.compare import check_close
from tests.gpu_on_host import imagine_a_gpu
from tests.recorded_graphs import recording

emulated = pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))


GRID = 8  # small pictures: the processor does slowly what a GPU does at once


@pytest.fixture(scope="module")
def person():
    """w and motion of somebody who smiles to the side."""
    attributes = to_attributes({})
    (w,) = load("toon").mapping.infer(np.array([[attributes[name] for name in ATTRIBUTES]], np.float32))
    motion = {**AT_REST, "yaw": 0.3, "pitch": -0.1, "jaw_open": 0.4, "corner_l": 0.5, "gaze_x": 0.4}
    return w.copy(), np.array([list(motion.values())], np.float32)


@pytest.fixture(scope="module")
def network():
    """The bundled network."""
    return portrait_network(_file())


def _file():
    return verify(manifest()["portrait"])


def _eye(codes):
    """The part of a spatial motion code around an eye and the hair's edge, for a picture of 64 px."""
    return [code[..., 8 << k : (8 + GRID) << k, 10 << k : (10 + GRID) << k] for k, code in enumerate(codes)]


@emulated
@torch.no_grad()
def test_the_engine_draws_what_the_network_draws(person, network):
    w, motion = (torch.from_numpy(values) for values in person)
    wplus = w[:, None].repeat(1, LAYERS, 1)
    wplus[:, 5:] += 0.3 * torch.randn(LAYERS - 5, w.shape[1], generator=torch.Generator().manual_seed(1))
    codes = _eye(network.motion_code(w, motion))
    engine = CudaPortrait(network, programs=emulated_program, grid=GRID)
    got = engine.run(wplus, codes).permute(0, 3, 1, 2)
    exact = copy.deepcopy(network).double()
    wanted = exact.synthesis(codes[0].double(), wplus.double().unbind(1), [c.double() for c in codes[1:]])[-1]
    half = copy.deepcopy(network).half()
    plain = half.synthesis(codes[0].half(), wplus.half().unbind(1), [c.half() for c in codes[1:]])[-1]
    print(float((got - wanted).abs().max()), float((plain - wanted).abs().max()), float(wanted.std()))
    assert wanted.std() > 0.1
    check_close(got, plain, wanted, "the bundled generator", floor=1e-3)


@pytest.fixture(scope="module")
def top(network):
    """A top that has something of its own to say."""
    torch.manual_seed(4)
    made = Top()
    begin(made, network)
    with torch.no_grad():
        for layer in (made.rgb.affine, made.cover.seen):
            layer.weight += 0.02 * torch.randn_like(layer.weight)
    return made.eval().requires_grad_(False)


@emulated
@torch.no_grad()
def test_the_engine_draws_512_px_as_the_network_does(person, network, top):
    w, motion = (torch.from_numpy(values) for values in person)
    wplus = w[:, None].repeat(1, LAYERS, 1)
    wplus[:, 5:] += 0.3 * torch.randn(LAYERS - 5, w.shape[1], generator=torch.Generator().manual_seed(1))
    large = LargeGenerator(network, top)
    codes = [code[..., 10 << k : 14 << k, 12 << k : 16 << k] for k, code in enumerate(large.motion_code(w, motion))]
    engine = CudaPortrait(network, programs=emulated_program, grid=4, top=top)
    got = engine.run(wplus, codes).permute(0, 3, 1, 2)
    assert got.shape == (1, 4, 64, 64)
    exact, half = copy.deepcopy(large).double(), copy.deepcopy(large).half()
    wanted = exact.synthesis(codes[0].double(), wplus.double(), [c.double() for c in codes[1:]])
    plain = half.synthesis(codes[0].half(), wplus.half(), [c.half() for c in codes[1:]])
    assert wanted.std() > 0.1
    check_close(got, plain, wanted, "the bundled generator with its top", floor=1e-3)


@emulated
def test_a_file_of_a_top_is_drawn_with(person, network, top, tmp_path):
    from safetensors.torch import save_file

    file = tmp_path / "portrait_top.safetensors"
    save_file({f"top.{name}": value.contiguous() for name, value in top.state_dict().items()}, file)
    read = top_network(file)
    for name, value in top.state_dict().items():
        assert torch.equal(read.state_dict()[name], value), name
    w, motion = person
    motion_code = CudaMotionCode(LargeGenerator(network, read), "cpu")
    codes = motion_code.infer(w, motion)
    assert [code.shape[-1] for code in codes] == [32, 64, 128, 256]
    synthesis = CudaPortraitSynthesis(CudaPortrait(network, programs=emulated_program, grid=2, top=read))
    held = [HeldOnGpu(code.tensor[..., 24 << k : 26 << k, 24 << k : 26 << k]) for k, code in enumerate(codes)]
    (rgba,) = synthesis.infer(np.repeat(w[:, None], LAYERS, axis=1), *held)
    assert rgba.shape == (1, 4, 32, 32) and rgba.std() > 0
    file.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="portrait_top.* cannot be read .*; install avatar-live again"):
        top_network(file)


def test_the_tensors_are_those_of_the_exported_networks(person, network):
    """Plain torch from the GPU's file against the files that OpenVINO runs: one cannot be renewed without the other."""
    w, motion = person
    wplus = np.repeat(w[:, None], LAYERS, axis=1)
    model = load("toon", precision="f32")
    theirs = [code.copy() for code in model.motion_code.infer(w, motion)]
    ours = CudaMotionCode(network, "cpu").infer(w, motion)
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        assert np.quantile(np.abs(np.asarray(one) - other), 0.999) < 0.02  # parabolas for sines there
    with torch.no_grad():
        codes = [torch.from_numpy(code) for code in theirs]
        drawn = network.synthesis(codes[0], torch.from_numpy(wplus).unbind(1), codes[1:])[-1].numpy()
    (exported,) = model.synthesis.infer(wplus, *theirs)
    assert 0.2 < exported[:, 3].mean() < 0.9
    assert np.abs(drawn - exported).mean() < 0.01 and np.abs(drawn - exported).max() < 0.05


@emulated
def test_codes_stay_on_the_gpu_or_come_from_elsewhere(person, network):
    w, motion = person
    wplus = np.repeat(w[:, None], LAYERS, axis=1)
    motion_code = CudaMotionCode(network, "cpu")
    first, second = motion_code.infer(w, motion), motion_code.infer(w, motion * 0)
    assert not np.array_equal(np.asarray(first[0]), np.asarray(second[0])), "codes are their holder's own"
    assert isinstance(first[0], HeldOnGpu) and np.asarray(first[0], np.float64).dtype == np.float64
    assert motion_code.describe() == "torch f32 on cpu"
    synthesis = CudaPortraitSynthesis(CudaPortrait(network, programs=emulated_program, grid=2))
    held = [HeldOnGpu(code.tensor[..., 24 << k : 26 << k, 24 << k : 26 << k]) for k, code in enumerate(first)]
    (one,) = synthesis.infer(wplus, *held)
    one = one.copy()
    assert one.shape == (1, 4, 16, 16) and one.std() > 0
    (two,) = synthesis.infer(wplus, *(np.asarray(code) for code in held))
    np.testing.assert_array_equal(one, two)
    assert synthesis.describe() == "CUDA kernels f16 on the processor, emulated"


@emulated
def test_other_edits_and_people_need_no_new_capture(person, network, monkeypatch):
    mode, graphs = imagine_a_gpu(monkeypatch), []
    monkeypatch.setattr(cuda_bundled, "captured", recording(monkeypatch, graphs))
    latent = Latent(0, 0, np.repeat(person[0], LAYERS, axis=0), person[1][0], np.eye(2, 3), True)
    plain, drawn = CudaPortrait(network, programs=emulated_program, grid=2), []
    with mode:
        motion_code = CudaMotionCode(network, "cuda")
        synthesis = CudaPortraitSynthesis(CudaPortrait(network, programs=emulated_program, grid=2))
        editor = Editor(load("toon").directions, {})
        for edits in ({}, {"age": 1.5}, {"smile": 1.0, "hair_long": -1.0}):
            editor.wear(edits)
            code = editor.edit(latent)
            codes = [held.tensor for held in motion_code.infer(code.wplus[:1], code.motion[None])]
            with torch.no_grad():
                wanted = network.motion_code(torch.from_numpy(code.wplus[:1]), torch.from_numpy(code.motion[None]))
            for one, other in zip(codes, wanted, strict=True):
                torch.testing.assert_close(one, other, rtol=0, atol=1e-4)
            eye = [one[..., 24 << k : 26 << k, 24 << k : 26 << k] for k, one in enumerate(codes)]
            (rgba,) = synthesis.infer(code.wplus[None], *map(HeldOnGpu, eye))
            exact = plain.run(torch.from_numpy(code.wplus[None]), eye).permute(0, 3, 1, 2).numpy()
            np.testing.assert_allclose(rgba, exact, atol=1e-5)
            drawn.append(rgba.copy())
    assert graphs == [motion_code.replay, synthesis.replay]
    assert min(np.abs(one - drawn[0]).max() for one in drawn[1:]) > 1e-3, "edits show"


class MadeHere(TorchDispatchMode):
    """Counts tensors that are made of Python's numbers: on a GPU each is a copy from the host."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += str(func).split(".")[1] in ("lift_fresh", "scalar_tensor", "_to_copy")
        return func(*args, **(kwargs or {}))


def test_a_second_run_of_the_motion_code_copies_nothing_from_the_host(network):
    """A captured graph cannot hold a copy from the host."""
    motion_code = CudaMotionCode(network, "cpu")  # the first run makes the constants
    with MadeHere() as plain, torch.no_grad():
        network.motion_code(motion_code._w, motion_code._motion)
    with MadeHere() as again:
        motion_code._compute()
    assert plain.count > 10 and again.count == 0


def test_constants_are_made_once():
    x = torch.ones(2)
    with MadeOnce():
        one, two = x.new_tensor([1.0, 2.0]), x.new_tensor([1.0, 2.0])
        assert one is two and x.new_tensor([3.0]) is not one
        assert torch.where(x > 0, 0.5, x).tolist() == [0.5, 0.5]


def test_files_that_do_not_fit_say_so(tmp_path):
    from safetensors.torch import load_file, save_file

    file = tmp_path / "portrait.safetensors"
    file.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be read .*; install avatar-live again"):
        portrait_network(file)
    tensors = load_file(WEIGHTS / "portrait.safetensors")
    save_file({name: value for name, value in tensors.items() if "rgb.0" not in name}, file)
    with pytest.raises(ModelError, match="does not fit this version .*rgb.0.* install it again"):
        portrait_network(file)

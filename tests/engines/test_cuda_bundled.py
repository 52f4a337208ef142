"""The bundled model as the GPU draws it, its kernels run on the host, against its other runtimes."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from engines import cuda_bundled
from engines.attributes import ATTRIBUTES
from engines.bundled import LAYERS, WEIGHTS, load, manifest, verify
from engines.cuda_bundled import CudaDrawer, MadeOnce, portrait_network, straight_into, top_network
from engines.cuda_portrait import CudaPortrait
from engines.errors import ModelError
from engines.motion import AT_REST
from engines.pictures import straight
from engines.portrait_top import LargeGenerator, Top, begin
from kernels.emulation import emulated_program, emulation_refusal
from realtime.editing import Editor
from realtime.frames import Latent
from realtime.traits import to_attributes
from tests.compare import check_close
from tests.gpu_on_host import imagine_a_gpu
from tests.recorded_graphs import recording

emulated = pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))


GRID, TINY = 8, 2  # small pictures: the processor does slowly what a GPU does at once


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


def _eye(codes, grid=GRID):
    """The part of a spatial motion code around an eye and the hair's edge, for a picture of 8 x grid pixels."""
    return [code[..., 8 << k : (8 + grid) << k, 10 << k : (10 + grid) << k] for k, code in enumerate(codes)]


def tiny_drawer(network, top=None):
    """What draws tiny pictures of an eye with the bundled weights."""
    whole = network if top is None else LargeGenerator(network, top)
    engine = partial(CudaPortrait, network, programs=emulated_program, grid=TINY, top=top)
    return CudaDrawer(lambda w, motion: _eye(whole.motion_code(w, motion), TINY), engine)


def _people(person, count):
    """W+ and motion codes of different people who do different things."""
    w, motion = person
    random = np.random.default_rng(3)
    wplus = np.repeat(w, LAYERS, axis=0)[None] + 0.4 * random.standard_normal((count, 1, w.shape[1]))
    return wplus.astype(np.float32), motion * np.linspace(1, -1, count, dtype=np.float32)[:, None]


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
    wplus, motion = _people(person, 2)
    together, (alone,) = (
        tiny_drawer(network, read).draw(wplus, motion),
        tiny_drawer(network, read).draw(wplus[:1], motion[:1]),
    )
    assert [one.shape for one in together] == [(32, 32, 4)] * 2 and together[0].std() > 0
    _check_bytes(together[0], alone)
    file.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="portrait_top.* cannot be read .*; install avatar-live again"):
        top_network(file)


def test_the_tensors_are_those_of_the_exported_networks(person, network):
    """Plain torch from the GPU's file against the files that OpenVINO runs: one cannot be renewed without the other."""
    w, motion = person
    wplus = np.repeat(w[:, None], LAYERS, axis=1)
    model = load("toon", precision="f32")
    theirs = [code.copy() for code in model.drawer.motion_code.infer(w, motion)]
    with torch.no_grad():
        ours = network.motion_code(torch.from_numpy(w), torch.from_numpy(motion))
        for one, other in zip(ours, theirs, strict=True):
            assert one.shape == other.shape
            assert np.quantile(np.abs(one.numpy() - other), 0.999) < 0.02  # parabolas for sines there
        codes = [torch.from_numpy(code) for code in theirs]
        drawn = network.synthesis(codes[0], torch.from_numpy(wplus).unbind(1), codes[1:])[-1].numpy()
    (exported,) = model.drawer.synthesis.infer(wplus, *theirs)
    assert 0.2 < exported[:, 3].mean() < 0.9
    assert np.abs(drawn - exported).mean() < 0.01 and np.abs(drawn - exported).max() < 0.05


def _check_bytes(got, wanted):
    """Halves are rounded in another order where a layer is laid out for another batch."""
    difference = np.abs(got.astype(int) - wanted)
    assert got.shape == wanted.shape and difference.max() <= 2 and difference.mean() < 0.1, difference.max()


def test_bytes_are_those_of_the_processor():
    rgba = torch.randn(3, 37, 29, 4, generator=torch.Generator().manual_seed(5)) * 0.6 + 0.5
    rgba[0, :, :, 3], rgba[1, :5] = 1.0, 0.0
    pixels = torch.zeros(3, 37, 29, 4, dtype=torch.uint8)
    straight_into(pixels, rgba)
    wanted = np.stack([straight(one.permute(2, 0, 1).numpy()) for one in rgba])
    assert np.abs(pixels.numpy().astype(int) - wanted).max() <= 1
    assert (pixels.numpy() == wanted).mean() > 0.999 and 0.2 < (wanted[2] == 255).mean() < 0.8


@emulated
def test_pictures_are_the_callers_own_and_what_the_engine_draws(person, network):
    wplus, motion = _people(person, 2)
    drawer = tiny_drawer(network)
    (one,) = drawer.draw(wplus[:1], motion[:1])
    kept = one.copy()
    assert one.shape == (16, 16, 4) and one.dtype == np.uint8
    wanted = straight(drawer.drawing(1).engine.run()[0].permute(2, 0, 1).numpy())
    assert np.abs(one.astype(int) - wanted).max() <= 1
    (other,) = drawer.draw(wplus[1:], motion[1:])
    np.testing.assert_array_equal(one, kept)
    assert np.abs(other.astype(int) - one).max() > 20
    assert drawer.describe() == "CUDA kernels f16 on the processor, emulated"


@pytest.fixture(scope="module")
def drawn_alone(person, network):
    """A drawer, four people, and what it draws of each alone."""
    drawer, people = tiny_drawer(network), _people(person, 4)
    alone = [drawer.draw(wplus[None], motion[None])[0] for wplus, motion in zip(*people, strict=True)]
    assert min(np.abs(one.astype(int) - other).max() for one, other in zip(alone, alone[1:], strict=False)) > 20
    return drawer, people, alone


@emulated
@pytest.mark.parametrize("count", [2, 4, 8])
def test_a_batch_draws_everyone_as_alone(drawn_alone, count):
    drawer, (wplus, motion), alone = drawn_alone
    who = [face % len(alone) for face in range(count)]
    for got, one in zip(drawer.draw(wplus[who], motion[who]), who, strict=True):
        _check_bytes(got, alone[one])


@emulated
def test_numbers_of_faces_share_the_weights(network):
    drawer = tiny_drawer(network)
    one, three = drawer.drawing(1).engine, drawer.drawing(3).engine
    assert one._packed is three._packed and one._table is three._table and one._colours is three._colours
    assert drawer.drawing(3).engine is three, "made once"


@emulated
def test_other_edits_and_people_need_no_new_capture(person, network, monkeypatch):
    mode, graphs = imagine_a_gpu(monkeypatch), []
    monkeypatch.setattr(cuda_bundled, "captured", recording(monkeypatch, graphs))
    plain, drawn = tiny_drawer(network), []
    assert all(plain.drawing(count).replay for count in (1, 2))  # made here, without a GPU
    wplus, motion = _people(person, 2)
    wplus[0] = person[0]  # as people are: edits end where they do
    latents = [Latent(0, 0, *codes, np.eye(2, 3), True) for codes in zip(wplus, motion, strict=True)]
    with mode:
        drawer = tiny_drawer(network)
        assert not graphs, "for whole frames there is no need of it"
        drawer.prepare()
        assert len(graphs) == 1
        editor = Editor(load("toon").directions, {})
        for edits, faces in (({}, 1), ({"age": 1.5}, 2), ({"smile": 1.0, "hair_long": 1.0}, 1)):
            editor.wear(edits)
            codes = [editor.edit(latent) for latent in latents[:faces]]
            given = np.stack([code.wplus for code in codes]), np.stack([code.motion for code in codes])
            drawn.append(drawer.draw(*given))
            for got, wanted in zip(drawn[-1], plain.draw(*given), strict=True):
                assert np.abs(got.astype(int) - wanted).max() <= 1
        assert graphs == [drawer.drawing(1).replay, drawer.drawing(2).replay]
    assert min(np.abs(one[0].astype(int) - drawn[0][0]).max() for one in drawn[1:]) > 2, "edits show"


class MadeHere(TorchDispatchMode):
    """Counts tensors that are made of Python's numbers: on a GPU each is a copy from the host."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += str(func).split(".")[1] in ("lift_fresh", "scalar_tensor", "_to_copy")
        return func(*args, **(kwargs or {}))


@emulated
def test_a_second_run_copies_nothing_from_the_host(network):
    """A captured graph cannot hold a copy from the host."""
    drawing = tiny_drawer(network).drawing(1)
    drawing.compute()  # makes the constants
    with MadeHere() as plain, torch.no_grad():
        network.motion_code(drawing.engine.wplus[:, 0], drawing.motion)
    with MadeHere() as again:
        drawing.compute()
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

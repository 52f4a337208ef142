"""The bundled model's pictures on a GPU; needs neither OpenVINO nor MediaPipe."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engines.bundled import LAYERS, manifest, verify
from engines.cuda_bundled import drawer_on_gpu, portrait_network, top_network
from engines.cuda_overlay import Head, OverlayEngine, Place
from engines.motion import AT_REST
from engines.pictures import straight
from engines.portrait import DIM
from engines.portrait_top import LargeGenerator, Top, begin
from kernels.overlay_heads import COLOURS, overlay_heads
from tests.compare import check_close

pytestmark = pytest.mark.gpu
W_SPREAD = 1.8  # as of the mapping's W
IN_TURN, WHOLE_FRAMES = (1, 3, 2, 4, 1), 10_000  # faces of one frame after the other; how many frames


def _people(count):
    """W+ float32 [N, rows, dim] and motion codes [N, motion] of people who turn and speak."""
    w = W_SPREAD * np.random.default_rng(1).standard_normal((count, 1, DIM)).astype(np.float32)
    motion = np.array([list({**AT_REST, "yaw": 0.3, "jaw_open": 0.4}.values())], np.float32)
    return np.repeat(w, LAYERS, axis=1), motion * np.linspace(1, -1, count, dtype=np.float32)[:, None]


def _check_drawn(drawer, network, what):
    """One picture against plain half precision, its motion code against the processor's, its bytes against straight."""
    wplus, motion = _people(1)
    (pixels,) = drawer.draw(wplus, motion)
    rgba = drawer.drawing(1).engine.run().permute(0, 3, 1, 2)  # of the codes that the graph made
    rows, moved = torch.from_numpy(wplus), torch.from_numpy(motion)
    with torch.no_grad():
        on_cpu = network.motion_code(rows[:, 0], moved)
        network, rows, moved = network.cuda(), rows.cuda(), moved.cuda()
        codes = network.motion_code(rows[:, 0], moved)
        for one, other in zip(codes, on_cpu, strict=True):
            assert np.quantile(np.abs((one.cpu() - other).numpy()), 0.999) < 1e-3
        exact, plain = (
            _picture(copy.deepcopy(network).to(kind), codes, rows, kind) for kind in (torch.double, torch.half)
        )
    check_close(rgba, plain, exact, what, floor=1e-3)
    wanted = straight(rgba[0].cpu().numpy())
    assert np.abs(pixels.astype(int) - wanted).max() <= 1


def _picture(network, codes, wplus, kind):
    start, *maps = (code.to(kind) for code in codes)
    if isinstance(network, LargeGenerator):
        return network.synthesis(start, wplus.to(kind), maps)
    return network.synthesis(start, wplus.to(kind).unbind(1), maps)[-1]


def test_the_bundled_model_is_as_good_as_plain_half_precision():
    file = verify(manifest()["portrait"])
    _check_drawn(drawer_on_gpu(file), portrait_network(file), "the bundled generator")


def test_512_px_are_as_good_as_plain_half_precision(tmp_path):
    """With the weights' own top, or where there is none yet one that begins as the level below."""
    file = verify(manifest()["portrait"])
    network = portrait_network(file)
    if "portrait_top" in manifest():
        top = verify(manifest()["portrait_top"])
    else:
        made, top = Top(), tmp_path / "portrait_top.safetensors"
        begin(made, network)
        save_file({f"top.{name}": value.contiguous() for name, value in made.state_dict().items()}, top)
    drawer = drawer_on_gpu(file, top=top)
    assert drawer.drawing(1).engine.size_px == 512
    _check_drawn(drawer, LargeGenerator(network, top_network(top)), "the bundled generator at 512 px")


@pytest.mark.parametrize("faces", [1, 4])
def test_a_graph_gives_the_same_bytes_as_single_launches(faces):
    drawer = drawer_on_gpu(verify(manifest()["portrait"]))
    drawn = np.stack(drawer.draw(*_people(faces)))
    drawing = drawer.drawing(faces)
    drawing.compute()
    assert np.array_equal(drawing.pixels.cpu().numpy(), drawn)


def test_several_faces_are_drawn_as_each_alone():
    drawer, (wplus, motion) = drawer_on_gpu(verify(manifest()["portrait"])), _people(4)
    for number, got in enumerate(drawer.draw(wplus, motion)):
        (alone,) = drawer.draw(wplus[number : number + 1], motion[number : number + 1])
        difference = np.abs(got.astype(int) - alone)
        assert difference.mean() < 0.3 and np.quantile(difference, 0.999) <= 3


FRAMES = np.random.default_rng(0).integers(0, 256, (5, 720, 1280, 3), np.uint8)
FADE = np.linspace(1, 0.5, 256 * 256, dtype=np.float32).reshape(256, 256)


def _heads(count):
    """Side by side; the second is half gone."""
    _, height, width, _ = FRAMES.shape
    heads = []
    for k, code in enumerate(zip(*_people(count), strict=True)):
        into = (0.8, 0, -0.2 * width * k, 0, 0.8, -0.2 * height)
        heads.append(Head(*code, Place(into, 0, True, 0.5 if k == 1 else 1.0)))
    return heads


def _covers(count):
    """Each hides all of its box."""
    _, height, width, _ = FRAMES.shape
    wide, high, random = width // 4, height // 2, np.random.default_rng(2)
    mask = np.full((high // 4, wide // 4), 255, np.uint8)
    boxes = [(wide * k, height // 5, wide, high) for k in range(count)]
    colours = random.integers(0, 256, (count, 32, 32, 3), np.uint8)
    return [SimpleNamespace(box=box, mask=mask, colours=fill) for box, fill in zip(boxes, colours, strict=True)]


def _as_parts(drawer, frame, heads, covers):
    """By way of straight bytes and the plain reference."""
    rows = torch.tensor([head.place.numbers() for head in heads])
    room = torch.zeros(len(heads), COLOURS + covers[0].mask.size, dtype=torch.uint8)
    for k, cover in enumerate(covers):
        rows[k, 9:] = torch.tensor([*cover.box, *cover.mask.shape[::-1], *cover.colours.shape[1::-1]])
        room[k, :COLOURS] = torch.from_numpy(cover.colours).reshape(-1)
        room[k, COLOURS:] = torch.from_numpy(cover.mask).reshape(-1)
    drawn = drawer.draw(np.stack([head.wplus for head in heads]), np.stack([head.motion for head in heads]))
    rgba = torch.from_numpy(np.stack(drawn)).double() / 255
    rgba = torch.cat([rgba[..., :3].flip(3) * rgba[..., 3:], rgba[..., 3:]], 3)
    given = (torch.from_numpy(frame), rgba, torch.from_numpy(FADE).double(), rows.double(), room)
    return overlay_heads(*given, impl="reference").numpy()


def test_whole_frames_are_those_of_single_launches_and_of_the_parts():
    """Through graphs and streams, with two frames on their way and another number of faces each time."""
    drawer, pictures = drawer_on_gpu(verify(manifest()["portrait"])), []
    for graph in (True, False):
        engine = OverlayEngine(drawer.drawing, *FRAMES.shape[1:3], max(IN_TURN), FADE, graph=graph)
        turns = zip(FRAMES, IN_TURN, strict=True)
        tickets = [engine.submit(frame, _heads(count), _covers(count)) for frame, count in turns]
        pictures.append([ticket.result() for ticket in tickets])
    for one, two in zip(*pictures, strict=True):
        assert np.array_equal(one, two)
    for frame, count, picture in zip(FRAMES, IN_TURN, pictures[0], strict=True):
        wanted = _as_parts(drawer, frame, _heads(count), _covers(count))
        assert np.abs(picture.astype(int) - wanted).max() <= 3  # cubics make more of bytes that are rounded


def test_ten_thousand_whole_frames_take_no_more_memory():
    engine = drawer_on_gpu(verify(manifest()["portrait"])).whole_frames(*FRAMES.shape[1:3], 2, FADE)
    heads, covers = ({count: make(count) for count in (1, 2)} for make in (_heads, _covers))
    free, held = [], []
    for number in range(WHOLE_FRAMES):
        count, canvas = 1 + number % 2, None if number % 3 else FRAMES[0]
        engine.submit(canvas, heads[count], covers[count]).result()
        if number in (WHOLE_FRAMES // 100, WHOLE_FRAMES - 1):
            free.append(torch.cuda.mem_get_info()[0])
            held.append(torch.cuda.memory_allocated())
    assert held[1] == held[0], f"torch holds {held[1] - held[0]} bytes more"
    assert free[0] - free[1] <= 1 << 20, f"{free[0] - free[1]} bytes were not given back"

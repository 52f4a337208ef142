"""The bundled model's pictures on a GPU; needs neither OpenVINO nor MediaPipe."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engines.bundled import LAYERS, manifest, verify
from engines.cuda_bundled import drawer_on_gpu, portrait_network, top_network
from engines.motion import AT_REST
from engines.pictures import straight
from engines.portrait import DIM
from engines.portrait_top import LargeGenerator, Top, begin
from tests.compare import check_close

pytestmark = pytest.mark.gpu
W_SPREAD = 1.8  # as of the mapping's W


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

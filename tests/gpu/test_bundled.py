"""The bundled model's networks on a GPU; needs neither OpenVINO nor MediaPipe."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engines.bundled import LAYERS, manifest, verify
from engines.cuda_bundled import networks_on_gpu, portrait_network
from engines.motion import AT_REST
from engines.portrait import DIM
from engines.portrait_top import Top, begin
from tests.compare import check_close

pytestmark = pytest.mark.gpu
W_SPREAD = 1.8  # as of the mapping's W


def test_the_bundled_model_is_as_good_as_plain_half_precision():
    file = verify(manifest()["portrait"])
    motion_code, synthesis = networks_on_gpu(file)
    network = motion_code.network
    w = W_SPREAD * np.random.default_rng(1).standard_normal((1, DIM)).astype(np.float32)
    motion = np.array([list({**AT_REST, "yaw": 0.3, "jaw_open": 0.4}.values())], np.float32)
    wplus = np.repeat(w[:, None], LAYERS, axis=1)
    codes = motion_code.infer(w, motion)
    with torch.no_grad():
        on_cpu = portrait_network(file).motion_code(torch.from_numpy(w), torch.from_numpy(motion))
    for one, other in zip(codes, on_cpu, strict=True):
        assert np.quantile(np.abs(np.asarray(one) - other.numpy()), 0.999) < 1e-3
    (rgba,) = synthesis.infer(wplus, *codes)
    (again,) = synthesis.infer(wplus, *(np.asarray(code) for code in codes))
    assert np.array_equal(rgba, again)
    given = [code.tensor for code in codes]
    rows = torch.from_numpy(wplus).cuda()
    with torch.no_grad():
        exact = copy.deepcopy(network).double()
        wanted = exact.synthesis(given[0].double(), rows.double().unbind(1), [c.double() for c in given[1:]])[-1]
        half = copy.deepcopy(network).half()
        plain = half.synthesis(given[0].half(), rows.half().unbind(1), [c.half() for c in given[1:]])[-1]
    check_close(torch.from_numpy(rgba).cuda(), plain, wanted, "the bundled generator", floor=1e-3)


def test_512_px_are_as_good_as_plain_half_precision(tmp_path):
    """With the weights' own top, or where there is none yet one that begins as the level below."""
    file = verify(manifest()["portrait"])
    if "portrait_top" in manifest():
        top = verify(manifest()["portrait_top"])
    else:
        made, top = Top(), tmp_path / "portrait_top.safetensors"
        begin(made, portrait_network(file))
        save_file({f"top.{name}": value.contiguous() for name, value in made.state_dict().items()}, top)
    motion_code, synthesis = networks_on_gpu(file, top=top)
    w = W_SPREAD * np.random.default_rng(1).standard_normal((1, DIM)).astype(np.float32)
    motion = np.array([list({**AT_REST, "yaw": 0.3, "jaw_open": 0.4}.values())], np.float32)
    wplus = np.repeat(w[:, None], LAYERS, axis=1)
    codes = motion_code.infer(w, motion)
    (rgba,) = synthesis.infer(wplus, *codes)
    assert rgba.shape == (1, 4, 512, 512)
    given, rows = [code.tensor for code in codes], torch.from_numpy(wplus).cuda()
    with torch.no_grad():
        exact, half = copy.deepcopy(motion_code.network).double(), copy.deepcopy(motion_code.network).half()
        wanted = exact.synthesis(given[0].double(), rows.double(), [c.double() for c in given[1:]])
        plain = half.synthesis(given[0].half(), rows.half(), [c.half() for c in given[1:]])
    check_close(torch.from_numpy(rgba).cuda(), plain, wanted, "the bundled generator at 512 px", floor=1e-3)


def test_its_graphs_give_the_same_numbers_as_single_launches():
    motion_code, synthesis = networks_on_gpu(verify(manifest()["portrait"]))
    motion_code.replay()
    replayed = [code.clone() for code in motion_code._codes]
    motion_code._compute()
    for one, other in zip(replayed, motion_code._codes, strict=True):
        assert torch.equal(one, other)
    synthesis.replay()
    picture = synthesis._rgba.clone()
    synthesis._compute()
    assert torch.equal(picture, synthesis._rgba)

"""The live program's own stages on a GPU: whole frames of an imported model, and the bundled model's networks."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import pytest
import torch

from engines.attributes import ATTRIBUTES
from engines.bundled import LAYERS, load, manifest, verify
from engines.cuda_bundled import networks_on_gpu
from engines.motion import AT_REST
from kernels.program import cuda_program
from tests.compare import check_close
from tests.realtime.gpu_rig import cpu_stages, drawn_by, edits, gpu_stages, tracked
from tests.realtime.imported_model import models, tiny_models

__all__ = ["models", "tiny_models", "tracked"]
pytestmark = pytest.mark.gpu


def test_whole_frames_are_those_of_the_cpu(models, tracked):
    frames, faces = tracked
    worn = edits(models)
    on_gpu = partial(gpu_stages, device="cuda", programs=cuda_program)
    theirs, ours = (drawn_by(build, models, faces, frames, worn) for build in (cpu_stages, on_gpu))
    for frame, wanted, got in zip(frames, theirs, ours, strict=True):
        changed = (wanted.pixels != frame.pixels).any(axis=2)
        difference = np.abs(got.pixels.astype(int) - wanted.pixels.astype(int)).max(axis=2)
        assert difference[changed].mean() < 1.5 and np.percentile(difference[changed], 99) <= 8


def test_the_bundled_model_is_as_good_as_plain_half_precision():
    model = load("toon")
    (w,) = model.mapping.infer(np.zeros((1, len(ATTRIBUTES)), np.float32))
    motion = np.array([list({**AT_REST, "yaw": 0.3, "jaw_open": 0.4}.values())], np.float32)
    wplus = np.repeat(w[:, None], LAYERS, axis=1)
    motion_code, synthesis = networks_on_gpu(verify(manifest()["portrait"]))
    codes = motion_code.infer(w, motion)
    for one, other in zip(codes, model.motion_code.infer(w, motion), strict=True):
        assert np.quantile(np.abs(np.asarray(one) - other), 0.999) < 0.02  # parabolas for sines there
    (rgba,) = synthesis.infer(wplus, *codes)
    (again,) = synthesis.infer(wplus, *(np.asarray(code) for code in codes))
    assert np.array_equal(rgba, again)
    network = motion_code.network
    given = [code.tensor for code in codes]
    rows = torch.from_numpy(wplus).cuda()
    with torch.no_grad():
        exact = copy.deepcopy(network).double()
        wanted = exact.synthesis(given[0].double(), rows.double().unbind(1), [c.double() for c in given[1:]])[-1]
        half = copy.deepcopy(network).half()
        plain = half.synthesis(given[0].half(), rows.half().unbind(1), [c.half() for c in given[1:]])[-1]
    check_close(torch.from_numpy(rgba).cuda(), plain, wanted, "the bundled generator", floor=1e-3)

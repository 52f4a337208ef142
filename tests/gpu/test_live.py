"""The live program's own stages on a GPU: whole frames of an imported model against the stages on the CPU."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from kernels.program import cuda_program

for needed in ("mediapipe", "openvino", "av"):
    pytest.importorskip(needed, reason=f"{needed} is not installed: whole frames were not compared with the CPU's")

from tests.realtime.gpu_rig import cpu_stages, drawn_by, edits, gpu_stages, tracked  # noqa: E402
from tests.realtime.imported_model import models, tiny_models  # noqa: E402

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

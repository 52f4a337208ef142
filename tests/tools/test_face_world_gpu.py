"""The face world's GPU branch compiles (it is not run here)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2] / "tools" / "face_world"
KERNEL = """
#include "head.h"
__global__ void shade(const Head* head, const float2* places, float4* out) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    Sample s = trace(places[i].x, places[i].y, *head);
    out[i] = make_float4(s.rgb.x, s.rgb.y, s.rgb.z, s.alpha);
}
"""


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is missing; it compiles the face world for GPUs")
def test_nvcc_compiles_the_world(tmp_path: Path) -> None:
    (tmp_path / "shade.cu").write_text(KERNEL)
    command = ["nvcc", "-arch=sm_80", "-ptx", "-I", str(SOURCES), "-o", "shade.ptx", "shade.cu"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert ".target sm_80" in (tmp_path / "shade.ptx").read_text()

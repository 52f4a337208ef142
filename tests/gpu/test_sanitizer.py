"""Small shapes under compute-sanitizer: no access out of bounds, no race in shared memory."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.gpu
ROOT = Path(__file__).resolve().parents[2]
SMALL = " or ".join(  # every kernel, at shapes that leave edges
    ("small", "test_upfirdn2d", "test_every_plan", "test_folded_filters", "test_filter_act", "test_bias_act")
    + ("test_picture_ends", "test_styles", "test_a_pasted_face", "test_painted_rgb", "test_an_addend")
    + ("test_heads_covered",)
)


@pytest.mark.skipif(shutil.which("compute-sanitizer") is None, reason="compute-sanitizer is not installed")
@pytest.mark.parametrize("tool", ["memcheck", "racecheck"])
def test_kernels_are_clean(tool: str) -> None:
    tests = [sys.executable, "-m", "pytest", "-q", "-x", "tests/gpu/test_ops.py", "-k", SMALL]
    command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", "--target-processes", "all", *tests]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]

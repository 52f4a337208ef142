"""The emulation notices what would go wrong on a GPU."""

from __future__ import annotations

import pytest
import torch

from kernels.cache import cache_folder
from kernels.emulation import EmulatedProgram, emulation_refusal
from kernels.program import SOURCES

pytestmark = pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))

HEAD = (SOURCES / "common.h").read_text()
BODIES = {
    "neighbours": "SHARED(m); float* s = (float*)m; s[threadIdx.x] = x[threadIdx.x]; {} "
    "y[threadIdx.x] = s[63 - threadIdx.x];",
    "diverging": "if (threadIdx.x < 32) __syncthreads(); y[threadIdx.x] = x[threadIdx.x];",
    "writing": "y[threadIdx.x + 1] = x[threadIdx.x];",
    "reading": "y[threadIdx.x] = x[threadIdx.x + 1];",
    "waiting": "SHARED(m); copy_async(m + threadIdx.x, x + threadIdx.x / 4 * 4, true); commit(); {} "
    "y[threadIdx.x] = ((float*)(m + threadIdx.x))[threadIdx.x % 4];",
    "exchanging": "y[threadIdx.x] = warp_sum(x[threadIdx.x]);",
}


def kernel(name: str, gap: str) -> str:
    return f"KERNEL({name}, 64)(float* y, const float* x) {{ {BODIES[name.rstrip('_')].replace('{}', gap)} }}\n"


SOURCE = (
    HEAD
    + "\n"
    + "".join(kernel(name, "") + kernel(f"{name}_", "__syncthreads(); await<0>(); __syncthreads();") for name in BODIES)
)  # with a trailing underscore: with what the others lack


def run(name: str) -> torch.Tensor:
    y = torch.zeros(64)
    EmulatedProgram("emulation", SOURCE).launch(name, (1, 1, 1), 64, [y, torch.arange(64.0)], 1024)
    return y


def test_barriers_work_and_missing_ones_are_noticed():
    assert run("neighbours_").tolist() == list(range(63, -1, -1))
    with pytest.raises(RuntimeError, match="depends on the order of the threads: a barrier is missing"):
        run("neighbours")


def test_a_barrier_that_only_some_threads_reach():
    with pytest.raises(RuntimeError, match="did not all reach the same barrier"):
        run("diverging")


def test_writes_out_of_bounds_are_noticed_and_reads_are_not_numbers():
    with pytest.raises(RuntimeError, match="wrote out of the bounds of tensor argument 0"):
        run("writing")
    assert run("reading")[:63].tolist() == list(range(1, 64))
    assert run("reading")[63].isnan()


def test_a_copy_that_nobody_awaits_is_noticed():
    assert run("waiting_").tolist() == list(range(64))
    with pytest.raises(RuntimeError, match="depends on the order"):
        run("waiting")


def test_lanes_exchange_within_their_warp():
    assert run("exchanging").tolist() == [sum(range(32))] * 32 + [sum(range(32, 64))] * 32


def test_a_source_that_does_not_compile_says_what_the_compiler_said():
    with pytest.raises(RuntimeError, match="g\\+\\+ cannot compile broken.cu:(.|\n)*error"):
        EmulatedProgram("broken", "KERNEL(broken, 1)(")


def test_compiled_things_lie_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setenv("AVATAR_LIVE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path

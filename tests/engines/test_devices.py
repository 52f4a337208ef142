from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from engines.devices import GpuFacts, choose_device, device_line, driver_problem, gpu_errors, gpu_facts
from engines.errors import EngineError

GIB = 1024**3
GOOD = GpuFacts(None, "NVIDIA Example", (8, 9), 6 * GIB, 8 * GIB, 13000)
BAD = {
    "CuPy is not installed; pip install": replace(
        GOOD, problem="CuPy is not installed; pip install 'avatar-live[cuda]'"
    ),
    "NVIDIA Example has compute capability 6.1; the kernels need 7.5 or more": replace(GOOD, capability=(6, 1)),
    "NVIDIA Example has 512 MiB of 8192 MiB free and the model needs 1024 MiB": replace(GOOD, free_bytes=GIB // 2),
}


def test_a_good_gpu_is_used_unless_the_cpu_is_asked_for():
    assert choose_device("auto", GIB, GOOD).kind == choose_device("cuda", GIB, GOOD).kind == "cuda"
    assert choose_device("auto", GIB, GOOD).reason == "NVIDIA Example, CUDA 13.0"
    assert choose_device("cpu", GIB, GOOD).kind == "cpu"


@pytest.mark.parametrize(("problem", "facts"), BAD.items())
def test_auto_goes_on_with_the_cpu_and_says_why_and_cuda_fails_with_the_reason(problem, facts):
    choice = choose_device("auto", GIB, facts)
    assert choice.kind == "cpu" and f"the GPU is not used: {problem}" in choice.reason
    with pytest.raises(EngineError, match="--device cuda cannot be used: ") as caught:
        choose_device("cuda", GIB, facts)
    assert problem in str(caught.value) and str(caught.value).endswith("or use --device auto")


def test_an_old_driver_and_none():
    wanted = "the NVIDIA driver knows CUDA 12.4 and torch 2 was built for CUDA 13.0; update the driver"
    assert driver_problem(12040, 13000, "torch 2") == wanted
    assert "there is no NVIDIA driver" in str(driver_problem(0, 13000, "torch 2"))
    assert driver_problem(13020, 13000, "torch 2") is None


def test_an_unknown_device_lists_the_known_ones():
    with pytest.raises(ValueError, match="device is 'tpu'; wanted auto, cpu or cuda"):
        choose_device("tpu", 0, GOOD)


def test_errors_of_a_lost_card_and_of_full_memory_say_what_to_do():
    with (
        pytest.raises(EngineError, match="the GPU stopped working .CUDA error: unspecified launch failure"),
        gpu_errors(),
    ):
        raise RuntimeError("CUDA error: unspecified launch failure")
    with pytest.raises(EngineError, match="the GPU's memory is full"), gpu_errors():
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
    with pytest.raises(KeyError), gpu_errors():
        raise KeyError("something else")


def test_this_computer_is_asked_and_either_draws_or_says_why():
    facts = gpu_facts()
    choice = choose_device("auto", 0, facts)
    assert (choice.kind == "cuda") == (facts.problem is None)
    assert choice.reason


def test_asking_costs_nothing_heavy():
    code = "import sys, engines.devices; print([m for m in ('torch', 'cupy', 'tensorrt') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_what_was_chosen_is_said_in_one_line(monkeypatch):
    assert device_line("cuda") == "cuda, as asked for"
    cases = {0: "cpu; there is no NVIDIA driver", 13000: "cpu; the NVIDIA GPU is not used: its path"}
    for version, wanted in cases.items():
        monkeypatch.setattr("engines.devices.driver_version", lambda version=version: version)
        assert device_line("auto").startswith(wanted)

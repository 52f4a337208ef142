from __future__ import annotations

import builtins
import subprocess
import sys
import types
import warnings
from dataclasses import replace

import pytest

from engines import devices
from engines.devices import DeviceChoice, GpuFacts, automatic, choose_device, driver_problem, gpu_errors, gpu_facts
from engines.errors import EngineError
from kernels import program
from tests.gpu_failures import CUPY_RUNTIME, FAILURES

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


@pytest.mark.parametrize("name", FAILURES)
def test_what_cuda_raises_becomes_one_line_that_says_what_it_means_and_what_to_do(name):
    error, meaning = FAILURES[name]
    with pytest.raises(EngineError) as caught, gpu_errors():
        raise error
    said = str(caught.value)
    assert said.startswith(meaning + " ".join(str(error).split())[:40]) and "\n" not in said and len(said) < 400
    assert "--device cpu" in said.partition("); ")[2]
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error", [KeyError("something else"), RuntimeError("size mismatch"), MemoryError(), EngineError("CUDA, as it is")]
)
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error)) as caught, gpu_errors():
        raise error
    assert caught.value is error


class Torch:
    """torch as far as it is asked: with CUDA 13.0, and whatever its cuda module says or raises."""

    __version__ = "2.13.0"
    version = types.SimpleNamespace(cuda="13.0")

    def __init__(self, available=True, warns="", raises=None):
        def is_available():
            if warns:
                warnings.warn(warns, stacklevel=2)
            return available

        def asked():
            if raises is not None:
                raise raises
            return 6 * GIB, 8 * GIB

        self.cuda = types.SimpleNamespace(
            is_available=is_available, mem_get_info=asked, get_device_name=lambda: "NVIDIA Example",
            get_device_capability=lambda: (8, 9),
        )  # fmt: skip


OLD = "CUDA initialization: The NVIDIA driver on your system is too old (found version 12040). Please update"


@pytest.mark.parametrize(
    ("driver", "imported", "problem"),
    [
        (0, Torch(), "there is no NVIDIA driver; install it"),
        (12040, Torch(), "the NVIDIA driver knows CUDA 12.4 and torch 2.13.0 was built for CUDA 13.0; update"),
        (13000, Torch(False, OLD), f"torch finds no GPU ({OLD}); look at nvidia-smi and at CUDA_VISIBLE_DEVICES"),
        (13000, Torch(False), "torch finds no GPU; look at nvidia-smi and at CUDA_VISIBLE_DEVICES"),
        (13000, Torch(raises=FAILURES["torch, kept"][0]), "the GPU is not there any more, or another program keeps it"),
        (13000, Torch(raises=CUPY_RUNTIME("cudaErrorNoDevice")), "the GPU is not there any more, or another program"),
        (13000, OSError("libcudart.so.13: cannot open shared object file"), "torch cannot be loaded (libcudart.so"),
        (13000, Torch(), None),
    ],
    ids=["none", "old", "warned", "hidden", "kept", "gone", "libraries", "good"],
)  # fmt: skip
def test_each_thing_that_is_wrong_with_a_gpu_is_named_and_never_raised(monkeypatch, driver, imported, problem):
    def load(name, *rest):
        if name == "torch" and isinstance(imported, OSError):
            raise imported
        return imported if name == "torch" else real(name, *rest)

    real = builtins.__import__
    monkeypatch.setattr(devices, "driver_version", lambda: driver)
    monkeypatch.setattr(program, "cupy_refusal", lambda: None)
    monkeypatch.setattr(builtins, "__import__", load)
    facts = gpu_facts()
    monkeypatch.undo()
    assert facts.problem is None if problem is None else str(facts.problem).startswith(problem)
    if problem is None:
        assert (facts.name, facts.capability, facts.free_bytes) == ("NVIDIA Example", (8, 9), 6 * GIB)
    choice = choose_device("auto", GIB, facts)
    assert choice.kind == ("cuda" if problem is None else "cpu") and (problem or "CUDA 13.0") in choice.reason


BANNER = """
================================================================
Failed to import CuPy.

If you installed CuPy via wheels (cupy-cudaXXX), make sure that the package matches with the version of CUDA installed.

Original error:
  ImportError: libnvrtc.so.12: cannot open shared object file: No such file or directory
================================================================
"""


class Cupy(types.ModuleType):
    """CuPy as far as it is asked; ``compiles`` may raise."""

    def __init__(self, driver, built, compiles):
        super().__init__("cupy")
        runtime = types.SimpleNamespace(driverGetVersion=lambda: driver, runtimeGetVersion=lambda: built)
        self.cuda = types.SimpleNamespace(runtime=runtime)

        def compile_it():
            if compiles is not None:
                raise compiles

        self.RawKernel = lambda code, name, backend: types.SimpleNamespace(compile=compile_it)


@pytest.mark.parametrize(
    ("found", "refusal"),
    [
        (ModuleNotFoundError("No module named 'cupy'", name="cupy"), "CuPy is not installed; pip install 'avatar-live"),
        (
            ImportError(BANNER),
            "CuPy cannot be loaded (ImportError: libnvrtc.so.12: cannot open shared object file: No ",
        ),
        (
            ValueError("numpy.dtype size changed"),
            "CuPy cannot be loaded (ValueError: numpy.dtype size changed); reinst",
        ),
        (
            Cupy(12040, 13000, None),
            "CuPy was built for CUDA 13.0 and the driver knows CUDA 12.4; update the driver or ",
        ),
        (
            Cupy(13000, 12090, RuntimeError("CuPy failed to load libnvrtc.so.12")),
            "CuPy does not work here (RuntimeErro",
        ),
        (
            Cupy(13000, 13000, FAILURES["CuPy, driver"][0]),
            "CuPy does not work here (CUDARuntimeError: cudaErrorInsuffi",
        ),
        (Cupy(13000, 13000, None), None),
    ],
    ids=["none", "libraries", "numpy", "driver", "other CUDA", "runtime", "good"],
)
def test_what_is_wrong_with_cupy_is_said_in_one_line(monkeypatch, found, refusal):
    def load(name, *rest):
        if name == "cupy" and isinstance(found, Exception):
            raise found
        return found if name == "cupy" else real(name, *rest)

    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", load)
    said = program.cupy_refusal.__wrapped__()
    monkeypatch.undo()
    assert said is None if refusal is None else str(said).startswith(refusal)
    assert said is None or "\n" not in said


def test_this_computer_is_asked_and_either_draws_or_says_why():
    facts = gpu_facts()
    choice = choose_device("auto", 0, facts)
    assert (choice.kind == "cuda") == (facts.problem is None)
    assert choice.reason


def test_asking_costs_nothing_heavy():
    code = "import sys, engines.devices; print([m for m in ('torch', 'cupy', 'tensorrt') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_auto_stays_on_the_cpu_until_the_path_is_checked_and_then_takes_what_can_be_used(monkeypatch):
    monkeypatch.setattr(devices, "driver_version", lambda: 0)
    assert automatic() == DeviceChoice("cpu", "there is no NVIDIA driver")
    monkeypatch.setattr(devices, "driver_version", lambda: 13000)
    monkeypatch.setattr(devices, "CHECKED", False)
    assert automatic().kind == "cpu" and "its path has not been checked on a GPU yet" in automatic().reason
    monkeypatch.setattr(devices, "CHECKED", True)
    for facts, kind in ((GOOD, "cuda"), (replace(GOOD, free_bytes=GIB // 2), "cpu")):
        monkeypatch.setattr(devices, "gpu_facts", lambda facts=facts: facts)
        assert automatic().kind == kind
    assert "512 MiB of 8192 MiB free" in automatic().reason

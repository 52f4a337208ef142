"""The GPU's own tests and benchmarks, as far as they go without one: they are found, and every line of them is run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engines.encoders_config import EncoderConfig
from kernels import program
from kernels.emulation import emulation_refusal
from tests.gpu_on_host import imagine_a_gpu
from tools import bench_frames, bench_generator, bench_kernels, layer_arithmetic

ROOT = Path(__file__).resolve().parents[2]
FOREIGN = ("mediapipe", "openvino", "av", "mss", "pyvirtualcam", "tensorrt")  # a computer for GPU work may lack them


def test_the_gpu_tests_are_found_without_the_live_programs_packages():
    code = (
        f"import sys; sys.modules |= dict.fromkeys({FOREIGN!r}); import pytest; "
        "sys.exit(pytest.main(['-q', '--collect-only', '-m', 'gpu', 'tests/gpu']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mediapipe is not installed: whole frames were not compared" in done.stdout
    for name in ("test_bundled", "test_generator", "test_ops", "test_sanitizer", "test_tensorrt"):
        assert f"tests/gpu/{name}.py::" in done.stdout


@pytest.fixture
def imagined(monkeypatch, tmp_path):
    """The benchmarks at sizes that the processor can do."""
    if emulation_refusal() is not None:
        pytest.skip(str(emulation_refusal()))
    monkeypatch.setattr("engines.cuda_synthesis.cache_folder", lambda: tmp_path)
    small = lambda resolution, half=False: {4: 8, 8: 4 if half else 8}  # noqa: E731
    for module in (layer_arithmetic, bench_kernels, "tools.gpu"):
        target = f"{module}.channels" if isinstance(module, str) else f"{module.__name__}.channels"
        monkeypatch.setattr(target, small)
    tiny = EncoderConfig(3, 8, ((8, 8, 2, 2),) * 4, (4,) * 4, layer_arithmetic.W_DIM, (), deltas=True)
    for module in (bench_generator, bench_frames):
        monkeypatch.setattr(module, "e4e_configuration", lambda rows=4: tiny)
    monkeypatch.setattr(bench_frames, "FRAMES", {"tiny": (72, 128)})
    mode = imagine_a_gpu(monkeypatch)
    yield mode
    program.cuda_program.cache_clear()


def test_the_kernels_benchmark_runs(imagined, tmp_path):
    with imagined:
        bench_kernels.main(["--batch", "1", "--repeats", "1", "--json", str(tmp_path / "kernels.json")])
    found = json.loads((tmp_path / "kernels.json").read_text())
    assert found["gpu"]["gpu"] == "an imagined GPU" and (tmp_path / "kernels.png").is_file()
    assert {"8 up", "8 conv", "4 conv", "8 to-RGB"} <= {row["name"] for row in found["kernels"]}
    assert {"cudnn"} < {row.get("plan", "cudnn") for row in found["kernels"]}


def test_the_generators_benchmark_runs(imagined, tmp_path, monkeypatch):
    monkeypatch.setattr(bench_generator, "bundled", lambda o: [])
    with imagined:
        options = ["--resolution", "8", "--batch", "1,2", "--repeats", "1", "--json", str(tmp_path / "whole.json")]
        bench_generator.main(options)
    found = json.loads((tmp_path / "whole.json").read_text())
    assert {row["variant"] for row in found["generators"]} == set(bench_generator.VARIANTS)
    assert all("problem" not in row for row in found["generators"])
    assert all("TensorRT is not installed" in row["problem"] for row in found["exported"])
    assert len(found["frames"]) == 4 and found["choices"]

"""The GPU's own tests and benchmarks, as far as they go without one: they are found, and every line of them is run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engines.bundled import manifest
from engines.cuda_bundled import portrait_network
from engines.encoders_config import EncoderConfig
from kernels import program
from kernels.emulation import emulation_refusal
from tests.engines.test_cuda_bundled import tiny_drawer
from tests.gpu_on_host import imagine_a_gpu
from tools import bench_frames, bench_generator, bench_kernels, gpu_table, layer_arithmetic

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
    listed = {"portrait": manifest()["portrait"]}  # without the top
    monkeypatch.setattr("engines.bundled.manifest", lambda: listed)
    tiny = lambda file, top: tiny_drawer(portrait_network(file))  # noqa: E731
    monkeypatch.setattr("engines.cuda_bundled.drawer_on_gpu", tiny)
    with imagined:
        options = ["--resolution", "8", "--batch", "1,2", "--repeats", "1", "--json", str(tmp_path / "whole.json")]
        bench_generator.main(options)
    found = json.loads((tmp_path / "whole.json").read_text())
    assert {row["variant"] for row in found["generators"]} == set(bench_generator.VARIANTS)
    assert all("problem" not in row for row in found["generators"])
    assert all("TensorRT is not installed" in row["problem"] for row in found["exported"])
    assert len(found["frames"]) == 4 and found["choices"]
    assert [(row["faces"], row["frame"]) for row in found["bundled_frames"]] == [(n, "tiny") for n in (1, 2, 4)]
    assert all(row["ms"] > 0 < row["fps"] and row["covers_ms"] > 0 for row in found["bundled_frames"])
    parts = {(row["batch"], row["part"]) for row in found["bundled"]}
    assert {(n, part) for n in (1, 2) for part in ("graph", "to the bytes")} < parts
    coded = [(row["batch"], row["variant"]) for row in found["encoders"]]
    assert {(n, v) for n in (1, 2) for v in ("eager-fp32", "compile-fp16", "graph-fp16", "tensorrt")} < set(coded)


def test_the_bundled_models_checks_run(imagined, monkeypatch):
    from tests.gpu import test_bundled, test_ops

    tiny = lambda file, top=None: tiny_drawer(portrait_network(file))  # noqa: E731
    monkeypatch.setattr(test_bundled, "drawer_on_gpu", tiny)
    monkeypatch.setattr(test_bundled, "FRAMES", np.ascontiguousarray(test_bundled.FRAMES[:3, :40, :64]))
    monkeypatch.setattr(test_bundled, "FADE", np.ascontiguousarray(test_bundled.FADE[:16, :16]))
    monkeypatch.setattr(test_bundled, "IN_TURN", (1, 2, 1))
    monkeypatch.setattr(test_bundled, "WHOLE_FRAMES", 4)
    with imagined:
        test_ops.test_heads_covered_and_drawn("small")
        test_bundled.test_whole_frames_are_those_of_single_launches_and_of_the_parts()
        test_bundled.test_ten_thousand_whole_frames_take_no_more_memory()


RATED = {"tflops": 4.0, "gb_per_s": 100.0, "share_of_limit": 0.4}
ROW = {"name": "8 conv", "batch": 1, "flops": 4e6, "bytes": 1e6, **RATED}


def test_the_tables_hold_the_fastest_way_and_the_goals(tmp_path, monkeypatch, capsys):
    def whole(variant, ms, batch=1):
        return {"resolution": 1024, "half": False, "batch": batch, "variant": variant, "ms": ms}

    generators = [whole("ours", 1.25), whole("eager-fp16", 5.0), whole("compile-fp16", 2.0)]
    head = {"gpu": {"gpu": "a GPU"}, "date": "2026-01-02", "commit": "abc"}
    kernels = [{**ROW, "ms": 0.002, "plan": "cudnn"}, {**ROW, "ms": 0.001, "plan": "conv_64x64/1"}]
    written = {
        "gpu-generator-2026-01-02": {**head, "generators": generators, "encoders": [], "frames": []},
        "gpu-kernels-2026-01-02": {**head, "rates": {"tflops": 10.0, "gb_per_s": 1000.0}, "kernels": kernels},
    }
    for name, content in written.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    monkeypatch.setattr(sys, "argv", ["gpu_table", str(tmp_path)])
    gpu_table.main()
    said = capsys.readouterr().out
    assert "| StyleGAN2 config-f, 1024 px, one picture, ms | at most 1.0 | 1.25 |" in said
    assert "float16 | at least 3 | 4 |" in said and "torch.compile | at least 1.5 | 1.6 |" in said
    assert "share of the measured matrix rate | at least 0.5 | not run |" in said
    assert "| 8 conv | conv_64x64/1 | 2.0 | 1.00 | 1.00 | 1.00 | 4.0 | 100 | 40 % |" in said
    assert "cudnn" not in said


def test_without_measurements_the_tables_say_that_nothing_was_run(tmp_path):
    assert gpu_table.goals({}).count("| not run |") == len(gpu_table.GOALS)
    assert gpu_table.newest(tmp_path, "gpu-kernels") == {}

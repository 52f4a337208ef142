"""The parts of the GPU benchmarks that need no GPU: arithmetic, arguments, refusals, the picture."""

from __future__ import annotations

import json

import pytest
import torch

from engines.stylegan2_config import GeneratorConfig
from kernels.emulation import emulated_program, emulation_refusal
from tools import bench_frames, bench_generator, bench_kernels, bench_live
from tools.gpu import REFUSED, configuration, e4e_configuration, random_generator, roofline
from tools.layer_arithmetic import Cost, channels, costs, table


def test_config_f_has_the_multiply_adds_that_its_layers_have():
    convs = sum(cost.macs for cost in costs(1024) if cost.name.split()[-1] in ("up", "conv"))
    assert convs == pytest.approx(74e9, rel=0.01)
    assert channels(1024) == {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64, 1024: 32}
    assert channels(256, half=True)[256] == 64


def test_a_batch_shares_weights_but_not_features():
    one, four = ({c.name: c for c in costs(64, batch=n)} for n in (1, 4))
    assert four["64 conv"].macs == 4 * one["64 conv"].macs
    weights = 2 * 9 * 512 * 512
    assert four["64 conv"].bytes - one["64 conv"].bytes == 3 * 2 * 2 * 64 * 64 * 512
    assert one["4 conv"].bytes > weights


def test_the_floor_is_the_slower_of_arithmetic_and_memory():
    assert Cost("a", 10**9, 1).floor_us(100, 1000) == pytest.approx(20)
    assert Cost("a", 1, 10**9).floor_us(100, 1000) == pytest.approx(1000)
    assert table([Cost("a", 10**9, 10**6)], 100, 1000).splitlines()[-1].startswith("| **all** | **1,000** |")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [(bench_kernels, ["--batch", "1"]), (bench_generator, ["--batch", "1"]), (bench_live, ["--device", "cuda"])],
    ids=["kernels", "whole", "live"],
)
def test_without_a_usable_one_the_reason_is_said(tool, arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        tool.main(arguments)
    assert ended.value.code == REFUSED
    said = capsys.readouterr().err
    assert "needs an NVIDIA GPU: " in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("tool", "arguments", "text"),
    [
        (bench_kernels, ["--batch", "0"], "'0' is no list of whole numbers from 1 on; wanted something like 1,2,4"),
        (bench_kernels, ["--resolution", "333"], "invalid choice: 333"),
        (bench_generator, ["--batch", "a,b"], "'a,b' is no list of whole numbers"),
        (bench_generator, ["--variants", "ours,jax"], "unknown variant 'jax'; known: ours, cudnn"),
    ],
)
def test_wrong_arguments_are_said(tool, arguments, text, capsys):
    with pytest.raises(SystemExit) as ended:
        tool.main(arguments)
    assert ended.value.code == 2
    assert text in capsys.readouterr().err


def test_arguments_are_read():
    o = bench_generator.parser().parse_args(["--resolution", "256", "--batch", "1,64", "--variants", "ours,eager-fp16"])
    assert (o.resolution, o.batch, o.variants) == ([256], [1, 64], ["ours", "eager-fp16"])


def test_a_layer_that_is_wrong_is_not_timed():
    exact = torch.ones(4, dtype=torch.float64)
    assert bench_kernels.compared(exact + 1e-4, exact + 1e-4, exact, "layer") == pytest.approx(1)
    with pytest.raises(
        SystemExit, match="layer is wrong: its error is 0.5, that of plain PyTorch 0.0001; nothing was timed"
    ):
        bench_kernels.compared(exact + 0.5, exact + 1e-4, exact, "layer")


def test_a_row_holds_rates_and_the_share_of_the_nearer_limit():
    row = bench_kernels.rated(Cost("a", 10**9, 10**6), 0.1, {"tflops": 100.0, "gb_per_s": 1000.0})
    assert (row["tflops"], row["gb_per_s"], row["share_of_limit"]) == pytest.approx((20, 10, 0.2))


def test_the_roofline_is_drawn(tmp_path):
    rows = [
        {"name": "conv", "flops": 2e9, "bytes": 1e6, "ms": 0.1},
        {"name": "filter", "flops": 1e7, "bytes": 1e7, "ms": 0.1},
    ]
    roofline(rows, {"tflops": 100.0, "gb_per_s": 1000.0}, "an example", tmp_path / "roofline.png")
    assert (tmp_path / "roofline.png").read_bytes().startswith(b"\x89PNG")


def test_random_generators_draw_something_of_ordinary_size():
    generator = random_generator(configuration(8), "cpu")
    picture = generator.synthesis(torch.randn(1, generator.config.rows, 512))
    assert 0.05 < float(picture.std()) < 50


def test_the_encoder_has_the_public_ones_size():
    config = e4e_configuration()
    assert len(config.blocks) == 24 and len(config.head_convs) == 18
    assert config.taps == (6, 20)


@pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))
def test_whole_frames_are_sent_and_taken():
    from engines.cuda_engine import CudaGenerator
    from engines.cuda_frame import FrameEngine

    generator = random_generator(GeneratorConfig(8, 8, 8, 0, {4: 8, 8: 8}, "skip"), "cpu")
    whole = FrameEngine(CudaGenerator(generator, programs=emulated_program), 36, 64)
    moment = bench_frames.moment_of(36, 64, 8)
    found = bench_frames.timed(lambda pixels: whole.submit(pixels, moment), (36, 64), 1)
    assert set(found) == {"ms", "fps"} and found["ms"] > 0 < found["fps"]


def test_a_face_in_a_frame_lies_within_it():
    moment = bench_frames.moment_of(1080, 1920, 1024)
    left, top, width, height = moment.place.box
    assert left >= 0 and left + width <= 1920 and top >= 0 and top + height <= 1080
    assert moment.place.level == 0 and len(moment.outline) == moment.place.corners
    assert bench_frames.moment_of(240, 320, 1024).place.level == 2


def test_the_live_stages_are_measured_on_the_processor_too(tmp_path, monkeypatch):
    monkeypatch.setenv("AVATAR_LIVE_MODELS", str(tmp_path / "none"))  # put back after the test
    monkeypatch.setattr(bench_live, "imported", lambda folder, size, widths: "toon")  # importing has tests of its own
    monkeypatch.setitem(bench_live.SIZES, "small", (640, 360))
    options = ["--frames", "7", "--sizes", "small", "--resolution", "32", "--widths", "0.0625"]
    bench_live.main([*options, "--json", str(tmp_path / "live.json")])
    rows = json.loads((tmp_path / "live.json").read_text())["live"]
    assert [row["model"] for row in rows] == ["toon", "toon"]
    for row in rows:
        assert row["ms"] > 0 < row["fps"] and "OpenVINO" in row["runs_on"] and row["stages_ms"]["tracking"] > 0

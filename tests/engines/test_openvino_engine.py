"""OpenVINO engines: a batch of one, inputs that are checked, files that cannot be run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from engines import openvino_engine
from engines.errors import EngineError
from engines.openvino_engine import (
    AVX_512F,
    OpenVinoEngine,
    best_precision,
    chosen_precision,
    has_amx,
    has_bf16,
)


@pytest.fixture
def doubling() -> ov.Model:
    """x [batch, 3] and y [batch, 3] -> 2 x + y, and y."""
    x, y = (ops.parameter([-1, 3], np.float32, name=name) for name in "xy")
    model = ov.Model([ops.add(ops.multiply(x, np.float32(2)), y), ops.relu(y)], [x, y], "doubling")
    for port, name in zip(model.inputs, "xy", strict=True):
        port.get_tensor().set_names({name})
    return model


def test_a_graph_that_was_built_here_is_run(doubling: ov.Model) -> None:
    engine = OpenVinoEngine(doubling)
    x, y = np.array([[1, 2, 3]], np.float32), np.array([[10, -20, 30]], np.float32)
    total, positive = engine.infer(x, y)
    np.testing.assert_array_equal(total, [[12, -16, 36]])
    np.testing.assert_array_equal(positive, [[10, 0, 30]])


def test_inputs_need_not_be_contiguous(doubling: ov.Model) -> None:
    wide = np.arange(6, dtype=np.float32)[None]
    total, _ = OpenVinoEngine(doubling).infer(wide[:, ::2], wide[:, 1::2])
    np.testing.assert_array_equal(total, [[1, 7, 13]])


def test_pictures_may_be_laid_out_anew_for_the_network() -> None:
    """What comes out is the same; only small rounding may differ between kernels."""
    x, factor = ops.parameter([1, 5, 4, 6], np.float32, name="x"), ops.parameter([1, 5], np.float32, name="factor")
    weight = np.random.default_rng(0).normal(size=(3, 5, 1, 1)).astype(np.float32)
    mixed = ops.convolution(x, ops.constant(weight), [1, 1], [0, 0], [0, 0], [1, 1])
    model = ov.Model([mixed, ops.negative(factor)], [x, factor], "mixing")
    for port, name in zip(model.inputs, ("x", "factor"), strict=True):
        port.get_tensor().set_names({name})
    values, factors = (np.random.default_rng(1).normal(size=s).astype(np.float32) for s in ((1, 5, 4, 6), (1, 5)))
    want = np.einsum("oc,nchw->nohw", weight[..., 0, 0], values)
    engine = OpenVinoEngine(model, channels_last=True)
    for _ in range(2):
        got, negative = engine.infer(values, factors)
        np.testing.assert_allclose(got, want, atol=1e-5)
        np.testing.assert_array_equal(negative, -factors)
        values, want = values[..., ::-1], want[..., ::-1]


def test_every_caller_has_a_copy_until_there_are_as_many_as_may_run_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Three threads, two copies: all get their own right results, which another thread's call does not change."""
    monkeypatch.setenv("AVATAR_LIVE_CACHE", str(tmp_path))
    file, weight = tmp_path / "mixing.xml", np.random.default_rng(0).normal(size=(3, 5, 1, 1)).astype(np.float32)
    x = ops.parameter([1, 5, 4, 6], np.float32, name="x")
    mixed = ops.convolution(x, ops.constant(weight), [1, 1], [0, 0], [0, 0], [1, 1])
    model = ov.Model([mixed], [x], "mixing")
    model.inputs[0].get_tensor().set_names({"x"})
    ov.save_model(model, file, compress_to_fp16=False)
    values = np.random.default_rng(1).normal(size=(3, 1, 5, 4, 6)).astype(np.float32)
    want = np.einsum("oc,nxchw->nxohw", weight[..., 0, 0], values)
    for source, digest in ((model, ""), (file, "a"), (file, "a")):  # built here, compiled and kept, taken from there
        engine = OpenVinoEngine(source, streams=2, channels_last=True, digest=digest)
        with ThreadPoolExecutor(3) as pool:
            barrier = Barrier(3)

            def called(number: int, engine: OpenVinoEngine = engine, barrier: Barrier = barrier) -> np.ndarray:
                barrier.wait()
                (got,) = engine.infer(values[number])
                barrier.wait()  # the others have had theirs meanwhile
                return np.asarray(got).copy()

            for got, wanted in zip(pool.map(called, range(3)), want, strict=True):
                np.testing.assert_allclose(got, wanted, atol=1e-5)
        assert len(engine._copies) == 2


def test_a_copy_that_cannot_be_made_is_told_and_tried_again(doubling: ov.Model, tmp_path: Path) -> None:
    file = tmp_path / "doubling.xml"
    ov.save_model(doubling, file, compress_to_fp16=False)
    engine, x = OpenVinoEngine(file, streams=2), np.ones((1, 3), np.float32)
    engine.infer(x, x)
    kept = file.read_bytes()
    with ThreadPoolExecutor(1) as pool:
        file.unlink()
        with pytest.raises(EngineError, match="OpenVINO cannot run doubling.xml"):
            pool.submit(engine.infer, x, x).result()
        file.write_bytes(kept)
        assert pool.submit(lambda: engine.infer(x, x)[0][0, 0]).result() == 3


def test_the_wrong_number_of_inputs_is_told(doubling: ov.Model) -> None:
    with pytest.raises(EngineError, match="1 inputs were given; wanted x, y"):
        OpenVinoEngine(doubling).infer(np.zeros((1, 3), np.float32))


@pytest.mark.parametrize("name", ["broken.onnx", "missing.onnx"])
def test_a_file_that_cannot_be_run_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"this is no model")
    with pytest.raises(EngineError, match=f"OpenVINO cannot run {name}: .+; run avatar-live doctor"):
        OpenVinoEngine(tmp_path / name)


def test_precision_is_what_was_asked_for(doubling: ov.Model) -> None:
    assert OpenVinoEngine(doubling).describe().startswith("OpenVINO 20")
    assert OpenVinoEngine(doubling, precision="f32").precision == "f32"
    assert OpenVinoEngine(doubling, precision="auto").precision == best_precision(ov.Core())
    assert best_precision(ov.Core()) == ("bf16" if has_bf16(ov.Core()) else "f32")
    assert best_precision(ov.Core(), rounded=True) in ("f32", "bf16", "int8")
    assert OpenVinoEngine(doubling, precision="int8").precision == "int8"


def test_what_was_compiled_is_kept_and_never_trusted_when_damaged(tmp_path: Path, monkeypatch, doubling) -> None:
    monkeypatch.setenv("AVATAR_LIVE_CACHE", str(tmp_path / "kept"))
    x, y = np.array([[1, 2, 3]], np.float32), np.array([[10, -20, 30]], np.float32)
    want = OpenVinoEngine(doubling, digest="12ab").infer(x, y)[0].copy()
    (kept,) = (tmp_path / "kept" / "compiled").iterdir()
    np.testing.assert_array_equal(OpenVinoEngine(tmp_path / "not read.onnx", digest="12ab").infer(x, y)[0], want)
    data = bytearray(kept.read_bytes())
    data[-5] ^= 1
    kept.write_bytes(data)
    np.testing.assert_array_equal(OpenVinoEngine(doubling, digest="12ab").infer(x, y)[0], want)
    assert kept.read_bytes() != bytes(data), "written anew"


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch, doubling) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AVATAR_LIVE_CACHE", str(tmp_path / "file" / "kept"))
    x = np.ones((1, 3), np.float32)
    np.testing.assert_array_equal(OpenVinoEngine(doubling, digest="12ab").infer(x, x)[0], [[3, 3, 3]])


class WithAmx(ov.Core):
    """OpenVINO on a processor with AMX, whose list does not heed what oneDNN is held to."""

    def get_property(self, *_: object) -> list[str]:
        return ["FP32", "INT8", "BF16"]


@pytest.mark.parametrize("cap", ["", "all", "AVX512_CORE_AMX"])
def test_amx_is_used_unless_older_instructions_are_asked_for(cap: str, tmp_path: Path, monkeypatch) -> None:
    processor = tmp_path / "cpuinfo"
    processor.write_text("flags : avx2 amx_bf16 amx_tile\n")
    monkeypatch.setattr(openvino_engine, "PROCESSOR", processor)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", cap)
    monkeypatch.setattr("cv2.checkHardwareSupport", lambda number: number == AVX_512F)
    assert best_precision(WithAmx(), rounded=True) == best_precision(WithAmx()) == "bf16"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert (best_precision(WithAmx(), rounded=True), best_precision(WithAmx())) == ("int8", "f32")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", cap)
    processor.write_text("flags : avx2\n")
    assert not has_amx(WithAmx()) and best_precision(WithAmx(), rounded=True) == "int8"


@pytest.mark.parametrize("cap", ["", "default", "AVX512_CORE_BF16", "AVX512_CORE_FP16", "AVX512_CORE_AMX"])
def test_bf16_is_used_where_avx_512_has_it(cap: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(openvino_engine, "PROCESSOR", tmp_path / "none, as on Windows")
    monkeypatch.setattr("platform.machine", lambda: "AMD64")
    monkeypatch.setattr("cv2.checkHardwareSupport", lambda number: number == AVX_512F)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", cap)
    assert (best_precision(WithAmx(), rounded=True), best_precision(WithAmx())) == ("int8", "bf16")
    for older in ("AVX2", "AVX512_CORE_VNNI", "AVX2_VNNI_2"):
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", older)
        assert not has_bf16(WithAmx()) and best_precision(WithAmx()) == "f32"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", cap)
    monkeypatch.setattr("cv2.checkHardwareSupport", lambda number: False)
    assert not has_bf16(WithAmx()), "bf16 without AVX-512 was never tried"


def test_what_is_not_rounded_is_done_in_bf16_where_the_processor_has_it(doubling: ov.Model, monkeypatch) -> None:
    taken, compiled = [], openvino_engine._compiled
    any_can = {"INFERENCE_PRECISION_HINT": "f32"}

    def noting(core: ov.Core, file: ov.Model, hints: dict[str, object], last: bool) -> ov.CompiledModel:
        taken.append(hints)
        return compiled(core, file, hints | any_can, last)

    monkeypatch.setattr(openvino_engine, "_compiled", noting)
    for able, floats in ((True, "bf16"), (False, "f32")):
        monkeypatch.setattr(openvino_engine, "has_bf16", lambda core, able=able: able)
        OpenVinoEngine(doubling, precision="int8")
        OpenVinoEngine(doubling, precision="f32")
        assert [hints["INFERENCE_PRECISION_HINT"] for hints in taken] == [floats, "f32"]
        taken.clear()


class Modest(ov.Core):
    """OpenVINO on a processor with nothing but f32."""

    def get_property(self, *_: object) -> list[str]:
        return ["FP32"]


@pytest.mark.parametrize("asked", ["bf16", "int8"])
def test_a_precision_that_the_processor_lacks_is_refused(asked: str) -> None:
    with pytest.raises(EngineError, match=rf"has no {asked} \(OpenVINO names FP32\); wanted --precision auto"):
        chosen_precision(asked, Modest())
    assert chosen_precision("auto", Modest(), rounded=True) == "f32"

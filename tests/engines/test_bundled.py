"""Bundled models: nothing damaged is run, wrong names and devices are told, threads share a model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import openvino as ov
import pytest

from engines.attributes import ATTRIBUTES, PERSONAL
from engines.bundled import LAYERS, PARTS, ROUNDED, WEIGHTS, load, manifest, verify
from engines.devices import gpu_facts
from engines.errors import EngineError, ModelError
from engines.motion import AT_REST, MOTION
from engines.openvino_engine import best_precision
from realtime.demo import ACTOR


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(WEIGHTS, tmp_path / "weights"))


@pytest.mark.parametrize("part", [*PARTS, ROUNDED, "directions"])
def test_a_flipped_byte_is_noticed(copied: Path, part: str) -> None:
    file = copied / manifest(copied)[part]["file"]
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    message = rf"the model file .*{file.name} is damaged: its SHA-256 is \w{{12}}\.\.\. .* install avatar-live again"
    with pytest.raises(ModelError, match=message):
        load("toon", "auto", copied, "int8" if part == ROUNDED else "f32")


def test_a_truncated_file_is_noticed_with_both_lengths(copied: Path) -> None:
    row = manifest(copied)["mapping"]
    (copied / "mapping.onnx").write_bytes(b"half")
    with pytest.raises(ModelError, match=rf"\(4 bytes\), wanted .*\({row['bytes']} bytes\)"):
        verify(row, copied)


def test_a_missing_file_is_told(copied: Path) -> None:
    (copied / "encoder.onnx").unlink()
    with pytest.raises(ModelError, match="encoder.onnx cannot be read .*install avatar-live again"):
        load("toon", "auto", copied)


@pytest.mark.parametrize("text", [None, "[encoder", "\x00"])
def test_a_manifest_that_is_missing_or_broken_is_told(copied: Path, text: str | None) -> None:
    file = copied / "manifest.toml"
    file.unlink() if text is None else file.write_text(text)
    with pytest.raises(ModelError, match="list of bundled models, .* cannot be read .*install avatar-live again"):
        manifest(copied)


def test_a_manifest_without_a_row_is_told(copied: Path) -> None:
    file = copied / "manifest.toml"
    file.write_text(file.read_text().replace("[mapping]", "[mappping]"))
    with pytest.raises(ModelError, match="has no full row 'mapping'; install avatar-live again"):
        manifest(copied)


def test_the_manifest_describes_the_files() -> None:
    for row in manifest().values():
        assert verify(row).stat().st_size == row["bytes"]
        assert row["licence"] == "Apache-2.0" and row["made"]


def test_an_unknown_model_suggests_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"no model 'tooon'; known are toon; did you mean toon\?"):
        load("tooon")


def test_an_unknown_model_far_from_all_lists_them() -> None:
    with pytest.raises(ModelError, match="no model 'photograph'; known are toon$"):
        load("photograph")


@pytest.mark.skipif(gpu_facts().problem is None, reason="there is a GPU")
def test_cuda_is_refused_with_the_reason() -> None:
    with pytest.raises(EngineError, match="--device cuda cannot be used: .*; or use --device auto"):
        load("toon", "cuda")


def test_a_model_is_loaded_once() -> None:
    assert load("toon") is load("toon")
    assert "OpenVINO" in load("toon").describe()


def test_what_auto_took_is_said_and_loaded_once() -> None:
    taken = load("toon").drawer.synthesis.precision
    assert taken == best_precision(ov.Core(), rounded=True) and f" {taken} on " in load("toon").describe()
    assert load("toon", "cpu", precision=taken) is load("toon")


def test_eight_bits_draw_nearly_what_floats_draw() -> None:
    exact, fast = (load("toon", precision=precision) for precision in ("f32", "int8"))
    assert (exact.drawer.synthesis.precision, fast.drawer.synthesis.precision) == ("f32", "int8")
    person = np.array([[ACTOR.get(name, 0.0) for name in ATTRIBUTES]], np.float32)
    (w,) = exact.mapping.infer(person)
    codes = exact.drawer.motion_code.infer(w, np.array([list(AT_REST.values())], np.float32))
    want, got = (m.drawer.synthesis.infer(np.repeat(w[:, None], LAYERS, axis=1), *codes)[0][0] for m in (exact, fast))
    there = want[3] > 0.02
    error = np.square(got.clip(0, 1) - want.clip(0, 1))[:, there].mean()
    assert there.any() and 0 < error < 10**-3.2  # 32 dB


DRAWN = """
import sys
import numpy as np
from engines.bundled import LAYERS, load
from engines.motion import AT_REST
model = load("toon", precision=sys.argv[1], resolution=sys.argv[2])
(w,) = model.mapping.infer(np.full((1, int(sys.argv[3])), 0.3, np.float32))
motion = np.array([list(AT_REST.values())], np.float32)
sys.stdout.buffer.write(model.drawer.draw(np.repeat(w, LAYERS, axis=0)[None], motion)[0].tobytes())
"""


@pytest.mark.parametrize(("precision", "resolution"), [("int8", "256"), ("f32", "512")])
def test_a_processor_with_avx2_draws_the_same(precision: str, resolution: str, tmp_path: Path) -> None:
    """What is compiled differs: a loop may need more registers than it has."""

    def drawn(**cap: str) -> np.ndarray:
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), **cap}  # nothing that was compiled before
        command = [sys.executable, "-c", DRAWN, precision, resolution, str(len(ATTRIBUTES))]
        done = subprocess.run(command, env=environment, check=True, capture_output=True)
        return np.frombuffer(done.stdout, np.uint8).astype(int)

    error = np.abs(drawn(ONEDNN_MAX_CPU_ISA="AVX2") - drawn())
    assert error.mean() < 1.0


def test_shapes_are_those_of_the_design() -> None:
    model = load("toon")
    (attributes,) = model.encoder.infer(np.zeros((1, 256, 256, 3), np.uint8))
    assert attributes.shape == (1, len(PERSONAL)) and np.isfinite(attributes).all()
    toon = np.zeros((1, len(ATTRIBUTES) - len(PERSONAL)), np.float32)
    (w,) = model.mapping.infer(np.concatenate([attributes, toon], 1))
    assert w.shape == (1, 256)
    codes = model.drawer.motion_code.infer(w, np.array([list(AT_REST.values())], np.float32))
    assert [code.shape for code in codes] == [(1, 136, 32, 32), (1, 62, 64, 64), (1, 62, 128, 128)]
    (rgba,) = model.drawer.synthesis.infer(np.repeat(w[:, None], LAYERS, axis=1), *codes)
    assert rgba.shape == (1, 4, 256, 256) and np.isfinite(rgba).all()


def test_directions_have_the_shapes_of_the_codes() -> None:
    directions = load("toon").directions
    assert {"age", "beard", "child", "glasses", "hair", "make_up", "presentation", "smile"} <= set(directions)
    for direction in directions.values():
        assert direction.wplus.shape == (LAYERS, 256) and direction.motion.shape == (len(MOTION),)
        assert np.abs(direction.wplus).max() > 0 or np.abs(direction.motion).max() > 0


@pytest.mark.parametrize(
    ("edit", "attribute"), [("beard", "beard"), ("hair_long", "hair_long"), ("make_up", "make_up")]
)
def test_how_far_somebody_is_along_an_edit_is_read_off_their_code(edit: str, attribute: str) -> None:
    from tools.face_world import names
    from tools.face_world.sampling import person

    model, random = load("toon"), np.random.default_rng(4)
    people = np.stack([person(random, "toon") for _ in range(40)])[:, [names().index(name) for name in ATTRIBUTES]]
    if edit == "hair_long":
        others = [ATTRIBUTES.index(name) for name in ("hair_wavy", "hair_braids")]
        people = people[people[:, others].max(axis=1) == 0]
    gauge = model.directions[edit].gauge
    assert gauge is not None and gauge.least <= 0 < 1 <= gauge.most
    read = [float(model.mapping.infer(one[None])[0][0] @ gauge.weights) + gauge.offset for one in people]
    np.testing.assert_allclose(read, people[:, ATTRIBUTES.index(attribute)], atol=0.1)


def test_two_threads_infer_at_the_same_time() -> None:
    mapping = load("toon").mapping
    inputs = np.random.default_rng(0).normal(size=(2, 1, len(ATTRIBUTES))).astype(np.float32)
    alone = [mapping.infer(each)[0].copy() for each in inputs]
    start, wrong = threading.Barrier(2), []

    def run(which: int) -> None:
        start.wait()
        for _ in range(50):
            (got,) = mapping.infer(inputs[which])
            if not np.array_equal(got, alone[which]):
                wrong.append(which)

    threads = [threading.Thread(target=run, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not np.array_equal(*alone) and not wrong

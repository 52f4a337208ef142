"""Every kernel compiles for every GPU that is supported, keeps its numbers in registers, and has its partners."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kernels.cache import cache_folder, digest
from kernels.conv_plan import STAGES, STEP, TABLE_WIDTH, TILES
from kernels.filter_act import STRIP
from kernels.program import SOURCES, source

ROOT = Path(__file__).resolve().parents[2]
STEMS = sorted(path.stem for path in SOURCES.glob("*.cu"))
ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)
# The sources tell 7.5 from the rest only, so two passes of the front end serve all; ptxas runs for each.
TARGETS = [
    "-gencode=arch=compute_75,code=sm_75",
    f"-gencode=arch=compute_80,code=[{','.join(f'sm_{a}' for a in ARCHITECTURES[1:])}]",
]


def compiled(stem: str) -> str:
    """What ptxas says about a source for all architectures; kept by the digest of source and compiler."""
    version = subprocess.run(["nvcc", "--version"], capture_output=True, text=True, check=True).stdout
    kept = cache_folder() / "ptxas" / f"{stem}-{digest(source(stem), version, *TARGETS)}.txt"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        command = ["nvcc", *TARGETS, "-std=c++17", "-Xptxas", "-v", "--fatbin", "-o", str(kept.with_suffix(".fatbin"))]
        made = subprocess.run([*command, str(SOURCES / f"{stem}.cu")], capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        kept.with_suffix(".fatbin").unlink()
        kept.write_text(made.stdout + made.stderr)
    return kept.read_text()


IN_REGISTERS = ("0", "0", "0")


def frames(report: str) -> list[tuple[str, ...]]:
    """Of every kernel in what ptxas says: bytes of its stack, of spill stores and of spill loads."""
    return re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", report)


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not installed: no kernel was compiled for a GPU")
@pytest.mark.parametrize("stem", STEMS)
def test_kernels_compile_and_stay_in_registers(stem: str) -> None:
    report = compiled(stem)
    kernels = len(re.findall(r"Compiling entry function", report))
    assert kernels == len(frames(report)) and kernels % len(ARCHITECTURES) == 0 and kernels, report
    assert set(frames(report)) == {IN_REGISTERS}, f"{stem}.cu spills or has arrays in local memory:\n{report}"
    assert "warning" not in report, report


LOCAL_ARRAY = """
extern "C" __global__ void with_an_array(float *y, const int *i) {
    float a[64];
    for (int k = 0; k < 64; ++k) a[k] = y[k];
    for (int k = 0; k < 64; ++k) a[i[k]] += a[i[k + 1]];
    y[threadIdx.x] = a[i[threadIdx.x]];
}
"""
SPILLS = """
extern "C" __global__ void __launch_bounds__(1024, 2) with_too_many(float *y) {
    float a[96];
    #pragma unroll
    for (int k = 0; k < 96; ++k) a[k] = y[k * 1024 + threadIdx.x];
    __syncthreads();
    #pragma unroll
    for (int k = 0; k < 96; ++k) y[k * 1024 + (threadIdx.x ^ 1)] = a[k] * a[95 - k];
}
"""


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not installed: no kernel was compiled for a GPU")
@pytest.mark.parametrize(("text", "column"), [(LOCAL_ARRAY, 0), (SPILLS, 1)], ids=["array", "spills"])
def test_arrays_in_local_memory_and_spills_would_be_noticed(tmp_path: Path, text: str, column: int) -> None:
    (tmp_path / "a.cu").write_text(text)
    command = ["nvcc", "-arch=sm_80", "-Xptxas", "-v", "--cubin", "-o", "a.cubin", "a.cu"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    (frame,) = frames(made.stdout + made.stderr)
    assert frame != IN_REGISTERS and int(frame[column]) > 0


@pytest.mark.parametrize("stem", STEMS)
def test_every_source_has_its_operation_and_its_test(stem: str) -> None:
    assert (ROOT / "kernels" / f"{stem}.py").is_file(), f"kernels/{stem}.py is missing"
    assert (ROOT / "tests" / "kernels" / f"test_{stem}.py").is_file(), f"tests/kernels/test_{stem}.py is missing"


def test_python_and_cuda_agree_on_sizes() -> None:
    text = (SOURCES / "styled_conv2d.cu").read_text()
    assert f"DEEP = {STAGES}, WIDE = {STEP}" in text
    assert TABLE_WIDTH == 5 + 3 * 9 and "TABLE = 5 + 3 * 9" in text
    for name, tile in TILES.items():
        assert f"CONVOLUTION({name}, {tile.threads}, {tile.rows}, {tile.columns}, {tile.outputs}," in text
    assert f"STRIP = {STRIP};" in (SOURCES / "filter_act.cu").read_text()


def test_sources_need_no_header_that_nvrtc_lacks() -> None:
    for stem in STEMS:
        outside = re.sub(r"#else\n#include \"host.h\"\n#endif", "", source(stem))
        assert "#include" not in outside, f"{stem}.cu includes a header"


def test_shared_memory_fits_every_gpu() -> None:
    for name, tile in TILES.items():
        assert tile.shared_bytes(1024) <= 64 * 1024, f"{name} does not fit compute capability 7.5"

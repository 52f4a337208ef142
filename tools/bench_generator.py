"""Whole generators and whole frames on this GPU:
``python -m tools.bench_generator [--resolution 256,512,1024] [--batch 1,2,4,8,16,64] [--json FILE]``

Each generator is first compared with plain PyTorch in float16, both against float64, then timed:
this project's kernels in one CUDA graph (each layer by what is fastest here), against plain PyTorch in float32 and
float16, torch.compile (max-autotune), and our engine with cuDNN for every convolution. Then the encoder (IR-SE-50's
size) and the generator by TensorRT, the bundled model, and whole frames with transfers at 720p and 1080p, with full and
half channels. Medians, cold L2; results go to docs/measurements.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.bench_frames import bundled_frames, frames
from tools.bench_kernels import compared
from tools.gpu import configuration, e4e_configuration, identity, numbers, random_generator, require_gpu
from tools.layer_arithmetic import costs
from tools.record import ROOT, record

MOST_FACES = 16  # of the bundled model's at a time: more people than a picture has room for
VARIANTS = ("ours", "cudnn", "eager-fp32", "eager-fp16", "compile-fp16")


def cudnn_only(folder: Path, who: dict[str, Any]) -> Any:
    """Choices that take cuDNN for every layer."""
    from engines.layer_choices import CUDNN, LayerChoices

    class Always(LayerChoices):
        def choose(self, layer: str, candidates: Any, measure: Any) -> str:
            return CUDNN

    return Always(folder, {key: str(value) for key, value in who.items()})


def variants(generator: Any, batch: int, who: dict[str, Any], names: list[str]) -> dict[str, Callable[[], Any]]:
    """What is timed, by name: each draws the same W+."""
    import copy

    import torch

    from engines.cuda_engine import CudaGenerator
    from engines.cuda_graphs import captured
    from engines.cuda_synthesis import choices_here
    from engines.cuda_timing import median_ms
    from kernels.cache import cache_folder

    wplus = torch.randn(batch, generator.config.rows, generator.config.w_dim, device="cuda")
    half = copy.deepcopy(generator).half()
    made: dict[str, Callable[[], Any]] = {}
    measure = lambda call: median_ms(call, 20)  # noqa: E731
    for name in names:
        if name in ("ours", "cudnn"):
            choices = choices_here() if name == "ours" else cudnn_only(cache_folder(), who)
            engine = CudaGenerator(generator, batch, choices=choices, measure=measure)
            checked(engine, generator, half, wplus)
            made[name] = captured(engine.run)
        elif name == "eager-fp32":
            made[name] = lambda: generator.synthesis(wplus)
        elif name == "eager-fp16":
            made[name] = lambda: half.synthesis(wplus.half())
        else:
            compiled = torch.compile(half.synthesis, mode="max-autotune")
            made[name] = lambda compiled=compiled: compiled(wplus.half())  # type: ignore[misc]
    return made


def checked(engine: Any, generator: Any, half: Any, wplus: Any) -> None:
    """Compare the engine with the reference on one sample, against float64."""
    import copy

    got = engine.run(wplus)[:1].clone()
    exact = copy.deepcopy(generator).double().synthesis(wplus[:1].double())
    compared(got, half.synthesis(wplus[:1].half()), exact, "the generator")


def generators(o: argparse.Namespace, who: dict[str, Any], rates: dict[str, float]) -> list[dict[str, Any]]:
    """Every size, width, batch and variant."""
    import torch

    from engines.cuda_timing import median_ms

    rows = []
    for resolution in o.resolution:
        for half in (False, True):
            generator = random_generator(configuration(resolution, half), "cuda")
            for batch in o.batch:
                macs = sum(cost.macs for cost in costs(resolution, half, batch))
                for name in o.variants:
                    row = {"resolution": resolution, "half": half, "batch": batch, "variant": name}
                    try:
                        (call,) = variants(generator, batch, who, [name]).values()
                        ms = median_ms(call, o.repeats)
                    except torch.OutOfMemoryError as error:
                        rows.append({**row, "problem": str(error)[:200]})
                        continue
                    share = 2 * macs / ms * 1e-9 / rates["tflops"]
                    rows.append({**row, "ms": ms, "ms_per_picture": ms / batch, "share_of_matrix_rate": share})
                    print(
                        f"{resolution} {'half' if half else 'full'} n{batch} {name}: {ms:.3f} ms, {100 * share:.1f} %"
                    )
                torch.cuda.empty_cache()
    return rows


def encoders(o: argparse.Namespace) -> list[dict[str, Any]]:
    """An encoder of IR-SE-50's size (e4e, 18 rows) at 256 px: plain PyTorch, as a graph, compiled, by TensorRT."""
    import copy

    import torch

    from engines.cuda_graphs import captured
    from engines.cuda_timing import median_ms
    from engines.encoders import StyleEncoder

    plain = StyleEncoder(e4e_configuration()).eval().requires_grad_(False).cuda()
    half, rows = copy.deepcopy(plain).half(), []
    for batch in o.batch:
        crop = torch.randn(batch, 3, 256, 256, device="cuda")
        given = crop.half()
        compiled = torch.compile(half, mode="max-autotune")
        calls: dict[str, Callable[[], Any]] = {
            "eager-fp32": lambda crop=crop: plain(crop),  # type: ignore[misc]
            "eager-fp16": lambda given=given: half(given),  # type: ignore[misc]
            "compile-fp16": lambda compiled=compiled, given=given: compiled(given),  # type: ignore[misc]
        }
        calls["graph-fp16"] = captured(calls["eager-fp16"])
        row: dict[str, Any] = {"batch": batch, "variant": "tensorrt"}
        try:
            engine = built(half, given, "codes")
            row["difference"] = checked_engine(half, engine, given)
            row["ms"] = median_ms(captured(lambda engine=engine, given=given: engine.infer(given)), o.repeats)
        except Exception as error:  # a benchmark of several ways reports the one that failed
            row["problem"] = f"{type(error).__name__}: {str(error)[:300]}"
        timed = [{"batch": batch, "variant": name, "ms": median_ms(call, o.repeats)} for name, call in calls.items()]
        print(f"encoder n{batch}: " + ", ".join(f"{row['variant']} {row['ms']:.3f} ms" for row in timed), flush=True)
        rows += [*timed, row]
    return rows


def built(module: Any, given: Any, output: str) -> Any:
    """A module as a TensorRT engine. Raises EngineError."""
    from engines.engine_cache import EngineCache
    from engines.onnx_export import onnx_bytes
    from engines.tensorrt_engine import engine_from_onnx
    from kernels.cache import cache_folder

    onnx = onnx_bytes(module, [given], ["given"], output)
    return engine_from_onnx(onnx, EngineCache(cache_folder() / "engines"), say=print)


def checked_engine(module: Any, engine: Any, given: Any) -> float:
    """How far an engine is from the module, relative RMS. Raises SystemExit for too far."""
    from engines.tensorrt_engine import TOLERANCE, difference

    worst = difference([module(given)], engine.infer(given))
    if not worst <= TOLERANCE:
        raise SystemExit(f"TensorRT is wrong: it differs by {worst:g}; nothing was timed")
    return worst


def exported(resolution: int, repeats: int) -> dict[str, Any]:
    """The generator by TensorRT, batch 1, so that both are compared."""
    import torch

    from engines.cuda_graphs import captured
    from engines.cuda_timing import median_ms
    from engines.onnx_export import HalfSynthesis

    generator = random_generator(configuration(resolution), "cpu")
    wplus = torch.randn(1, generator.config.rows, generator.config.w_dim).half()
    row: dict[str, Any] = {"resolution": resolution, "variant": "tensorrt"}
    try:
        engine = built(HalfSynthesis(generator), wplus, "picture")
        given, whole = wplus.cuda(), generator.cuda()
        row["difference"] = checked_engine(lambda w: whole.synthesis(w.float()), engine, given)
        row["ms"] = median_ms(captured(lambda: engine.infer(given)), repeats)
    except Exception as error:  # a benchmark of several ways reports the one that failed
        row["problem"] = f"{type(error).__name__}: {str(error)[:300]}"
    return row


def bundled(o: argparse.Namespace) -> list[dict[str, Any]]:
    """The bundled model, at each size and number of faces: its graph, its kernels alone, and to the bytes."""
    from engines.bundled import manifest, verify

    listed = manifest()
    tops = [None, verify(listed["portrait_top"])] if "portrait_top" in listed else [None]
    faces = [batch for batch in o.batch if batch <= MOST_FACES]
    return [row for top in tops for row in bundled_at(verify(listed["portrait"]), top, faces, o.repeats)]


def bundled_at(file: Path, top: Path | None, faces: list[int], repeats: int) -> list[dict[str, Any]]:
    """The same of one size: 256 px, or 512 with a top."""
    import time

    import numpy as np

    from engines.bundled import LAYERS
    from engines.cuda_bundled import drawer_on_gpu
    from engines.cuda_graphs import captured
    from engines.cuda_timing import median_ms
    from engines.motion import AT_REST
    from engines.portrait import DIM

    drawer, rows = drawer_on_gpu(file, top=top), []
    for batch in faces:
        drawing, whole = drawer.drawing(batch), []
        wplus, motion = np.zeros((batch, LAYERS, DIM), np.float32), np.tile(np.float32([*AT_REST.values()]), (batch, 1))
        for _ in range(repeats):
            start = time.perf_counter()
            drawer.draw(wplus, motion)
            whole.append(time.perf_counter() - start)
        spent = {
            "graph": median_ms(drawing.replay, repeats),
            "kernels, without the motion code": median_ms(captured(drawing.engine.run), repeats),
            "to the bytes": 1e3 * sorted(whole)[len(whole) // 2],
        }
        print(
            f"bundled {drawing.engine.size_px} px n{batch}: " + ", ".join(f"{k} {ms:.3f} ms" for k, ms in spent.items())
        )
        row = {"resolution": drawing.engine.size_px, "batch": batch}
        rows += [{**row, "part": part, "ms": ms, "ms_per_picture": ms / batch} for part, ms in spent.items()]
    return rows


def chosen(text: str) -> list[str]:
    """Names of variants, for argparse."""
    names = text.split(",")
    unknown = [name for name in names if name not in VARIANTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown variant {unknown[0]!r}; known: {', '.join(VARIANTS)}")
    return names


def parser() -> argparse.ArgumentParser:
    """The command line."""
    a = argparse.ArgumentParser(
        prog="bench_generator", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    a.add_argument("--resolution", type=numbers, default=[256, 512, 1024], help="as 256,512,1024")
    a.add_argument("--batch", type=numbers, default=[1, 2, 4, 8, 16, 64], help="as 1,16")
    a.add_argument("--variants", type=chosen, default=list(VARIANTS), help=f"of {','.join(VARIANTS)}")
    a.add_argument("--repeats", type=int, default=100)
    a.add_argument("--json", type=Path, help="where the results go; docs/measurements without it")
    return a


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    a = parser()
    o = a.parse_args(arguments)
    require_gpu(a)
    import torch

    from engines.cuda_synthesis import choices_here
    from engines.cuda_timing import measured_rates

    with torch.no_grad():
        who, rates = identity(), measured_rates()
        found: dict[str, Any] = {"generators": generators(o, who, rates), "encoders": encoders(o)}
        found["exported"] = [exported(resolution, o.repeats) for resolution in o.resolution]
        found |= {"bundled": bundled(o), "frames": frames(o), "bundled_frames": bundled_frames(o)}
    file = record("gpu-generator", o.json, gpu=who, rates=rates, choices=choices_here().lines(), **found)
    print(f"written to {file.relative_to(ROOT) if file.is_relative_to(ROOT) else file}")


if __name__ == "__main__":
    main()

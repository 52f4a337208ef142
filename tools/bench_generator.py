"""Whole generators and whole frames on this GPU:
``python -m tools.bench_generator [--resolution 256,512,1024] [--batch 1,2,4,8,16,64] [--json FILE]``

Each generator is first compared with plain PyTorch in float16, both against float64, then timed:
this project's kernels in one CUDA graph (each layer by what is fastest here), against plain PyTorch in float32 and
float16, torch.compile (max-autotune), and our engine with cuDNN for every convolution. Then the encoder (IR-SE-50's
size), and whole frames with transfers at 720p and 1080p. Medians, cold L2; results go to docs/measurements.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.bench_kernels import compared
from tools.gpu import configuration, e4e_configuration, identity, numbers, random_generator, require_gpu
from tools.layer_arithmetic import costs
from tools.record import ROOT, record

FRAMES = {"720p": (720, 1280), "1080p": (1080, 1920)}
VARIANTS = ("ours", "cudnn", "eager-fp32", "eager-fp16", "compile-fp16")


def captured(call: Callable[[], Any]) -> Callable[[], None]:
    """The call as a CUDA graph."""
    import torch

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        call()
    return graph.replay


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
    """An encoder of IR-SE-50's size (e4e, 18 rows) at 256 px: eager and compiled, float16."""
    import torch

    from engines.cuda_timing import median_ms
    from engines.encoders import StyleEncoder

    encoder = StyleEncoder(e4e_configuration()).eval().requires_grad_(False).half().cuda()
    crop = torch.randn(1, 3, 256, 256, device="cuda", dtype=torch.float16)
    rows = []
    for name, call in {"eager-fp16": encoder, "graph-fp16": captured(lambda: encoder(crop))}.items():
        ms = median_ms((lambda call=call: call(crop)) if name == "eager-fp16" else call, o.repeats)  # type: ignore[misc]
        rows.append({"variant": name, "ms": ms})
    return rows


def frames(o: argparse.Namespace) -> list[dict[str, Any]]:
    """Whole frames with transfers: milliseconds from submission to the finished bytes, and frames a second."""
    import numpy as np

    from engines.cuda_engine import CudaGenerator
    from engines.cuda_frame import FrameEngine, Place
    from engines.cuda_synthesis import choices_here
    from engines.cuda_timing import median_ms

    rows = []
    resolution = max(o.resolution)
    generator = random_generator(configuration(resolution), "cuda")
    engine = CudaGenerator(generator, choices=choices_here(), measure=lambda call: median_ms(call, 20))
    wplus = np.zeros((engine.config.rows, engine.config.w_dim), np.float32)
    for name, (height, width) in FRAMES.items():
        step = resolution / height * 1.25  # the portrait is 0.8 of the picture's height
        into = np.array([[step, 0, -width * step / 4], [0, step, -height * step / 10]])
        back = np.array([[1 / step, 0, width / 4], [0, 1 / step, height / 10]])
        place = Place(np.array([[height / 512, 0, width / 4], [0, height / 512, height / 10]]), into, back)
        whole = FrameEngine(engine, height, width)
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        alone = []
        for _ in range(o.repeats):
            start = time.perf_counter()
            whole.submit(pixels, place, wplus)
            whole.collect()
            alone.append(time.perf_counter() - start)
        whole.submit(pixels, place, wplus)
        start = time.perf_counter()
        for _ in range(o.repeats):
            whole.submit(pixels, place, wplus)
            whole.collect()
        rate = o.repeats / (time.perf_counter() - start)
        whole.collect()
        rows.append({"frame": name, "resolution": resolution, "ms": 1e3 * sorted(alone)[len(alone) // 2], "fps": rate})
        print(
            f"{name} with {resolution} px: {rows[-1]['ms']:.3f} ms from submission to bytes, {rate:.0f} frames a second"
        )
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
        drawn, encoded, whole = generators(o, who, rates), encoders(o), frames(o)
    choices = choices_here().lines()
    file = record(
        "gpu-generator", o.json, gpu=who, rates=rates, generators=drawn, encoders=encoded, frames=whole, choices=choices
    )
    print(f"written to {file.relative_to(ROOT) if file.is_relative_to(ROOT) else file}")


if __name__ == "__main__":
    main()

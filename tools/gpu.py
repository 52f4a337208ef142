"""What the GPU's benchmarks and checks share: the GPU or a clear refusal, generators of known sizes, its identity."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path
from typing import Any

from engines.devices import cuda_version, driver_version, gpu_facts
from engines.stylegan2_config import GeneratorConfig
from tools.layer_arithmetic import W_DIM, channels

REFUSED = 3  # exit status without a usable GPU


def require_gpu(parser: argparse.ArgumentParser) -> None:
    """End the program with the reason where there is no usable GPU."""
    problem = gpu_facts().problem
    if problem is not None:
        parser.exit(REFUSED, f"{parser.prog}: needs an NVIDIA GPU: {problem}\n")


def numbers(text: str) -> list[int]:
    """1,2,4 as [1, 2, 4]; for argparse."""
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of whole numbers from 1 on; wanted something like 1,2,4")
    return found


def configuration(resolution: int, half: bool = False) -> GeneratorConfig:
    """StyleGAN2's shape at a resolution, with full or half channels, without a mapping network."""
    return GeneratorConfig(resolution, W_DIM, W_DIM, 0, channels(resolution, half), "skip", clamp=256.0)


def e4e_configuration(rows: int = 18) -> Any:
    """An encoder of e4e's size, as for 1024 px: IR-SE-50, 18 rows, heads on features of 16, 32 and 64 px."""
    from engines.encoders_config import STAGES, EncoderConfig

    blocks, last = [], 64
    for wide, count in zip((64, 128, 256, 512), STAGES[24], strict=True):
        blocks += [(last if k == 0 else wide, wide, 2 if k == 0 else 1, wide // 16) for k in range(count)]
        last = wide
    starts = [sum(STAGES[24][:k]) for k in range(4)]
    heads = ((4,) * 3 + (5,) * 4 + (6,) * 11)[:rows]
    return EncoderConfig(3, 64, tuple(blocks), heads, W_DIM, (starts[2] - 1, starts[3] - 1), deltas=True)


def random_generator(config: GeneratorConfig, device: str, seed: int = 0) -> Any:
    """A generator with weights as at the start of training: what it draws means nothing, its arithmetic does."""
    import torch

    from engines.stylegan2 import Generator
    from kernels.upfirdn2d import setup_filter

    generator = Generator(config).eval().requires_grad_(False)
    source = torch.Generator().manual_seed(seed)
    for name, tensor in [*generator.named_parameters(), *generator.named_buffers()]:
        fan_in = tensor[0].numel() if tensor.ndim > 1 else 1
        tensor.copy_(torch.randn(tensor.shape, generator=source) / (fan_in**0.5 if name.endswith("weight") else 1.0))
        if name.endswith("affine.bias"):
            tensor.fill_(1.0)
        elif name.endswith(("bias", "noise_strength")):
            tensor.mul_(0.1)
    generator.synthesis.filter.copy_(setup_filter([1, 3, 3, 1]))
    return generator.to(device)


def identity() -> dict[str, Any]:
    """The GPU, its driver and the runtimes that measurements hold for."""
    import torch

    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    query = ["nvidia-smi", "--query-gpu=driver_version,clocks.sm,clocks.max.sm,power.limit", "--format=csv,noheader"]
    try:
        smi = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        smi = ""
    return {
        "gpu": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "memory_gib": properties.total_memory / 2**30,
        "multiprocessors": properties.multi_processor_count,
        "driver_cuda": cuda_version(driver_version()),
        "driver, clock, largest clock, power": smi,
        "torch_cuda": str(torch.version.cuda),
        "cudnn": str(torch.backends.cudnn.version()),
    }


def roofline(rows: list[dict[str, Any]], rates: dict[str, float], gpu: str, path: Path) -> None:
    """Each row's TFLOP/s over its arithmetic intensity, under the GPU's own two limits, as a PNG.

    rows: ``name``, ``flops``, ``bytes``, ``ms``. rates: ``tflops``, ``gb_per_s``.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 6))
    edge = rates["tflops"] * 1e3 / rates["gb_per_s"]  # flops per byte where the limits meet
    across = [edge / 1000, edge, edge * 30]
    axes.plot(across, [min(rates["tflops"], x * rates["gb_per_s"] * 1e-3) for x in across], "k-", lw=1)
    for row in rows:
        intensity, rate = row["flops"] / row["bytes"], row["flops"] / row["ms"] * 1e-9
        axes.plot(intensity, rate, "o", ms=4)
        axes.annotate(row["name"], (intensity, rate), fontsize=6, xytext=(3, 3), textcoords="offset points")
    axes.set(xscale="log", yscale="log", xlabel="operations per byte", ylabel="TFLOP/s", title=gpu)
    axes.grid(alpha=0.3, which="both")
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    pyplot.close(figure)

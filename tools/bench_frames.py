"""Whole frames with transfers, for ``tools.bench_generator``: crop, encoder, generator, pasting, at 720p and 1080p."""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from tools.gpu import configuration, e4e_configuration, random_generator

FRAMES = {"720p": (720, 1280), "1080p": (1080, 1920)}
FACE = 0.5  # height of the face's outline, in heights of the picture


def moment_of(height: int, width: int, resolution: int) -> Any:
    """A face in the middle of a frame: where crop, outline and portrait lie."""
    from engines.cuda_frame import Moment, Place

    side = 2 * FACE * height  # of the crop, in frame pixels
    left, top = (width - side) / 2, (height - side) / 2
    crop = np.array([[side / 256, 0, left], [0, side / 256, top]])
    level = 0
    while side / (resolution >> level) <= 0.5 and resolution >> level > 64:
        level += 1
    step = (resolution >> level) / side
    angles = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    radius = FACE * height / 2
    outline = np.stack([width / 2 + 0.75 * radius * np.cos(angles), height / 2 + radius * np.sin(angles)], axis=1)
    low = np.floor(outline.min(axis=0) - 0.3 * radius).astype(int)
    high = np.ceil(outline.max(axis=0) + 0.3 * radius).astype(int)
    box = (int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))
    place = Place(
        (step, 0, -left * step, 0, step, -top * step), box, 0.14 * radius, len(outline), level, resolution, 0.1
    )
    return Moment(crop, place, outline, 1 / 30, False, False)


def frames(o: argparse.Namespace) -> list[dict[str, Any]]:
    """Milliseconds from submission to the finished bytes, and frames a second with two on their way."""
    from engines.cuda_engine import CudaGenerator
    from engines.cuda_frame import FrameEngine
    from engines.cuda_imported import LiveEncoder
    from engines.cuda_synthesis import choices_here
    from engines.cuda_timing import median_ms
    from engines.encoders import StyleEncoder

    rows = []
    for half in (False, True):
        resolution = max(o.resolution)
        generator = random_generator(configuration(resolution, half), "cuda")
        engine = CudaGenerator(generator, choices=choices_here(), measure=lambda call: median_ms(call, 20))
        network = StyleEncoder(e4e_configuration(engine.config.rows)).eval().requires_grad_(False).cuda()
        encoder = LiveEncoder(network, engine, None)
        for name, (height, width) in FRAMES.items():
            for coded in (False, True):
                whole = FrameEngine(engine, height, width, None if coded else encoder)
                row = {"frame": name, "resolution": resolution, "half": half, "encoder": not coded}
                rows.append({**row, **timed(whole, moment_of(height, width, resolution), (height, width), o.repeats)})
                print(", ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    return rows


def timed(whole: Any, moment: Any, size: tuple[int, int], repeats: int) -> dict[str, float]:
    """One engine's frames."""
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    alone = []
    for _ in range(repeats):
        start = time.perf_counter()
        whole.submit(pixels, moment).result()
        alone.append(time.perf_counter() - start)
    last = whole.submit(pixels, moment)
    start = time.perf_counter()
    for _ in range(repeats):
        following = whole.submit(pixels, moment)
        last.result()
        last = following
    rate = repeats / (time.perf_counter() - start)
    last.result()
    return {"ms": 1e3 * sorted(alone)[len(alone) // 2], "fps": rate}

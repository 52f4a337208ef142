"""Whole frames with transfers, for ``tools.bench_generator``, at 720p and 1080p.

Of imported models: crop, encoder, generator, pasting. Of the bundled one: motion code, generator, heads covered and
portraits drawn over them, of one, two and four faces.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.gpu import configuration, e4e_configuration, random_generator

FRAMES = {"720p": (720, 1280), "1080p": (1080, 1920)}
FACE = 0.5  # height of the face's outline, in heights of the picture
FACES = (1, 2, 4)  # of the bundled model
POINTS, FOREHEAD, CHIN = 478, 10, 152


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
                submit = functools.partial(whole.submit, moment=moment_of(height, width, resolution))
                rows.append({**row, **timed(submit, (height, width), o.repeats)})
                print(", ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    return rows


def bundled_frames(o: argparse.Namespace) -> list[dict[str, Any]]:
    """The same of the bundled model; ``covers_ms`` is what the processor does before: masks and colours."""
    from engines.bundled import manifest, verify

    listed = manifest()
    tops = [None, verify(listed["portrait_top"])] if "portrait_top" in listed else [None]
    return [row for top in tops for row in bundled_frames_at(verify(listed["portrait"]), top, o.repeats)]


def bundled_frames_at(file: Path, top: Path | None, repeats: int) -> list[dict[str, Any]]:
    """The same of one size: 256 px, or 512 with a top."""
    from engines.cuda_bundled import drawer_on_gpu
    from realtime.covering import covers
    from realtime.painting import fade

    drawer, rows = drawer_on_gpu(file, top=top), []
    edge = drawer.drawing(1).engine.size_px
    for name, (height, width) in FRAMES.items():
        engine = drawer.whole_frames(height, width, max(FACES), fade(edge))
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        for count in FACES:
            heads, points = heads_in(height, width, count, drawer)
            start = time.perf_counter()
            for _ in range(repeats):
                over = covers(pixels, points)
            row = {"frame": name, "resolution": edge, "faces": count}
            row["covers_ms"] = 1e3 * (time.perf_counter() - start) / repeats
            submit = functools.partial(engine.submit, heads=heads, covers=over)
            rows.append({**row, **timed(submit, (height, width), repeats)})
            print(", ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    return rows


def heads_in(height: int, width: int, count: int, drawer: Any) -> tuple[list[Any], list[npt.NDArray[np.float32]]]:
    """So many heads side by side, each twice as wide as its face, and the faces' points."""
    from engines.cuda_overlay import Head, Place

    one = drawer.drawing(1)
    rows, wide = one.engine.wplus.shape[1:]
    heads, points = [], []
    radius = min(FACE * height / 2, width / count / 4)
    turn, reach = np.arange(POINTS) * 2.399963, radius * np.sqrt(np.arange(POINTS) / POINTS)  # the golden angle
    for number in range(count):
        x, y = width * (number + 0.5) / count, height / 2
        step = one.engine.size_px / (4 * radius)
        place = Place((step, 0, -(x - 2 * radius) * step, 0, step, -(y - 2 * radius) * step), fades=True)
        zeros = np.zeros((rows, wide), np.float32), np.zeros(one.motion.shape[1], np.float32)
        heads.append(Head(*zeros, place))
        at = np.stack([x + reach * np.cos(turn), y + reach * np.sin(turn), 0 * turn], axis=1).astype(np.float32)
        at[FOREHEAD, :2], at[CHIN, :2] = (x, y - radius), (x, y + radius)
        points.append(at)
    return heads, points


def timed(submit: Callable[[Any], Any], size: tuple[int, int], repeats: int) -> dict[str, float]:
    """Frames of one engine. submit: takes pixels, gives a ticket."""
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    alone = []
    for _ in range(repeats):
        start = time.perf_counter()
        submit(pixels).result()
        alone.append(time.perf_counter() - start)
    last = submit(pixels)
    start = time.perf_counter()
    for _ in range(repeats):
        following = submit(pixels)
        last.result()
        last = following
    rate = repeats / (time.perf_counter() - start)
    last.result()
    return {"ms": 1e3 * sorted(alone)[len(alone) // 2], "fps": rate}

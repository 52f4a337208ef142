"""The live program's own stages, frame by frame: ``python -m tools.bench_live [--device cuda] [--json FILE]``

The bundled actor is played to the tracker and to everything after it, at 720p and 1080p, with the bundled model and
with imported ones of random weights (IR-SE-50 encoder; what they draw means nothing, their cost is a real one's). For
each: milliseconds from a frame to its finished picture, and frames a second where a picture is asked for only when the
next frame has been given, as the program does. Stage by stage, medians. On the processor by default; with ``--device
cuda`` it ends with the reason where there is no usable GPU. Results go to docs/measurements.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tools.gpu import REFUSED, identity, numbers, require_gpu
from tools.record import ROOT, record

SIZES = {"720p": (1280, 720), "1080p": (1920, 1080)}
WARM_UP = 5


def imported(folder: Path, size: int, widths: float) -> str:
    """Import an e4e of random weights into a folder of models; its name."""
    import torch

    from engines.checkpoints import import_checkpoint
    from tools.random_e4e import checkpoint

    name = f"random-{size}"
    torch.save(checkpoint(size, widths=widths), folder / "made.pt")
    import_checkpoint(folder / "made.pt", out_dir=folder, name=name)
    (folder / "made.pt").unlink()
    return name


def played(size: tuple[int, int], count: int) -> list[Any]:
    """Frames of the bundled actor at a size."""
    import cv2

    from realtime.capture import open_source
    from realtime.clock import SystemClock
    from realtime.frames import Frame
    from realtime.settings import CaptureSettings

    source, frames = open_source("demo", CaptureSettings(), SystemClock()), []
    while len(frames) < count:
        frame = source.read()
        assert isinstance(frame, Frame), "the actor plays for longer than that"
        pixels = np.asarray(cv2.resize(frame.pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        frames.append(Frame(frame.frame_id, frame.captured_ns, pixels))
    source.close()
    return frames


def measured(model: str, device: str, frames: list[Any]) -> dict[str, Any]:
    """One model over the frames, twice: each picture waited for, and each waited for one frame later."""
    from realtime.building import build_stages
    from realtime.clock import SystemClock
    from realtime.settings import CompositingSettings, GeneratingSettings, Settings
    from realtime.statistics import Statistics

    height, width = frames[0].pixels.shape[:2]
    mode = "overlay" if model == "toon" else "paste"
    wanted = Settings(
        generating=GeneratingSettings(model=model, device=device), compositing=CompositingSettings(mode=mode)
    )
    found: dict[str, Any] = {}
    for late in (False, True):
        stages, description = build_stages(wanted, (width, height))
        statistics = Statistics(SystemClock())
        for frame in frames[:WARM_UP]:
            stages.draw(frame, statistics).pixels  # noqa: B018 - waits
        statistics, each, waiting = Statistics(SystemClock()), [], None
        begin = time.perf_counter()
        for frame in frames[WARM_UP:]:
            start = time.perf_counter()
            picture = stages.draw(frame, statistics)
            if not late:
                picture.pixels  # noqa: B018 - waits
                each.append(time.perf_counter() - start)
            elif waiting is not None:
                waiting.pixels  # noqa: B018 - waits
            waiting = picture
        if waiting is not None:
            waiting.pixels  # noqa: B018 - waits
        seconds = time.perf_counter() - begin
        stages.tracker.close()
        if late:
            found["fps"] = (len(frames) - WARM_UP) / seconds
        else:
            snapshot = statistics.snapshot()
            found |= {"runs_on": description, "ms": 1e3 * float(np.median(each))}
            found["without_face"] = snapshot.frames_without_face
            found["stages_ms"] = {name: spread.p50 for name, spread in snapshot.stages_ms.items()}
    return found


def parser() -> argparse.ArgumentParser:
    """The command line."""
    a = argparse.ArgumentParser(
        prog="bench_live", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    a.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    a.add_argument("--frames", type=int, default=300)
    a.add_argument("--sizes", type=lambda text: text.split(","), default=list(SIZES), help="as 720p,1080p")
    a.add_argument("--resolution", type=numbers, default=[256, 1024], help="of the imported models, as 256,1024")
    a.add_argument("--widths", type=float, default=1.0, help="of the imported models, as part of the full ones")
    a.add_argument("--json", type=Path, help="where the results go; docs/measurements without it")
    return a


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    a = parser()
    o = a.parse_args(arguments)
    if unknown := [name for name in o.sizes if name not in SIZES]:
        a.error(f"unknown size {unknown[0]!r}; known: {', '.join(SIZES)}")
    if o.device == "cuda":
        require_gpu(a)
    if missing := [name for name in ("mediapipe", "openvino", "av") if importlib.util.find_spec(name) is None]:
        a.exit(REFUSED, f"{a.prog}: needs {', '.join(missing)}: pip install . ; the live program was not measured\n")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        os.environ["AVATAR_LIVE_MODELS"] = name
        models = ["toon", *(imported(Path(name), size, o.widths) for size in o.resolution)]
        for size in o.sizes:
            frames = played(SIZES[size], o.frames)
            for model in models:
                rows.append({"frame": size, "model": model, **measured(model, o.device, frames)})
                print(
                    f"{size} {model}: {rows[-1]['ms']:.2f} ms a frame, {rows[-1]['fps']:.1f} frames a second",
                    flush=True,
                )
    gpu = identity() if o.device == "cuda" else None
    kind = "gpu-live" if o.device == "cuda" else "live"
    file = record(kind, o.json, device=o.device, gpu=gpu, frames=o.frames, widths=o.widths, live=rows)
    print(f"written to {file.relative_to(ROOT) if file.is_relative_to(ROOT) else file}")


if __name__ == "__main__":
    main()

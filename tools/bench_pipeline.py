"""The live program as a user runs it, measured: ``python -m tools.bench_pipeline CLIP [--seconds 30] [--json FILE]``

CLIP (1280x720 is the size that counts) is looped into a longer file, which the command plays at its own rate as if it
were a camera, late frames dropped, into the null output: frames a second, latency from capture to send, ms per stage.
A second run drops nothing and tells how fast it could be. A third has one frame only: how long a user waits for a
picture, from the command to its end. Each is done as the machine is and with instruction sets capped at AVX2
(``ONEDNN_MAX_CPU_ISA``). Processor time a picture is that of the second run less that of the third, all threads
together: it says more than the rate where other programs run. Memory is the process's peak. The environment's size is
that of the packages which a CPU installation brings.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from tools.record import ROOT, record

COMMAND = (sys.executable, "-c", "from realtime.cli import main; main()")
CAPS: dict[str, dict[str, str]] = {"best": {}, "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2"}}


def looped(clip: Path, frames: int, fps: int, path: Path) -> tuple[int, int]:
    """Write ``frames`` frames of a clip, again from its start where it ends, at ``fps``; width and height."""
    reader = cv2.VideoCapture(str(clip))
    kept = []
    while len(kept) < min(frames, 300):
        there, pixels = reader.read()
        if not there:
            break
        kept.append(np.asarray(pixels, np.uint8))
    if not kept:
        raise SystemExit(f"{clip} cannot be read as a video")
    order = [*range(len(kept)), *range(len(kept) - 2, 0, -1)]  # there and back, so that no cut comes in
    height, width = kept[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            picture = av.VideoFrame.from_ndarray(kept[order[number % len(order)]], format="bgr24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return width, height


def run(source: Path, arguments: list[str], cap: dict[str, str], folder: Path) -> dict[str, Any]:
    """One run of the command: its figures, with ``wall_s``, ``cpu_s`` and ``peak_mib`` as seen from outside."""
    figures = folder / "figures.json"
    command = [*COMMAND, "--source", str(source), "--output", "null", "--stats", str(figures), *arguments]
    start = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **cap}, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"avatar-live ended with {process.returncode}: {said.strip()}")
    found = json.loads(figures.read_text(encoding="utf-8"))
    cpu_s = usage.ru_utime + usage.ru_stime
    return {**found, "wall_s": wall_s, "cpu_s": cpu_s, "peak_mib": usage.ru_maxrss / 1024}


def cpu_ms_a_picture(free: dict[str, Any], singles: list[dict[str, Any]]) -> float:
    """Processor time of a long run less that of the shortest run with one picture, per further picture."""
    start_s = min(single["cpu_s"] for single in singles)
    return float(1000 * (free["cpu_s"] - start_s) / max(free["frames_out"] - 1, 1))


def measure(source: Path, single: Path, cap: dict[str, str], extra: list[str], folder: Path) -> dict[str, Any]:
    """All runs under one cap."""
    paced = run(source, ["--realtime", *extra], cap, folder)
    free = run(source, extra, cap, folder)
    singles = [run(single, extra, cap, folder) for _ in range(3)]
    return {
        "fps": paced["mean_fps"],
        "dropped": paced["frames_dropped"],
        "without_face": paced["frames_without_face"],
        "latency_ms": paced["latency_ms"],
        "stages_ms": paced["stages_ms"],
        "fps_unpaced": free["mean_fps"],
        "cpu_ms_a_picture": cpu_ms_a_picture(free, singles),
        "command_with_one_frame_s": [single["wall_s"] for single in singles],
        "peak_mib": max(paced["peak_mib"], free["peak_mib"]),
        "model": paced.get("model"),
    }


def installed_packages(requirements: list[str]) -> dict[str, int]:
    """Bytes on disk of every package that ``requirements`` bring with them, as far as they are installed here."""
    sizes: dict[str, int] = {}
    waiting = list(requirements)
    while waiting:
        text = waiting.pop()
        name = re.split(r"[\s;<>=!~\[(@]", text.strip(), maxsplit=1)[0].lower().replace("_", "-")
        if name in sizes or "extra ==" in text or not _applies(text):
            continue
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        files = (Path(str(package.locate_file(file))) for file in package.files or [])
        sizes[name] = sum(file.stat().st_size for file in files if file.is_file())
        waiting += package.requires or []
    return sizes


def _applies(requirement: str) -> bool:
    """False for a requirement of another Python or system."""
    from packaging.requirements import Requirement

    marker = Requirement(requirement).marker
    return marker is None or marker.evaluate({"extra": ""})


def main() -> None:
    """Measure, print and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--json", type=Path, help="default: docs/measurements/pipeline-DATE.json")
    parser.add_argument("options", nargs="*", help="passed on to avatar-live, after --")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frames, fps = arguments.seconds * arguments.fps, arguments.fps
        # In a process of its own: a program's peak memory counts what its parent held when it was started.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
            size = apart.submit(looped, arguments.clip, frames, fps, folder / "long.mp4").result()
            apart.submit(looped, arguments.clip, 1, fps, folder / "single.mp4").result()
        results = {}
        for cap, environment in CAPS.items():
            files = (folder / "long.mp4", folder / "single.mp4")
            results[cap] = measure(*files, environment, arguments.options, folder)
            print(line(cap, results[cap]), flush=True)
    packages = installed_packages(_requirements())
    megabytes = sum(packages.values()) / 1e6
    print(f"installed packages: {megabytes:.0f} MB")
    largest = dict(sorted(packages.items(), key=lambda item: -item[1])[:12])
    environment_size = {"megabytes": megabytes, "largest_bytes": largest}
    context = {"size": size, "source_fps": arguments.fps, "seconds": arguments.seconds, "options": arguments.options}
    print(record("pipeline", arguments.json, **context, environment=environment_size, runs=results))


def line(cap: str, found: dict[str, Any]) -> str:
    """One run in a line."""
    latency = found["latency_ms"]
    stages = ", ".join(f"{name} {spread['mean']:.1f}" for name, spread in found["stages_ms"].items())
    return (
        f"{cap}: {found['fps']:.1f} fps ({found['fps_unpaced']:.1f} unpaced), {found['dropped']} dropped; latency p50 "
        f"{latency['p50']:.1f}, p95 {latency['p95']:.1f}, p99 {latency['p99']:.1f} ms; command with one frame "
        f"{min(found['command_with_one_frame_s']):.2f} s; {found['peak_mib']:.0f} MiB; processor time a picture "
        f"{found['cpu_ms_a_picture']:.1f} ms; ms: {stages}"
    )


def _requirements() -> list[str]:
    """What ``pip install .`` asks for, from pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    return re.findall(r'^\s*"([^"]+)"', block[1], re.MULTILINE) if block else []


if __name__ == "__main__":
    main()

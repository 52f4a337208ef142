"""What works on this computer and what does not: cameras, virtual cameras, GPU, runtimes and models.

Nothing is guessed: cameras are asked, the virtual camera is opened, every runtime draws a picture and is timed, every
model file is read and its checksum compared. Each problem comes with what to do about it.
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Literal

import numpy as np
from rich.console import Console
from rich.text import Text

from realtime.clock import SystemClock
from realtime.errors import AvatarLiveError
from realtime.frames import Latent
from realtime.settings import OutputSettings

if TYPE_CHECKING:
    from engines.bundled import BundledModel
    from realtime.cameras import Camera, Mode

SECONDS = 20  # how long a foreign tool may take to answer
DRAWINGS = 9  # portraits that are drawn to time a runtime

# Device, precision and resolution that a model is loaded with; the first must work.
WAYS = (
    ("cpu", "auto", "auto"), ("cpu", "f32", "auto"), ("cpu", "int8", "auto"), ("cpu", "bf16", "auto"),
    ("cpu", "auto", "512"), ("cuda", "auto", "auto"), ("cuda", "auto", "256"),
)  # fmt: skip

State = Literal["good", "missing", "broken"]
MARKS: dict[State, tuple[str, str]] = {"good": ("ok", "green"), "missing": ("--", "yellow"), "broken": ("!!", "red")}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    state: good; missing (the program works without it); broken (it should work and does not).
    advice: what to do about it.
    """

    state: State
    text: str
    advice: str = ""


def examine(console: Console) -> bool:
    """Look at everything and print it; false when something is broken."""
    sound = True
    for title, look in EXAMINATIONS.items():
        console.print(Text(title, style="bold"))
        for finding in _looked(look):
            _print(console, finding, "  ")
            sound = sound and finding.state != "broken"
    return sound


def _print(console: Console, finding: Finding, indent: str) -> None:
    mark, style = MARKS[finding.state]
    console.print(Text.assemble(indent, (mark, style), "  ", finding.text), soft_wrap=True)
    if finding.advice:
        below = textwrap.indent(finding.advice, f"{indent}      ")
        console.print(Text(below, style="dim"), soft_wrap=True)


def _looked(look: Callable[[], Iterable[Finding]]) -> Iterable[Finding]:
    """The findings of one examination; its own failure is one of them."""
    try:
        yield from look()
    except AvatarLiveError as error:
        yield Finding("broken", str(error))
    except Exception as error:  # a doctor reports, whatever happens
        yield Finding("broken", f"cannot be examined: {type(error).__name__}: {error}", "please report this")


def _program() -> Iterable[Finding]:
    from realtime import __version__

    yield Finding("good", f"avatar-live {__version__}, Python {platform.python_version()}, {platform.platform()}")
    owners = [name for name in ("opencv-python", "opencv-python-headless", "opencv-contrib-python") if _version(name)]
    if len(owners) > 1:
        advice = "pip uninstall -y " + " ".join(owners) + " && pip install opencv-contrib-python"
        yield Finding("broken", f"{len(owners)} OpenCV packages overwrite each other: {', '.join(owners)}", advice)


def _cameras() -> Iterable[Finding]:
    from realtime.cameras import list_cameras

    cameras = [camera for camera in list_cameras() if not camera.virtual]
    for camera in cameras:
        yield _camera(camera)
    if not cameras:
        yield Finding("missing", "no camera", _no_camera())


def _camera(camera: Camera) -> Finding:
    """One camera: how to name it, its sizes with their greatest rate, and its trouble."""
    state: State = "broken" if camera.problem else "good"
    modes = f": {sizes(camera.modes)}" if camera.modes else ""
    fed = ", fed by a program" if camera.virtual else ""
    return Finding(state, f"--source {camera.index}  {camera.label()}{fed}{modes}", camera.problem or "")


def sizes(modes: Iterable[Mode]) -> str:
    """Modes by size, the largest first, each with its most frames a second and its formats."""
    rates: dict[tuple[int, int], float] = {}
    formats: dict[tuple[int, int], list[str]] = {}
    for mode in modes:
        size = (mode.width, mode.height)
        rates[size] = max(rates.get(size, 0.0), mode.fps)
        formats.setdefault(size, [])
        if mode.fourcc not in formats[size]:
            formats[size].append(mode.fourcc)
    ordered = sorted(rates, key=lambda size: -size[0] * size[1])
    return ", ".join(f"{w}x{h}@{rates[w, h]:.4g} {'/'.join(formats[w, h])}" for w, h in ordered)


def _no_camera() -> str:
    if platform.system() == "Linux":
        return "plug one in, or try: avatar-live --source demo"
    from realtime.permissions import silent

    named = "" if importlib.util.find_spec("cv2_enumerate_cameras") else "; names: pip install 'avatar-live[cameras]'"
    return f"plug one in, or {silent()}{named}"


def print_cameras(console: Console) -> None:
    """Every camera, real or fed by a program, as ``--source`` takes it, with its modes."""
    from realtime.cameras import list_cameras

    found = [_camera(camera) for camera in list_cameras()] or [Finding("missing", "no camera", _no_camera())]
    for finding in found:
        _print(console, finding, "")


def _virtual_cameras() -> Iterable[Finding]:
    from realtime.outputs.virtual_camera import VirtualCamera

    try:
        camera = VirtualCamera((640, 480), 30.0, None, OutputSettings())
    except AvatarLiveError as error:
        reason, _, commands = str(error).partition("; ")
        yield Finding("missing", reason, commands or "use --output page, window or FILE.mp4")
        return
    yield Finding("good", camera.describe())
    camera.close()


def _gpu() -> Iterable[Finding]:
    if shutil.which("nvidia-smi") is None:
        yield Finding("missing", "no NVIDIA driver (no nvidia-smi); the CPU does the work")
        return
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        asked = subprocess.run(query, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        yield Finding("broken", f"nvidia-smi did not answer in {SECONDS} s", "restart the computer")
        return
    if asked.returncode != 0 or not asked.stdout.strip():
        said = " ".join((asked.stderr or asked.stdout).split()) or "nothing"
        yield Finding("broken", f"nvidia-smi said: {said}", "install or update the NVIDIA driver")
        return
    for line in asked.stdout.strip().splitlines():
        yield Finding("good", line)
    wanted = {"torch": ("torch",), "cupy": ("cupy-cuda13x", "cupy-cuda12x", "cupy"), "tensorrt": ("tensorrt",)}
    for module, packages in wanted.items():
        version = next((found for name in packages if (found := _version(name))), None)
        if version and importlib.util.find_spec(module):
            yield Finding("good", f"{module} {version}")
        else:
            yield Finding("missing", f"{module} is not installed", "pip install 'avatar-live[cuda]'")


def _cuda_engine() -> Iterable[Finding]:
    """Whether the CUDA engine can run, and what it chose for each layer."""
    from engines.devices import LEAST_BYTES, UNUSED, automatic, choose_device, gpu_facts
    from engines.layer_choices import stored_choices

    facts = gpu_facts()
    choice = choose_device("auto", LEAST_BYTES, facts)
    if choice.kind == "cuda":
        yield Finding("good", f"{facts.name}, {facts.free_bytes // 2**20} of {facts.total_bytes // 2**20} MiB free")
        if automatic().kind == "cpu":
            yield Finding("missing", "--device auto does not use it", automatic().reason)
    else:
        yield Finding("missing", f"the CUDA engine cannot run: {choice.reason.removeprefix(UNUSED)}")
    for line in stored_choices():
        yield Finding("good", line)


def _models() -> Iterable[Finding]:
    from engines import bundled

    for name, row in bundled.manifest().items():
        try:
            bundled.verify(row)
        except AvatarLiveError as error:
            yield Finding("broken", str(error))
        else:
            size = f"{row['bytes'] / 1e6:.1f} MB"
            yield Finding("good", f"{name}: {row['file']}, {size}, SHA-256 {row['sha256'][:12]}...")


def _runtimes() -> Iterable[Finding]:
    from engines.bundled import MODELS, load

    for name in MODELS:
        best: BundledModel | None = None  # the one that auto takes: asked for first, and loaded once
        refusals: set[str] = set()  # a machine without a GPU refuses every size alike: said once
        for device, precision, resolution in WAYS:
            try:
                model = load(name, device, precision=precision, resolution=resolution)
            except AvatarLiveError as error:
                if str(error) in refusals:
                    continue
                refusals.add(str(error))
                where = f"{name} on {device}" + ("" if precision == "auto" else f" in {precision}")
                where += "" if resolution == "auto" else f" at {resolution} px"
                broken = (device, precision, resolution) == WAYS[0]
                yield Finding("broken" if broken else "missing", f"{where}: {error}")
                continue
            if model is not best:
                taken = ", taken by --precision auto" if best is None else ""
                spent = f"{_milliseconds_a_portrait(model):.1f} ms"
                spent += ", two are drawn at once" if model.at_once > 1 else ""
                yield Finding("good", f"{model.describe()}: a portrait in {spent}{taken}")
            best = best or model


def _milliseconds_a_portrait(model: BundledModel) -> float:
    """The median time in which the model draws a head at rest."""
    from engines.attributes import ATTRIBUTES
    from engines.bundled import LAYERS
    from engines.motion import AT_REST, MOTION
    from realtime.generating import Generator

    generator, clock = Generator(model), SystemClock()
    w = model.mapping.infer(np.zeros((1, len(ATTRIBUTES)), np.float32))[0]
    motion = np.array([AT_REST[name] for name in MOTION], np.float32)
    latent = Latent(0, 0, np.repeat(w, LAYERS, axis=0), motion, np.eye(2, 3), True)
    times_ns = [clock.now_ns()]
    for _ in range(DRAWINGS):
        generator.generate(latent)
        times_ns.append(clock.now_ns())
    return float(np.median(np.diff(times_ns))) * 1e-6


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


EXAMINATIONS: dict[str, Callable[[], Iterable[Finding]]] = {
    "program": _program,
    "cameras": _cameras,
    "virtual cameras": _virtual_cameras,
    "GPU": _gpu,
    "CUDA engine": _cuda_engine,
    "models": _models,
    "runtimes": _runtimes,
}

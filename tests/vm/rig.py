"""The webcam, the program and the application of the checks, each a process or a device of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "1")

import cv2
import numpy as np
import scene

CONTROL = Path("/run/ctl")
RESULTS = CONTROL / "results"
WEBCAM, VIRTUAL = 10, 11
WEBCAM_LABEL, VIRTUAL_LABEL = "Rig Webcam", "avatar-live"
PATIENCE_S = 90.0  # a loaded host starts the program slowly


def until(what: str, ready: Callable[[], bool], patience_s: float = PATIENCE_S) -> float:
    """Wait until ``ready``; how many seconds that took."""
    began = time.monotonic()
    while not ready():
        assert time.monotonic() - began < patience_s, f"{what}: not within {patience_s:g} s"
        time.sleep(0.02)
    return time.monotonic() - began


def load(module: str, number: int, label: str, exclusive: int = 1) -> None:
    """One device of ``module``."""
    options = ["devices=1", f"video_nr={number}", f"exclusive_caps={exclusive}", "max_buffers=4"]
    options.append(f'card_label="{label}"')
    subprocess.run(["insmod", CONTROL / f"{module}.ko", *options], check=True)


def unload(module: str) -> None:
    """Unload it as soon as nobody has its device open."""
    command = ["rmmod", module]
    until(f"rmmod {module}", lambda: subprocess.run(command, capture_output=True).returncode == 0)


def loaded(module: str) -> bool:
    return Path("/sys/module", module).exists()


def told(number: int) -> str:
    """What v4l2-ctl says of a device: capabilities and format."""
    command = ["v4l2-ctl", "-d", f"/dev/video{number}", "--info", "--get-fmt-video"]
    return subprocess.run(command, capture_output=True, text=True).stdout


def is_camera(number: int) -> bool:
    """Whether a device calls itself a camera: with exclusive_caps a loopback does so only while it is fed."""
    return re.search(r"Device Caps.*?\n(?:\t\t.*\n)*?\t\tVideo Capture\n", told(number)) is not None


def delivers(number: int) -> bool:
    """Whether a device is a camera that is fed: only then it has a format."""
    return is_camera(number) and "Width/Height" in told(number)


class Player:
    """The webcam: frames of ``scene`` in a pixel format, played into a device."""

    made: dict[tuple[int, int], np.ndarray] = {}
    files: dict[tuple[tuple[int, int], str], tuple[Path, list[int]]] = {}
    playing: list[Player] = []

    def __init__(self, size: tuple[int, int], fps: float, fourcc: str = "YUYV", number: int = WEBCAM) -> None:
        self.size, self.fps = size, fps
        if size not in self.made:
            self.made[size] = scene.frames(CONTROL / "clip.mp4", size)
        if (size, fourcc) not in self.files:
            self.files[size, fourcc] = scene.encoded(self.made[size], fourcc, round(fps), Path("/tmp"))
        path, sizes = self.files[size, fourcc]
        times = Path("/tmp/times")
        times.write_bytes(bytes(8 * len(sizes)))
        self.written = np.memmap(times, np.int64, "r", shape=(len(sizes),))
        command = [sys.executable, "player.py", f"/dev/video{number}", path, *size, fourcc, fps, times, *sizes]
        self._process = subprocess.Popen([str(part) for part in command])
        self.playing.append(self)
        until("the webcam plays", lambda: bool(self.written.any()) or self._process.poll() is not None)
        assert self._process.poll() is None, "the webcam cannot play"

    def stop(self) -> int:
        """End it; when it wrote last, in nanoseconds of the monotonic clock."""
        self._process.kill()
        self._process.wait()
        return int(self.written.max())

    @classmethod
    def stop_all(cls) -> None:
        """End those that a failed check left."""
        while cls.playing:
            cls.playing.pop().stop()

    def __enter__(self) -> Player:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Program:
    """avatar-live from a source to the virtual camera."""

    def __init__(self, *arguments: object, source: object = f"/dev/video{WEBCAM}", output: str = "") -> None:
        self.figures_path, self._said = Path("/tmp/figures.json"), Path("/tmp/said")
        self.figures_path.unlink(missing_ok=True)
        target = output or f"virtual:/dev/video{VIRTUAL}"
        command = ["avatar-live", "--source", source, "--output", target, "--stats", self.figures_path, *arguments]
        with self._said.open("w") as said:
            self.process = subprocess.Popen([str(part) for part in command], stdout=said, stderr=said)

    def running(self) -> Program:
        """Wait until its camera can be opened."""
        until("the virtual camera delivers", lambda: self.process.poll() is not None or delivers(VIRTUAL))
        assert self.process.poll() is None, self.said()
        return self

    def said(self) -> str:
        return self._said.read_text()

    def stop(self) -> dict:
        """Ask it to finish; its figures."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_S) == 0, self.said()
        return json.loads(self.figures_path.read_text())

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@dataclass
class Seen:
    """What an application saw.

    at_ns: when each picture came. sent_ms: when it was written to the device, by the driver's stamp. numbers: its
    counter, None where that cannot be read.
    kept: some pictures, each with its place among them all.
    """

    at_ns: list[int] = field(default_factory=list)
    sent_ms: list[float] = field(default_factory=list)
    numbers: list[int | None] = field(default_factory=list)
    kept: list[tuple[int, np.ndarray]] = field(default_factory=list)

    def rate_fps(self) -> float:
        return (len(self.at_ns) - 1) / (self.at_ns[-1] - self.at_ns[0]) * 1e9

    def intervals_ms(self) -> np.ndarray:
        return np.diff(self.at_ns) * 1e-6

    def send_intervals_ms(self) -> np.ndarray:
        return np.diff(self.sent_ms)

    def steps(self) -> np.ndarray:
        """How far the counter went from picture to picture."""
        known = np.array([number for number in self.numbers if number is not None])
        return np.diff(known) % scene.LOOP


class Application:
    """A program that reads the virtual camera: OpenCV, as V4L2 delivers it."""

    def __init__(self, number: int = VIRTUAL) -> None:
        self._capture = cv2.VideoCapture(number, cv2.CAP_V4L2)
        assert self._capture.isOpened(), told(number)

    def watch(self, seconds: float, keep: int = 30, latency: Player | None = None) -> tuple[Seen, list[float]]:
        """Read for so long; with the player also the latency of each new picture, in milliseconds."""
        seen, latencies_ms, last = Seen(), [], None
        end_ns = time.monotonic_ns() + round(seconds * 1e9)
        while time.monotonic_ns() < end_ns:
            arrived = self._capture.grab()
            now_ns = time.monotonic_ns()
            assert arrived, "the application lost the stream"
            _, picture = self._capture.retrieve()
            number = scene.number(picture)
            seen.at_ns.append(now_ns)
            seen.sent_ms.append(self._capture.get(cv2.CAP_PROP_POS_MSEC))
            seen.numbers.append(number)
            if len(seen.at_ns) % keep == 0:
                seen.kept.append((len(seen.at_ns) - 1, picture.copy()))
            if latency is not None and number is not None and number != last:
                latencies_ms.append((now_ns - int(latency.written[number])) * 1e-6)
            last = number
        return seen, latencies_ms

    def picture(self) -> np.ndarray | None:
        arrived, picture = self._capture.read()
        return picture if arrived else None

    def close(self) -> None:
        self._capture.release()

    def __enter__(self) -> Application:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def percentiles(values: np.ndarray | list[float]) -> dict[str, float]:
    p50, p95, p99 = np.percentile(np.asarray(values, float), [50, 95, 99])
    return {"p50": round(float(p50), 2), "p95": round(float(p95), 2), "p99": round(float(p99), 2)}


def record(name: str, **figures: object) -> None:
    """Add figures to the report, and print them."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "report.json"
    report = json.loads(path.read_text()) if path.exists() else {}
    report[name] = figures
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"    {name}: {json.dumps(figures)}", flush=True)

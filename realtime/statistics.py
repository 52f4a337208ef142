"""Figures of a run: frames in, out, dropped and without a face; latency from capture to send; time per stage.

Adding a figure costs one lock and one store into a ring, so it can be done for every frame of every stage.
"""

from __future__ import annotations

import json
import os
import platform
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from realtime.clock import Clock
from realtime.errors import OutputError

RATE_FRAMES = 30  # the rate is told over this many of the last frames
PACKAGES = (
    "av", "mediapipe", "numpy", "opencv-contrib-python", "openvino", "pyvirtualcam", "torch", "cupy-cuda13x", "tensorrt"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spread:
    """How a duration was distributed, in milliseconds; zeros when there was none."""

    count: int
    mean: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Beats:
    """How an output fed at a constant rate was fed.

    repeated: of ``sent`` those that showed the picture before once more, because no new one had come.
    rate_fps: over the whole run. jitter_ms: how far the times between two pictures were from the rate's own.
    waited_ms: how long new pictures waited for their beat; comes on top of the latency from capture to send.
    """

    sent: int
    repeated: int
    rate_fps: float
    jitter_ms: Spread
    waited_ms: Spread


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The figures at one moment.

    seconds: since the first frame. frames_without_face: of ``frames_in`` those in which no face was found.
    rate_fps: pictures sent a second, lately. mean_fps: the same from the first to the last one.
    first_picture_s: from the start of the program until it was sent.
    latency_ms: capture to send. stages_ms: by stage, in the frame's order.
    beats: of outputs fed at a constant rate; None without one.
    """

    seconds: float
    frames_in: int
    frames_out: int
    frames_dropped: int
    frames_without_face: int
    rate_fps: float
    mean_fps: float
    first_picture_s: float | None
    latency_ms: Spread
    stages_ms: Mapping[str, Spread]
    beats: Beats | None = None


class _Ring:
    """The last ``size`` integers."""

    def __init__(self, size: int) -> None:
        self._values = np.zeros(size, np.int64)
        self._count = 0

    def add(self, value: int) -> None:
        self._values[self._count % len(self._values)] = value
        self._count += 1

    def last(self, many: int | None = None) -> npt.NDArray[np.int64]:
        """Up to ``many`` of the last values, oldest first."""
        size = len(self._values)
        held = min(self._count, size if many is None else many)
        return self._values.take(np.arange(self._count - held, self._count) % size)


class Statistics:
    """Counts and durations, added from every thread.

    ``memory`` is how many of the last durations the percentiles are taken over.
    """

    def __init__(self, clock: Clock, memory: int = 16_384) -> None:
        self._clock = clock
        self._memory = memory
        self._lock = threading.Lock()
        self._start_ns = clock.now_ns()
        self._first_in_ns: int | None = None
        self._first_sent_ns: int | None = None
        self._last_sent_ns = 0
        self._counts = {"in": 0, "out": 0, "dropped": 0, "without_face": 0}
        self._latency = _Ring(memory)
        self._sent = _Ring(RATE_FRAMES + 1)
        self._stages: dict[str, _Ring] = {}
        self._beats = self._fresh = self._beats_ns = 0
        self._jitter, self._waited = _Ring(memory), _Ring(memory)

    def frame_in(self) -> None:
        """A frame was captured."""
        if self._first_in_ns is None:
            self._first_in_ns = self._clock.now_ns()
        self._add("in")

    def frame_dropped(self) -> None:
        """A frame was replaced by a newer one before it was looked at."""
        self._add("dropped")

    def frame_without_face(self) -> None:
        """No face was found in a frame."""
        self._add("without_face")

    def _add(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1

    def picture_out(self, captured_ns: int | None) -> None:
        """A picture was sent; its frame was captured at ``captured_ns`` of the clock (None for a holding picture)."""
        now_ns = self._clock.now_ns()
        with self._lock:
            self._counts["out"] += 1
            self._sent.add(now_ns)
            if self._first_sent_ns is None:
                self._first_sent_ns = now_ns
            self._last_sent_ns = now_ns
            if captured_ns is not None:
                self._latency.add(now_ns - captured_ns)

    def beat(self, since_ns: int | None, interval_ns: int, waited_ns: int | None) -> None:
        """A picture left on its beat, ``since_ns`` after the one before it (None for the first) instead of
        ``interval_ns``; it had waited ``waited_ns`` for that, or was sent once more (None).
        """
        with self._lock:
            self._beats += 1
            if since_ns is not None:
                self._beats_ns += since_ns
                self._jitter.add(abs(since_ns - interval_ns))
            if waited_ns is not None:
                self._fresh += 1
                self._waited.add(waited_ns)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside as stage ``name``."""
        start_ns = self._clock.now_ns()
        yield
        took_ns = self._clock.now_ns() - start_ns
        with self._lock:
            if name not in self._stages:
                self._stages[name] = _Ring(self._memory)
            self._stages[name].add(took_ns)

    def snapshot(self) -> Snapshot:
        """The figures now."""
        with self._lock:
            now_ns, counts, sent = self._clock.now_ns(), dict(self._counts), self._sent.last()
            latency = self._latency.last()
            stages = {name: ring.last() for name, ring in self._stages.items()}
            first_ns, since_ns = self._first_sent_ns, self._first_in_ns
            sent_for_ns = self._last_sent_ns - (first_ns or 0)
            beats = self._fed() if self._beats else None
        span_ns = int(sent[-1] - sent[0]) if len(sent) > 1 else 0
        return Snapshot(
            seconds=0.0 if since_ns is None else (now_ns - since_ns) * 1e-9,
            frames_in=counts["in"],
            frames_out=counts["out"],
            frames_dropped=counts["dropped"],
            frames_without_face=counts["without_face"],
            rate_fps=(len(sent) - 1) / (span_ns * 1e-9) if span_ns > 0 else 0.0,
            mean_fps=(counts["out"] - 1) / (sent_for_ns * 1e-9) if counts["out"] > 1 and sent_for_ns > 0 else 0.0,
            first_picture_s=None if first_ns is None else (first_ns - self._start_ns) * 1e-9,
            latency_ms=_spread(latency),
            stages_ms={name: _spread(durations) for name, durations in stages.items()},
            beats=beats,
        )

    def _fed(self) -> Beats:
        rate_fps = (self._beats - 1) / (self._beats_ns * 1e-9) if self._beats_ns else 0.0
        jitter, waited = _spread(self._jitter.last()), _spread(self._waited.last())
        return Beats(self._beats, self._beats - self._fresh, rate_fps, jitter, waited)


def _spread(durations_ns: npt.NDArray[np.int64]) -> Spread:
    if len(durations_ns) == 0:
        return Spread(0, 0.0, 0.0, 0.0, 0.0)
    p50, p95, p99 = np.percentile(durations_ns, [50, 95, 99]) * 1e-6
    return Spread(len(durations_ns), float(durations_ns.mean() * 1e-6), float(p50), float(p95), float(p99))


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """The versions of the packages that do the work, as far as they are installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def write_statistics(path: Path, snapshot: Snapshot, **context: object) -> None:
    """Write the figures and their context (backends, settings, ...) as JSON; whole or not at all.

    Raises OutputError when the file cannot be written.
    """
    content = {**asdict(snapshot), "machine": machine(), "versions": versions(), **context}
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(json.dumps(content, indent=2, default=_plain) + "\n", encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"cannot write the statistics to {path}: {reason}; give another --stats file") from error


def _plain(value: Any) -> Any:
    """What json does not know by itself."""
    if is_dataclass(value):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)

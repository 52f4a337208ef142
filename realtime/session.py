"""One run of the program: opens what was asked for, carries it to its end, tells the figures, leaves nothing open."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

from realtime.clock import Clock, SystemClock
from realtime.settings import Settings
from realtime.statistics import Snapshot, Statistics, write_statistics

if TYPE_CHECKING:
    from realtime.building import AnyStages
    from realtime.capture import Source
    from realtime.contact_sheet import ContactSheet
    from realtime.outputs import Output
    from realtime.pipeline import Pipeline
    from realtime.wardrobe import Wardrobe

SHOWN_AS_THEY_COME = ("virtual", "window", "page")


@dataclass(frozen=True, slots=True)
class Request:
    """What to run: source and outputs as the command names them, all settings, and what to write beside.

    config: the settings file, whose styles can be worn too.
    """

    source: str
    outputs: Sequence[str]
    settings: Settings
    statistics: Path | None = None
    contact_sheet: Path | None = None
    config: Path | None = None


class Stopper:
    """Hears SIGINT and SIGTERM. The first asks the pipeline to finish; the second is the system's own."""

    def __init__(self) -> None:
        self._pipeline: Pipeline | None = None
        self._asked = False

    def attach(self, pipeline: Pipeline) -> None:
        """Stop this one, at once if a signal came before."""
        self._pipeline = pipeline
        if self._asked:
            pipeline.stop()

    def _hear(self, number: int, _: FrameType | None) -> None:
        self._asked = True
        if self._pipeline is not None:
            self._pipeline.stop()
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)

    @contextmanager
    def listening(self) -> Iterator[Stopper]:
        """Hear signals inside, and leave the handlers as they were."""
        before = {number: signal.signal(number, self._hear) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run(request: Request, console: Console) -> Snapshot:
    """Run until the source ends, a signal comes or something fails; what was recorded is finished in every case.

    Raises what opening raises, and the pipeline's first error.
    """
    statistics = Statistics(SystemClock())
    sheet = _contact_sheet(request.contact_sheet)
    backends: dict[str, object] = {}
    with Stopper().listening() as stopper:
        pipeline = _open(request, statistics, sheet, backends, console)
        stopper.attach(pipeline)
        try:
            with _status(statistics, console):
                pipeline.run()
        finally:
            snapshot = statistics.snapshot()
            console.print(figures(snapshot), markup=False, highlight=False, soft_wrap=True)
            if sheet is not None:
                sheet.save()
            if request.statistics is not None:
                write_statistics(request.statistics, snapshot, settings=request.settings, **backends)
    return snapshot


def _open(
    request: Request,
    statistics: Statistics,
    sheet: ContactSheet | None,
    backends: dict[str, object],
    console: Console,
) -> Pipeline:
    """The pipeline with everything open; what was opened is closed again if something cannot be."""
    from realtime.building import build_stages, device_line
    from realtime.capture import open_source
    from realtime.compositing import output_size
    from realtime.pipeline import Pipeline

    clock, settings = SystemClock(), request.settings
    with ExitStack() as opened:
        source = open_source(request.source, settings.capture, clock)
        opened.callback(source.close)
        stages, model = build_stages(settings, source.size)
        opened.callback(stages.tracker.close)
        size = output_size(source.size, settings.compositing)
        changes = any(text.partition(":")[0] == "page" for text in request.outputs)
        wardrobe = _wardrobe(request, stages) if changes else None
        outputs = [
            _opened_output(text, size, source, request, clock, statistics, opened, wardrobe) for text in request.outputs
        ]
        pace = settings.pipeline
        if pace.pace == "auto" and any(text.partition(":")[0] in SHOWN_AS_THEY_COME for text in request.outputs):
            pace = replace(pace, pace="newest")
        observer = sheet.add if sheet is not None else None
        pipeline = Pipeline(source, stages, outputs, clock, pace, statistics, observer)
        backends |= {"source": source.describe(), "model": model, "outputs": [output.describe() for output in outputs]}
        device = device_line(settings.generating.device, stages)
        lines = [("source", backends["source"]), ("model", model), ("device", device)]
        lines += [("output", out.describe()) for out in outputs]
        for name, line in lines:
            console.print(f"{name:7}{line}", markup=False, highlight=False, soft_wrap=True)
        opened.pop_all()  # from here on the pipeline closes them
    return pipeline


def _opened_output(
    text: str,
    size: tuple[int, int],
    source: Source,
    request: Request,
    clock: Clock,
    statistics: Statistics,
    opened: ExitStack,
    wardrobe: Wardrobe | None,
) -> Output:
    """One output, fed evenly where it wants that; ``opened`` closes it."""
    from realtime.holding import card
    from realtime.outputs import open_output
    from realtime.outputs.paced import PacedOutput

    settings = request.settings.output
    card(size)  # kept: drawing it only when the camera is gone would take a tenth of a second then
    output = open_output(text, size, source.fps, settings, source.path, wardrobe)
    if output.wants_pacing:
        output = PacedOutput(output, settings.fps or source.fps, clock, statistics)
    opened.callback(output.close)
    return output


def _wardrobe(request: Request, stages: AnyStages) -> Wardrobe:
    """What can be worn with the request's model."""
    from engines.bundled import MODELS
    from engines.installed_directions import list_directions
    from engines.models_folder import models_folder
    from realtime import configuration
    from realtime.wardrobe import Wardrobe

    document = configuration.read_toml(request.config) if request.config else None
    known = configuration.styles(document, str(request.config))
    bundled = request.settings.generating.model in MODELS
    edits = configuration.edits() if bundled else list_directions(models_folder().directions)
    return Wardrobe(request.settings, known, edits, stages.wear)


def _contact_sheet(path: Path | None) -> ContactSheet | None:
    if path is None:
        return None
    from realtime.contact_sheet import ContactSheet

    return ContactSheet(path)


@contextmanager
def _status(statistics: Statistics, console: Console) -> Iterator[None]:
    """A line of figures, renewed once a second, where there is a terminal to show it."""
    if not console.is_terminal:
        yield
        return
    with Live(
        console=console, refresh_per_second=1, transient=True, get_renderable=lambda: _line(statistics.snapshot())
    ):
        yield


def _line(now: Snapshot) -> Text:
    latency = now.latency_ms
    return Text(
        f"{now.rate_fps:5.1f} fps   latency {latency.p50:.0f} / {latency.p95:.0f} / {latency.p99:.0f} ms   "
        f"in {now.frames_in}  out {now.frames_out}  dropped {now.frames_dropped}  no face {now.frames_without_face}",
        no_wrap=True,
        overflow="ellipsis",
    )


def figures(end: Snapshot) -> str:
    """The figures of a whole run, in three lines, and a fourth where an output was fed at a constant rate."""
    latency, fed = end.latency_ms, end.beats
    beats = ""
    if fed is not None:
        beats = (
            f"\nfed {fed.rate_fps:.2f} times a second, {fed.repeated} of {fed.sent} once more; jitter p95 "
            f"{fed.jitter_ms.p95:.1f} ms; new pictures waited {fed.waited_ms.mean:.1f} ms for their beat"
        )
    rate = end.frames_out / end.seconds if end.seconds > 0 else 0.0
    stages = ", ".join(f"{name} {spread.mean:.1f}" for name, spread in end.stages_ms.items())
    return (
        f"{end.frames_in} frames in, {end.frames_out} out, {end.frames_dropped} dropped, "
        f"{end.frames_without_face} without a face; {end.seconds:.1f} s, {rate:.1f} a second\n"
        f"latency from capture to send: p50 {latency.p50:.1f}, p95 {latency.p95:.1f}, p99 {latency.p99:.1f} ms\n"
        f"ms per frame: {stages or 'nothing ran'}"
        f"{beats}"
    )

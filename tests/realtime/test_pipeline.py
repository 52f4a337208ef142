from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from realtime.clock import FakeClock
from realtime.errors import OutputError, SourceError
from realtime.frames import Crop, Face, Frame, Latent, LatePicture, Picture, Portrait
from realtime.pipeline import CARD_BGR, Pipeline
from realtime.settings import PipelineSettings
from realtime.sources.base import Stalled
from realtime.stages import Stages
from realtime.statistics import Statistics

WIDTH, HEIGHT = 32, 24
RAW, AVATAR, HOLDING = 200, 100, 50
FRAME_NS = 33_333_333
WAIT_S = 10  # only ever reached when a test fails


def frame(number: int) -> Frame:
    return Frame(number, number * FRAME_NS, np.full((HEIGHT, WIDTH, 3), RAW, np.uint8))


class ListSource:
    """Gives what it is told to; raises what is an exception, calls what is a function."""

    fps = 30.0
    size = (WIDTH, HEIGHT)
    path: Path | None = None

    def __init__(self, items: Iterable[object], live: bool = False) -> None:
        self._items: Iterator[object] = iter(items)
        self.live = live
        self.closed = 0

    def describe(self) -> str:
        return "a list"

    def read(self) -> Frame | None:
        item = next(self._items, None)
        if isinstance(item, Exception):
            raise item
        return item() if callable(item) else item  # type: ignore[return-value]

    def close(self) -> None:
        self.closed += 1


class ListOutput:
    """Keeps what it is sent; ``on_send`` may raise."""

    def __init__(self, on_send: Callable[[int], None] = lambda count: None, on_close: Exception | None = None) -> None:
        self.pictures: list[Picture] = []
        self.closed = 0
        self.wants_pacing = self.wants_stop = False
        self._on_send, self._on_close = on_send, on_close

    def describe(self) -> str:
        return "a list"

    def send(self, picture: Picture) -> None:
        assert not self.closed, "sent to a closed output"
        assert picture.pixels.shape == (HEIGHT, WIDTH, 3)
        self._on_send(len(self.pictures))
        self.pictures.append(picture)

    def close(self) -> None:
        self.closed += 1
        if self._on_close:
            raise self._on_close

    @property
    def levels(self) -> list[int]:
        for picture in self.pictures:
            assert (picture.pixels == picture.pixels[0, 0]).all()
        return [int(picture.pixels[0, 0, 0]) for picture in self.pictures]


class Step:
    """All stages in one, each strict about what it is given; ``failing`` names the methods that raise."""

    def __init__(self, lost: Iterable[int] = (), failing: Iterable[str] = (), at: int = 2) -> None:
        self._lost, self._failing, self._at = set(lost), set(failing), at
        self.before_track: Callable[[Frame], None] = lambda frame: None
        self.closed = 0

    def _step(self, name: str, value: Frame | Face | Crop | Latent | Portrait) -> tuple[int, int]:
        if name in self._failing and value.frame_id >= self._at:
            raise ArithmeticError(f"{name} broke")
        return value.frame_id, value.captured_ns

    def track(self, frame: Frame) -> Face | None:
        self.before_track(frame)
        ids = self._step("track", frame)
        return None if frame.frame_id in self._lost else Face(*ids, np.zeros((478, 3), np.float32), False)

    def align(self, frame: Frame, face: Face) -> Crop:
        assert frame.frame_id == face.frame_id
        return Crop(*self._step("align", frame), np.zeros((8, 8, 3), np.uint8), np.eye(2, 3), np.eye(3))

    def encode(self, face: Face, crop: Crop) -> Latent:
        assert face.frame_id == crop.frame_id
        wplus, motion = np.zeros((2, 4), np.float32), np.zeros(3, np.float32)
        return Latent(*self._step("encode", crop), wplus, motion, crop.transform, face.fresh)

    def smooth(self, latent: Latent) -> Latent:
        self._step("smooth", latent)
        return replace(latent, wplus=latent.wplus + 1)

    def edit(self, latent: Latent) -> Latent:
        self._step("edit", latent)
        assert (latent.wplus == 1).all(), "edits come after smoothing"
        return replace(latent, wplus=latent.wplus + 1)

    def prepare(self) -> None:
        pass

    def cover_ahead(self, frame: Frame, face: Face) -> None:
        assert frame.frame_id == face.frame_id == self._step("cover_ahead", frame)[0]

    def generate(self, latent: Latent) -> Portrait:
        assert (latent.wplus == 2).all(), "the edited code is drawn"
        return Portrait(*self._step("generate", latent), np.zeros((8, 8, 4), np.uint8), latent.transform)

    def composite(self, frame: Frame, face: Face | None, portrait: Portrait | None) -> Picture:
        if face is None or portrait is None:
            assert face is portrait
            return self.holding(frame)
        assert frame.frame_id == face.frame_id == portrait.frame_id
        return Picture(*self._step("composite", frame), np.full_like(frame.pixels, AVATAR))

    def holding(self, frame: Frame | None, now_ns: int | None = None) -> Picture:
        if "holding" in self._failing:
            raise ArithmeticError("holding broke")
        ids = (0, 0) if frame is None else (frame.frame_id, frame.captured_ns)
        return Picture(*ids, np.full((HEIGHT, WIDTH, 3), HOLDING, np.uint8))

    def close(self) -> None:
        self.closed += 1


class Rig:
    """A pipeline with everything that it is made of."""

    def __init__(
        self,
        source: ListSource,
        *outputs: ListOutput,
        step: Step | None = None,
        settings: PipelineSettings | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.source, self.outputs, self.step = source, outputs or (ListOutput(),), step or Step()
        self.statistics = Statistics(self.clock)
        self.observed: list[tuple[int, int]] = []
        stages = Stages(*[self.step] * 8)  # type: ignore[arg-type]
        self.pipeline = Pipeline(
            source, stages, self.outputs, self.clock, settings or PipelineSettings(), self.statistics, self._observe
        )

    def _observe(self, frame: Frame, picture: Picture) -> None:
        self.observed.append((frame.frame_id, picture.frame_id))

    def run(self) -> None:
        """Run, and check what must hold after every run."""
        try:
            self.pipeline.run()
        finally:
            assert [output.closed for output in self.outputs] == [1] * len(self.outputs)
            assert self.source.closed == 1
            assert self.step.closed == 1
            assert all(RAW not in output.levels for output in self.outputs), "a raw frame left the program"


def test_every_frame_of_a_file_leaves_in_order() -> None:
    rig = Rig(ListSource(frame(number) for number in range(50)))
    rig.run()
    assert [picture.frame_id for picture in rig.outputs[0].pictures] == list(range(50))
    assert [picture.captured_ns for picture in rig.outputs[0].pictures] == [number * FRAME_NS for number in range(50)]
    assert set(rig.outputs[0].levels) == {AVATAR}
    assert rig.observed == [(number, number) for number in range(50)]
    figures = rig.statistics.snapshot()
    assert (figures.frames_in, figures.frames_out, figures.frames_dropped) == (50, 50, 0)
    assert list(figures.stages_ms)[:7] == [
        "tracking", "alignment", "encoding", "smoothing", "editing", "generating", "compositing",
    ]  # fmt: skip


class LateStep(Step):
    """A compositor whose pictures are finished later, elsewhere; the one of frame ``at`` fails there."""

    def composite(self, frame: Frame, face: Face | None, portrait: Portrait | None) -> Picture:
        def take() -> np.ndarray:
            if "gpu" in self._failing and frame.frame_id >= self._at:
                raise ArithmeticError("the GPU broke")
            return np.full_like(frame.pixels, AVATAR)

        return LatePicture(frame.frame_id, frame.captured_ns, take)

    def holding(self, frame: Frame | None, now_ns: int | None = None) -> Picture:
        held = super().holding(frame, now_ns)
        return LatePicture(held.frame_id, held.captured_ns, lambda: held.pixels)


def test_pictures_that_are_finished_later_leave_in_order() -> None:
    rig = Rig(ListSource(frame(number) for number in range(9)), step=LateStep())
    rig.run()
    assert [picture.frame_id for picture in rig.outputs[0].pictures] == list(range(9))
    assert set(rig.outputs[0].levels) == {AVATAR}
    assert "waiting" in rig.statistics.snapshot().stages_ms


def test_one_that_cannot_be_finished_leaves_the_holding_picture_and_is_no_outputs_fault() -> None:
    rig = Rig(ListSource(frame(number) for number in range(9)), ListOutput(), ListOutput(), step=LateStep((), ["gpu"]))
    with pytest.raises(ArithmeticError, match="the GPU broke"):
        rig.run()
    for output in rig.outputs:
        assert output.levels == [AVATAR, AVATAR, HOLDING]


def test_an_empty_source() -> None:
    rig = Rig(ListSource([]))
    rig.run()
    assert rig.outputs[0].pictures == []


def test_frames_without_a_face_show_the_holding_picture() -> None:
    rig = Rig(ListSource(frame(number) for number in range(6)), step=Step(lost=[0, 1, 4]))
    rig.run()
    assert rig.outputs[0].levels == [HOLDING, HOLDING, AVATAR, AVATAR, HOLDING, AVATAR]
    assert rig.statistics.snapshot().frames_without_face == 3


def test_frame_dropped_when_the_work_is_slower_than_the_camera() -> None:
    busy, read_all = threading.Event(), threading.Event()

    def items() -> Iterator[Frame]:
        yield frame(0)
        assert busy.wait(WAIT_S)
        for number in range(1, 6):
            yield frame(number)
        read_all.set()

    def before_track(taken: Frame) -> None:
        if taken.frame_id == 0:
            busy.set()
            assert read_all.wait(WAIT_S)

    rig = Rig(ListSource(items(), live=True))
    rig.step.before_track = before_track
    rig.run()
    assert [taken for taken, _ in rig.observed] == [0, 5], "one in flight, one waiting, the newest wins"
    figures = rig.statistics.snapshot()
    assert figures.frames_in == 6
    assert figures.frames_out + figures.frames_dropped == 6


STEPS = ["track", "align", "encode", "smooth", "edit", "generate", "composite"]


@pytest.mark.parametrize("failing", [*STEPS, "cover_ahead"])
def test_a_stage_that_raises_leaves_the_holding_picture(failing: str) -> None:
    rig = Rig(
        ListSource(frame(number) for number in range(9)), ListOutput(), ListOutput(), step=Step(failing=[failing])
    )
    with pytest.raises(ArithmeticError, match=f"{failing} broke"):
        rig.run()
    for output in rig.outputs:
        assert output.levels == [AVATAR, AVATAR, HOLDING]
        assert output.pictures[-1].captured_ns > output.pictures[-2].captured_ns


@pytest.mark.parametrize("at", [0, 2])
def test_a_compositor_that_cannot_even_hold_leaves_a_plain_card(at: int) -> None:
    rig = Rig(ListSource(frame(number) for number in range(9)), step=Step(failing=["composite", "holding"], at=at))
    with pytest.raises(ArithmeticError, match="composite broke"):
        rig.run()
    assert rig.outputs[0].levels == [AVATAR] * at + [CARD_BGR[0]]
    assert (rig.outputs[0].pictures[-1].pixels == CARD_BGR).all()


def test_producer_dies() -> None:
    rig = Rig(ListSource([frame(0), frame(1), SourceError("the file is damaged")]))
    with pytest.raises(SourceError, match="the file is damaged"):
        rig.run()
    assert rig.outputs[0].levels == [AVATAR, AVATAR, HOLDING], "what was read is not lost"


def test_consumer_dies() -> None:
    def fail(count: int) -> None:
        if count == 3:
            raise OutputError("the disk is full")

    rig = Rig(ListSource(frame(number) for number in range(10_000)), ListOutput(fail))
    with pytest.raises(OutputError, match="the disk is full"):
        rig.run()
    assert rig.statistics.snapshot().frames_in < 20, "nothing is read for nobody"


def test_one_of_two_outputs_fails_and_the_other_goes_on() -> None:
    def fail(count: int) -> None:
        if count == 3:
            raise OutputError("the disk is full")

    rig = Rig(ListSource(frame(number) for number in range(10)), ListOutput(fail), ListOutput())
    with pytest.raises(OutputError, match="the disk is full"):
        rig.run()
    assert [len(output.pictures) for output in rig.outputs] == [3, 10]


def test_an_output_that_cannot_be_finished_is_reported_and_the_others_are_finished() -> None:
    broken = ListOutput(on_close=OutputError("cannot finish the file"))
    rig = Rig(ListSource([frame(0)]), broken, ListOutput())
    with pytest.raises(OutputError, match="cannot finish the file"):
        rig.run()


@pytest.mark.parametrize("step", [Step, LateStep])
def test_a_camera_that_stalls_shows_the_holding_picture_until_it_is_back(
    caplog: pytest.LogCaptureFixture, step: type[Step]
) -> None:
    held = threading.Event()

    def on_send(count: int) -> None:
        if count == 4:
            held.set()

    def stall() -> Stalled:
        held.wait(0.001)  # as a live source waits for its device
        return Stalled("it is gone; trying again")

    def items() -> Iterator[object]:
        yield frame(0)
        while not held.is_set():
            yield stall
        yield frame(1)

    output = ListOutput(on_send)
    rig = Rig(ListSource(items(), live=True), output, step=step(), settings=PipelineSettings(stall_ms=50))
    rig.clock.advance_ns(5_000_000_000)
    rig.run()
    assert output.levels[0] == AVATAR
    assert output.levels[-1] == AVATAR
    assert set(output.levels[1:-1]) == {HOLDING}
    assert len(output.levels) >= 6
    assert output.pictures[1].captured_ns == 5_000_000_000, "a holding picture is of now"
    assert rig.statistics.snapshot().latency_ms.count == 2, "holding pictures have no latency"
    assert caplog.messages == ["source: it is gone; trying again", "source: it is back"], "each is told once"


def test_stop_finishes_what_was_read() -> None:
    output = ListOutput(lambda count: rig.pipeline.stop() if count == 3 else None)
    rig = Rig(ListSource(frame(number) for number in range(10_000)), output)
    rig.run()
    assert 4 <= len(output.pictures) < 20
    assert len(output.pictures) == rig.statistics.snapshot().frames_in


def test_an_output_that_the_user_closes_ends_the_run() -> None:
    def close_window(count: int) -> None:
        window.wants_stop = count == 3

    window = ListOutput(close_window)
    rig = Rig(ListSource(frame(number) for number in range(10_000)), window)
    rig.run()
    assert 4 <= len(window.pictures) < 20


def test_an_output_that_wants_pacing_gets_a_file_at_its_own_time() -> None:
    output = ListOutput()
    output.wants_pacing = True
    rig = Rig(ListSource(frame(number) for number in range(10)), output)
    rig.run()
    assert rig.clock.now_ns() == 9 * FRAME_NS


def test_stop_before_the_start() -> None:
    rig = Rig(ListSource(frame(number) for number in range(10)))
    rig.pipeline.stop()
    rig.run()
    assert rig.outputs[0].pictures == []


def test_a_stopped_pipeline_does_not_wait_for_a_stage_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.pipeline.GRACE_S", 0.2)
    monkeypatch.setattr("realtime.pipeline.JOIN_S", 0.0)
    release = threading.Event()
    output = ListOutput()
    rig = Rig(ListSource([frame(0)]), output)

    def hang(taken: Frame) -> None:
        rig.pipeline.stop()
        release.wait(WAIT_S)

    rig.step.before_track = hang
    rig.pipeline.run()
    assert output.closed == 1
    assert rig.step.closed == 0, "nobody pulls a stage away from the thread that uses it"
    release.set()


def test_duration_ends_the_run() -> None:
    rig = Rig(ListSource(frame(number) for number in range(100)), settings=PipelineSettings(duration_s=1.0))
    rig.run()
    assert len(rig.outputs[0].pictures) == 31, "frames at 0 s to just under 1 s, of 33.333333 ms each"


def test_a_file_at_newest_pace_keeps_its_own_time() -> None:
    rig = Rig(ListSource(frame(number) for number in range(10)), settings=PipelineSettings(pace="newest"))
    rig.run()
    assert rig.clock.now_ns() == 9 * FRAME_NS
    assert rig.outputs[0].pictures[-1].frame_id == 9


def test_a_camera_at_every_pace_drops_nothing() -> None:
    source = ListSource((frame(number) for number in range(40)), live=True)
    rig = Rig(source, settings=PipelineSettings(pace="every"))
    rig.run()
    assert len(rig.outputs[0].pictures) == 40

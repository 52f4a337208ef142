"""Two frames drawn at the same time: order, failures, holding pictures, the same pixels."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from realtime.clock import FakeClock
from realtime.frames import Frame, Latent, LatePicture, Portrait
from realtime.pipeline import Pipeline
from realtime.settings import CompositingSettings, PipelineSettings, Settings
from realtime.stages import Stages, bundled_stages
from realtime.statistics import Statistics
from realtime.two_at_once import TwoAtOnce
from tests.realtime.gpu_rig import SIZE, Recorded, tracked  # noqa: F401 - a fixture
from tests.realtime.test_pipeline import AVATAR, HOLDING, WAIT_S, ListOutput, ListSource, Step, frame


class Drawing(Step):
    """Stages whose generator calls ``meet`` with the number of the frame, in the thread that draws it."""

    def __init__(self, meet: Callable[[int], object] = lambda number: None, **more: object) -> None:
        super().__init__(**more)  # type: ignore[arg-type]
        self._meet = meet
        self.threads: set[int] = set()

    def generate(self, latent: Latent) -> Portrait:
        self._meet(latent.frame_id)
        self.threads.add(threading.get_ident())
        return super().generate(latent)


def both(step: Step) -> TwoAtOnce:
    return TwoAtOnce(Stages(*[step] * 8))  # type: ignore[arg-type]


def test_two_frames_are_drawn_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=WAIT_S)  # neither goes on without the other
    step, statistics = Drawing(lambda number: meeting.wait()), Statistics(FakeClock())
    stages = both(step)
    pictures = [stages.draw(frame(number), statistics) for number in range(2)]
    assert all(isinstance(picture, LatePicture) for picture in pictures)
    assert [(p.frame_id, int(p.pixels[0, 0, 0])) for p in pictures] == [(0, AVATAR), (1, AVATAR)]
    assert len(step.threads) == 2 and threading.get_ident() not in step.threads
    stages.tracker.close()
    assert step.closed == 1


def test_one_thread_draws_while_the_other_loads_its_networks() -> None:
    loading, loaded, preparing = threading.Event(), threading.Event(), []

    class Loading(Drawing):
        def prepare(self) -> None:
            preparing.append(threading.get_ident())
            if len(preparing) == 2:
                loading.set()
                assert loaded.wait(WAIT_S)

    step, statistics = Loading(lambda number: loading.wait(WAIT_S)), Statistics(FakeClock())
    stages = both(step)
    pictures = [stages.draw(frame(number), statistics) for number in range(4)]
    assert [int(picture.pixels[0, 0, 0]) for picture in pictures] == [AVATAR] * 4
    assert len(set(preparing)) == 2 and step.threads == {preparing[0]}
    loaded.set()
    stages.close()


def test_what_cannot_be_loaded_is_told_by_the_picture() -> None:
    class Refusing(Drawing):
        def prepare(self) -> None:
            raise OSError("no memory")

    stages = both(Refusing(failing=("generate",), at=0))
    with pytest.raises(ArithmeticError, match="generate broke"):
        _ = stages.draw(frame(0), Statistics(FakeClock())).pixels
    stages.close()


def test_what_is_drawn_first_is_shown_first() -> None:
    """The second frame's drawing ends first; its picture is made after the first one's all the same."""
    second_drawn, order = threading.Event(), []

    class Shown(Drawing):
        def composite(self, frame, face, portrait):  # noqa: ANN001, ANN202
            order.append(frame.frame_id)
            return super().composite(frame, face, portrait)

    def meet(number: int) -> None:
        assert second_drawn.wait(WAIT_S) if number == 0 else (second_drawn.set() or True)

    stages, statistics = both(Shown(meet)), Statistics(FakeClock())
    pictures = [stages.draw(frame(number), statistics) for number in range(2)]
    assert [picture.pixels.shape for picture in pictures] and order == [0, 1]
    stages.close()


def test_a_holding_picture_comes_after_what_is_drawn() -> None:
    go = threading.Event()
    step, statistics = Drawing(lambda number: go.wait(WAIT_S), lost=[1]), Statistics(FakeClock())
    stages = both(step)
    first = stages.draw(frame(0), statistics)
    step.before_track = lambda taken: go.set()
    lost = stages.draw(frame(1), statistics)
    held = stages.compositor.holding(None)
    assert len(step.threads) == 1, "the drawing has ended"
    assert [int(picture.pixels[0, 0, 0]) for picture in (first, lost, held)] == [AVATAR, HOLDING, HOLDING]
    stages.close()


@pytest.mark.parametrize("failing", [(), ("generate",), ("composite",)])
def test_a_run_is_in_order_and_its_failures_are_told(failing: tuple[str, ...]) -> None:
    step, output, statistics = Drawing(failing=failing, at=5), ListOutput(), Statistics(FakeClock())
    source = ListSource(frame(number) for number in range(30))
    pipeline = Pipeline(source, both(step), [output], FakeClock(), PipelineSettings(), statistics)
    if failing:
        with pytest.raises(ArithmeticError, match=f"{failing[0]} broke"):
            pipeline.run()
        assert output.levels[-1] == HOLDING and set(output.levels[:-1]) <= {AVATAR} and len(output.levels) <= 7
    else:
        pipeline.run()
        assert [picture.frame_id for picture in output.pictures] == list(range(30))
        assert set(output.levels) == {AVATAR}
    assert output.closed == 1 and step.closed == 1


def test_the_pictures_are_those_of_the_plain_stages(tracked) -> None:  # noqa: F811, ANN001
    frames, faces = tracked
    settings = Settings(compositing=CompositingSettings(mode="overlay"))
    pictures = []
    for wrap in (False, True):
        stages, _ = bundled_stages(settings, SIZE)
        assert isinstance(stages, Stages)
        stages.tracker.close()
        object.__setattr__(stages, "tracker", Recorded(faces))
        shown = TwoAtOnce(stages) if wrap else stages
        drawn = [shown.draw(Frame(f.frame_id, f.captured_ns, f.pixels), Statistics(FakeClock())) for f in frames]
        pictures.append([picture.pixels.copy() for picture in drawn])
    np.testing.assert_array_equal(pictures[0], pictures[1])

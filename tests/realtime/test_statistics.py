from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from realtime.clock import FakeClock
from realtime.errors import OutputError
from realtime.settings import Settings
from realtime.statistics import Statistics, write_statistics

MS = 1_000_000


def test_nothing_yet() -> None:
    figures = Statistics(FakeClock()).snapshot()
    assert (figures.frames_in, figures.frames_out, figures.rate_fps, figures.first_picture_s) == (0, 0, 0.0, None)
    assert figures.latency_ms.count == 0
    assert figures.stages_ms == {}


def test_latency_and_rate() -> None:
    clock = FakeClock(7)
    statistics = Statistics(clock)
    for number in range(1, 101):
        statistics.frame_in()
        captured_ns = clock.now_ns()
        clock.advance_ns(number * MS)
        statistics.picture_out(captured_ns)
    figures = statistics.snapshot()
    expected = np.percentile(np.arange(1, 101), [50, 95, 99])
    assert (figures.latency_ms.p50, figures.latency_ms.p95, figures.latency_ms.p99) == pytest.approx(tuple(expected))
    assert figures.latency_ms.mean == pytest.approx(50.5)
    assert figures.first_picture_s == pytest.approx(0.001)
    assert figures.seconds == pytest.approx(5.05)
    assert figures.rate_fps == pytest.approx(30 / sum(range(71, 101)) * 1000), "over the last pictures only"
    assert figures.mean_fps == pytest.approx(99 / sum(range(2, 101)) * 1000), "from the first to the last of 100"


def test_starting_up_does_not_count_as_time_of_a_picture() -> None:
    clock = FakeClock()
    statistics = Statistics(clock)
    clock.advance_ns(3000 * MS)
    for _ in range(61):
        statistics.frame_in()
        statistics.picture_out(clock.now_ns())
        clock.advance_ns(20 * MS)
    clock.advance_ns(700 * MS)  # until somebody asks
    figures = statistics.snapshot()
    assert figures.mean_fps == pytest.approx(50)
    assert figures.first_picture_s == pytest.approx(3)


def test_a_holding_picture_counts_as_sent_without_latency() -> None:
    statistics = Statistics(FakeClock())
    statistics.picture_out(None)
    figures = statistics.snapshot()
    assert (figures.frames_out, figures.latency_ms.count, figures.first_picture_s) == (1, 0, 0.0)


def test_stages_are_timed_in_the_order_in_which_they_first_ran() -> None:
    clock = FakeClock()
    statistics = Statistics(clock)
    for took in (4, 6):
        with statistics.stage("tracking"):
            clock.advance_ns(took * MS)
        with statistics.stage("alignment"):
            clock.advance_ns(MS)
    stages = statistics.snapshot().stages_ms
    assert list(stages) == ["tracking", "alignment"]
    assert stages["tracking"].mean == pytest.approx(5.0)
    assert stages["alignment"].p99 == pytest.approx(1.0)


def test_only_the_last_durations_are_remembered() -> None:
    clock = FakeClock()
    statistics = Statistics(clock, memory=4)
    for took in (100, 100, 1, 1, 1, 1):
        with statistics.stage("tracking"):
            clock.advance_ns(took * MS)
    spread = statistics.snapshot().stages_ms["tracking"]
    assert (spread.count, spread.p99) == (4, pytest.approx(1.0))


def test_many_threads_lose_no_count() -> None:
    statistics = Statistics(FakeClock())

    def add() -> None:
        for _ in range(500):
            statistics.frame_in()
            statistics.frame_dropped()
            statistics.frame_without_face()
            statistics.picture_out(0)
            statistics.snapshot() if _ % 100 == 0 else None

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    figures = statistics.snapshot()
    assert (figures.frames_in, figures.frames_out, figures.frames_dropped, figures.frames_without_face) == (2000,) * 4


def test_the_file_holds_figures_machine_versions_and_settings(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    write_statistics(path, Statistics(FakeClock()).snapshot(), settings=Settings(), model="a model")
    content = json.loads(path.read_text())
    assert content["frames_in"] == 0
    assert content["latency_ms"]["p95"] == 0.0
    assert content["settings"]["capture"]["fps"] == 30.0
    assert content["settings"]["editing"]["edits"] == {}
    assert content["machine"]["cores"]
    assert content["versions"]["numpy"] == np.__version__
    assert content["model"] == "a model"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_an_error_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "none" / "figures.json"
    with pytest.raises(OutputError, match="cannot write the statistics to .*No such file.*give another --stats file"):
        write_statistics(path, Statistics(FakeClock()).snapshot())

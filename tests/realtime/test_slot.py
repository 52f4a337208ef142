from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from realtime.slot import LatestSlot, SlotClosed


def in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Run ``work`` in a thread; its result or exception lands in the list."""
    results: list[object] = []

    def body() -> None:
        try:
            results.append(work())
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    return thread, results


def joined(thread: threading.Thread) -> None:
    thread.join(timeout=10)
    assert not thread.is_alive(), "the thread still waits"


def test_the_newest_item_wins_and_frame_dropped_is_reported() -> None:
    slot: LatestSlot[int] = LatestSlot()
    assert slot.put(0) is None, "0 is an item like any other"
    assert slot.put(1) == 0
    assert slot.put(2) == 1
    assert slot.get() == 2


def test_one_in_flight_and_one_waiting() -> None:
    slot: LatestSlot[int] = LatestSlot()
    slot.put(0)
    assert slot.get() == 0
    assert slot.put(1) is None, "0 is in flight, so 1 replaces nothing"
    assert slot.put(2) == 1


def test_get_returns_none_when_nothing_came_in_time() -> None:
    assert LatestSlot[int]().get(timeout_s=0) is None


def test_producer_dies_and_the_consumer_raises_its_exception_after_the_last_item() -> None:
    slot: LatestSlot[int] = LatestSlot()
    slot.put(7)
    slot.close(OSError("the camera was pulled out"))
    assert slot.get() == 7
    for _ in range(2):
        with pytest.raises(OSError, match="the camera was pulled out"):
            slot.get()


def test_consumer_dies_and_the_producer_stops() -> None:
    slot: LatestSlot[int] = LatestSlot()
    slot.close(ValueError("a stage failed"))
    with pytest.raises(SlotClosed, match="nobody takes") as caught:
        slot.put(1)
    assert isinstance(caught.value.__cause__, ValueError)


def test_close_while_waiting_wakes_the_consumer() -> None:
    slot: LatestSlot[int] = LatestSlot()
    thread, results = in_thread(slot.get)
    slot.close()
    joined(thread)
    assert isinstance(results[0], SlotClosed)


def test_close_while_waiting_wakes_the_producer() -> None:
    slot: LatestSlot[int] = LatestSlot(every=True)
    slot.put(0)
    thread, results = in_thread(lambda: slot.put(1))
    slot.close()
    joined(thread)
    assert isinstance(results[0], SlotClosed)
    assert slot.get() == 0, "what was left before is not lost"


def test_the_first_close_counts() -> None:
    slot: LatestSlot[int] = LatestSlot()
    slot.close(ValueError("first"))
    slot.close(ValueError("second"))
    with pytest.raises(ValueError, match="first"):
        slot.get()


def test_every_item_arrives_in_order_when_nothing_may_be_dropped() -> None:
    slot: LatestSlot[int] = LatestSlot(every=True)

    def produce() -> None:
        for item in range(200):
            assert slot.put(item) is None
        slot.close()

    thread, results = in_thread(produce)
    taken: list[int | None] = []
    with pytest.raises(SlotClosed):
        while True:
            taken.append(slot.get(timeout_s=10))
    joined(thread)
    assert taken == list(range(200))
    assert results == [None]

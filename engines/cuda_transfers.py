"""Frames on their way to the GPU and back: pinned memory at both ends, a stream for each way, two frames deep."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.devices import gpu_errors

Pixels = npt.NDArray[np.uint8]
DEPTH = 2
WAYS = ("upload", "compute", "download")


class Ticket:
    """A submitted frame. Any thread may ask for its result, as often as it likes."""

    def __init__(self, wait: Callable[[], None], received: Tensor) -> None:
        self._wait, self._received = wait, received
        self._lock = threading.Lock()
        self._pixels: Pixels | None = None

    def result(self) -> Pixels:
        """The finished picture, uint8 BGR [H, W, 3], or one a stream [S, H, W, 3]; the caller's own.

        Raises EngineError when the GPU failed.
        """
        with self._lock:
            if self._pixels is None:
                with gpu_errors():
                    self._wait()
                self._pixels = self._received.numpy().copy()
            return self._pixels


@dataclass(slots=True, eq=False)
class Slot:
    """One frame on its way: pinned memory at both ends, device memory between.

    sent, uploaded: what the frame brings, in the order of the static buffers.
    """

    sent: list[Tensor]
    uploaded: list[Tensor]
    finished: Tensor
    received: Tensor
    events: dict[str, Any] = field(default_factory=dict)
    ticket: Ticket | None = None


class Transfers:
    """Slots and streams around static buffers: what a frame brings, and the picture that it leaves as.

    given: what a frame brings. picture: uint8. On a processor (for tests) there are no streams.
    """

    def __init__(self, given: Sequence[Tensor], picture: Tensor) -> None:
        self._given, self._picture, self._next = list(given), picture, 0
        self._on_gpu = picture.is_cuda
        self._slots = [self._slot() for _ in range(DEPTH)]
        if not self._on_gpu:
            return
        stream, event = torch.cuda.Stream, torch.cuda.Event
        self._streams: dict[str, Any] = {way: stream() for way in WAYS}  # type: ignore[no-untyped-call]
        for slot in self._slots:
            slot.events = {way: event() for way in WAYS}  # type: ignore[no-untyped-call]

    def _slot(self) -> Slot:
        def pinned(like: Tensor) -> Tensor:
            return torch.zeros_like(like, device="cpu", pin_memory=self._on_gpu)

        ups = [one.clone() for one in self._given]
        return Slot([pinned(one) for one in self._given], ups, self._picture.clone(), pinned(self._picture))

    @property
    def compute(self) -> Any:
        """The stream on which frames are computed."""
        return self._streams["compute"]

    def computing(self) -> AbstractContextManager[Any]:
        """What is launched inside runs between two frames."""
        return torch.cuda.stream(self.compute) if self._on_gpu else nullcontext()

    def settle(self) -> None:
        """Wait for the frames that are on their way; their tickets keep them."""
        for slot in self._slots:
            if slot.ticket is not None:
                slot.ticket.result()

    def free(self) -> Slot:
        """The slot of the next frame, whose ``sent`` may be written; with two on their way it waits for the older."""
        slot = self._slots[self._next]
        if slot.ticket is not None:
            slot.ticket.result()
        return slot

    def send(
        self, slot: Slot, run: Callable[[], None], received: Tensor | None = None, kept: Container[int] = ()
    ) -> Ticket:
        """Upload a slot's frame, ``run`` over the static buffers, download the picture; returns at once.

        received: the part of ``slot.received`` that is the result, None all of it.
        kept: numbers of the static buffers that stay as they are.
        """
        numbers = [number for number in range(len(self._given)) if number not in kept]
        with gpu_errors():
            if self._on_gpu:
                self._launch(slot, run, numbers)
            else:
                for number in numbers:
                    self._given[number].copy_(slot.sent[number])
                run()
                slot.received.copy_(self._picture)
        wait: Callable[[], None] = slot.events["download"].synchronize if self._on_gpu else _nothing
        slot.ticket = Ticket(wait, slot.received if received is None else received)
        self._next = (self._next + 1) % DEPTH
        return slot.ticket

    def _launch(self, slot: Slot, run: Callable[[], None], numbers: Sequence[int]) -> None:
        upload, compute, download = (self._streams[way] for way in WAYS)
        events = slot.events
        with torch.cuda.stream(upload):
            upload.wait_event(events["compute"])  # the slot's last frame has been taken
            for number in numbers:
                slot.uploaded[number].copy_(slot.sent[number], non_blocking=True)
            events["upload"].record(upload)
        with torch.cuda.stream(compute):
            compute.wait_event(events["upload"])
            compute.wait_event(events["download"])  # the slot's last result has left
            for number in numbers:
                self._given[number].copy_(slot.uploaded[number], non_blocking=True)
            run()
            slot.finished.copy_(self._picture, non_blocking=True)
            events["compute"].record(compute)
        with torch.cuda.stream(download):
            download.wait_event(events["compute"])
            slot.received.copy_(slot.finished, non_blocking=True)
            events["download"].record(download)


def _nothing() -> None:
    pass

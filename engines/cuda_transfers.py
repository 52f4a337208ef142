"""Frames on their way to the GPU and back: pinned memory at both ends, a stream for each way, two frames deep."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.devices import gpu_errors

Pixels = npt.NDArray[np.uint8]
DEPTH = 2


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
    """One frame on its way: pinned memory at both ends, device memory between."""

    sent: Tensor
    sent_canvas: Tensor
    small: Tensor
    uploaded: Tensor
    uploaded_canvas: Tensor
    uploaded_small: Tensor
    finished: Tensor
    received: Tensor
    ticket: Ticket | None = None


class Transfers:
    """Slots and streams around three static buffers: what a frame brings, and the canvas that it leaves as.

    frame, canvas: uint8. small: float32. On a processor (for tests) there are no streams.
    """

    def __init__(self, frame: Tensor, canvas: Tensor, small: Tensor) -> None:
        self._frame, self._canvas, self._small = frame, canvas, small
        self._on_gpu = frame.is_cuda
        self.slots = [self._slot() for _ in range(DEPTH)]
        if not self._on_gpu:
            return
        stream, event = torch.cuda.Stream, torch.cuda.Event
        names = ("upload", "compute", "download")
        self._streams: dict[str, Any] = {name: stream() for name in names}  # type: ignore[no-untyped-call]
        self._events: list[dict[str, Any]] = [
            {name: event() for name in names}  # type: ignore[no-untyped-call]
            for _ in range(DEPTH)
        ]

    def _slot(self) -> Slot:
        def pinned(like: Tensor) -> Tensor:
            return torch.zeros_like(like, device="cpu", pin_memory=self._on_gpu)

        frame, canvas, small = self._frame, self._canvas, self._small
        ends = (pinned(frame), pinned(canvas), pinned(small))
        return Slot(*ends, frame.clone(), canvas.clone(), small.clone(), canvas.clone(), pinned(canvas))

    @property
    def compute(self) -> Any:
        """The stream on which frames are computed."""
        return self._streams["compute"]

    def computing(self) -> AbstractContextManager[Any]:
        """What is launched inside runs between two frames."""
        return torch.cuda.stream(self.compute) if self._on_gpu else nullcontext()

    def waiting(self, number: int) -> Callable[[], None]:
        """A function that waits for the slot's result."""
        wait: Callable[[], None] = self._events[number]["download"].synchronize if self._on_gpu else _nothing
        return wait

    def send(self, number: int, own_canvas: bool, run: Callable[[], None]) -> None:
        """Upload a slot's frame, ``run`` over the static buffers, download the canvas; returns at once."""
        slot = self.slots[number]
        if not self._on_gpu:
            self._frame.copy_(slot.sent)
            self._canvas.copy_(slot.sent_canvas if own_canvas else slot.sent)
            self._small.copy_(slot.small)
            run()
            slot.received.copy_(self._canvas)
            return
        upload, compute, download = (self._streams[name] for name in ("upload", "compute", "download"))
        events = self._events[number]
        with torch.cuda.stream(upload):
            upload.wait_event(events["compute"])  # the slot's last frame has been taken
            slot.uploaded.copy_(slot.sent, non_blocking=True)
            slot.uploaded_small.copy_(slot.small, non_blocking=True)
            if own_canvas:
                slot.uploaded_canvas.copy_(slot.sent_canvas, non_blocking=True)
            events["upload"].record(upload)
        with torch.cuda.stream(compute):
            compute.wait_event(events["upload"])
            compute.wait_event(events["download"])  # the slot's last result has left
            self._frame.copy_(slot.uploaded, non_blocking=True)
            self._canvas.copy_(slot.uploaded_canvas if own_canvas else slot.uploaded, non_blocking=True)
            self._small.copy_(slot.uploaded_small, non_blocking=True)
            run()
            slot.finished.copy_(self._canvas, non_blocking=True)
            events["compute"].record(compute)
        with torch.cuda.stream(download):
            download.wait_event(events["compute"])
            slot.received.copy_(slot.finished, non_blocking=True)
            events["download"].record(download)


def _nothing() -> None:
    pass

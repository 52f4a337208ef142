"""The whole frame on the GPU, from its bytes to the finished bytes, as one CUDA graph over static buffers.

    frame --crop--> encoder --> W+ (+ edits) --> generator --> portrait --match, blend--> frame

    engine = FrameEngine(generator, 720, 1280, encoder=None)
    engine.submit(pixels, Place(crop, back, into), wplus)      # returns at once
    pixels = engine.collect()                                   # the oldest submitted frame, finished

Two frames are on their way at most: while one is computed, the next is uploaded and the last downloaded, each on a
stream of its own from and to pinned memory. Styles, edits, masks and places are values in static buffers, so that
changing them captures nothing anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.cuda_engine import CudaGenerator
from engines.devices import gpu_errors
from kernels.align_crop import align_crop_into
from kernels.blend_back import blend_back_into, match_colours_into
from kernels.program import Programs, cuda_program

Pixels = npt.NDArray[np.uint8]
Transform = npt.NDArray[np.float64]
Encoder = Callable[[Tensor], Tensor]
SUB_PIXELS, DEPTH = 2, 2


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where crop and portrait lie, float64 [2, 3] each.

    crop: crop pixels to frame pixels. into: frame pixels to portrait pixels. back: portrait pixels to frame pixels.
    """

    crop: Transform
    into: Transform
    back: Transform


@dataclass(slots=True, eq=False)
class Slot:
    """One frame on its way: pinned memory at both ends, device memory between, and what each stream waits for."""

    sent: Tensor
    small: Tensor
    uploaded: Tensor
    uploaded_small: Tensor
    finished: Tensor
    received: Tensor


class FrameEngine:
    """Frames of one size through one generator.

    generator: at batch 1, RGB. height, width: of the frames in pixels.
    encoder: crop float32 [1, 3, crop_px, crop_px] in -1..1 to codes [1, rows, w_dim], or None when W+ is submitted.
    graph: false runs every launch by itself, with the same results.
    programs: where the kernels come from; without a GPU (for tests) there are neither graph nor streams.

    Raises EngineError when the GPU fails, ValueError for what does not fit.
    """

    def __init__(
        self, generator: CudaGenerator, height: int, width: int, encoder: Encoder | None = None, *, crop_px: int = 256,
        graph: bool = True, programs: Programs = cuda_program,
    ) -> None:  # fmt: skip
        if generator.batch != 1 or generator.config.image_channels != 3:
            got = f"batch {generator.batch}, {generator.config.image_channels} colours"
            raise ValueError(f"the generator has {got}; wanted batch 1, 3 colours")
        self._generator, self._encoder, self._programs = generator, encoder, programs
        self._device = generator.wplus.device
        self._on_gpu = self._device.type == "cuda"
        size, rows = generator.config.resolution, generator.config.rows
        self._small = self._room(18 + rows * generator.config.w_dim)  # three transforms, then W+
        self._frame = self._room(height, width, 3, dtype=torch.uint8)
        self._crop = self._room(1, 3, crop_px, crop_px)
        self._portrait = self._room(size, size, 4)
        self._match = self._room(2, 3)
        self.offset = self._room(rows, generator.config.w_dim)  # added to W+: centre, style and edits
        self.mask = torch.ones(size, size, device=self._device)  # of the portrait, 0..1
        self._slots = [self._slot() for _ in range(DEPTH)]
        self._waiting: deque[int] = deque()
        self._next = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        if self._on_gpu:
            with gpu_errors():
                stream, event = torch.cuda.Stream, torch.cuda.Event
                names = ("upload", "compute", "download")
                self._streams: dict[str, Any] = {name: stream() for name in names}  # type: ignore[no-untyped-call]
                self._events: list[dict[str, Any]] = [
                    {name: event() for name in names}  # type: ignore[no-untyped-call]
                    for _ in range(DEPTH)
                ]
                if graph:
                    self.capture()

    def _room(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.zeros(*shape, dtype=dtype, device=self._device)

    def _slot(self) -> Slot:
        def pinned(like: Tensor) -> Tensor:
            return torch.zeros_like(like, device="cpu", pin_memory=self._on_gpu)

        frame, small = self._frame, self._small
        return Slot(pinned(frame), pinned(small), frame.clone(), small.clone(), frame.clone(), pinned(frame))

    def capture(self) -> None:
        """Record the graph, after runs in which everything is compiled and allocated; again for another encoder."""
        with torch.cuda.stream(self._streams["compute"]):
            for _ in range(3):
                self._compute()
        torch.cuda.synchronize()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, stream=self._streams["compute"]):
            self._compute()

    def _compute(self) -> None:
        """Every launch of a frame, over static buffers only."""
        crop_to_frame, into, back = self._small[:18].view(3, 2, 3)
        if self._encoder is not None:
            align_crop_into(self._programs, self._crop[0], self._frame, crop_to_frame, SUB_PIXELS)
            codes = self._encoder(self._crop).float()
        else:
            codes = self._small[18:].view_as(self._generator.wplus)
        self._generator.wplus.copy_(codes + self.offset)
        picture = self._generator.run()[0].permute(1, 2, 0)  # [S S 3], -1..1
        self._portrait[..., :3] = (picture * 0.5 + 0.5).clamp(0, 1)
        self._portrait[..., 3] = 1.0
        match_colours_into(self._programs, self._match, self._frame, self._portrait, back, self.mask)
        blend_back_into(self._programs, self._frame, self._portrait, into, self.mask, self._match)

    def submit(self, pixels: Pixels, place: Place, wplus: npt.NDArray[np.float32] | None = None) -> None:
        """Send a frame, uint8 BGR [H, W, 3], on its way; with W+ [rows, w_dim] unless there is an encoder.

        Raises ValueError for another size, or when two frames wait to be collected.
        """
        if pixels.shape != tuple(self._frame.shape):
            raise ValueError(f"the frame has shape {list(pixels.shape)}; wanted {list(self._frame.shape)}")
        if len(self._waiting) == DEPTH:
            raise ValueError(f"{DEPTH} frames are on their way; collect one first")
        number, slot = self._next, self._slots[self._next]
        slot.sent.numpy()[:] = pixels
        transforms = np.concatenate([t.reshape(-1) for t in (place.crop, place.into, place.back)])
        slot.small.numpy()[:18] = transforms
        if wplus is not None:
            slot.small.numpy()[18:] = wplus.reshape(-1)
        with gpu_errors():
            if self._on_gpu:
                self._send(number, slot)
            else:
                self._pass(slot)
        self._waiting.append(number)
        self._next = (number + 1) % DEPTH

    def _pass(self, slot: Slot) -> None:
        """The frame's way without streams."""
        self._frame.copy_(slot.sent)
        self._small.copy_(slot.small)
        self._compute()
        slot.received.copy_(self._frame)

    def _send(self, number: int, slot: Slot) -> None:
        upload, compute, download = (self._streams[name] for name in ("upload", "compute", "download"))
        events = self._events[number]
        with torch.cuda.stream(upload):
            upload.wait_event(events["compute"])  # the slot's last frame has been taken
            slot.uploaded.copy_(slot.sent, non_blocking=True)
            slot.uploaded_small.copy_(slot.small, non_blocking=True)
            events["upload"].record(upload)
        with torch.cuda.stream(compute):
            compute.wait_event(events["upload"])
            compute.wait_event(events["download"])  # the slot's last result has left
            self._frame.copy_(slot.uploaded, non_blocking=True)
            self._small.copy_(slot.uploaded_small, non_blocking=True)
            if self._graph is None:
                self._compute()
            else:
                self._graph.replay()
            slot.finished.copy_(self._frame, non_blocking=True)
            events["compute"].record(compute)
        with torch.cuda.stream(download):
            download.wait_event(events["compute"])
            slot.received.copy_(slot.finished, non_blocking=True)
            events["download"].record(download)

    def collect(self) -> Pixels:
        """The oldest frame on its way, finished: uint8 BGR [H, W, 3], the engine's own until two submissions later.

        Raises ValueError when none is on its way.
        """
        if not self._waiting:
            raise ValueError("no frame is on its way; submit one first")
        number = self._waiting.popleft()
        if self._on_gpu:
            with gpu_errors():
                self._events[number]["download"].synchronize()
        received: Pixels = self._slots[number].received.numpy()
        return received

"""The whole frame on the GPU, from its bytes to the finished bytes, as one CUDA graph over static buffers.

    frame --crop--> encoder --> W+ --smoothed, edited--> generator --> portrait --pasted over the face--> canvas

    engine = FrameEngine(generator, 720, 1280, encoder=None)
    ticket = engine.submit(pixels, Moment(crop, place, outline), wplus)      # returns at once
    pixels = ticket.result()                                                 # waits until they are there

Two frames are on their way at most: while one is computed, the next is uploaded and the last downloaded, each on a
stream of its own from and to pinned memory. Edits, outlines and places are values in static buffers, so that changing
them captures nothing anew: ``engine.wear(edits)`` between two frames.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.cuda_codes import MOST_EDITS, CodeEdits, CodeFilter, FilterSettings
from engines.cuda_engine import CudaGenerator
from engines.cuda_graphs import captured
from engines.devices import gpu_errors
from engines.encoders_config import INPUT_PX
from engines.installed_directions import RowEdit
from kernels.align_crop import align_crop_into
from kernels.paste_face import NUMBERS, PasteRoom, Place, level_pixels, paste_face_into, write_levels

__all__ = ["FrameEngine", "Moment", "Place", "Ticket"]

Pixels = npt.NDArray[np.uint8]
Transform = npt.NDArray[np.float64]
Encoder = Callable[[Tensor, Tensor], Tensor]
DEPTH, MOST_CORNERS = 2, 478
PLACE, STEP_S, FRESH, STRENGTHS = 6, 6 + NUMBERS, 7 + NUMBERS, 8 + NUMBERS  # where they lie in a frame's numbers
OUTLINE = STRENGTHS + MOST_EDITS
CODES = OUTLINE + 2 * MOST_CORNERS


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """What a frame brings besides its pixels.

    crop: float64 [2, 3], crop pixels to frame pixels. place: where the portrait goes in the canvas.
    outline: float [corners, 2], the face's, convex, in the canvas's pixels.
    step_s: since the last frame. fresh: nothing of the frames before is blended in. new_face: the encoder starts anew.
    strengths: of the edits, in their order.
    """

    crop: Transform
    place: Place
    outline: npt.NDArray[Any]
    step_s: float = 0.0
    fresh: bool = True
    new_face: bool = True
    strengths: Sequence[float] = ()


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


class Ticket:
    """A submitted frame. Any thread may ask for its result, as often as it likes."""

    def __init__(self, wait: Callable[[], None], received: Tensor) -> None:
        self._wait, self._received = wait, received
        self._lock = threading.Lock()
        self._pixels: Pixels | None = None

    def result(self) -> Pixels:
        """The finished picture, uint8 BGR [H, W, 3], the caller's own. Raises EngineError when the GPU failed."""
        with self._lock:
            if self._pixels is None:
                with gpu_errors():
                    self._wait()
                self._pixels = self._received.numpy().copy()
            return self._pixels


class FrameEngine:
    """Frames of one size through one generator.

    generator: at batch 1, RGB. height, width: of the frames in pixels; canvas: height and width of the pictures, where
        they differ.
    encoder: crop float32 [1, 3, 256, 256] in -1..1 and the last codes to codes, [1, rows, w_dim] each; None when W+ is
        submitted. start: codes [rows, w_dim] of a new face. first_steps: how often a new face is encoded.
    filter_settings: how W+ is smoothed, None not at all. edits: in their order.
    graph: false runs every launch by itself, with the same results.
    Where the generator's kernels run on the host (for tests) there are neither graph nor streams.

    Raises EngineError when the GPU fails, ValueError for what does not fit.
    """

    def __init__(
        self, generator: CudaGenerator, height: int, width: int, encoder: Encoder | None = None, *,
        canvas: tuple[int, int] | None = None, start: npt.NDArray[np.float32] | None = None, first_steps: int = 1,
        filter_settings: FilterSettings | None = None, edits: Sequence[RowEdit] = (), crop_px: int = INPUT_PX,
        graph: bool = True,
    ) -> None:  # fmt: skip
        if generator.batch != 1 or generator.config.image_channels != 3:
            got = f"batch {generator.batch}, {generator.config.image_channels} colours"
            raise ValueError(f"the generator has {got}; wanted batch 1, 3 colours")
        self._generator, self.encoder, self._programs = generator, encoder, generator.programs
        self._device = generator.wplus.device
        self._on_gpu, self._first_steps = self._device.type == "cuda", first_steps
        size, rows = generator.config.resolution, generator.config.rows
        with gpu_errors():
            self._small = self._room(CODES + rows * generator.config.w_dim)
            self._frame = self._room(height, width, 3, dtype=torch.uint8)
            self._canvas = self._room(*(canvas or (height, width)), 3, dtype=torch.uint8)
            self.crop = self._room(1, 3, crop_px, crop_px)
            self._levels = self._room(level_pixels(size), 4)
            self._paste = PasteRoom(self._device)
            self._codes = torch.zeros_like(generator.wplus)
            self._start = self._codes.clone()
            if start is not None:
                self._start.copy_(torch.from_numpy(np.array(start, np.float32))[None])
            self._filter = CodeFilter(filter_settings, self._codes)
            self._edits = CodeEdits(edits, rows, generator.config.w_dim, self._device, self._programs)
            self._slots = [self._slot() for _ in range(DEPTH)]
            self._next = 0
            self._graphs: dict[str, Callable[[], None]] = {"encode": self._encode, "frame": self._compute}
            if self._on_gpu:
                self._make_streams()
                if graph:
                    self.capture()

    def _make_streams(self) -> None:
        stream, event = torch.cuda.Stream, torch.cuda.Event
        names = ("upload", "compute", "download")
        self._streams: dict[str, Any] = {name: stream() for name in names}  # type: ignore[no-untyped-call]
        self._events: list[dict[str, Any]] = [
            {name: event() for name in names}  # type: ignore[no-untyped-call]
            for _ in range(DEPTH)
        ]

    def _room(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.zeros(*shape, dtype=dtype, device=self._device)

    def _slot(self) -> Slot:
        def pinned(like: Tensor) -> Tensor:
            return torch.zeros_like(like, device="cpu", pin_memory=self._on_gpu)

        frame, canvas, small = self._frame, self._canvas, self._small
        ends = (pinned(frame), pinned(canvas), pinned(small))
        return Slot(*ends, frame.clone(), canvas.clone(), small.clone(), canvas.clone(), pinned(canvas))

    def capture(self) -> None:
        """Record the graphs, after runs in which everything is compiled and allocated; again for another encoder."""
        self.settle()
        with gpu_errors():
            stream = self._streams["compute"]
            self._graphs["frame"] = captured(self._compute, stream)
            if self._first_steps > 1:
                self._graphs["encode"] = captured(self._encode, stream)

    def wear(self, edits: Sequence[RowEdit]) -> None:
        """Other edits from the next frame on, in their order; frames on their way keep theirs. Nothing is captured.

        Raises ValueError for more than MOST_EDITS and for those of another generator.
        """
        with gpu_errors(), torch.cuda.stream(self._streams["compute"]) if self._on_gpu else nullcontext():
            self._edits.wear(edits)

    def settle(self) -> None:
        """Wait for the frames that are on their way; their tickets keep them."""
        for ticket in (slot.ticket for slot in self._slots):
            if ticket is not None:
                ticket.result()

    @torch.no_grad()
    def _encode(self) -> None:
        """The frame's codes."""
        if self.encoder is None:
            self._codes.copy_(self._small[CODES:].view_as(self._codes))
            return
        align_crop_into(self._programs, self.crop[0], self._frame, self._small[:6], 0)
        self._codes.copy_(self.encoder(self.crop, self._codes))

    @torch.no_grad()
    def _compute(self) -> None:
        """Every launch of a frame, over static buffers only."""
        small = self._small
        self._encode()
        self._generator.wplus.copy_(self._filter.run(self._codes, small[STEP_S], small[FRESH]))
        self._edits.run(self._generator.wplus, small[None, STRENGTHS:OUTLINE])
        write_levels(self._levels, self._generator.run()[0])
        place, outline = small[PLACE : PLACE + NUMBERS], small[OUTLINE:CODES]
        paste_face_into(self._programs, self._paste, self._canvas, self._levels, place, outline)

    def submit(
        self, pixels: Pixels, moment: Moment, wplus: npt.NDArray[np.float32] | None = None,
        canvas: Pixels | None = None,
    ) -> Ticket:  # fmt: skip
        """Send a frame, uint8 BGR [H, W, 3], on its way; with W+ [rows, w_dim] unless there is an encoder.

        canvas: what is drawn on, if that is not the frame itself. With two frames on their way it waits for the older.

        Raises ValueError for another size.
        """
        self._check(pixels, moment, canvas)
        number, slot = self._next, self._slots[self._next]
        if slot.ticket is not None:
            slot.ticket.result()
        slot.sent.numpy()[:] = pixels
        if canvas is not None:
            slot.sent_canvas.numpy()[:] = canvas
        self._write(slot.small.numpy(), moment, wplus)
        with gpu_errors():
            if self._on_gpu:
                self._send(number, slot, canvas is not None, moment.new_face)
            else:
                self._pass(slot, canvas is not None, moment.new_face)
        done = self._events[number]["download"].synchronize if self._on_gpu else lambda: None
        slot.ticket = Ticket(done, slot.received)
        self._next = (number + 1) % DEPTH
        return slot.ticket

    def _check(self, pixels: Pixels, moment: Moment, canvas: Pixels | None) -> None:
        if pixels.shape != tuple(self._frame.shape):
            raise ValueError(f"the frame has shape {list(pixels.shape)}; wanted {list(self._frame.shape)}")
        drawn_on = pixels if canvas is None else canvas
        if drawn_on.shape != tuple(self._canvas.shape):
            raise ValueError(f"the canvas has shape {list(drawn_on.shape)}; wanted {list(self._canvas.shape)}")
        left, top, width, height = moment.place.box
        inside = left >= 0 and top >= 0 and width > 0 and height > 0
        if not inside or left + width > drawn_on.shape[1] or top + height > drawn_on.shape[0]:
            raise ValueError(f"the box {moment.place.box} leaves a canvas of {list(drawn_on.shape[:2])}")
        if not 3 <= len(moment.outline) <= MOST_CORNERS or len(moment.strengths) != len(self._edits):
            got = f"{len(moment.outline)} corners, {len(moment.strengths)} strengths"
            raise ValueError(f"the moment has {got}; wanted 3 to {MOST_CORNERS}, {len(self._edits)}")

    def _write(self, small: npt.NDArray[np.float32], moment: Moment, wplus: npt.NDArray[np.float32] | None) -> None:
        numbers = [*moment.crop.reshape(-1), *moment.place.numbers(), moment.step_s, moment.fresh, *moment.strengths]
        small[: len(numbers)] = numbers
        small[OUTLINE : OUTLINE + 2 * len(moment.outline)] = moment.outline.reshape(-1)
        if wplus is not None:
            small[CODES:] = wplus.reshape(-1)

    def _run(self, new_face: bool) -> None:
        """The frame's launches; a new face is encoded several times where the encoder refines."""
        if new_face:
            self._codes.copy_(self._start)
            for _ in range(self._first_steps - 1):
                self._graphs["encode"]()
        self._graphs["frame"]()

    def _pass(self, slot: Slot, own_canvas: bool, new_face: bool) -> None:
        """The frame's way without streams."""
        self._frame.copy_(slot.sent)
        self._canvas.copy_(slot.sent_canvas if own_canvas else slot.sent)
        self._small.copy_(slot.small)
        self._run(new_face)
        slot.received.copy_(self._canvas)

    def _send(self, number: int, slot: Slot, own_canvas: bool, new_face: bool) -> None:
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
            self._run(new_face)
            slot.finished.copy_(self._canvas, non_blocking=True)
            events["compute"].record(compute)
        with torch.cuda.stream(download):
            download.wait_event(events["compute"])
            slot.received.copy_(slot.finished, non_blocking=True)
            events["download"].record(download)

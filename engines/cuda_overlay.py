"""The bundled model's whole frame on the GPU, from codes to the finished picture, as one CUDA graph.

    W+, motion --motion code, generator--> portraits --put over covered heads--> canvas

    engine = OverlayEngine(drawer.drawing, 720, 1280, 2, fade)
    ticket = engine.submit(pixels, [Head(wplus, motion, Place(into))], covers)      # returns at once
    picture = ticket.result()                                                       # waits until it is there

Upload and download have streams of their own over pinned memory, two frames deep (``engines.cuda_transfers``). Codes,
places, masks and colours are values in static buffers: people, edits and styles change without a capture. Portraits go
from the generator into the picture as the premultiplied floats that they are.

Each number of faces has a graph, all of them captured at the start, so that nobody's coming stops the picture. They
share the weights; each has features of its own. Added up from the shapes of these buffers, with the default plans of
the layers: 24 MiB for one face at 256 px, 165 for ``faces=4`` (graphs of 1, 2, 3 and 4); 58 and 471 MiB at 512 px. To
that come six pictures in device memory and four pinned ones (36 and 24 MiB at 1080p), and what torch keeps in each
graph for the motion code, which was not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.cuda_bundled import Drawing
from engines.cuda_graphs import captured
from engines.cuda_transfers import Pixels, Slot, Ticket, Transfers
from engines.devices import gpu_errors
from kernels.overlay_heads import COLOURS, NUMBERS, Place, overlay_heads_into

__all__ = ["Head", "OverlayEngine", "Place"]

Floats = npt.NDArray[np.float32]
FRAME, SMALL, COVERS = range(3)  # what a frame brings


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A head that is drawn: its code, and its place.

    wplus: float32 [rows, dim]. motion: float32 [motion]. place: of the portrait; what is covered is told apart.
    """

    wplus: Floats
    motion: Floats
    place: Place


class Covers(Protocol):
    """``realtime.covering.Cover``: what is laid over a person's head, before any portrait is drawn.

    box: left, top, width, height in the canvas. mask: uint8 [h, w], colours: uint8 BGR [n, m, 3], n and m at most 32;
    both are enlarged to the box.
    """

    @property
    def box(self) -> tuple[int, int, int, int]: ...  # noqa: D102

    @property
    def mask(self) -> Pixels: ...  # noqa: D102

    @property
    def colours(self) -> Pixels: ...  # noqa: D102


class OverlayEngine:
    """Frames of one size.

    drawing: what draws so many faces at a time. height, width: of the pictures. faces: at most.
    fade: float32 [S, S] of 0..1: how much of each pixel is seen of a portrait that fades.
    graph: false runs every launch by itself, with the same results. On a processor (for tests) there are no graphs.

    Raises EngineError when the GPU fails.
    """

    def __init__(
        self, drawing: Callable[[int], Drawing], height: int, width: int, faces: int, fade: Floats, graph: bool = True
    ) -> None:
        self._drawings = {count: drawing(count) for count in range(1, faces + 1)}
        one = self._drawings[1]
        self._programs, device = one.engine.programs, one.motion.device
        self._codes = NUMBERS + one.motion.shape[1]  # where W+ begins in a row of small values
        with gpu_errors():
            room = max(1, height // 4) * max(1, width // 4)
            bytes_ = [torch.zeros(shape, dtype=torch.uint8, device=device) for shape in (
                (height, width, 3), (height, width, 3), (faces, COLOURS + room)
            )]  # fmt: skip
            self._frame, self._canvas, self._covers = bytes_
            self._small = torch.zeros(faces, self._codes + one.engine.wplus[0].numel(), device=device)
            self._fade = torch.from_numpy(np.ascontiguousarray(fade, np.float32)).to(device)
            self._transfers = Transfers([self._frame, self._small, self._covers], self._canvas)
            self._graphs = {count: self._launches(count) for count in self._drawings}
            self._has_canvas = False
            if device.type == "cuda":
                torch.cuda.synchronize()  # what was filled here is there before another stream reads it
                if graph:
                    stream = self._transfers.compute
                    self._graphs = {count: captured(call, stream) for count, call in self._graphs.items()}

    def submit(self, canvas: Pixels | None, heads: Sequence[Head], covers: Sequence[Covers] = ()) -> Ticket:
        """Send a picture, uint8 BGR [H, W, 3], on its way: all heads covered, then all portraits drawn in their order.

        canvas: None draws on what was sent last. covers: at most one for each head that is drawn, of whomever.
        With two frames on their way it waits for the older. Raises ValueError for what does not fit.
        """
        self._check(canvas, heads, covers)
        slot = self._transfers.free()
        if canvas is not None:
            slot.sent[FRAME].numpy()[:] = canvas
        self._write(slot, heads, covers)
        self._has_canvas = True
        return self._transfers.send(slot, self._graphs[len(heads)], kept=[FRAME] if canvas is None else ())

    def _launches(self, count: int) -> Callable[[], None]:
        return lambda: self._compute(self._drawings[count], self._small[:count], self._covers[:count])

    @torch.no_grad()
    def _compute(self, drawing: Drawing, small: Tensor, covers: Tensor) -> None:
        """Every launch of a frame, over static buffers only."""
        wplus = drawing.engine.wplus
        wplus.copy_(small[:, self._codes :].reshape(wplus.shape))
        drawing.motion.copy_(small[:, NUMBERS : self._codes])
        portraits = drawing.premultiplied()
        self._canvas.copy_(self._frame)
        overlay_heads_into(self._programs, self._canvas, portraits, self._fade, small[:, :NUMBERS], covers)

    def _check(self, canvas: Pixels | None, heads: Sequence[Head], covers: Sequence[Covers]) -> None:
        if canvas is None and not self._has_canvas:
            raise ValueError("there is no canvas yet; wanted one with the first frame")
        height, width, _ = self._canvas.shape
        if canvas is not None and canvas.shape != (height, width, 3):
            raise ValueError(f"the canvas has shape {list(canvas.shape)}; wanted {[height, width, 3]}")
        if len(heads) not in self._graphs or len(covers) > len(heads):
            most = len(self._graphs)
            raise ValueError(f"there are {len(heads)} heads, {len(covers)} covers; wanted 1 to {most}, no more covers")
        for one in covers:
            left, top, wide, high = one.box
            inside = min(left, top) >= 0 and left + wide <= width and top + high <= height
            if not inside or one.mask.size > self._covers.shape[1] - COLOURS or one.colours.size > COLOURS:
                sizes = f"mask {list(one.mask.shape)}, colours {list(one.colours.shape)}"
                raise ValueError(f"the cover of {one.box} with {sizes} does not fit a canvas of {[height, width]}")

    def _write(self, slot: Slot, heads: Sequence[Head], covers: Sequence[Covers]) -> None:
        small, room = slot.sent[SMALL].numpy(), slot.sent[COVERS].numpy()
        for k, head in enumerate(heads):
            place = head.place
            if k < len(covers):
                mask, colours = covers[k].mask, covers[k].colours
                (high, wide), (down, across) = mask.shape, colours.shape[:2]
                place = replace(place, box=covers[k].box, mask=(wide, high), cells=(across, down))
                room[k, : colours.size] = colours.reshape(-1)
                room[k, COLOURS : COLOURS + mask.size] = mask.reshape(-1)
            small[k, :NUMBERS] = place.numbers()
            small[k, NUMBERS : self._codes] = head.motion
            small[k, self._codes :] = head.wplus.reshape(-1)

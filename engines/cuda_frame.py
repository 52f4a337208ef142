"""The whole frame on the GPU, from its bytes to the finished bytes, as one CUDA graph over static buffers.

    frame --crop--> encoder --> W+ --smoothed, edited--> generator --> portrait --pasted over the face--> canvas

    engine = FrameEngine(generator, 720, 1280, encoder=None)
    ticket = engine.submit(pixels, Moment(crop, place, outline), wplus)      # returns at once
    pixels = ticket.result()                                                 # waits until they are there

Two frames are on their way at most: while one is computed, the next is uploaded and the last downloaded, each on a
stream of its own from and to pinned memory. Edits, outlines and places are values in static buffers, so that changing
them captures nothing anew: ``engine.wear(edits)`` between two frames.

Several faces are a batch: all are encoded and drawn at once, with one graph for each number of faces, and pasted in
their order. With ``streams=n`` the engine takes n frames at a time, each with one face or none, and gives n pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.cuda_codes import CodeEdits, CodeFilter, FilterSettings
from engines.cuda_engine import CudaGenerator
from engines.cuda_faces import Encoder, FacesRoom, Part
from engines.cuda_graphs import captured
from engines.cuda_moments import CODES, Moment, no_face
from engines.cuda_transfers import Pixels, Slot, Ticket, Transfers
from engines.devices import gpu_errors
from engines.encoders_config import INPUT_PX
from engines.installed_directions import RowEdit
from kernels.paste_face import PasteRoom, Place, level_pixels

__all__ = ["FrameEngine", "Moment", "Place", "Ticket"]

Codes = npt.NDArray[np.float32]
FRAME, SMALL, CANVAS = range(3)  # what a frame brings


class FrameEngine:
    """Frames of one size through one generator.

    generator: RGB; its batch is how many faces a frame has. more: generators (and encoders) of other batches, sharing
        its weights, for frames with other numbers of faces.
    height, width: of the frames in pixels; canvas: height and width of the pictures, where they differ.
    encoder: crops float32 [faces, 3, 256, 256] in -1..1 and the last codes to codes, [faces, rows, w_dim] each; None
        when W+ is submitted. start: codes [rows, w_dim] of a new face. first_steps: how often a new face is encoded.
    filter_settings: how W+ is smoothed, None not at all. edits: in their order.
    streams: how many frames come at a time; more than one: as many as the generator's batch, a face in each.
    graph: false runs every launch by itself, with the same results.
    Where the generator's kernels run on the host (for tests) there are neither graph nor streams.

    Raises EngineError when the GPU fails, ValueError for what does not fit.
    """

    def __init__(
        self, generator: CudaGenerator, height: int, width: int, encoder: Encoder | None = None, *,
        more: Sequence[tuple[CudaGenerator, Encoder | None]] = (), streams: int = 1,
        canvas: tuple[int, int] | None = None, start: Codes | None = None, first_steps: int = 1,
        filter_settings: FilterSettings | None = None, edits: Sequence[RowEdit] = (), crop_px: int = INPUT_PX,
        graph: bool = True,
    ) -> None:  # fmt: skip
        config, like = generator.config, generator.wplus
        if config.image_channels != 3:
            raise ValueError(f"the generator draws {config.image_channels} colours; wanted 3")
        if streams > 1 and (more or streams != generator.batch):
            raise ValueError(f"{streams} streams want one generator of that batch; it has {generator.batch}")
        self._device, self._first_steps, self._streams = like.device, first_steps, streams
        self._people = max(generator.batch, *(one.batch for one, _ in more), 1)
        with gpu_errors():
            self._small = self._zeros(self._people, CODES + config.rows * config.w_dim)
            self._frame = self._zeros(streams, height, width, 3, dtype=torch.uint8)
            self._canvas = self._zeros(streams, *(canvas or (height, width)), 3, dtype=torch.uint8)
            codes = self._zeros(self._people, config.rows, config.w_dim)
            self._start = self._zeros(config.rows, config.w_dim)
            if start is not None:
                self._start.copy_(torch.from_numpy(np.array(start, np.float32)))
            self._edits = CodeEdits(edits, config.rows, config.w_dim, self._device, generator.programs)
            room = FacesRoom(
                self._frame, self._canvas, self._small, codes, CodeFilter(filter_settings, codes), self._edits,
                PasteRoom(self._device), self._zeros(self._people, 2, 3),
                self._zeros(level_pixels(config.resolution), 4), in_order=self._people == 1 or streams > 1,
            )  # fmt: skip
            self._codes = codes
            parts = [Part(room, *pair, crop_px) for pair in ((generator, encoder), *more)]
            self._parts = {part.faces: part for part in parts}
            self._transfers = Transfers([self._frame, self._small, self._canvas], self._canvas)
            self._graphs: dict[tuple[str, int], Callable[[], None]] = {}
            for faces, part in self._parts.items():
                self._graphs |= {("encode", faces): part.encode_new, ("frame", faces): part.compute}
            if self._device.type == "cuda":
                torch.cuda.synchronize()  # what was filled here is there before another stream reads it
                if graph:
                    self.capture()

    def _zeros(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.zeros(*shape, dtype=dtype, device=self._device)

    def capture(self) -> None:
        """Record the graphs, after runs in which everything is compiled and allocated; again for another encoder."""
        self._transfers.settle()
        with gpu_errors():
            stream = self._transfers.compute
            for faces, part in self._parts.items():
                self._graphs["frame", faces] = captured(part.compute, stream)
                if self._first_steps > 1:
                    self._graphs["encode", faces] = captured(part.encode_new, stream)

    def wear(self, edits: Sequence[RowEdit]) -> None:
        """Other edits from the next frame on, in their order; frames on their way keep theirs. Nothing is captured.

        Raises ValueError for more than MOST_EDITS and for those of another generator.
        """
        with gpu_errors(), self._transfers.computing():
            self._edits.wear(edits)

    def settle(self) -> None:
        """Wait for the frames that are on their way; their tickets keep them."""
        self._transfers.settle()

    def submit(
        self, pixels: Pixels, moment: Moment | Sequence[Moment], wplus: Codes | None = None,
        canvas: Pixels | None = None,
    ) -> Ticket:  # fmt: skip
        """Send a frame, uint8 BGR [H, W, 3], on its way; with W+ [rows, w_dim] unless there is an encoder.

        moment: of its face, or one for each of several, the nearest last; then W+ is [faces, rows, w_dim].
        canvas: what is drawn on, if that is not the frame itself. With two frames on their way it waits for the older.

        Raises ValueError for another size, and for a number of faces for which there is no generator.
        """
        moments = [moment] if isinstance(moment, Moment) else list(moment)
        for one in moments:
            one.check(self._canvas.shape[1:3], len(self._edits), self._people)
        return self._submitted(pixels[None], moments, wplus, None if canvas is None else canvas[None])

    def submit_streams(
        self, frames: Sequence[Pixels], moments: Sequence[Moment | None], wplus: Codes | None = None
    ) -> Ticket:
        """Send a frame of every stream; None where a stream shows no face: its frame comes back as it went.

        A stream's memory is that of its place, whatever ``person`` says. The result is uint8 BGR [streams, H, W, 3].

        Raises ValueError for another size or number.
        """
        if not len(frames) == len(moments) == self._streams:
            raise ValueError(f"there are {len(frames)} frames, {len(moments)} moments; wanted {self._streams} of each")
        for one in moments:
            if one is not None:
                one.check(self._canvas.shape[1:3], len(self._edits), self._people)
        given = [no_face(k, len(self._edits)) if one is None else one for k, one in enumerate(moments)]
        return self._submitted(np.stack(frames), given, wplus, None)

    def _submitted(
        self, pixels: Pixels, moments: Sequence[Moment], wplus: Codes | None, canvas: Pixels | None
    ) -> Ticket:
        self._check(pixels, moments, canvas)
        slot = self._transfers.free()
        slot.sent[FRAME].numpy()[:] = pixels
        if canvas is not None:
            slot.sent[CANVAS].numpy()[:] = canvas
        self._write(slot, moments, wplus)
        new = [k if self._streams > 1 else one.person for k, one in enumerate(moments) if one.new_face]

        def run() -> None:
            if canvas is None:
                self._canvas.copy_(self._frame)
            self._run(len(moments), new)

        received = slot.received if self._streams > 1 else slot.received[0]
        return self._transfers.send(slot, run, received, kept=[CANVAS] if canvas is None else ())

    def _check(self, pixels: Pixels, moments: Sequence[Moment], canvas: Pixels | None) -> None:
        """Sizes and numbers."""
        drawn_on = pixels if canvas is None else canvas
        for what, got, wanted in (("frame", pixels, self._frame), ("canvas", drawn_on, self._canvas)):
            if got.shape != tuple(wanted.shape):
                raise ValueError(f"the {what} has shape {list(got.shape[1:])}; wanted {list(wanted.shape[1:])}")
        if len(moments) not in self._parts:
            numbers = ", ".join(str(faces) for faces in sorted(self._parts))
            raise ValueError(f"there are {len(moments)} faces; wanted {numbers}")
        if self._streams == 1 and len({one.person for one in moments}) != len(moments):
            raise ValueError(f"the faces are those of {[one.person for one in moments]}; wanted different people")

    def _write(self, slot: Slot, moments: Sequence[Moment], wplus: Codes | None) -> None:
        small = slot.sent[SMALL].numpy()
        for row, moment in zip(small, moments, strict=False):
            moment.write(row)
        if wplus is not None:
            small[: len(moments), CODES:] = wplus.reshape(len(moments), -1)

    def _run(self, faces: int, new: Sequence[int]) -> None:
        """The frame's launches; new faces are encoded several times where the encoder refines."""
        for person in new:
            self._codes[person].copy_(self._start)
        for _ in range(self._first_steps - 1 if new else 0):
            self._graphs["encode", faces]()
        self._graphs["frame", faces]()

"""All launches of a frame with so many faces: a batch through encoder and generator, then a paste for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from engines.cuda_codes import CodeEdits, CodeFilter
from engines.cuda_engine import CudaGenerator
from engines.cuda_moments import CODES, FRESH, NEW, OUTLINE, PERSON, PLACE, STEP_S, STRENGTHS
from kernels.align_crop import align_crop_into
from kernels.paste_face import NUMBERS, PasteRoom, paste_face_into, write_levels

Encoder = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class FacesRoom:
    """The static buffers that all numbers of faces share, and what is remembered of people.

    frame, canvas: uint8 BGR [streams, H, W, 3]. small: float32, a row a face, see ``engines.cuda_moments``.
    codes: float32 [people, rows, w_dim], the last. match: float32 [people, 2, 3], gain and shift of their colours.
    levels: float32 [pixels, 4], of the portrait that is being pasted.
    in_order: the faces are always all people, in their order; else each row says whose memory is meant.
    """

    frame: Tensor
    canvas: Tensor
    small: Tensor
    codes: Tensor
    filter: CodeFilter
    edits: CodeEdits
    paste: PasteRoom
    match: Tensor
    levels: Tensor
    in_order: bool


class Part:
    """Frames with as many faces as the generator's batch. Face k lies in stream k, or in the only one."""

    def __init__(self, room: FacesRoom, generator: CudaGenerator, encoder: Encoder | None, crop_px: int) -> None:
        self.faces, self._room, self._generator, self._encoder = generator.batch, room, generator, encoder
        self._programs = generator.programs
        self._crops = torch.zeros(self.faces, 3, crop_px, crop_px, device=generator.wplus.device)
        self._rows = [room.small[k] for k in range(self.faces)]
        self._streams = [k % len(room.frame) for k in range(self.faces)]

    def _people(self) -> Tensor | None:
        """int64 [faces], or None where nobody needs to be looked up."""
        return None if self._room.in_order else self._room.small[: self.faces, PERSON].long()

    def _encoded(self, who: Tensor | None) -> tuple[Tensor, Tensor]:
        """The faces' last codes and their new ones."""
        last = taken(self._room.codes, who)
        if self._encoder is None:
            return last, self._room.small[: self.faces, CODES:].reshape(last.shape)
        for crop, row, stream in zip(self._crops, self._rows, self._streams, strict=True):
            align_crop_into(self._programs, crop, self._room.frame[stream], row[:PLACE], 0)
        return last, self._encoder(self._crops, last)

    @torch.no_grad()
    def encode_new(self) -> None:
        """One step more for new faces; others keep their codes."""
        who = self._people()
        last, codes = self._encoded(who)
        new = self._room.small[: self.faces, NEW, None, None] > 0
        keep(self._room.codes, who, torch.where(new, codes, last))

    @torch.no_grad()
    def compute(self) -> None:
        """Every launch of a frame, over static buffers only."""
        room, small, who = self._room, self._room.small[: self.faces], self._people()
        _, codes = self._encoded(who)
        keep(room.codes, who, codes)
        wplus = self._generator.wplus
        wplus.copy_(room.filter.run(codes, small[:, STEP_S, None, None], small[:, FRESH, None, None], who))
        room.edits.run(wplus, small[:, STRENGTHS:OUTLINE])
        for k, picture in enumerate(self._generator.run()):
            self._paste(picture, self._rows[k], room.canvas[self._streams[k]], k if who is None else who[k : k + 1])

    def _paste(self, picture: Tensor, row: Tensor, canvas: Tensor, who: Tensor | int) -> None:
        room = self._room
        write_levels(room.levels, picture)
        room.paste.match.copy_(room.match[who] if isinstance(who, int) else room.match.index_select(0, who)[0])
        place, outline = row[PLACE : PLACE + NUMBERS], row[OUTLINE:CODES]
        paste_face_into(self._programs, room.paste, canvas, room.levels, place, outline)
        if isinstance(who, int):
            room.match[who].copy_(room.paste.match)
        else:
            room.match.index_copy_(0, who, room.paste.match[None])


def taken(values: Tensor, who: Tensor | None) -> Tensor:
    """The rows of these people: [faces, ...] of [people, ...]."""
    return values if who is None else values.index_select(0, who)


def keep(values: Tensor, who: Tensor | None, new: Tensor) -> None:
    """Put the rows of these people back."""
    if who is None:
        values.copy_(new)
    else:
        values.index_copy_(0, who, new)

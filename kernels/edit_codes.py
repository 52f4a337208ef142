"""Edits of W+, one after the other, in one launch; which edits there are is read from memory, not fixed.

w = w + (strength unit - reads (w[0] . probe - offset)) step
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.candidates import kernel
from kernels.implementations import choose
from kernels.program import Argument, Programs

NUMBERS = 3  # of an edit: unit, reads, offset


class EditRoom:
    """Room for edits; what is written here is worn from the next launch on.

    count: int32 [1], how many there are. numbers: float32 [room, 3]: what a strength of 1 stands for; 1 where the
    strength is a place to go to, else 0; what is subtracted from that place. probe: float32 [room, dim]. step: float32
    [room, rows, dim].
    """

    def __init__(self, room: int, rows: int, dim: int, device: torch.device) -> None:
        self.count = torch.zeros(1, dtype=torch.int32, device=device)
        self.numbers = torch.zeros(room, NUMBERS, device=device)
        self.probe = torch.zeros(room, dim, device=device)
        self.step = torch.zeros(room, rows, dim, device=device)


def edit_codes(codes: Tensor, strengths: Tensor, room: EditRoom, *, impl: str = "auto") -> Tensor:
    """The edited codes.

    1. Where the code stands along the edit's probe, for edits whose strength is a place to go to.
    2. A step; a strength of 0 leaves the code as it is.

    codes: float32 [N, rows, dim]. strengths: float32 [N, edits or more].

    Returns float32 [N, rows, dim]. Raises ValueError for shapes that do not fit, ImplementationUnavailable.
    """
    wanted = (len(codes), *room.step.shape[1:])
    if codes.shape != wanted or strengths.ndim != 2 or len(strengths) != len(codes):
        got = f"{list(codes.shape)}, {list(strengths.shape)}"
        raise ValueError(f"the shapes are {got}; wanted {list(wanted)}, [{len(codes)}, edits]")
    fast = kernel(impl, _edit_codes_kernel, [codes, strengths, room.step])
    edited: Tensor = choose("edit_codes", impl, _edit_codes_reference, *fast)(codes, strengths, room)
    return edited


def _edit_codes_reference(codes: Tensor, strengths: Tensor, room: EditRoom) -> Tensor:
    for e in range(int(room.count)):
        unit, reads, offset = room.numbers[e].to(codes)
        strength = strengths[:, e].to(codes)
        # 1. Where the code stands.
        amount = strength * unit - reads * (codes[:, 0] @ room.probe[e].to(codes) - offset)
        # 2. A step.
        amount = torch.where(strength != 0, amount, torch.zeros_like(amount))
        codes = codes + amount[:, None, None] * room.step[e].to(codes)
    return codes


def _edit_codes_kernel(programs: Programs, codes: Tensor, strengths: Tensor, room: EditRoom) -> Tensor:
    y = codes.float().contiguous().clone()
    edit_codes_into(programs, y, strengths.float().contiguous(), room)
    return y


def edit_codes_into(programs: Programs, codes: Tensor, strengths: Tensor, room: EditRoom) -> None:
    """The launch alone, in place. codes: contiguous. strengths: float32 [N, edits], rows may lie apart."""
    n, rows, dim = codes.shape
    arguments: list[Argument] = [codes, strengths, room.count, room.numbers, room.probe, room.step]
    program = programs("edit_codes")
    program.launch("edit_codes", (n, 1, 1), 256, [*arguments, strengths.stride(0), rows * dim, dim], 8 * 4)

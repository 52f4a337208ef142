from __future__ import annotations

import pytest
import torch

from kernels.edit_codes import EditRoom, edit_codes
from kernels.emulation import emulation_refusal

DIM, ROWS = 37, 5


def _room(count, room=6, dim=DIM):
    draw = torch.Generator().manual_seed(count)
    edits = EditRoom(room, ROWS, dim, torch.device("cpu"))
    for tensor in (edits.numbers, edits.probe, edits.step):
        tensor.copy_(torch.randn(tensor.shape, generator=draw) / 3)
    edits.numbers[:, 1] = torch.tensor([0.0, 1, 0, 1, 1, 0])[:room]
    edits.count.fill_(count)
    return edits


def _codes(n, dim=DIM):
    return torch.randn(n, ROWS, dim, generator=torch.Generator().manual_seed(n))


def test_an_edit_goes_a_step_or_to_a_place():
    edits, codes = _room(0), _codes(1)
    torch.testing.assert_close(edit_codes(codes, torch.ones(1, 6), edits), codes)
    edits.count.fill_(1)
    edits.numbers[0] = torch.tensor([2.0, 0, 9])
    moved = edit_codes(codes, torch.tensor([[0.5]]), edits)
    torch.testing.assert_close(moved, codes + edits.step[0])
    edits.numbers[0] = torch.tensor([2.0, 1, 0.25])
    edits.step[0] = 0
    edits.step[0, 0] = edits.probe[0] / edits.probe[0].square().sum()
    placed = edit_codes(codes, torch.tensor([[0.5]]), edits)
    assert float(placed[0, 0] @ edits.probe[0]) - 0.25 == pytest.approx(1.0, abs=1e-5)
    torch.testing.assert_close(edit_codes(codes, torch.tensor([[0.0]]), edits), codes)


@pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))
@pytest.mark.parametrize(("n", "count", "dim"), [(1, 0, DIM), (1, 6, 300), (3, 5, DIM)])
def test_the_kernel_equals_the_reference(n, count, dim):
    strengths = torch.randn(n, 6, generator=torch.Generator().manual_seed(7))
    strengths[:, 2] = 0
    given = (_codes(n, dim), strengths, _room(count, dim=dim))
    torch.testing.assert_close(edit_codes(*given, impl="emulated"), edit_codes(*given), rtol=1e-5, atol=2e-5)


def test_errors_say_what_was_wanted():
    with pytest.raises(ValueError, match=r"\[1, 5, 8\], \[1, 6\]; wanted \[1, 5, 37\], \[1, edits\]"):
        edit_codes(torch.zeros(1, 5, 8), torch.zeros(1, 6), _room(1))

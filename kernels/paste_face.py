"""A drawn face put over the face in a picture: outline, colours, boundary and blending, in four launches.

    canvas = canvas (1 - m) + clamp(clamp(drawn * gain + shift) + left) m

Sources: colours after Reinhard et al. 2001, "Color Transfer between Images"; the boundary is a cheap membrane after
Perez et al. 2003, "Poisson Image Editing": what differs around the outline is carried inwards (normalised convolution).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from kernels.candidates import kernel
from kernels.implementations import choose
from kernels.program import Argument, Programs

CELLS, REACH, NUMBERS = 48, 8, 15
FULL, LOW, HIGH = 250 / 255, 5 / 255, 200 / 255
SPREAD, FADE, MOST_LEFT, FEWEST = 2.0, 0.05, 40.0, 8
GAINS = (0.6, 1.6)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the face lies in the canvas, and what of the portrait is read.

    into: canvas pixels to pixels of the portrait's level, rows of [2, 3].
    box: left, top, width, height of what changes, whole pixels within the canvas.
    soft: width of the mask's edge in pixels. corners: of the outline, 3 or more.
    level: how often the portrait is halved. edge: of the portrait before. weight: of this picture's colours among those
        of before, 1 for a new face.
    """

    into: Sequence[float]
    box: tuple[int, int, int, int]
    soft: float
    corners: int
    level: int
    edge: int
    weight: float

    def numbers(self) -> list[float]:
        """As the kernels read it: NUMBERS floats."""
        first = sum((self.edge >> k) ** 2 for k in range(self.level))
        return [*self.into, *self.box, self.soft, self.corners, self.edge >> self.level, first, self.weight]


def levels_of(edge: int) -> int:
    """How many levels a portrait has: halved down to 64 pixels."""
    return max(1, int(math.log2(edge)) - 5)


def level_pixels(edge: int) -> int:
    """Pixels of all levels."""
    return sum((edge >> k) ** 2 for k in range(levels_of(edge)))


def write_levels(levels: Tensor, picture: Tensor) -> None:
    """Fill float32 [pixels of all levels, 4] with a picture RGB [3, S, S] of -1 to 1, as B, G, R, 0 on 0..255."""
    part, first = (picture.flip(0) * 127.5 + 127.5).clamp(0, 255)[None], 0
    for _ in range(levels_of(picture.shape[-1])):
        area = part.shape[-1] ** 2
        levels[first : first + area, :3] = part[0].permute(1, 2, 0).reshape(area, 3)
        part, first = functional.avg_pool2d(part, 2), first + area


def paste_face(
    canvas: Tensor, levels: Tensor, place: Tensor, outline: Tensor, match: Tensor, *, impl: str = "auto"
) -> tuple[Tensor, Tensor]:
    """A picture with the face in it, and the colours' gain and shift after it.

    1. The mask: 1 within the outline and two pixels around it, then falling smoothly to 0.
    2. Means of picture, portrait and mask over at most 48 x 48 cells of the box.
    3. Gain and shift that give the portrait the picture's mean and spread, averaged with those of before.
    4. What still differs in the mask's edge, carried inwards.
    5. Blend, and round.

    canvas: uint8 BGR [H, W, 3]. levels: float32 [T, 4], see :func:`write_levels`. place: float32 [15], see
    :class:`Place`. outline: float32 [corners or more, 2], convex, in the canvas's pixels. match: float32 [2, 3], gain
    and shift of B, G, R on the scale 0..255 as the picture before left them.

    Returns uint8 [H, W, 3] and float32 [2, 3]. Raises ValueError for shapes that do not fit, ImplementationUnavailable.
    """
    fits = canvas.ndim == 3 and canvas.shape[2] == 3 and canvas.dtype == torch.uint8 and levels.shape[1:] == (4,)
    if not fits or place.shape != (NUMBERS,) or outline.shape[1:] != (2,) or match.shape != (2, 3):
        got = ", ".join(str(list(t.shape)) for t in (canvas, levels, place, outline, match))
        raise ValueError(f"the shapes are {got}; wanted uint8 [H, W, 3], [T, 4], [{NUMBERS}], [N, 2], [2, 3]")
    fast = kernel(impl, _paste_face_kernel, [canvas, levels, place, outline, match])
    run = choose("paste_face", impl, _paste_face_reference, *fast)
    done: tuple[Tensor, Tensor] = run(canvas, levels, place, outline, match)
    return done


def _paste_face_reference(
    canvas: Tensor, levels: Tensor, place: Tensor, outline: Tensor, match: Tensor
) -> tuple[Tensor, Tensor]:
    values = [float(v) for v in place]
    left, top, width, height = (int(v) for v in values[6:10])
    edge, first = int(values[12]), int(values[13])
    part = canvas[top : top + height, left : left + width].to(levels.dtype)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x, y = (x + left).to(levels), (y + top).to(levels)
    # 1. The mask.
    mask = _mask(x, y, outline[: int(values[11])].to(levels), values[10])
    # 2. Means over cells.
    u, v = (values[3 * k] * x + values[3 * k + 1] * y + values[3 * k + 2] for k in (0, 1))
    drawn = _sampled(levels[first : first + edge * edge, :3].reshape(edge, edge, 3), u, v)
    down, across = _shares(height).to(levels), _shares(width).to(levels)
    cells = torch.einsum("ay,bx,yxc->abc", down, across, torch.cat([part, drawn, mask[..., None]], dim=2))
    # 3. Gain and shift.
    fresh = _matched(cells.reshape(-1, 7))
    match = match.to(fresh) + (fresh - match.to(fresh)) * values[14] if values[14] < 1 else fresh
    # 4. What still differs, carried inwards.
    carried = _carried(cells, match)
    a, b = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    rows, columns = ((a.to(x) + 0.5) * len(down) / height - 0.5, (b.to(x) + 0.5) * len(across) / width - 0.5)
    added = _sampled(carried, columns, rows)
    # 5. Blend, and round.
    over = ((drawn * match[0] + match[1]).clamp(0, 255) + added).clamp(0, 255)
    blended = canvas.clone()
    result = (part + (over - part) * mask[..., None] + 0.5).clamp(0, 255).to(torch.uint8)
    blended[top : top + height, left : left + width] = result
    return blended, match


def _mask(x: Tensor, y: Tensor, outline: Tensor, soft: float) -> Tensor:
    along = outline.roll(-1, 0) - outline  # [C 2]
    dx, dy = x[..., None] - outline[:, 0], y[..., None] - outline[:, 1]
    side = along[:, 0] * dy - along[:, 1] * dx
    t = ((dx * along[:, 0] + dy * along[:, 1]) / along.square().sum(1).clamp_min(1e-12)).clamp(0, 1)
    distance = ((dx - t * along[:, 0]).square() + (dy - t * along[:, 1]).square()).amin(-1).sqrt()
    s = (1 - (distance - 2) / soft).clamp(0, 1)
    inside = (side.amin(-1) >= 0) | (side.amax(-1) <= 0)
    return torch.where(inside, torch.ones_like(s), s * s * (3 - 2 * s))


def _sampled(values: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """[height, width, C] at x, y [...]: [..., C], bilinear; edges repeated."""
    height, width = values.shape[:2]
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    ix, iy = x.long(), y.long()
    jx, jy = (ix + 1).clamp(max=width - 1), (iy + 1).clamp(max=height - 1)
    fx, fy = (x - ix)[..., None], (y - iy)[..., None]
    upper = torch.lerp(values[iy, ix], values[iy, jx], fx.expand(*ix.shape, values.shape[2]))
    lower = torch.lerp(values[jy, ix], values[jy, jx], fx.expand(*ix.shape, values.shape[2]))
    return torch.lerp(upper, lower, fy.expand_as(upper))


def _shares(length: int) -> Tensor:
    """[cells, length]: how much every pixel counts in every cell."""
    count = min(CELLS, length)
    start = torch.arange(count, dtype=torch.float64)[:, None] * length / count
    at = torch.arange(length, dtype=torch.float64)
    shares = (torch.minimum(at + 1, start + length / count) - torch.maximum(at, start)).clamp_min(0)
    return shares / shares.sum(1, keepdim=True)


def _matched(cells: Tensor) -> Tensor:
    inside = cells[cells[:, 6] > FULL]
    if len(inside) < FEWEST:
        return torch.tensor([[1.0] * 3, [0.0] * 3]).to(cells)
    theirs, ours = inside[:, :3], inside[:, 3:6]
    gain = theirs.std(dim=0, correction=0) / ours.std(dim=0, correction=0).clamp_min(1.0)
    gain = gain.clamp(*GAINS)
    return torch.stack([gain, theirs.mean(dim=0) - gain * ours.mean(dim=0)])


def _carried(cells: Tensor, match: Tensor) -> Tensor:
    edge = ((cells[..., 6] > LOW) & (cells[..., 6] < HIGH)).to(cells)[..., None]
    differs = cells[..., :3] - (cells[..., 3:6] * match[0] + match[1]).clamp(0, 255)
    known = torch.cat([differs.clamp(-MOST_LEFT, MOST_LEFT) * edge, edge], dim=2)
    at = torch.arange(-REACH, REACH + 1).to(cells)
    share = torch.exp(-at.square() / (2 * SPREAD**2))
    share = share / share.sum()
    for axis in (0, 1):
        count = known.shape[axis]
        index = torch.tensor([[_mirrored(i + k, count) for k in range(-REACH, REACH + 1)] for i in range(count)])
        taken = known.index_select(axis, index.flatten())
        taken = taken.reshape(*known.shape[:axis], count, 2 * REACH + 1, *known.shape[axis + 1 :])
        known = torch.tensordot(taken, share, dims=([axis + 1], [0]))
    return known[..., :3] / (known[..., 3:] + FADE)


def _mirrored(i: int, n: int) -> int:
    while i < 0 or i >= n:
        i = 0 if n == 1 else -i if i < 0 else 2 * n - 2 - i
    return i


def _paste_face_kernel(
    programs: Programs, canvas: Tensor, levels: Tensor, place: Tensor, outline: Tensor, match: Tensor
) -> tuple[Tensor, Tensor]:
    room = PasteRoom(canvas.device)
    room.match.copy_(match)
    y = canvas.contiguous().clone()
    given = (levels.float().contiguous(), place.float().contiguous(), outline.float().contiguous())
    paste_face_into(programs, room, y, *given)
    return y, room.match


class PasteRoom:
    """What the launches keep: means over cells, what is carried inwards, and ``match``, which lasts."""

    def __init__(self, device: torch.device) -> None:
        self.cells = torch.zeros(CELLS * CELLS, 8, device=device)
        self.left = torch.zeros(CELLS * CELLS, 4, device=device)
        self.match = torch.zeros(2, 3, device=device)


def paste_face_into(
    programs: Programs, room: PasteRoom, canvas: Tensor, levels: Tensor, place: Tensor, outline: Tensor
) -> None:
    """The launches alone; draws into ``canvas``. All contiguous; everything but the canvas is float32."""
    program = programs("paste_face")
    height, width, _ = canvas.shape
    cells: list[Argument] = [room.cells, canvas, levels, place, outline, width]
    program.launch("paste_cells", (CELLS * CELLS // 8, 1, 1), 256, cells)
    program.launch("paste_match", (1, 1, 1), 256, [room.match, room.cells, place], 8 * 4)
    program.launch("paste_left", (CELLS * CELLS // 256, 1, 1), 256, [room.left, room.cells, room.match, place])
    blend: list[Argument] = [canvas, levels, room.left, room.match, place, outline, height, width]
    program.launch("paste_blend", (math.ceil(height * width / 256), 1, 1), 256, blend)

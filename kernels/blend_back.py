"""A portrait put back into its frame: warp, mask, colours matched, blended, bytes, in one pass.

    (c, a) = portrait(m (p, 1)) * mask                                  bilinear, zeros outside, c premultiplied with a
    frame[p] = frame[p] (1 - a) + clamp(c * gain + a * shift, 0, a)

Colours after Reinhard et al. 2001, "Color Transfer between Images", in BGR: gain is the ratio of the spreads (0.6 to
1.6), shift the difference of the means, over the visible part of the portrait.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from kernels.implementations import choose
from kernels.program import Programs, kernel

CELLS, FEWEST, VISIBLE = 32, 8, 0.8
GAINS = (0.6, 1.6)


def blend_back(
    frame: Tensor, portrait: Tensor, transform: Tensor, *, mask: Tensor | None = None, match: Tensor | None = None,
    impl: str = "auto",
) -> Tensor:  # fmt: skip
    """A frame with the portrait in it.

    1. Multiply the portrait by its mask and read it where each pixel of the frame lies in it.
    2. Match the colours, between nothing and the pixel's own alpha.
    3. Blend over the frame, and round.

    frame: uint8 BGR [H, W, 3]. portrait: float32 RGBA [h, w, 4] in 0..1, premultiplied. transform: float32 [2, 3],
    frame pixels to portrait pixels. mask: float32 [h, w] in 0..1 or None. match: float32 [2, 3], gain and shift of B,
    G, R on the scale 0..255, see :func:`match_colours`, or None.

    Returns uint8 [H, W, 3]. Raises ValueError for shapes that do not fit, ImplementationUnavailable.
    """
    _check(frame, portrait, transform, mask)
    fast = kernel(impl, _blend_back_kernel, [frame, portrait, transform, mask, match])
    blended: Tensor = choose("blend_back", impl, _blend_back_reference, *fast)(frame, portrait, transform, mask, match)
    return blended


def match_colours(
    frame: Tensor, portrait: Tensor, back: Tensor, *, mask: Tensor | None = None, impl: str = "auto"
) -> Tensor:
    """Gain and shift, float32 [2, 3], that give the portrait the mean and spread of the frame's colours under it.

    1. Take 32 x 32 pixels of the portrait that are visible, and the frame's under them (``back``: portrait to frame).
    2. Means and spreads of both; fewer than eight pixels change nothing.

    The rest as in :func:`blend_back`.
    """
    _check(frame, portrait, back, mask)
    fast = kernel(impl, _match_colours_kernel, [frame, portrait, back, mask])
    match: Tensor = choose("match_colours", impl, _match_colours_reference, *fast)(frame, portrait, back, mask)
    return match


def _check(frame: Tensor, portrait: Tensor, transform: Tensor, mask: Tensor | None) -> None:
    fits = frame.ndim == 3 and frame.shape[2] == 3 and frame.dtype == torch.uint8 and transform.shape == (2, 3)
    fits = fits and portrait.ndim == 3 and portrait.shape[2] == 4 and portrait.dtype == torch.float32
    if not fits or (mask is not None and mask.shape != portrait.shape[:2]):
        got = f"frame {list(frame.shape)}, portrait {str(portrait.dtype)[6:]} {list(portrait.shape)}"
        got += f", transform {list(transform.shape)}" + ("" if mask is None else f", mask {list(mask.shape)}")
        raise ValueError(f"{got}; wanted uint8 [H, W, 3], float32 [h, w, 4], [2, 3], [h, w]")


def _blend_back_reference(
    frame: Tensor, portrait: Tensor, transform: Tensor, mask: Tensor | None, match: Tensor | None
) -> Tensor:
    height, width = frame.shape[:2]
    h, w = portrait.shape[:2]
    # 1. Multiply the portrait by its mask and read it where each pixel of the frame lies in it.
    masked = portrait if mask is None else portrait * mask[..., None]
    padded = torch.nn.functional.pad(masked, [0, 0, 1, 1, 1, 1])
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x, y, m = x.to(frame.device).float(), y.to(frame.device).float(), transform.float()
    u, v = m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 0] * x + m[1, 1] * y + m[1, 2]
    inside = (u > -1) & (v > -1) & (u < w) & (v < h)
    left, top = u.clamp(-1, w).floor(), v.clamp(-1, h).floor()
    columns, rows = (
        [(left.long() + i).clamp(0, w + 1) for i in (1, 2)],
        [(top.long() + i).clamp(0, h + 1) for i in (1, 2)],
    )
    fu, fv = (u - left)[..., None], (v - top)[..., None]
    upper = torch.lerp(padded[rows[0], columns[0]], padded[rows[0], columns[1]], fu)
    lower = torch.lerp(padded[rows[1], columns[0]], padded[rows[1], columns[1]], fu)
    drawn = torch.where(inside[..., None], torch.lerp(upper, lower, fv), 0.0)
    # 2. Match the colours, between nothing and the pixel's own alpha.
    alpha = drawn[..., 3:].clamp(0, 1)
    over = drawn[..., [2, 1, 0]] * 255
    if match is not None:
        over = over * match[0] + alpha * match[1]
    over = torch.minimum(over.clamp_min(0), alpha * 255)
    # 3. Blend over the frame, and round.
    return (frame * (1 - alpha) + over + 0.5).clamp(0, 255).to(torch.uint8)


def _match_colours_reference(frame: Tensor, portrait: Tensor, back: Tensor, mask: Tensor | None) -> Tensor:
    height, width = frame.shape[:2]
    h, w = portrait.shape[:2]
    # 1. Take 32 x 32 pixels of the portrait that are visible, and the frame's under them.
    at = torch.arange(CELLS, device=frame.device) + 0.5
    py, px = torch.meshgrid((at * h / CELLS).long(), (at * w / CELLS).long(), indexing="ij")
    x, y = (back[k, 0] * px + back[k, 1] * py + back[k, 2] for k in (0, 1))
    drawn = portrait[py, px]
    seen = (drawn[..., 3] >= VISIBLE) & (x >= 0) & (y >= 0) & (x < width) & (y < height)
    if mask is not None:
        seen &= mask[py, px] >= VISIBLE
    if int(seen.sum()) < FEWEST:
        return torch.tensor([[1.0] * 3, [0.0] * 3], device=frame.device)
    ours = (drawn[seen][:, [2, 1, 0]] / drawn[seen][:, 3:] * 255).double()
    theirs = frame[y[seen].long(), x[seen].long()].double()
    # 2. Means and spreads of both.
    gain = theirs.std(dim=0, correction=0) / ours.std(dim=0, correction=0).clamp_min(1.0)
    gain = gain.clamp(*GAINS)
    return torch.stack([gain, theirs.mean(dim=0) - gain * ours.mean(dim=0)]).float()


def _blend_back_kernel(
    programs: Programs, frame: Tensor, portrait: Tensor, transform: Tensor, mask: Tensor | None, match: Tensor | None
) -> Tensor:
    y = frame.contiguous().clone()
    masked = None if mask is None else mask.float().contiguous()
    blend_back_into(programs, y, portrait.contiguous(), transform.float().contiguous(), masked, match)
    return y


def blend_back_into(
    programs: Programs, frame: Tensor, portrait: Tensor, transform: Tensor, mask: Tensor | None, match: Tensor | None
) -> None:
    """The launch alone; draws into ``frame``."""
    sizes = [*frame.shape[:2], *portrait.shape[:2]]
    blocks = math.ceil(frame.shape[0] * frame.shape[1] / 256)
    program = programs("blend_back")
    program.launch("blend_back", (blocks, 1, 1), 256, [frame, portrait, mask, match, transform, *sizes])


def _match_colours_kernel(
    programs: Programs, frame: Tensor, portrait: Tensor, back: Tensor, mask: Tensor | None
) -> Tensor:
    match = torch.empty(2, 3, device=frame.device)
    masked = None if mask is None else mask.float().contiguous()
    match_colours_into(programs, match, frame.contiguous(), portrait.contiguous(), back.float().contiguous(), masked)
    return match


def match_colours_into(
    programs: Programs, match: Tensor, frame: Tensor, portrait: Tensor, back: Tensor, mask: Tensor | None
) -> None:
    """The launch alone."""
    sizes = [*frame.shape[:2], *portrait.shape[:2]]
    program = programs("blend_back")
    program.launch("match_colours", (1, 1, 1), 256, [match, frame, portrait, mask, back, *sizes], 13 * 8 * 4)

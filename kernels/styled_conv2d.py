"""A whole styled layer: modulated convolution, noise, bias, leaky ReLU, gain and clamp.

    y = clamp(lrelu(demodulated convolution(x) + noise * strength + addend + b) * gain)

Source: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", equations 1 to 3 and figure 2c.
On the GPU the modulation is applied to the input as it is loaded and the demodulation to the result, which equals
scaling the weights: the sum over inputs and taps is linear in both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from kernels.bias_act import bias_act
from kernels.candidates import kernel
from kernels.conv_plan import (
    TILES,
    Phase,
    Plan,
    blocks,
    folded_phases,
    likely_plan,
    plain_phases,
    table_rows,
    transposed_phases,
    trimmed_phases,
)  # fmt: skip
from kernels.filter_act import Finish, filter_act_into
from kernels.implementations import choose
from kernels.modulated_conv2d import DEMODULATION_EPSILON, modulated_conv2d
from kernels.program import Programs, channels_last, empty_channels_last
from kernels.upfirdn2d import upfirdn2d

RAW = Finish(1.0, 1.0, None)  # nothing after the convolution


@dataclass(frozen=True, slots=True, eq=False)
class PackedWeight:
    """A layer's weights as the kernel reads them.

    values: float16 [slices, O, I], every output's weights divided by its peak, so that halves neither overflow nor
        vanish. energy: float32 [O, I], the sum of their squares over the taps of the layer's own kernel.
    peak: float32 [O]. size: edge of the layer's own kernel, 1 or 3. folded: whether a filter is folded in.
    """

    values: Tensor
    energy: Tensor
    peak: Tensor
    size: int
    folded: bool


def pack_weight(weight: Tensor, up: int = 1, flip_weight: bool | None = None, f: Tensor | None = None) -> PackedWeight:
    """Prepare [O, I, k, k] for the kernel; with a filter ``f`` [4, 4] for ``up`` 2, folded into four phases.

    flip_weight: as in :func:`kernels.modulated_conv2d.modulated_conv2d`; None is what StyleGAN2 does: no flip.
    """
    size = weight.shape[-1]
    w = weight.float()
    peak = w.abs().amax(dim=[1, 2, 3]).clamp_min(1e-30)  # [O]
    w = w / peak[:, None, None, None]
    energy = w.square().sum(dim=[2, 3])
    if flip_weight is not None and flip_weight == (up == 2):
        w = w.flip([2, 3])
    if f is not None:
        w = _folded(w, f.to(w) * 4)  # [4 O I 3 3]
        values = w.permute(0, 3, 4, 1, 2).reshape(36, *w.shape[1:3])
    else:
        values = w.permute(2, 3, 0, 1).reshape(size * size, *w.shape[:2])
    return PackedWeight(values.to(torch.float16).contiguous(), energy.contiguous(), peak, size, f is not None)


def _folded(w: Tensor, f: Tensor) -> Tensor:
    """Four phase filters [4, O, I, 3, 3] of weights [O, I, 3, 3] and a filter [4, 4].

    With g[m] = sum_k f[3 - k] w[m - 1 + k] for m = -2..3 per axis, y[2 y + p] = sum_j x[y + j - 1] g[p + 2 - 2 j].
    """
    g = torch.zeros(*w.shape[:2], 6, 6, dtype=w.dtype, device=w.device)
    for ky in range(4):
        for kx in range(4):
            g[:, :, 3 - ky : 6 - ky, 3 - kx : 6 - kx] += f[3 - ky, 3 - kx] * w  # w[t] stands at m = t + 1 - k
    at = [[p + 4 - 2 * j for j in range(3)] for p in (0, 1)]
    return torch.stack([g[:, :, at[p]][:, :, :, at[q]] for p in (0, 1) for q in (0, 1)])


def styled_conv2d(
    x: Tensor, weight: Tensor, styles: Tensor, *, bias: Tensor | None = None, noise: Tensor | None = None,
    strength: float = 1.0, addend: Tensor | None = None, up: int = 1, resample_filter: Tensor | None = None,
    trim: bool = False, demodulate: bool = True, flip_weight: bool | None = None, slope: float = 0.2,
    gain: float = math.sqrt(2.0), clamp: float | None = None, plan: Plan | None = None, impl: str = "auto",
) -> Tensor:  # fmt: skip
    """A styled layer.

    1. Modulated convolution (up 2: transposed, the filter after it). 2. Add noise times its strength, and the addend.
    3. Add the bias, apply leaky ReLU, the gain and the clamp.

    x: float [N, I, H, W]; the kernel takes float16.
    weight: [O, I, k, k], k 1 or 3; styles: [N, I]; bias: [O]; noise: [N or 1, 1, H * up, W * up]; strength: its factor.
    addend: [N, O, H * up, W * up]. resample_filter: [4, 4] of sum 1 for up 2, see ``kernels.upfirdn2d.setup_filter``.
    trim: at up 2, the transposed convolution's first row and column count as zeros, as where it was padded by one.
    slope, gain, clamp: of leaky ReLU below zero, after it, and the limit; see ``kernels.bias_act.bias_act``.
    plan: how the kernel is laid out; None takes a likely one. impl: "auto", "reference", "cuda" or "emulated".

    Returns [N, O, H * up, W * up] in x's dtype. Raises ValueError for shapes, ImplementationUnavailable.
    """
    if x.ndim != 4 or weight.ndim != 4 or weight.shape[1] != x.shape[1] or styles.shape != x.shape[:2]:
        got = f"x {list(x.shape)}, weight {list(weight.shape)}, styles {list(styles.shape)}"
        raise ValueError(f"{got}; wanted [N, I, H, W], [O, I, k, k], [N, I]")
    if up not in (1, 2):
        raise ValueError(f"up is {up}; wanted 1 or 2")
    finish, given = Finish(slope, gain, clamp), [x, weight, styles, bias, noise, addend, resample_filter]
    unfit = _unfit(x, weight, up, resample_filter)
    if trim and (up != 2 or (plan is not None and plan.folded)):
        raise ValueError(f"trim goes with up 2 and filters that are not folded; got up {up}, {plan}")
    fast = kernel(impl, _styled_conv2d_kernel, given, unfit)
    run = choose("styled_conv2d", impl, _styled_conv2d_reference, *fast)
    how = (up, resample_filter, demodulate, flip_weight, finish, plan, addend, trim)
    return run(x, weight, styles, bias, noise, strength, *how)


def _unfit(x: Tensor, weight: Tensor, up: int, f: Tensor | None) -> str | None:
    if x.dtype != torch.float16:
        return f"x is {str(x.dtype)[6:]}; the kernel takes float16"
    size = tuple(weight.shape[2:])
    if size not in ((1, 1), (3, 3)) or (up == 2 and size == (1, 1)):
        return f"the weights are {size[0]}x{size[1]} at up {up}; the kernel takes 3x3, and 1x1 at up 1"
    if up == 2 and (f is None or tuple(f.shape) != (4, 4)):
        return "the filter is not 4x4"
    return None


def _styled_conv2d_reference(
    x: Tensor, weight: Tensor, styles: Tensor, bias: Tensor | None, noise: Tensor | None, strength: float, up: int,
    f: Tensor | None, demodulate: bool, flip_weight: bool | None, finish: Finish, plan: Plan | None,
    addend: Tensor | None, trim: bool,
) -> Tensor:  # fmt: skip
    # 1. Modulated convolution. 2. Add noise times its strength, and the addend.
    y = _trimmed(x, weight, styles, f, demodulate) if trim and f is not None else modulated_conv2d(
        x, weight, styles, noise=None if noise is None else noise * strength, up=up, padding=weight.shape[-1] // 2,
        resample_filter=f if up == 2 else None, demodulate=demodulate,
        flip_weight=up == 1 if flip_weight is None else flip_weight, impl="reference",
    )  # fmt: skip
    if trim and noise is not None:
        y = y + (noise * strength).to(y.dtype)
    y = y if addend is None else y + addend.to(y.dtype)
    # 3. Add the bias, apply leaky ReLU, the gain and the clamp.
    b = None if bias is None else bias.to(y.dtype)
    return bias_act(y, b, act="lrelu", alpha=finish.slope, gain=finish.gain, clamp=finish.limit, impl="reference")


def _trimmed(x: Tensor, weight: Tensor, styles: Tensor, f: Tensor, demodulate: bool) -> Tensor:
    t = functional.conv_transpose2d(x * styles[:, :, None, None], weight.transpose(0, 1), stride=2)
    t[:, :, 0] = 0
    t[..., 0] = 0
    y = upfirdn2d(t, f, padding=1, gain=4.0, impl="reference")
    if not demodulate:
        return y
    energy = styles.square() @ weight.square().sum(dim=[2, 3]).t()
    return y * (energy + DEMODULATION_EPSILON).rsqrt()[:, :, None, None]


def _styled_conv2d_kernel(
    programs: Programs, x: Tensor, weight: Tensor, styles: Tensor, bias: Tensor | None, noise: Tensor | None,
    strength: float, up: int, f: Tensor | None, demodulate: bool, flip_weight: bool | None, finish: Finish,
    plan: Plan | None, addend: Tensor | None, trim: bool,
) -> Tensor:  # fmt: skip
    n, inputs, h, w = x.shape
    outputs = weight.shape[0]
    plan = plan or likely_plan(h, w, inputs, outputs, n, up, programs("styled_conv2d").processors)
    packed = pack_weight(weight, up, flip_weight, f if up == 2 and plan.folded else None)
    style, scale = styles_and_scale(styles, packed, demodulate)
    layer = StyledLayer(programs, packed, plan, (n, h, w), up, f, like=x, trim=trim)
    y = empty_channels_last(n, outputs, h * up, w * up, x)
    b = None if bias is None else bias.float()
    maps = None if noise is None else noise.float().contiguous()
    more = None if addend is None else channels_last(addend.to(torch.float16))
    layer.run(y, channels_last(x), style, scale, maps, strength, b, finish, more)
    return y


def styles_and_scale(styles: Tensor, packed: PackedWeight, demodulate: bool = True) -> tuple[Tensor, Tensor]:
    """What the kernel takes for styles [N, I]: float16 [N, I], at most 1, and the outputs' factors, float32 [N, O]."""
    s = styles.float()
    most = s.abs().amax(dim=1, keepdim=True).clamp_min(1e-30)  # [N 1]
    scale = most * packed.peak
    if demodulate:
        total = s.square() @ packed.energy.t() * packed.peak.square()
        scale = scale * (total + DEMODULATION_EPSILON).rsqrt()
    return (s / most).to(torch.float16).contiguous(), scale.expand(len(s), len(packed.peak)).contiguous()


class StyledLayer:
    """One layer with its plan and its workspace: launches only, so that it can be captured in a graph.

    shape: (N, H, W) of the input. like: a tensor on the device that is used. trim: see :func:`styled_conv2d`.
    """

    def __init__(
        self, programs: Programs, packed: PackedWeight, plan: Plan, shape: tuple[int, int, int], up: int,
        f: Tensor | None, like: Tensor, trim: bool = False,
    ) -> None:  # fmt: skip
        if packed.folded != (plan.folded and up == 2):
            raise ValueError(f"the weights are {'' if packed.folded else 'not '}folded; the plan is {plan.label()}")
        self._programs, self._program = programs, programs("styled_conv2d")
        self._packed, self._plan, self._up = packed, plan, up
        n, h, w = self._shape = shape
        phases = self._phases = trimmed_phases(h, w) if trim else _phases(packed, up, h, w)
        self._step = 1 if up == 1 else 2
        self._between = up == 2 and not packed.folded  # the filter is a pass of its own
        height, width = self._size = (2 * h + 1, 2 * w + 1) if self._between else (h * up, w * up)
        outputs = packed.values.shape[1]
        self._table = torch.tensor(table_rows(phases), dtype=torch.int32, device=like.device)
        self._unfiltered = (
            empty_channels_last(n, outputs, height, width, like, torch.float16).zero_() if self._between else None
        )  # what is trimmed stays zero
        room = plan.splits * n * height * width * outputs if plan.splits > 1 else 0
        self._partial = torch.zeros(room, dtype=torch.float32, device=like.device) if room else None
        self._filter = None if f is None else (f.float() * 4).flip([0, 1]).contiguous()

    def run(
        self, y: Tensor, x: Tensor, style: Tensor, scale: Tensor, noise: Tensor | None, strength: float,
        bias: Tensor | None, finish: Finish, addend: Tensor | None = None,
    ) -> None:  # fmt: skip
        """Write the layer's result for x into y; all float16 with channels last, style and scale as above."""
        if not self._between:
            self._convolve(y, x, style, scale, noise, strength, bias, finish, addend)
            return
        assert self._unfiltered is not None and self._filter is not None
        self._convolve(self._unfiltered, x, style, scale, None, 0.0, None, RAW, None)
        filter_act_into(self._programs, y, self._unfiltered, self._filter, noise, strength, bias, finish, addend=addend)

    def _convolve(
        self, y: Tensor, x: Tensor, style: Tensor, scale: Tensor, noise: Tensor | None, strength: float,
        bias: Tensor | None, finish: Finish, addend: Tensor | None,
    ) -> None:  # fmt: skip
        n, h, w = self._shape
        _, outputs, inputs = self._packed.values.shape
        tile, splits = TILES[self._plan.tile], self._plan.splits
        sizes = [n, h, w, inputs, outputs, *self._size, self._step, len(self._phases), splits]
        noises = 0 if noise is None else noise.shape[0]
        ending = [noises, float(strength), *finish.numbers()]
        tensors = [y, self._partial, x, self._packed.values, style, scale, noise, bias, addend, self._table]
        grid = blocks(self._plan, self._phases, n, outputs)
        self._program.launch(
            self._plan.tile, grid, tile.threads, [*tensors, *sizes, *ending], tile.shared_bytes(inputs)
        )
        if self._partial is not None:
            area = self._size[0] * self._size[1]
            arguments = [y, self._partial, scale, noise, bias, addend, n, area, outputs, splits, *ending]
            self._program.launch("conv_finish", (math.ceil(n * area * outputs / 256), 1, 1), 256, arguments)


def _phases(packed: PackedWeight, up: int, h: int, w: int) -> list[Phase]:
    if up == 1:
        return plain_phases(h, w, packed.size)
    return folded_phases(h, w) if packed.folded else transposed_phases(h, w)

"""Bias, activation, gain and clamp in one step.

    y = clamp(act(x + b, alpha) * gain, -limit, +limit)

The gain keeps the variance of the activations near one, as equalised learning rates need it (Karras et al. 2018,
"Progressive Growing of GANs", section 4.1; Karras et al. 2020, "Analyzing and Improving the Image Quality of
StyleGAN").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from kernels.candidates import kernel
from kernels.implementations import choose
from kernels.program import Programs


@dataclass(frozen=True, slots=True)
class Activation:
    """An activation: its function of (x, alpha), and the alpha and gain that hold unless others are given."""

    function: Callable[[Tensor, float], Tensor]
    alpha: float
    gain: float


ACTIVATIONS: dict[str, Activation] = {
    "linear": Activation(lambda x, alpha: x, 0.0, 1.0),
    "relu": Activation(lambda x, alpha: functional.relu(x), 0.0, math.sqrt(2.0)),
    "lrelu": Activation(lambda x, alpha: functional.leaky_relu(x, alpha), 0.2, math.sqrt(2.0)),
    "tanh": Activation(lambda x, alpha: torch.tanh(x), 0.0, 1.0),
    "sigmoid": Activation(lambda x, alpha: torch.sigmoid(x), 0.0, 1.0),
    "elu": Activation(lambda x, alpha: functional.elu(x), 0.0, 1.0),
    "selu": Activation(lambda x, alpha: functional.selu(x), 0.0, 1.0),
    "softplus": Activation(lambda x, alpha: functional.softplus(x), 0.0, 1.0),
    "swish": Activation(lambda x, alpha: x * torch.sigmoid(x), 0.0, math.sqrt(2.0)),
}

KERNELS = {torch.float32: "bias_act_float", torch.float16: "bias_act_half"}


def bias_act(
    x: Tensor,
    b: Tensor | None = None,
    *,
    act: str = "linear",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
    impl: str = "auto",
) -> Tensor:
    """Bias, activation, gain and clamp.

    1. Add the bias along axis 1.
    2. Apply the activation function.
    3. Multiply by the gain.
    4. Clamp to [-clamp, +clamp].

    x: float [N, C, ...].
    b: [C] of x's dtype, or None for no bias.
    act: a name of ACTIVATIONS.
    alpha: the activation's shape parameter (the slope of lrelu below zero); None takes the activation's own.
    gain: factor after the activation; None takes the activation's own (lrelu: sqrt(2)).
    clamp: limit after the gain, or None for no limit.
    impl: "auto", "reference", "cuda" or "emulated".

    Returns x's shape and dtype. Raises ValueError for an unknown activation, a bias of another length or a negative
    clamp, ImplementationUnavailable for an implementation that cannot run.
    """
    if act not in ACTIVATIONS:
        raise ValueError(f"unknown activation {act!r}; wanted one of {', '.join(ACTIVATIONS)}")
    if b is not None and (b.ndim != 1 or x.ndim < 2 or b.shape[0] != x.shape[1]):
        raise ValueError(f"bias {list(b.shape)} does not fit x {list(x.shape)}; wanted [C] with C = axis 1 of x")
    if clamp is not None and clamp < 0:
        raise ValueError(f"clamp is {clamp}; wanted 0 or more")
    spec = ACTIVATIONS[act]
    unfit = None if x.dtype in KERNELS else f"x is {str(x.dtype)[6:]}; the kernel takes float32 and float16"
    run = choose("bias_act", impl, _bias_act_reference, *kernel(impl, _bias_act_kernel, [x, b], unfit))
    return run(x, b, spec, spec.alpha if alpha is None else alpha, spec.gain if gain is None else gain, clamp)


def _bias_act_reference(
    x: Tensor, b: Tensor | None, spec: Activation, alpha: float, gain: float, clamp: float | None
) -> Tensor:
    # 1. Add the bias along axis 1.
    if b is not None:
        x = x + b.reshape([-1 if axis == 1 else 1 for axis in range(x.ndim)])
    # 2. Apply the activation function.
    x = spec.function(x, alpha)
    # 3. Multiply by the gain.
    if gain != 1.0:
        x = x * gain
    # 4. Clamp.
    return x if clamp is None else x.clamp(-clamp, clamp)


def _bias_act_kernel(
    programs: Programs,
    x: Tensor,
    b: Tensor | None,
    spec: Activation,
    alpha: float,
    gain: float,
    clamp: float | None,
) -> Tensor:
    last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
    x = x if last else x.contiguous()
    y = torch.empty_like(x)
    inner = 1 if last else math.prod(x.shape[2:])
    act = next(number for number, known in enumerate(ACTIVATIONS.values()) if known is spec)
    bias = None if b is None else b.to(x.dtype).contiguous()
    limit = -1.0 if clamp is None else float(clamp)
    arguments = [y, x, bias, x.numel(), inner, x.shape[1], act, float(alpha), float(gain), limit]
    programs("bias_act").launch(KERNELS[x.dtype], (math.ceil(x.numel() / 256), 1, 1), 256, arguments)
    return y

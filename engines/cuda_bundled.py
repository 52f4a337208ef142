"""The bundled model's per-frame networks on the GPU, with the interface that the OpenVINO engines have.

    motion_code, synthesis = networks_on_gpu(weights)
    codes = motion_code.infer(w, motion)          # stay on the GPU
    (rgba,) = synthesis.infer(wplus, *codes)      # float32 [1, 4, S, S]

Each is one CUDA graph. Encoder and mapping run once in a while, on attributes of a person, and stay on the processor.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from engines.cuda_graphs import captured
from engines.cuda_portrait import CudaPortrait
from engines.cuda_synthesis import choices_here
from engines.cuda_timing import median_ms
from engines.devices import LEAST_BYTES, choose_device, gpu_errors, gpu_facts
from engines.errors import ModelError
from engines.motion import MOTION
from engines.portrait import DIM, ModulatedConv2d, PortraitGenerator
from engines.portrait_top import LargeGenerator, Top
from kernels.program import Programs, cuda_program

Array = npt.NDArray[Any]
Filled = TypeVar("Filled", PortraitGenerator, Top)
PREFIX, TOP_PREFIX = "generator.", "top."


class HeldOnGpu:
    """An array that stays where it is until somebody wants its numbers."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return tuple(self.tensor.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self.tensor.cpu().numpy(), dtype)


class MadeOnce(TorchFunctionMode):
    """Makes tensors of Python's numbers once and hands them out again: a graph cannot hold a copy from the host."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[tuple[str, torch.dtype, torch.device], Tensor] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.new_tensor and len(args) == 2 and not kwargs:
            return self._constant(args[0], args[1])
        if func is torch.where and len(args) == 3:
            like = next((a for a in args[1:] if isinstance(a, Tensor)), None)
            if like is not None:
                args = (args[0], *(a if isinstance(a, Tensor) else self._constant(like, a) for a in args[1:]))
        return func(*args, **(kwargs or {}))

    def _constant(self, like: Tensor, values: Any) -> Tensor:
        key = (repr(values), like.dtype, like.device)
        if key not in self._made:
            self._made[key] = torch.tensor(values, dtype=like.dtype).to(like.device)
        return self._made[key]


def portrait_network(file: Path) -> PortraitGenerator:
    """The generator of a file of weights (safetensors), in evaluation mode.

    Raises ModelError when the file cannot be read or belongs to another version of the network.
    """
    with torch.device("meta"):
        network = PortraitGenerator()
    return _filled(network, file, PREFIX)


def top_network(file: Path) -> Top:
    """The generator's top, likewise."""
    with torch.device("meta"):
        top = Top()
    return _filled(top, file, TOP_PREFIX)


def _filled(network: Filled, file: Path, prefix: str) -> Filled:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = {name.removeprefix(prefix): value.float() for name, value in load_file(file).items()}
        network.load_state_dict(tensors, strict=True, assign=True)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"the model file {file} cannot be read ({error}); install avatar-live again") from None
    except RuntimeError as error:
        why = " ".join(str(error).split())[:200]
        raise ModelError(f"the model file {file} does not fit this version ({why}); install it again") from None
    for conv in network.modules():
        if isinstance(conv, ModulatedConv2d) and conv.up:  # a constant, which no file holds
            conv.fir = ModulatedConv2d(1, len(conv.weight), up=True).fir
    return network.eval().requires_grad_(False)


class CudaMotionCode:
    """w float32 [1, dim] and motion float32 [1, motion] to the spatial motion code; see ``PortraitGenerator``."""

    def __init__(self, network: PortraitGenerator | LargeGenerator, device: str = "cuda") -> None:
        self.network, self._constants, self._lock = network, MadeOnce(), threading.Lock()
        self._w = torch.zeros(1, DIM, device=device)
        self._motion = torch.zeros(1, len(MOTION), device=device)
        self._codes: tuple[Tensor, ...] = ()
        with gpu_errors():
            self._compute()
            self.replay: Callable[[], None] = captured(self._compute) if device == "cuda" else self._compute

    @torch.no_grad()
    def _compute(self) -> None:
        with self._constants:
            self._codes = self.network.motion_code(self._w, self._motion)

    @torch.no_grad()
    def infer(self, *inputs: Array) -> tuple[Array, ...]:
        """The codes at 32, 64, 128 px (and 256), still on the GPU. Raises EngineError when the GPU fails."""
        w, motion = inputs
        with self._lock, gpu_errors():
            self._w.copy_(torch.from_numpy(np.ascontiguousarray(w, np.float32)))
            self._motion.copy_(torch.from_numpy(np.ascontiguousarray(motion, np.float32)))
            self.replay()
            held: tuple[Any, ...] = tuple(HeldOnGpu(code.clone()) for code in self._codes)
            return held

    def describe(self) -> str:
        """Runtime, precision and GPU, in one line."""
        return f"torch f32 on {self._w.device}"


class CudaPortraitSynthesis:
    """W+ float32 [1, rows, dim] and the spatial motion code to premultiplied RGBA float32 [1, 4, S, S]."""

    def __init__(self, engine: CudaPortrait) -> None:
        self._engine, self._lock = engine, threading.Lock()
        self._on_gpu = engine.wplus.is_cuda
        self._rgba = self._planes()
        self.replay: Callable[[], None] = captured(self._compute) if self._on_gpu else self._compute

    def _planes(self) -> Tensor:
        return self._engine.run().permute(0, 3, 1, 2).contiguous()

    @torch.no_grad()
    def _compute(self) -> None:
        self._rgba = self._planes()

    @torch.no_grad()
    def infer(self, *inputs: Array) -> tuple[Array, ...]:
        """The picture. Codes that are on the GPU already stay there. Raises EngineError when the GPU fails."""
        wplus, *codes = inputs
        with self._lock, gpu_errors():
            self._engine.wplus.copy_(torch.from_numpy(np.ascontiguousarray(wplus, np.float32)))
            for own, code in zip(self._engine.codes, codes, strict=True):
                there = code.tensor if isinstance(code, HeldOnGpu) else torch.from_numpy(np.asarray(code, np.float32))
                own.copy_(there)
            self.replay()
            return (self._rgba.cpu().numpy(),)

    def describe(self) -> str:
        """Runtime, precision and GPU, in one line."""
        where = torch.cuda.get_device_name() if self._on_gpu else "the processor, emulated"
        return f"CUDA kernels f16 on {where}"


@functools.lru_cache(maxsize=2)
def networks_on_gpu(
    file: Path, device: str = "cuda", programs: Programs = cuda_program, top: Path | None = None
) -> tuple[CudaMotionCode, CudaPortraitSynthesis]:
    """Motion code and synthesis of a file of weights; top: of 512 px, with this file too.

    device, programs: where they run; tests run on the host.

    Raises EngineError for a GPU that cannot be used, ModelError for the file.
    """
    on_gpu = device == "cuda"
    if on_gpu:
        choose_device(device, LEAST_BYTES, gpu_facts())  # raises where it cannot
    network, above = portrait_network(file), None if top is None else top_network(top)
    with gpu_errors(), torch.no_grad():
        network, above = network.to(device), None if above is None else above.to(device)
        choices, measure = (choices_here(), lambda call: median_ms(call, 20)) if on_gpu else (None, None)
        engine = CudaPortrait(network, choices=choices, measure=measure, programs=programs, top=above)
        whole = network if above is None else LargeGenerator(network, above)
        return CudaMotionCode(whole, device), CudaPortraitSynthesis(engine)

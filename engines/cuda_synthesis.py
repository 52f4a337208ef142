"""An imported generator drawn by the CUDA engine, with the interface that the OpenVINO engine has.

synthesis = CudaSynthesis(tensors, clamp, ["pixels"])
(pixels,) = synthesis.infer(wplus)     # uint8 BGR [1, S, S, 3]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from engines.cuda_engine import CudaGenerator
from engines.cuda_graphs import captured
from engines.cuda_timing import median_ms
from engines.devices import cuda_version, driver_version, gpu_errors
from engines.encoders_config import INPUT_PX
from engines.layer_choices import LayerChoices
from engines.stylegan2 import generator_from_tensors
from kernels.cache import cache_folder, digest
from kernels.program import Programs, cuda_program, source

Array = npt.NDArray[Any]


def choices_here() -> LayerChoices:
    """What was measured, or will be, on this GPU with this driver and these sources."""
    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    identity = {
        "gpu": f"{properties.name} {properties.major}.{properties.minor}",
        "driver": cuda_version(driver_version()),
        "torch": torch.__version__,
        "sources": digest(*(source(stem) for stem in ("styled_conv2d", "filter_act"))),
    }
    return LayerChoices(cache_folder() / "layers", identity)


class CudaSynthesis:
    """W+ to what ``outputs`` names: "pixels", uint8 BGR [1, S, S, 3], and "seen", float32 RGB [1, 3, 256, 256].

    tensors, clamp: of an imported generator. device, programs: where it runs; tests run the kernels on the host.

    The first start on a GPU takes seconds longer: every layer's candidates are measured, and kept. Raises EngineError
    for a generator that the kernels do not draw, and when the GPU fails.
    """

    def __init__(
        self, tensors: Mapping[str, Array], clamp: float | None, outputs: Sequence[str], *, device: str = "cuda",
        programs: Programs = cuda_program,
    ) -> None:  # fmt: skip
        self._outputs = [OUTPUTS[name] for name in outputs]
        with gpu_errors(), torch.no_grad():
            given = {name: torch.from_numpy(np.array(values, np.float32)) for name, values in tensors.items()}
            generator = generator_from_tensors(given, clamp).to(device)
            on_gpu = device == "cuda"
            choices = choices_here() if on_gpu else None
            measure = (lambda call: median_ms(call, 20)) if on_gpu else None
            self._engine = CudaGenerator(generator, choices=choices, measure=measure, programs=programs)
            self._results: list[Tensor] = []
            self._replay: Callable[[], None] = captured(self._compute) if on_gpu else self._compute

    def _compute(self) -> None:
        picture = self._engine.run()
        self._results = [output(picture) for output in self._outputs]

    def infer(self, *inputs: Array) -> tuple[Array, ...]:
        """The outputs for W+ float32 [1, rows, w_dim]. Raises EngineError when the GPU fails, ValueError."""
        (wplus,) = inputs
        if wplus.shape != tuple(self._engine.wplus.shape):
            raise ValueError(f"W+ has shape {list(wplus.shape)}; wanted {list(self._engine.wplus.shape)}")
        with gpu_errors(), torch.no_grad():
            self._engine.wplus.copy_(torch.from_numpy(np.ascontiguousarray(wplus, np.float32)))
            self._replay()
            return tuple(result.cpu().numpy() for result in self._results)

    def describe(self) -> str:
        """Runtime, precision and GPU, in one line."""
        where = torch.cuda.get_device_name() if self._engine.wplus.is_cuda else "the processor, emulated"
        return f"CUDA kernels f16 on {where}"


def pixels_of(picture: Tensor) -> Tensor:
    """RGB [1, 3, S, S] of -1 to 1 as uint8 BGR [1, S, S, 3]."""
    return (picture * 127.5 + 128.0).clamp(0.0, 255.0).flip(1).permute(0, 2, 3, 1).to(torch.uint8).contiguous()


def seen_of(picture: Tensor) -> Tensor:
    """RGB [1, 3, S, S] averaged, or repeated, to [1, 3, 256, 256]."""
    size = picture.shape[2]
    if size > INPUT_PX:
        return functional.avg_pool2d(picture, size // INPUT_PX)
    return picture.repeat_interleave(INPUT_PX // size, 2).repeat_interleave(INPUT_PX // size, 3).contiguous()


OUTPUTS = {"pixels": pixels_of, "seen": seen_of}

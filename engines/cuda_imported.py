"""Imported models with everything on the GPU: what ``engines.cuda_frame`` needs of one.

model = load_on_gpu(folder)
engine = FrameEngine(model.generator, 720, 1280, model.encoder, start=model.centre, first_steps=model.first_steps)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.cuda_engine import CudaGenerator
from engines.cuda_synthesis import choices_here, seen_of
from engines.cuda_timing import median_ms
from engines.devices import choose_device, gpu_errors, gpu_facts
from engines.encoders import StyleEncoder
from engines.encoders_config import INPUT_PX
from engines.imported import RUNTIME_BYTES, Look, mean_rows, mixed_networks, resolution_of
from engines.tensorrt_engine import Upgrading, engine_from_onnx, tensorrt_refusal
from engines.torch_networks import encoder_from_network, generator_from_network
from kernels.cache import cache_folder
from kernels.program import Programs, cuda_program

FIRST_STEPS = 3  # refinements of ReStyle on a face's first frame, as realtime.photographic makes them
Say = Callable[[str], None]


class LiveEncoder:
    """Crops and last codes to codes, in float16 by torch, and by TensorRT once that is there and gives the same.

    network: an encoder on the device that runs it. generator: draws what an encoder of ReStyle sees beside the crop.
    centre: float32 [rows, w_dim] that codes are added to, or None.
    """

    def __init__(self, network: StyleEncoder, generator: CudaGenerator, centre: npt.NDArray[np.float32] | None) -> None:
        self.refines = network.config.inputs == 6
        self._generator = generator
        device, half = generator.wplus.device, generator.wplus.is_cuda
        self._network = network.half() if half else network  # on a processor halves are slow and only tests run there
        self._input = torch.zeros(
            generator.batch, network.config.inputs, INPUT_PX, INPUT_PX, device=device,
            dtype=torch.float16 if half else torch.float32,
        )  # fmt: skip
        added = np.zeros(tuple(generator.wplus.shape[1:]), np.float32) if centre is None else centre
        self._centre = torch.from_numpy(np.array(added, np.float32)).to(device)[None]
        self._run: Callable[..., Sequence[Tensor]] = self._by_torch
        self._upgrading: Upgrading | None = None
        self._taken_over = False

    def __call__(self, crop: Tensor, last: Tensor) -> Tensor:
        """Codes float32 [N, rows, w_dim] of crops float32 [N, 3, 256, 256] in -1..1; N is the generator's batch."""
        self._input[:, :3].copy_(crop)
        if self.refines:
            self._input[:, 3:].copy_(seen_of(self._generator.run(last)))
        (codes,) = self._run(self._input)
        return codes.float() + (last if self.refines else self._centre)

    def _by_torch(self, x: Tensor) -> Sequence[Tensor]:
        return (self._network(x),)

    def start_upgrade(self, say: Say, build: Callable[[], Callable[..., Sequence[Tensor]]] | None = None) -> None:
        """Build the TensorRT engine in the background, to be compared on what was seen last. Call between frames."""
        if self._upgrading is not None:
            return
        refusal = tensorrt_refusal() if build is None else None
        if refusal is not None:
            say(f"the encoder runs by torch: {refusal}")
            return
        self._upgrading = Upgrading(self._by_torch, build or self._build(say), [[self._input.clone()]], say)

    def _build(self, say: Say) -> Callable[[], Callable[..., Sequence[Tensor]]]:
        def build() -> Callable[..., Sequence[Tensor]]:
            from engines.engine_cache import EngineCache
            from engines.onnx_export import onnx_bytes

            onnx = onnx_bytes(self._network, [self._input.clone()], ["crop"], "codes")
            return engine_from_onnx(onnx, EngineCache(cache_folder() / "engines"), say=say).infer

        return build

    def taken_over(self) -> bool:
        """True once, when the better engine has taken over: whoever holds a graph captures anew."""
        if self._taken_over or self._upgrading is None or not self._upgrading.upgraded:
            return False
        self._run, self._taken_over = self._upgrading, True
        return True

    def give_back(self) -> None:
        """Run by torch again: the better engine cannot be captured."""
        self._run = self._by_torch

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the build's end."""
        if self._upgrading is not None:
            self._upgrading.wait(seconds)


@dataclass(frozen=True, slots=True, eq=False)
class GpuModel:
    """A generator and its encoder on the GPU; centre, resolution as in ``engines.imported``. first_steps: see there.

    more: the same weights for two faces at a time, three, and so on.
    """

    name: str
    centre: npt.NDArray[np.float32]
    resolution: int
    generator: CudaGenerator
    encoder: LiveEncoder
    first_steps: int
    more: tuple[tuple[CudaGenerator, LiveEncoder], ...] = ()

    def describe(self) -> str:
        """What runs where, in one line."""
        on_gpu = self.generator.wplus.is_cuda
        where = torch.cuda.get_device_name() if on_gpu else "the processor, emulated"
        return f"{self.name}, {self.resolution} px: whole frames by CUDA kernels f16 on {where}"


@functools.lru_cache(maxsize=2)
def load_on_gpu(
    folder: Path, *, look: Look | None = None, faces: int = 1, device: str = "cuda", programs: Programs = cuda_program
) -> GpuModel | None:
    """Check an imported model's files and put it on the GPU; None for a model without an encoder.

    look: the looks of another generator. faces: how many at most are drawn at a time, by one generator for each number.
    device, programs: where it runs; tests run the kernels on the host.

    Raises CheckpointError for a missing or damaged model, EngineError when it cannot be run.
    """
    name, generator, encoder = mixed_networks(folder, look)
    if encoder is None:
        return None
    resolution, centre = resolution_of(generator), mean_rows(generator)
    on_gpu = device == "cuda"
    if on_gpu:
        weights = sum(values.nbytes for part in (generator, encoder) for values in part.tensors.values())
        choose_device(
            device, 2 * weights + 512 * faces * (faces + 1) * resolution**2 + RUNTIME_BYTES, gpu_facts()
        )  # raises
    with gpu_errors(), torch.no_grad():
        weights_there, network = generator_from_network(generator).to(device), encoder_from_network(encoder).to(device)
        choices, measure = (choices_here(), lambda call: median_ms(call, 20)) if on_gpu else (None, None)
        added = centre if encoder.settings["add_centre"] else None
        pairs: list[tuple[CudaGenerator, LiveEncoder]] = []
        for batch in range(1, faces + 1):
            drawn = CudaGenerator(
                weights_there, batch, choices=choices, measure=measure, programs=programs,
                sharing=pairs[0][0] if pairs else None,
            )  # fmt: skip
            pairs.append((drawn, LiveEncoder(network, drawn, added)))
    (drawn, reads), *more = pairs
    return GpuModel(name, centre, resolution, drawn, reads, FIRST_STEPS if reads.refines else 1, tuple(more))

"""The bundled model's pictures by a GPU: what ``engines.pictures`` draws with two networks is one CUDA graph here.

    drawer = drawer_on_gpu(weights)
    engine = drawer.whole_frames(720, 1280, 1, fade)      # from codes to finished frames, see ``engines.cuda_overlay``
    pictures = drawer.draw(wplus, motion)      # of N faces: N times straight BGRA, uint8 [S, S, 4]

``draw`` is for those who want the portraits alone: up go W+ and motion codes, down come bytes, and each number of faces
has a graph, captured when so many come first. All share the weights. Encoder and mapping run once in a while, on
attributes of a person, and stay on the processor.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

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
from engines.pictures import Pixels
from engines.portrait import ModulatedConv2d, PortraitGenerator
from engines.portrait_top import LargeGenerator, Top
from kernels.program import Programs, cuda_program

if TYPE_CHECKING:
    from engines.cuda_overlay import OverlayEngine

Array = npt.NDArray[Any]
MotionCode = Callable[[Tensor, Tensor], Sequence[Tensor]]
Filled = TypeVar("Filled", PortraitGenerator, Top)
PREFIX, TOP_PREFIX = "generator.", "top."


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


class Drawing:
    """So many faces at a time: ``replay`` draws what ``engine.wplus`` and ``motion`` hold into ``pixels``.

    motion: float32 [N, motion]. pixels: straight BGRA, uint8 [N, S, S, 4].
    """

    def __init__(self, engine: CudaPortrait, motion_code: MotionCode, constants: MadeOnce) -> None:
        self.engine, self._motion_code, self._constants = engine, motion_code, constants
        device, size = engine.wplus.device, engine.size_px
        self.motion = torch.zeros(engine.batch, len(MOTION), device=device)
        self.pixels = torch.zeros(engine.batch, size, size, 4, dtype=torch.uint8, device=device)

    @functools.cached_property
    def replay(self) -> Callable[[], None]:
        """:meth:`compute` as a graph, captured when it is first asked for."""
        return captured(self.compute) if self.engine.wplus.is_cuda else self.compute

    @torch.no_grad()
    def premultiplied(self) -> Tensor:
        """The portraits as they leave the generator: RGBA, float32 [N, S, S, 4], its own buffer."""
        with self._constants:
            codes = self._motion_code(self.engine.wplus[:, 0], self.motion)
        return self.engine.run(codes=codes)

    @torch.no_grad()
    def compute(self) -> None:
        """Every launch by itself, with the same results."""
        straight_into(self.pixels, self.premultiplied())


class CudaDrawer:
    """See ``engines.pictures.Draws``.

    motion_code: w float32 [N, dim] and motion float32 [N, motion] to the spatial motion code, see
    ``PortraitGenerator``. engine: makes ``CudaPortrait``s of a network, of a batch and sharing another's weights.

    Raises EngineError when the GPU fails.
    """

    def __init__(self, motion_code: MotionCode, engine: Callable[..., CudaPortrait]) -> None:
        self._motion_code, self._engine, self._constants = motion_code, engine, MadeOnce()
        self._drawings: dict[int, Drawing] = {}
        self._lock = threading.Lock()
        self.drawing(1)

    @torch.no_grad()
    def drawing(self, faces: int) -> Drawing:
        """What draws so many faces at a time, made when it is first asked for."""
        if faces not in self._drawings:
            with gpu_errors():
                sharing = self._drawings[1].engine if self._drawings else None
                engine = self._engine(batch=faces, sharing=sharing)
                self._drawings[faces] = Drawing(engine, self._motion_code, self._constants)
        return self._drawings[faces]

    @torch.no_grad()
    def draw(self, wplus: Array, motion: Array) -> list[Pixels]:
        """See ``engines.pictures.Draws``; a number of faces that is new takes as long as its capture."""
        with self._lock, gpu_errors():
            drawing = self.drawing(len(wplus))
            drawing.engine.wplus.copy_(torch.from_numpy(np.ascontiguousarray(wplus, np.float32)))
            drawing.motion.copy_(torch.from_numpy(np.ascontiguousarray(motion, np.float32)))
            drawing.replay()
            return list(drawing.pixels.to("cpu", copy=True).numpy())

    def prepare(self) -> None:
        """Capture the graph of one face; graphs are every thread's."""
        with self._lock, gpu_errors():
            self.drawing(1).replay  # noqa: B018 - made when it is asked for

    def whole_frames(self, height: int, width: int, faces: int, fade: Array) -> OverlayEngine:
        """See ``engines.pictures.Draws``; all graphs are captured here."""
        from engines.cuda_overlay import OverlayEngine

        return OverlayEngine(self.drawing, height, width, faces, fade)

    def describe(self) -> str:
        """Runtime, precision and GPU, in one line."""
        on_gpu = self._drawings[1].motion.is_cuda
        where = torch.cuda.get_device_name() if on_gpu else "the processor, emulated"
        return f"CUDA kernels f16 on {where}"


def straight_into(pixels: Tensor, rgba: Tensor) -> None:
    """Premultiplied RGBA, float32 [N, S, S, 4], into straight BGRA bytes, as ``engines.pictures.straight``."""
    alpha = rgba[..., 3:].clamp(0.0, 1.0)
    colours = rgba[..., :3].flip(3) * (255.0 / alpha.clamp_min(1e-3))
    pixels.copy_(torch.cat([colours, 255.0 * alpha], 3).clamp(0.0, 255.0).round())


@functools.lru_cache(maxsize=2)
def drawer_on_gpu(
    file: Path, device: str = "cuda", programs: Programs = cuda_program, top: Path | None = None
) -> CudaDrawer:
    """What draws with a file of weights; top: at 512 px, with this file too.

    device, programs: where it runs; tests run on the host.

    Raises EngineError for a GPU that cannot be used, ModelError for the file.
    """
    on_gpu = device == "cuda"
    if on_gpu:
        choose_device(device, LEAST_BYTES, gpu_facts())  # raises where it cannot
    network, above = portrait_network(file), None if top is None else top_network(top)
    with gpu_errors():
        network, above = network.to(device), None if above is None else above.to(device)
        choices, measure = (choices_here(), lambda call: median_ms(call, 20)) if on_gpu else (None, None)
    whole = network if above is None else LargeGenerator(network, above)
    engine = functools.partial(CudaPortrait, network, choices=choices, measure=measure, programs=programs, top=above)
    return CudaDrawer(whole.motion_code, engine)

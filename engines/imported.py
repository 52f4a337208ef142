"""Imported models ready to run on the CPU, without torch.

    model = load_imported(folder, look=Look(toon_folder, from_px=32, amount=0.7))
    wplus = model.encode(crop)             # float32 [rows, w_dim]
    picture = model.draw(wplus)            # uint8 BGR [S, S, 3]

An encoder of ReStyle refines: given the last W+ and its picture it returns a better one. Over a video every frame may
start from the last frame's code, so that the iterations are spread over frames (Alaluf et al. 2021, ReStyle).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from engines.blending import blend_generators
from engines.checkpoints.installed import load_model, read_manifest, verify_model
from engines.checkpoints.networks import ENCODER, GENERATOR, Network
from engines.devices import choose_device, gpu_facts
from engines.encoders_config import INPUT_PX
from engines.errors import ModelError

if TYPE_CHECKING:
    from engines.openvino_engine import OpenVinoEngine

RUNTIME_BYTES = 600 * 1024**2  # what torch, cuDNN and CuPy take on a GPU before anything is drawn, rounded up

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


class Synthesis(Protocol):
    """What draws: ``OpenVinoEngine`` or, on a GPU, ``CudaSynthesis``."""

    def infer(self, *inputs: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], ...]:
        """The outputs for W+ float32 [1, rows, w_dim]."""

    def describe(self) -> str:
        """Runtime, precision and device, in one line."""


@dataclass(frozen=True, slots=True, eq=False)
class ImportedModel:
    """A generator and, from inversion projects, its encoder.

    centre: float32 [rows, w_dim], the mean latent.
    resolution: edge of the pictures in pixels.
    refines: whether the encoder is ReStyle's.
    """

    name: str
    centre: Floats
    resolution: int
    refines: bool
    synthesis: Synthesis
    encoder: OpenVinoEngine | None

    def draw(self, wplus: Floats) -> Pixels:
        """The picture, uint8 BGR [S, S, 3], of W+ [rows, w_dim]."""
        return np.array(self.synthesis.infer(np.asarray(wplus, np.float32)[None])[0][0])

    def encode(self, pixels: Pixels, last: Floats | None = None) -> Floats:
        """W+ [rows, w_dim] of an aligned face.

        pixels: uint8 BGR [256, 256, 3], aligned as by ``engines.ffhq_alignment``.
        last: the last W+, which an encoder of ReStyle refines (None: the centre); others do not look at it.

        Raises ModelError when the model has no encoder, ValueError for pictures of another size.
        """
        if self.encoder is None:
            raise ModelError(f"the model {self.name!r} has no encoder; import one of e4e, pSp or ReStyle")
        if pixels.shape != (INPUT_PX, INPUT_PX, 3) or pixels.dtype != np.uint8:
            raise ValueError(
                f"the picture is {pixels.dtype} {list(pixels.shape)}; wanted uint8 [{INPUT_PX}, {INPUT_PX}, 3]"
            )
        if not self.refines:
            (wplus,) = self.encoder.infer(pixels[None])
        else:
            last = self.centre if last is None else last
            _, seen = self.synthesis.infer(last[None])
            (wplus,) = self.encoder.infer(pixels[None], last[None], seen)
        return np.array(wplus[0])

    def describe(self) -> str:
        """What runs where, in one line."""
        return f"{self.name}, {self.resolution} px: {self.synthesis.describe()}"


@dataclass(frozen=True, slots=True)
class Look:
    """A second generator of the same family whose fine layers are mixed in while a model is loaded.

    folder: its imported model. from_px: the first resolution that is mixed. amount: 0 (none of it) to 1; see
    ``engines.blending.blend_generators``.
    """

    folder: Path
    from_px: int = 32
    amount: float = 1.0


@functools.lru_cache(maxsize=2)
def load_imported(
    folder: Path, *, look: Look | None = None, precision: str = "auto", device: str = "cpu"
) -> ImportedModel:
    """Check an imported model's files, build its graphs and compile them; once, for all who ask.

    look: the looks of another generator.
    precision: see ``engines.openvino_engine.OpenVinoEngine``. device: "cpu", or "cuda" for the generator on a GPU.

    Raises CheckpointError for a missing or damaged model, EngineError when it cannot be run.
    """
    name, generator, encoder = mixed_networks(folder, look)
    refines = encoder is not None and encoder.tensors["stem.weight"].shape[1] == 6
    outputs = ["pixels", "seen"] if refines else ["pixels"]
    centre = mean_rows(generator)
    return ImportedModel(
        name=name,
        centre=centre,
        resolution=resolution_of(generator),
        refines=refines,
        synthesis=_synthesis(generator, outputs, precision, device),
        encoder=None if encoder is None else _encoder_engine(encoder, centre, precision),
    )


def mixed_networks(folder: Path, look: Look | None) -> tuple[str, Network, Network | None]:
    """Name, generator and encoder of an imported model, its files checked, with the looks of another."""
    name, generator, encoder = _networks(folder)
    if look is not None and look.amount > 0:
        other, looks, _ = _networks(look.folder)
        generator = blend_generators(generator, looks, look.from_px, look.amount)
        name = f"{name} with the looks of {other} from {look.from_px} px, amount {look.amount:g}"
    return name, generator, encoder


def resolution_of(generator: Network) -> int:
    """Edge of a generator's pictures in pixels."""
    return max(int(key.split(".")[2]) for key in generator.tensors if key.startswith("synthesis.blocks."))


def mean_rows(generator: Network) -> Floats:
    """The mean latent, float32 [rows, w_dim]."""
    centre = generator.tensors["centre"]
    rows = 2 * int(np.log2(resolution_of(generator))) - 2
    return np.ascontiguousarray(np.broadcast_to(centre, [rows, centre.shape[1]]))


def _networks(folder: Path) -> tuple[str, Network, Network | None]:
    """Name, generator and encoder of an imported model, its files checked."""
    verify_model(folder)
    name, networks = str(read_manifest(folder)["name"]), load_model(folder)
    generator = networks.network(GENERATOR)
    if generator is None:
        raise ModelError(f"the model {name!r} has no generator; import it again")
    return name, generator, networks.network(ENCODER)


def _synthesis(generator: Network, outputs: list[str], precision: str, device: str) -> Synthesis:
    clamp = generator.settings["clamp"]
    if device == "cpu":
        from engines.openvino_engine import OpenVinoEngine
        from engines.stylegan2_openvino import generator_graph

        return OpenVinoEngine(generator_graph(generator.tensors, clamp, outputs), precision=precision)
    resolution = resolution_of(generator)
    weights = sum(values.nbytes for values in generator.tensors.values())
    choose_device(device, 2 * weights + 1024 * resolution**2 + RUNTIME_BYTES, gpu_facts())  # raises where it cannot
    from engines.cuda_synthesis import CudaSynthesis

    return CudaSynthesis(generator.tensors, clamp, outputs)


def _encoder_engine(encoder: Network, centre: Floats, precision: str) -> OpenVinoEngine:
    from engines.encoders_openvino import encoder_graph
    from engines.openvino_engine import OpenVinoEngine

    added = centre if encoder.settings["add_centre"] else None
    return OpenVinoEngine(encoder_graph(encoder.tensors, encoder.settings["deltas"], added), precision=precision)

"""Generators as inversion needs them: the bundled one from its training weights, and imported ones. Torch only."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from engines.attributes import ATTRIBUTES, HAIR_STYLES, column
from engines.checkpoints.installed import load_model
from engines.checkpoints.networks import GENERATOR
from engines.errors import ModelError
from engines.portrait import LAYERS, Mapping, PortraitGenerator
from engines.stylegan2 import Generator, generator_from_tensors

# In a checkout; installed packages hold no weights for torch.
CHECKPOINT = Path(__file__).parents[1] / "tools" / "checkpoints" / "generator.pt"
GREY = 150 / 255
LARGEST_PX = 512  # imported pictures are compared at this size at most


class BundledInvertible:
    """The bundled generator with one pose and expression, float32 [motion]."""

    rows = LAYERS

    def __init__(self, mapping: Mapping, generator: PortraitGenerator, motion: Tensor) -> None:
        self.mapping, self.generator, self.motion = mapping, generator, motion

    @property
    def module(self) -> nn.Module:
        """The generator without its mapping network."""
        return self.generator

    def draw(self, wplus: Tensor) -> Tensor:
        """See ``engines.inversion.Invertible``; 256 px."""
        pictures, _ = self.generator(wplus, self.motion.expand(len(wplus), -1))
        rgba = pictures[-1]
        shown: Tensor = (rgba[:, :3] + (1 - rgba[:, 3:].clamp(0, 1)) * GREY).clamp(0, 1)
        return shown

    def samples(self, count: int, seed: int) -> Tensor:
        """W of made-up people: measures around their mean, one hair style each."""
        random = torch.Generator().manual_seed(seed)
        mean, spread = self.mapping.mean.detach(), self.mapping.spread.detach()
        people = mean + spread * torch.randn(count, len(mean), generator=random)
        styles = [column(name) for name in HAIR_STYLES]
        worn = torch.multinomial(mean[styles].clamp_min(1e-3), count, replacement=True, generator=random)
        people[:, styles] = torch.nn.functional.one_hot(worn, len(styles)).float()
        with torch.no_grad():
            w: Tensor = self.mapping(people)
        return w

    def start(self, attributes: dict[str, float]) -> Tensor:
        """W+ [rows, dim] of a person."""
        with torch.no_grad():
            w: Tensor = self.mapping(torch.tensor([[attributes[name] for name in ATTRIBUTES]]))
        return w.expand(self.rows, -1).clone()


def load_bundled(motion: Tensor, checkpoint: Path | None = None) -> BundledInvertible:
    """The bundled generator from a training checkpoint (None: the checkout's own).

    Raises ModelError when it is missing or does not fit.
    """
    file = CHECKPOINT if checkpoint is None else checkpoint
    if not file.is_file():
        raise ModelError(
            f"no training weights at {file}; inversion needs them: give --checkpoint FILE.pt, or run in a checkout, "
            "which has tools/checkpoints/generator.pt"
        )
    mapping, generator = Mapping(len(ATTRIBUTES)), PortraitGenerator()
    try:
        saved = torch.load(file, map_location="cpu", weights_only=True)["average"]
        for name, network in (("mapping", mapping), ("generator", generator)):
            prefix = f"module.{name}."
            network.load_state_dict({k.removeprefix(prefix): v for k, v in saved.items() if k.startswith(prefix)})
    except Exception as error:  # torch raises many kinds for files that are none of its own
        reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise ModelError(f"{file} does not fit this version ({reason}); give --checkpoint with a newer one") from None
    mapping.eval().requires_grad_(False)
    generator.eval().requires_grad_(False)
    return BundledInvertible(mapping, generator, motion.reshape(1, -1))


class ImportedInvertible:
    """An imported StyleGAN2 generator; its pictures are compared at no more than LARGEST_PX."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.rows = generator.config.rows

    @property
    def module(self) -> nn.Module:
        """The synthesis network."""
        return self.generator.synthesis

    def draw(self, wplus: Tensor) -> Tensor:
        """See ``engines.inversion.Invertible``."""
        picture = self.generator.synthesis(wplus, "const")[:, :3]
        if picture.shape[-1] > LARGEST_PX:
            picture = torch.nn.functional.avg_pool2d(picture, picture.shape[-1] // LARGEST_PX)
        shown: Tensor = (picture / 2 + 0.5).clamp(0, 1)
        return shown

    def samples(self, count: int, seed: int) -> Tensor:
        """W of random z. Raises ModelError for a generator without a mapping network."""
        config = self.generator.config
        if not config.mapping_layers:
            raise ModelError("this model has no mapping network, so nothing tells where its codes lie; import another")
        random = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            w: Tensor = self.generator.mapping(torch.randn(count, config.z_dim, generator=random))
        return w

    def centre(self) -> Tensor:
        """The mean code as W+ [rows, dim]."""
        return self.generator.centre.expand(self.rows, -1).clone()


def load_imported(folder: Path) -> ImportedInvertible:
    """The generator of an imported model. Raises ModelError and CheckpointError."""
    network = load_model(folder).network(GENERATOR)
    if network is None:
        raise ModelError(f"the model in {folder} has no generator; import it again")
    tensors = {name: torch.from_numpy(value) for name, value in network.tensors.items()}
    return ImportedInvertible(generator_from_tensors(tensors, network.settings["clamp"]))

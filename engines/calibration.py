"""Pivotal tuning: a generator learns one person from a minute of frames, so that their codes draw them. Needs torch.

    pivots    W+ of the frames by the model's own encoder; they stay as they are
    delta     a low-rank step per convolution, plain steps of biases and colour layers, in units of each tensor's size
    loss      pixels + features of the encoder's backbone (in place of LPIPS, whose weights no project here may ship),
              both on the face more than around it, + locality: random codes must draw what they drew before
    stop      when frames that are not trained on (the watched ones) get no better

Source: Roich et al. 2021, "Pivotal Tuning for Latent-based Editing of Real Images", equations 2 to 6; Zhang et al.
2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric" (the distance of normalised features).

Every step's chances come from its number, so a run that was broken off goes on to the same result.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from engines.calibration_delta import ADD, LEFT, RIGHT
from engines.checkpoints.networks import Network
from engines.encoders import StyleEncoder
from engines.encoders_config import INPUT_PX
from engines.torch_networks import encoder_from_network, generator_from_network

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
PREFIX = "synthesis."
LOCALITY, PERCEPTION = 0.1, 0.8  # weights of the loss, after Roich et al.
REACH = 0.3  # how far from a pivot towards a random code locality is asked for
MOMENTS, TINY = (0.9, 0.999), 1e-8
FEATURE_BLOCKS = 8  # the first blocks of the backbone: edges and texture, like the early layers of LPIPS


@dataclass(frozen=True, slots=True)
class Options:
    """How to tune.

    rank: of the convolutions' steps. steps: at most. rate: Adam's, relative to each tensor's size. batch: frames
        a step.
    watch_every: steps between looks at the watched frames. patience: looks without a gain until it stops.
    """

    rank: int = 8
    steps: int = 600
    rate: float = 5e-3
    batch: int = 2
    watch_every: int = 20
    patience: int = 6
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Aligned frames and their codes.

    pixels: uint8 BGR [N, S, S, 3]. pivots: float32 [N, rows, w_dim].
    """

    pixels: Pixels
    pivots: Floats

    def part(self, kind: str) -> Frames:
        """ "train", "watch" or "held": of every ten frames eight, one and one."""
        places = {"train": range(8), "watch": (8,), "held": (9,)}[kind]
        chosen = [i for i in range(len(self.pixels)) if i % 10 in places]
        return Frames(self.pixels[chosen], self.pivots[chosen])


@dataclass(frozen=True, slots=True)
class Errors:
    """How far pictures are from frames: root mean square in levels of 0 to 255, and the distance of features (0 to 2).

    Both on the face, weighted as in training.
    """

    pixels: float
    features: float


@dataclass(slots=True)
class Progress:
    """Where a run is: steps done, the best error of the watched frames, looks since."""

    step: int = 0
    best: float = math.inf
    stale: int = 0


def face_weight(size: int, device: torch.device) -> Tensor:
    """How much each pixel counts, [1, 1, S, S]: 1 on the face, 0.1 around it; its place is known by the alignment."""
    at = (torch.arange(size, device=device) + 0.5) / size
    distance = torch.sqrt(((at[None] - 0.5) / 0.34) ** 2 + ((at[:, None] - 0.54) / 0.42) ** 2)
    return (0.1 + 0.9 * torch.sigmoid((1 - distance) * 20))[None, None]


class Tuner:
    """Tunes one generator on one person's frames.

    device: "cpu", "cuda".
    """

    def __init__(self, generator: Network, encoder: Network, frames: Frames, options: Options, device: str) -> None:
        self.options, self.progress, self.device = options, Progress(), torch.device(device)
        self.frames = frames
        self.generator = generator_from_network(generator).to(self.device)
        self.encoder = encoder_from_network(encoder).to(self.device)
        self.weight = face_weight(frames.pixels.shape[1], self.device)
        self._units: dict[str, Tensor] = {}
        self.params = self._new_params()
        self.best = {name: value.clone() for name, value in self.params.items()}
        self._moments = {name: [torch.zeros_like(value) for _ in range(2)] for name, value in self.params.items()}

    def _new_params(self) -> dict[str, Tensor]:
        chance = torch.Generator().manual_seed(self.options.seed)
        params = {}
        for name, value in self.generator.synthesis.state_dict().items():
            self._units[name] = value.square().mean().sqrt().clamp_min(0.05 if value.ndim == 1 else 1e-6)
            if value.ndim == 4 and value.shape[-1] == 3 and name.endswith("weight"):
                outputs, rest, rank = len(value), value[0].numel(), self.options.rank
                params[name + LEFT] = torch.zeros(outputs, rank)
                params[name + RIGHT] = torch.randn(rank, rest, generator=chance) / math.sqrt(rank)
            elif name.endswith((".rgb.weight", ".bias")) and "affine" not in name:
                params[name + ADD] = torch.zeros(value.shape)
        return {name: value.to(self.device) for name, value in params.items()}

    def steps_of(self, params: dict[str, Tensor]) -> dict[str, Tensor]:
        """What is added to the generator's tensors, by their names."""
        steps = {}
        for key, value in params.items():
            if key.endswith(ADD):
                name = key.removesuffix(ADD)
                steps[name] = value * self._units[name]
            elif key.endswith(LEFT):
                name = key.removesuffix(LEFT)
                step = value @ params[name + RIGHT] * self._units[name]
                steps[name] = step.view(self.generator.synthesis.get_parameter(name).shape)
        return steps

    def draw(self, wplus: Tensor, params: dict[str, Tensor] | None) -> Tensor:
        """Pictures [N, 3, S, S] of W+; ``params`` None: as before the tuning. S is the frames' size."""
        synthesis = self.generator.synthesis
        changed = {} if params is None else self.steps_of(params)
        own = {name: synthesis.get_parameter(name) + step for name, step in changed.items()}
        picture: Tensor = functional_call(synthesis, own, (wplus,))
        size = self.frames.pixels.shape[1]
        return picture if picture.shape[-1] == size else functional.adaptive_avg_pool2d(picture, (size, size))

    def distances(self, picture: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Mean square of pixels and distance of features, both weighted, each [N]."""
        pixels = ((picture - target).square() * self.weight).mean((1, 2, 3)) / self.weight.mean()
        return pixels, _feature_distance(self.encoder, picture, target, self.weight)

    def run(self, tell: Callable[[Progress], None], save_to: Path | None = None) -> None:
        """Tune until the steps are done or the watched frames get no better; the best parameters are kept.

        tell: is called after every step. save_to: where the state is kept for :meth:`resume`, at every look.
        """
        while self.progress.step < self.options.steps and self.progress.stale < self.options.patience:
            self._step()
            if self.progress.step % self.options.watch_every == 0 or self.progress.step == self.options.steps:
                self._look()
                if save_to is not None:
                    self.save(save_to)
            tell(self.progress)

    def _step(self) -> None:
        chance = torch.Generator().manual_seed(self.options.seed * 1_000_003 + self.progress.step)
        train = self.frames.part("train")
        chosen = torch.randperm(len(train.pixels), generator=chance)[: self.options.batch].numpy()
        target, pivots = self.tensors(Frames(train.pixels[chosen], train.pivots[chosen]))
        params = {name: value.detach().requires_grad_() for name, value in self.params.items()}
        pixels, features = self.distances(self.draw(pivots, params), target)
        elsewhere = pivots[:1] + REACH * (self._random_code(chance) - pivots[:1])
        with torch.no_grad():
            before = self.draw(elsewhere, None)
        locality = (self.draw(elsewhere, params) - before).square().mean()
        loss = pixels.mean() + PERCEPTION * features.mean() + LOCALITY * locality
        gradients = torch.autograd.grad(loss, list(params.values()))
        self.progress.step += 1
        for (name, value), gradient in zip(self.params.items(), gradients, strict=True):
            self._adam(value, gradient, self._moments[name])

    def _adam(self, value: Tensor, gradient: Tensor, moments: list[Tensor]) -> None:
        (slow, fast), (first, second), step = MOMENTS, moments, self.progress.step
        first.lerp_(gradient, 1 - slow)
        second.lerp_(gradient.square(), 1 - fast)
        size = (second / (1 - fast**step)).sqrt() + TINY
        value -= self.options.rate * first / (1 - slow**step) / size

    def _random_code(self, chance: torch.Generator) -> Tensor:
        """A code [1, rows, w_dim] that has nothing to do with the person."""
        config = self.generator.config
        if config.mapping_layers:
            z = torch.randn(1, config.z_dim, generator=chance).to(self.device)
            return self.generator.wplus_from_z(z)
        spread = float(np.std(self.frames.pivots))
        noise = torch.randn(1, config.rows, config.w_dim, generator=chance).to(self.device)
        return self.generator.centre + spread * noise

    def _look(self) -> None:
        errors = self.errors("watch", self.params)
        error = (errors.pixels / 127.5) ** 2 + PERCEPTION * errors.features
        self.progress.stale += 1
        if error < self.progress.best * 0.999:
            self.progress.best, self.progress.stale = error, 0
            self.best = {name: value.clone() for name, value in self.params.items()}

    @torch.no_grad()
    def errors(self, kind: str, params: dict[str, Tensor] | None) -> Errors:
        """The mean errors over a part of the frames; ``params`` None: before the tuning."""
        part, found = self.frames.part(kind), []
        for i in range(len(part.pixels)):
            target, pivot = self.tensors(Frames(part.pixels[i : i + 1], part.pivots[i : i + 1]))
            found.append([float(value) for value in self.distances(self.draw(pivot, params), target)])
        pixels, features = np.mean(found, axis=0)
        return Errors(127.5 * math.sqrt(pixels), float(features))

    def tensors(self, frames: Frames) -> tuple[Tensor, Tensor]:
        """Pictures [N, 3, S, S] of -1 to 1 (RGB) and pivots [N, rows, w_dim]."""
        rgb = torch.from_numpy(np.ascontiguousarray(frames.pixels[..., ::-1].transpose(0, 3, 1, 2)))
        pivots = torch.from_numpy(np.ascontiguousarray(frames.pivots, np.float32))
        return rgb.to(self.device, torch.float32) / 127.5 - 1, pivots.to(self.device)

    def delta(self) -> dict[str, Floats]:
        """The best parameters as a file's tensors, see ``engines.calibration_delta``."""
        scaled = {}
        for key, value in self.best.items():
            name = key.rpartition(".")[0]
            unit = 1.0 if key.endswith(RIGHT) else self._units[name]
            scaled[PREFIX + key] = (value * unit).cpu().numpy().astype(np.float32)
        return scaled

    def save(self, path: Path) -> None:
        """Keep the whole state, by one rename."""
        tensors = {f"params/{name}": value for name, value in self.params.items()}
        tensors |= {f"best/{name}": value for name, value in self.best.items()}
        tensors |= {f"moment{k}/{name}": both[k] for name, both in self._moments.items() for k in range(2)}
        metadata = {"options": json.dumps(asdict(self.options)), "progress": json.dumps(asdict(self.progress))}
        new = path.with_name(path.name + ".new")
        save_file({name: value.contiguous().cpu() for name, value in tensors.items()}, new, metadata)
        os.replace(new, path)

    def resume(self, path: Path) -> bool:
        """Take up a state; False, and nothing changes, when there is none of the same options (steps apart)."""
        if not path.is_file():
            return False
        with safe_open(path, framework="pt", device=str(self.device)) as stream:
            metadata = stream.metadata()
            theirs, ours = json.loads(metadata["options"]), asdict(self.options)
            if {**theirs, "steps": 0, "patience": 0} != {**ours, "steps": 0, "patience": 0}:
                return False
            for name in self.params:
                self.params[name] = stream.get_tensor(f"params/{name}")
                self.best[name] = stream.get_tensor(f"best/{name}")
                self._moments[name] = [stream.get_tensor(f"moment{k}/{name}") for k in range(2)]
        self.progress = Progress(**json.loads(metadata["progress"]))
        return True


def _feature_distance(encoder: StyleEncoder, picture: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """The mean distance [N] of normalised features of the backbone's first blocks, 0 to 2 on the face."""
    distance: Tensor | float = 0.0
    x, y = (_to_input(one, encoder.config.inputs) for one in (picture, target))
    x, y = (functional.prelu(encoder.stem(one), encoder.slope) for one in (x, y))
    blocks = list(encoder.body)[:FEATURE_BLOCKS]
    for block in blocks:
        x, y = block(x), block(y)
        part = functional.interpolate(weight, x.shape[2:], mode="area")
        apart = (functional.normalize(x, dim=1) - functional.normalize(y, dim=1)).square().sum(1, keepdim=True)
        distance = distance + (apart * part).mean((1, 2, 3)) / part.mean()
    return torch.as_tensor(distance) / len(blocks) / 2


def _to_input(picture: Tensor, channels: int) -> Tensor:
    """The picture as the backbone takes it, at most 256 px; the backbone is convolutional, so smaller ones stay."""
    if picture.shape[-1] > INPUT_PX:
        picture = functional.adaptive_avg_pool2d(picture, (INPUT_PX, INPUT_PX))
    return picture if channels == 3 else torch.cat([picture, picture], dim=1)

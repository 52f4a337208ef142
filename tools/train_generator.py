"""Train the bundled portrait generator on drawn heads; resumable.

    python -m tools.train_generator --data runs/faces --out runs/generator --minutes 12 28 45 --sharpen 15

Paired supervision: the parameters of every picture are known, so the mapping network takes the person's attributes
and the light, the motion code takes the pose and expression, and the loss is the distance to the picture at 64, 128
and 256 px (premultiplied RGBA, before black and before white; pixels and gradients; eyes, mouth and brows weighted
up). Grown: first to 64 px, then 128, then 256, each for the given minutes of training time. Half of the batch mixes
styles: the layers of shape get another person's colours, the layers of colour another person's shape, which keeps them
separable. The last ``sharpen`` minutes at 256 px have an adversarial term (``tools/critic.py``), for crisp hair and
eyes. The checkpoint (weights, their moving average, optimisers, the time spent) is written every three minutes and
continued from when it is there.

To go on with trained weights (``tools/checkpoints``) with the critic, at a rate that does not undo them:

    python -m tools.train_generator --minutes 0 0 90 --sharpen 90 --rate 3e-4

``--bf16`` convolves in bfloat16, which processors with AMX and GPUs do several times as fast; the drawing of points and
maps, whose sines need every bit, the mapping network and all losses stay in float32.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.motion import MOTION
from engines.portrait import COLOUR_LAYERS, DIM, LAYERS, Mapping, PortraitGenerator
from engines.spatial_code import head_map, project
from tools.critic import Critic, balanced, telling_apart
from tools.face_world import names, points
from tools.face_world.sampling import SPREADS
from tools.gates import open_gates
from tools.training import spend, write

SIZES, BATCHES, RATES = (64, 128, 256), (32, 12, 6), (2e-3, 1.2e-3, 8e-4)
READERS, FASTER = ("inject", "painted", "cover"), 3.0  # what reads the maps learns from few pictures each
CRITIC_RATE, CRITIC_SHARE = 4e-4, 0.5  # its learning rate; its part of the gradient beside the distance's
BLURRED = 2.0  # the weight of colours over wider places
SHARPENING = 0.12  # with the critic at least this part of the rate: what was learnt till then is settled


def attribute_names() -> list[str]:
    """The parameters that make a person and the light: all but the motion."""
    return [n for n in names() if n not in MOTION]


def colour_columns() -> list[int]:
    """Which of the attributes are colours."""
    return [i for i, n in enumerate(attribute_names()) if n.split("_")[-1] in ("r", "g", "b") or n == "grey"]


class Model(nn.Module):
    """Mapping and generator, trained together."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping, self.generator = Mapping(len(attribute_names())), PortraitGenerator()


class Faces:
    """Shards of drawn heads; new ones are seen by ``refresh``."""

    def __init__(self, folder: Path, split: str, device: str = "cpu") -> None:
        self.folder, self.split, self.device = folder, split, device
        self.attribute = [names().index(n) for n in attribute_names()]
        self.motion = [names().index(n) for n in MOTION]
        self.refresh()

    def refresh(self) -> None:
        """Look for shards written since."""
        files = sorted(p for p in self.folder.glob(f"{self.split}-*.npy") if ".parameters" not in p.name)
        if not files:
            raise SystemExit(
                f"{self.folder} holds no {self.split} shards; "
                f"draw them first: python -m tools.render_faces --out {self.folder}"
            )
        self.pictures = [np.load(p, mmap_mode="r") for p in files]
        self.parameters = np.concatenate([np.load(p.with_suffix(".parameters.npy")) for p in files])
        self.at_rest = points(self.parameters)[1]

    def __len__(self) -> int:
        return len(self.parameters)

    def batch(self, rows: np.ndarray, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Attributes, motion, points at rest and premultiplied pictures [N, 4, size, size] in 0..1."""
        each = len(self.pictures[0])
        drawn = np.stack([self.pictures[i // each][i % each] for i in rows])
        rgba = torch.from_numpy(drawn).to(self.device).permute(0, 3, 1, 2).float() / 255
        rgba = torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], 1)
        rgba = F.avg_pool2d(rgba, rgba.shape[-1] // size) if size < rgba.shape[-1] else rgba
        p = torch.from_numpy(self.parameters[rows]).to(self.device)
        return p[:, self.attribute], p[:, self.motion], torch.from_numpy(self.at_rest[rows]).to(self.device), rgba


def mixed_codes(model: Model, attributes: Tensor, mix: bool) -> Tensor:
    """W+ [N, 10, 256]; with ``mix`` half of the batch has other people's colours in shape layers and the reverse.

    The layers of colour draw strands and rims too, so they are always told the truth about what there is to draw; only
    the measures of the face are another person's there.
    """
    w = model.mapping(attributes)
    wplus = w[:, None].expand(-1, LAYERS, DIM)
    if not mix:
        return wplus
    half, columns = len(attributes) // 2, colour_columns()
    mine, other = attributes[:half], attributes[half : 2 * half]
    shape_only, colour_only = mine.clone(), other.clone()
    shape_only[:, columns] = other[:, columns]
    told = [i for i, name in enumerate(attribute_names()) if name not in SPREADS]
    colour_only[:, told] = mine[:, told]
    is_colour = torch.tensor([i in COLOUR_LAYERS for i in range(LAYERS)], device=w.device)[None, :, None]
    mixed = torch.where(is_colour, model.mapping(colour_only)[:, None], model.mapping(shape_only)[:, None])
    return torch.cat([mixed, wplus[half:]])


def weights(at_rest: Tensor, motion: Tensor, size: int) -> Tensor:
    """Where the picture matters most: 1 everywhere, up to 4 at eyes, mouth and brows, [N, 1, size, size]."""
    place = project(at_rest, motion)
    axis = (torch.arange(64, device=motion.device) + 0.5) / 32 - 1
    total = torch.zeros(len(motion), 64, 64, device=motion.device)
    for i in (0, 17, 36, 37, 8, 9, 25, 26):  # eyes, upper and lower lip, insides and middles of the brows
        dx, dy = axis[None, None, :] - place[:, i, 0, None, None], -axis[None, :, None] - place[:, i, 1, None, None]
        total = torch.maximum(total, torch.exp((dx * dx + dy * dy) / (-2 * 0.11**2)))
    return F.interpolate(1 + 3 * total[:, None], size=(size, size), mode="bilinear", align_corners=False)


def on_black_and_white(rgba: Tensor) -> Tensor:
    """Premultiplied RGBA [N, 4, s, s] with what is seen of it before white, [N, 7, s, s]: colours that end before their
    alpha does are a dark rim there."""
    return torch.cat([rgba, rgba[:, :3] + 1 - rgba[:, 3:]], 1)


def distance(got: Tensor, want: Tensor, weight: Tensor) -> Tensor:
    """Weighted L1 of pixels and of gradients."""
    error = ((got - want).abs() * weight).mean()
    for dim in (2, 3):
        inner = weight.narrow(dim, 1, weight.shape[dim] - 1)
        error = error + (got.diff(dim=dim) - want.diff(dim=dim)).abs().mul(inner).mean()
    return error


def blurred_distance(got: Tensor, want: Tensor) -> Tensor:
    """L1 of means over 16x16 pixels. Where curls cannot be told one by one, L1 of pixels settles on the median of their
    lights and darks, which is another colour than their mean."""
    return F.avg_pool2d(got - want, 16).abs().mean()


class Drawn(NamedTuple):
    """A batch's loss, and its pictures as they were drawn and wanted, premultiplied RGBA [N, 4, size, size]."""

    loss: Tensor
    made: Tensor
    wanted: Tensor


def loss_of(model: Model, faces: Faces, rows: np.ndarray, size: int, critic: Critic | None = None) -> Drawn:
    """The training loss of one batch; with a critic, its judgement of the largest pictures is part of it."""
    attributes, motion, at_rest, want = faces.batch(rows, size)
    pictures, rest = model.generator(mixed_codes(model, attributes, True), motion, size)
    loss = distance(on_black_and_white(pictures[-1]), on_black_and_white(want), weights(at_rest, motion, size))
    if critic is not None:
        loss = balanced(loss, critic(pictures[-1], want).mean(), pictures[-1], CRITIC_SHARE)
    loss = loss + 4 * (rest - at_rest).abs().mean() + BLURRED * blurred_distance(pictures[-1], want)
    for picture in pictures[:-1]:
        s = picture.shape[-1]
        loss = loss + 0.3 * distance(picture, F.avg_pool2d(want, size // s), weights(at_rest, motion, s))
    return Drawn(loss, pictures[-1].detach(), want)


@torch.no_grad()
def quality(model: Model, faces: Faces, rows: np.ndarray, size: int) -> tuple[list[float], list[float]]:
    """PSNR inside the mask (dB) and alpha IoU of each of these heads."""
    attributes, motion, _, want = faces.batch(rows, size)
    got = model.generator(mixed_codes(model, attributes, False), motion, size)[0][-1].clamp(0, 1)
    inside, drawn = want[:, 3:] > 0.5, got[:, 3:] > 0.5
    iou = (drawn & inside).sum((1, 2, 3)) / (drawn | inside).sum((1, 2, 3))
    return ratios(got, want), iou.tolist()


def ratios(got: Tensor, want: Tensor) -> list[float]:
    """PSNR inside the mask, dB, of each of these pictures, premultiplied RGBA [N, 4, s, s] in 0..1."""
    inside = want[:, 3:] > 0.5
    error = ((got - want)[:, :3].square() * inside).sum((1, 2, 3)) / (3 * inside.sum((1, 2, 3)))
    found: list[float] = (-10 * torch.log10(error)).tolist()
    return found


def averaged(file: Path) -> dict[str, Tensor]:
    """The moving average of a checkpoint's weights, by their names in the model."""
    saved = torch.load(file, map_location="cpu", weights_only=True)["average"]
    return {name.removeprefix("module."): value for name, value in saved.items() if name.startswith("module.")}


def evaluate(model: Model, faces: Faces, size: int, count: int = 48) -> tuple[float, float]:
    """Mean PSNR inside the mask (dB) and alpha IoU on people who were not trained on."""
    rows = np.arange(min(count, len(faces)))
    pairs = [quality(model, faces, rows[start : start + 16], size) for start in range(0, len(rows), 16)]
    ratios, ious = ([v for pair in pairs for v in pair[i]] for i in (0, 1))
    return float(np.mean(ratios)), float(np.mean(ious))


def initialise(model: Model, faces: Faces) -> None:
    """Set the means and spreads that the networks normalise with, and who wears what."""
    attributes = faces.parameters[:, faces.attribute]
    model.mapping.mean.data = torch.from_numpy(attributes.mean(0))
    model.mapping.spread.data = torch.from_numpy(attributes.std(0) + 0.02)
    model.generator.geometry.mean.data = torch.from_numpy(faces.at_rest.mean(0))
    open_gates(model.mapping, model.generator)


def stage_of(spent_s: float, minutes: list[float]) -> tuple[int, float]:
    """Which size is trained after ``spent_s``, and how far through it (0..1); the last stage at 1 means done."""
    for i, m in enumerate(minutes):
        if spent_s < 60 * m:
            return i, spent_s / (60 * m)
        spent_s -= 60 * m
    return len(minutes) - 1, 1.0


def in_bf16(network: Callable[..., Any], device: str) -> Callable[..., Any]:
    """A network that convolves in bfloat16 and answers in float32."""

    def run(*inputs: Any) -> Any:
        with torch.autocast(device, torch.bfloat16):
            answer = network(*inputs)
        return [one.float() for one in answer] if isinstance(answer, list) else answer.float()

    return run


class Training:
    """Everything that a step changes and a checkpoint holds."""

    def __init__(self, faces: Faces, device: str, eager: bool, bf16: bool = False) -> None:
        self.faces = faces
        self.model = Model()
        initialise(self.model, faces)
        self.model = self.model.to(device, memory_format=torch.channels_last)
        mean = torch.optim.swa_utils.get_ema_multi_avg_fn(0.995)
        self.average = torch.optim.swa_utils.AveragedModel(self.model, multi_avg_fn=mean)
        if not eager:  # many small formulas: ten times as fast; a step of 256 px takes 0.66 instead of 0.75 s
            self.model.generator.maps = self.average.module.generator.maps = torch.compile(head_map, dynamic=False)
            self.model.generator.synthesis = torch.compile(self.model.generator.synthesis, dynamic=False)
        if bf16:
            self.model.generator.synthesis = in_bf16(self.model.generator.synthesis, device)
        named = list(self.model.generator.named_parameters())
        readers = [p for name, p in named if name.startswith(READERS)]
        rest = [*self.model.mapping.parameters(), *(p for name, p in named if not name.startswith(READERS))]
        groups = [{"params": rest, "times": 1.0}, {"params": readers, "times": FASTER}]
        self.optimiser = torch.optim.Adam(groups, betas=(0.5, 0.99))
        self.critic = Critic().to(device, memory_format=torch.channels_last)
        if bf16:
            self.critic.forward = in_bf16(self.critic.forward, device)
        self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), betas=(0.0, 0.99), lr=CRITIC_RATE)
        self.spent, self.step, self.loss = 0.0, 0, math.nan

    def take(self, size: int, batch: int, rate: float, sharpen: bool) -> None:
        """One step."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["times"]
        rows = np.random.default_rng(self.step).integers(0, len(self.faces), batch)
        drawn = loss_of(self.model, self.faces, rows, size, self.critic if sharpen else None)
        self.optimiser.zero_grad(set_to_none=True)
        drawn.loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.average.update_parameters(self.model)
        if sharpen:
            self.critic_optimiser.zero_grad(set_to_none=True)
            telling_apart(self.critic, drawn.wanted, drawn.made).backward()
            self.critic_optimiser.step()
        self.step, self.loss = self.step + 1, drawn.loss.item()

    def load(self, file: Path, device: str) -> None:
        """Go on from a checkpoint. ``tools/checkpoints`` keeps weights only: the optimisers start afresh."""
        saved = torch.load(file, map_location=device, weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.average.load_state_dict(saved["average"])
        for name, part in self._further().items():
            if name in saved:
                part.load_state_dict(saved[name])
        self.spent, self.step = saved["spent"], saved["step"]

    def save(self, file: Path) -> None:
        """Write a checkpoint in one piece."""
        state = {name: part.state_dict() for name, part in self._further().items()}
        state |= {"model": self.model.state_dict(), "average": self.average.state_dict()}
        write({**state, "spent": self.spent, "step": self.step}, file)

    def _further(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        return {"optimiser": self.optimiser, "critic": self.critic, "critic_optimiser": self.critic_optimiser}


def train(
    run: Training,
    held_out: Faces,
    minutes: list[float],
    sharpen: float,
    file: Path,
    rates: tuple[float, ...] = RATES,
    batches: tuple[int, ...] = BATCHES,
) -> None:
    """Train until the minutes of every size are spent, at these highest rates, at last with the critic."""
    total, stage_was = 60 * sum(minutes), -1

    def take() -> None:
        nonlocal stage_was
        stage, through = stage_of(run.spent, minutes)
        if stage != stage_was and stage_was >= 0:
            run.average.module.load_state_dict(run.model.state_dict())
        stage_was, size = stage, SIZES[stage]
        sharpened = size == SIZES[-1] and total - run.spent < 60 * sharpen
        least = SHARPENING if sharpened else 0.04
        rate = rates[stage] * min(1.0, 20 * through + 0.05) * max(least, 0.5 + 0.5 * math.cos(math.pi * through))
        run.take(size, batches[stage], rate, sharpened)

    def told() -> str:
        ratio, iou = evaluate(run.average.module, held_out, SIZES[stage_was])
        run.faces.refresh()
        return (
            f"{SIZES[stage_was]} px, step {run.step}, loss {run.loss:.4f}, held-out PSNR {ratio:.2f} dB, "
            f"alpha IoU {iou:.4f}, {len(run.faces)} pictures"
        )

    spend(run, total, take, partial(run.save, file), told)


def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--data", type=Path, default=Path("runs/faces"))
    a.add_argument("--out", type=Path, default=Path("runs/generator"))
    a.add_argument("--minutes", type=float, nargs=3, default=[12, 28, 45], help="training time at 64, 128 and 256 px")
    a.add_argument("--sharpen", type=float, default=15, help="how many of the last minutes have the adversarial term")
    a.add_argument("--rate", type=float, default=RATES[-1], help="highest at 256 px; trained weights go on at 3e-4")
    a.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    a.add_argument("--eager", action="store_true", help="do not compile: starts at once, for short runs")
    a.add_argument("--bf16", action="store_true", help="convolve in bfloat16: for processors with AMX, and GPUs")
    a.add_argument("--batch", type=int, default=BATCHES[-1], help="pictures a step at 256 px")
    o = a.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    faces, held_out = (Faces(o.data, split, o.device) for split in ("train", "held_out"))
    run, file = Training(faces, o.device, o.eager, o.bf16), o.out / "checkpoint.pt"
    if file.exists():
        run.load(file, o.device)
    train(run, held_out, o.minutes, o.sharpen, file, (*RATES[:-1], o.rate), (*BATCHES[:-1], o.batch))


def keep_memory(module: str) -> None:
    """Start again with an allocator that keeps and reuses what it has, in huge pages (glibc's tunables, Linux).

    Every step makes and drops some hundred tensors of 20 MB. Given back to the system each time, their page faults
    took most of a step: on a virtual machine with 2 cores 1.3 s and more a step of 6 pictures at 256 px, 0.41 s so.
    """
    if sys.platform != "linux" or "GLIBC_TUNABLES" in os.environ:
        return
    kept = {"hugetlb": 1, "mmap_max": 0, "trim_threshold": 10**11, "top_pad": 5 * 10**8}
    tunables = ":".join(f"glibc.malloc.{name}={value}" for name, value in kept.items())
    command = [sys.executable, "-m", module, *sys.argv[1:]]
    os.execve(sys.executable, command, {**os.environ, "GLIBC_TUNABLES": tunables})


if __name__ == "__main__":
    keep_memory("tools.train_generator")
    main()

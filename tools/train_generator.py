"""Train the bundled portrait generator on drawn heads; resumable.

    python -m tools.train_generator --data runs/faces --out runs/generator --minutes 12 28 45

Paired supervision: the parameters of every picture are known, so the mapping network takes the person's attributes
and the light, the motion code takes the pose and expression, and the loss is the distance to the picture at 64, 128
and 256 px (premultiplied RGBA, pixels and gradients, eyes and mouth weighted up). Grown: first to 64 px, then 128,
then 256, each for the given minutes of training time. Half of the batch mixes styles: the layers of shape get
another person's colours, the layers of colour another person's shape, which keeps them separable. The checkpoint
(weights, their moving average, optimiser, the time spent) is written every three minutes and continued from when it
is there.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.motion import MOTION
from engines.portrait import COLOUR_LAYERS, DIM, LAYERS, Mapping, PortraitGenerator
from engines.spatial_code import head_map, project
from tools.face_world import names, points

SIZES, BATCHES, RATES = (64, 128, 256), (32, 12, 6), (2e-3, 1.2e-3, 8e-4)


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
    """W+ [N, 10, 256]; with ``mix`` half of the batch has other people's colours in shape layers and the reverse."""
    w = model.mapping(attributes)
    wplus = w[:, None].expand(-1, LAYERS, DIM)
    if not mix:
        return wplus
    half, columns = len(attributes) // 2, colour_columns()
    mine, other = attributes[:half], attributes[half : 2 * half]
    shape_only, colour_only = mine.clone(), other.clone()
    shape_only[:, columns] = other[:, columns]
    colour_only[:, columns] = mine[:, columns]
    look = slice(attribute_names().index("light_x"), None)  # the light and, after it, the domain
    colour_only[:, look] = mine[:, look]
    is_colour = torch.tensor([i in COLOUR_LAYERS for i in range(LAYERS)], device=w.device)[None, :, None]
    mixed = torch.where(is_colour, model.mapping(colour_only)[:, None], model.mapping(shape_only)[:, None])
    return torch.cat([mixed, wplus[half:]])


def weights(at_rest: Tensor, motion: Tensor, size: int) -> Tensor:
    """Where the picture matters most: 1 everywhere, up to 4 at eyes and mouth, [N, 1, size, size]."""
    place = project(at_rest, motion)
    axis = (torch.arange(64, device=motion.device) + 0.5) / 32 - 1
    total = torch.zeros(len(motion), 64, 64, device=motion.device)
    for i in (0, 17, 36, 37):  # eyes, upper and lower lip
        dx, dy = axis[None, None, :] - place[:, i, 0, None, None], -axis[None, :, None] - place[:, i, 1, None, None]
        total = torch.maximum(total, torch.exp((dx * dx + dy * dy) / (-2 * 0.11**2)))
    return F.interpolate(1 + 3 * total[:, None], size=(size, size), mode="bilinear", align_corners=False)


def distance(got: Tensor, want: Tensor, weight: Tensor) -> Tensor:
    """Weighted L1 of pixels and of gradients."""
    error = ((got - want).abs() * weight).mean()
    for dim in (2, 3):
        inner = weight.narrow(dim, 1, weight.shape[dim] - 1)
        error = error + (got.diff(dim=dim) - want.diff(dim=dim)).abs().mul(inner).mean()
    return error


def loss_of(model: Model, faces: Faces, rows: np.ndarray, size: int) -> Tensor:
    """The training loss of one batch."""
    attributes, motion, at_rest, want = faces.batch(rows, size)
    pictures, rest = model.generator(mixed_codes(model, attributes, True), motion, size)
    loss = 4 * (rest - at_rest).abs().mean()
    for picture in pictures:
        s = picture.shape[-1]
        target = F.avg_pool2d(want, size // s) if s < size else want
        loss = loss + distance(picture, target, weights(at_rest, motion, s)) * (1.0 if s == size else 0.3)
    return loss


@torch.no_grad()
def quality(model: Model, faces: Faces, rows: np.ndarray, size: int) -> tuple[list[float], list[float]]:
    """PSNR inside the mask (dB) and alpha IoU of each of these heads."""
    attributes, motion, _, want = faces.batch(rows, size)
    got = model.generator(mixed_codes(model, attributes, False), motion, size)[0][-1].clamp(0, 1)
    inside, drawn = want[:, 3:] > 0.5, got[:, 3:] > 0.5
    error = ((got - want)[:, :3].square() * inside).sum((1, 2, 3)) / (3 * inside.sum((1, 2, 3)))
    iou = (drawn & inside).sum((1, 2, 3)) / (drawn | inside).sum((1, 2, 3))
    return (-10 * torch.log10(error)).tolist(), iou.tolist()


def evaluate(model: Model, faces: Faces, size: int, count: int = 48) -> tuple[float, float]:
    """Mean PSNR inside the mask (dB) and alpha IoU on people who were not trained on."""
    rows = np.arange(min(count, len(faces)))
    pairs = [quality(model, faces, rows[start : start + 16], size) for start in range(0, len(rows), 16)]
    ratios, ious = ([v for pair in pairs for v in pair[i]] for i in (0, 1))
    return float(np.mean(ratios)), float(np.mean(ious))


def initialise(model: Model, faces: Faces) -> None:
    """Set the means and spreads that the networks normalise with."""
    attributes = faces.parameters[:, faces.attribute]
    model.mapping.mean.data = torch.from_numpy(attributes.mean(0))
    model.mapping.spread.data = torch.from_numpy(attributes.std(0) + 0.02)
    model.generator.geometry.mean.data = torch.from_numpy(faces.at_rest.mean(0))


def stage_of(spent_s: float, minutes: list[float]) -> tuple[int, float]:
    """Which size is trained after ``spent_s``, and how far through it (0..1); the last stage at 1 means done."""
    for i, m in enumerate(minutes):
        if spent_s < 60 * m:
            return i, spent_s / (60 * m)
        spent_s -= 60 * m
    return len(minutes) - 1, 1.0


def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--data", type=Path, default=Path("runs/faces"))
    a.add_argument("--out", type=Path, default=Path("runs/generator"))
    a.add_argument("--minutes", type=float, nargs=3, default=[12, 28, 45], help="training time at 64, 128 and 256 px")
    a.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    a.add_argument("--eager", action="store_true", help="do not compile: starts at once, for short runs")
    o = a.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    faces, held_out = (Faces(o.data, split, o.device) for split in ("train", "held_out"))
    model = Model()
    initialise(model, faces)
    model = model.to(o.device, memory_format=torch.channels_last)
    if not o.eager:
        model.generator.maps = torch.compile(head_map, dynamic=False)  # many small formulas: ten times as fast
    optimiser = torch.optim.Adam(model.parameters(), betas=(0.5, 0.99))
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99))
    spent, step, file = 0.0, 0, o.out / "checkpoint.pt"
    if file.exists():
        saved = torch.load(file, map_location=o.device, weights_only=True)
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        if "optimiser" in saved:  # tools/checkpoints keeps weights only: the optimiser starts afresh
            optimiser.load_state_dict(saved["optimiser"])
        spent, step = saved["spent"], saved["step"]
    last, saved_at, stage_was = time.monotonic(), spent, -1
    while (place := stage_of(spent, o.minutes))[1] < 1:
        stage, through = place
        if stage != stage_was and stage_was >= 0:
            average.module.load_state_dict(model.state_dict())
        stage_was, size = stage, SIZES[stage]
        rate = RATES[stage] * min(1.0, 20 * through + 0.05) * max(0.04, 0.5 + 0.5 * math.cos(math.pi * through))
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = loss_of(model, faces, np.random.default_rng(step).integers(0, len(faces), BATCHES[stage]), size)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        average.update_parameters(model)
        step += 1
        now = time.monotonic()
        spent, last = spent + min(now - last, 10.0), now
        if spent - saved_at > 180 or stage_of(spent, o.minutes)[1] >= 1:
            state = {
                "model": model.state_dict(),
                "average": average.state_dict(),
                "optimiser": optimiser.state_dict(),
                "spent": spent,
                "step": step,
            }
            torch.save(state, file.with_suffix(".new"))
            file.with_suffix(".new").replace(file)
            ratio, iou = evaluate(average.module, held_out, size)
            print(
                f"{spent / 60:.1f} min, {size} px, step {step}, loss {loss.item():.4f}, "
                f"held-out PSNR {ratio:.2f} dB, alpha IoU {iou:.4f}, {len(faces)} pictures",
                flush=True,
            )
            saved_at = spent
            faces.refresh()


def keep_memory() -> None:
    """Start again with an allocator that keeps and reuses what it has, in huge pages (glibc's tunables, Linux).

    Every step makes and drops some hundred tensors of 20 MB. Given back to the system each time, their page faults
    took most of a step: on a virtual machine with 2 cores 1.3 s and more a step of 6 pictures at 256 px, 0.41 s so.
    """
    if sys.platform != "linux" or "GLIBC_TUNABLES" in os.environ:
        return
    kept = {"hugetlb": 1, "mmap_max": 0, "trim_threshold": 10**11, "top_pad": 5 * 10**8}
    tunables = ":".join(f"glibc.malloc.{name}={value}" for name, value in kept.items())
    command = [sys.executable, "-m", "tools.train_generator", *sys.argv[1:]]
    os.execve(sys.executable, command, {**os.environ, "GLIBC_TUNABLES": tunables})


if __name__ == "__main__":
    keep_memory()
    main()

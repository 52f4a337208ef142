"""Train the top of the bundled generator, which draws 512 px, on drawn heads; resumable.

    python -m tools.render_faces --out runs/faces512 --size 512 --train 1500 --held-out 48 --seed 3
    python -m tools.train_top --generator runs/generator/checkpoint.pt --data runs/faces512 --out runs/top --minutes 20

All that lies below stays as it is (``engines/portrait_top.py``). The top is local: so a step draws whole heads below,
but the top and its maps only in some windows of each, with the same loss as ``tools/train_generator.py``; what lies at
a window's border, where the top does not see its neighbours, counts for nothing. Half of the batch mixes styles.
The checkpoint (the top's weights, their moving average, the optimiser, the time spent) is written every three minutes
and continued from when it is there; if the generator was trained on since, the top first reads W as that one does. It
prints what the top reaches on held-out heads beside the doubled 256 px picture.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.portrait_top import SIZE, LargeGenerator, Top, begin, follow, window_map
from engines.spatial_code import drawing, head_map, project
from tools.train_generator import Faces, Model, averaged, distance, keep_memory, mixed_codes, ratios, weights
from tools.training import spend, write

HEADS, WINDOWS, EDGE, MARGIN = 4, 2, 128, 4  # heads a step, windows of each; a window's edge and what of it is border
# What begins as the level below is good already: it learns slowly. Numbers that read W meet 256 others in every pixel.
RATE, OF_W = 1e-3, 0.1
RATES = {"convs": 1.0, "inject": 1.0, "rgb": 1.0, "painted": 0.1, "cover": 0.03, "worn": 0.03}
READ_W = ("affine.weight", "colours.weight", *(f"worn{part}.weight" for part in ("", ".0", ".1")))


class Below(NamedTuple):
    """What the top gets for heads: W+ [N, 10, 256], the points at rest, features [N, 48, 128, 128], picture."""

    wplus: Tensor
    rest: Tensor
    x: Tensor
    bare: Tensor


def cut(pictures: Tensor, places: Tensor, edge: int) -> Tensor:
    """Windows: the k-th of ``places`` [N * K, 2] from picture k // K of [N, C, s, s] -> [N * K, C, edge, edge]."""
    each = len(places) // len(pictures)
    found = [pictures[k // each, :, y : y + edge, x : x + edge] for k, (y, x) in enumerate(places.tolist())]
    return torch.stack(found).contiguous(memory_format=torch.channels_last)


def times_of(name: str) -> float:
    """By how much of the rate a parameter of the top learns."""
    return RATES[name.partition(".")[0]] * (OF_W if name.endswith(READ_W) else 1.0)


class Training:
    """Everything that a step changes and a checkpoint holds."""

    def __init__(self, model: Model, faces: Faces, device: str, eager: bool) -> None:
        self.faces, self.device = faces, device
        self.model = model.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
        top = Top()
        begin(top, model.generator.cpu())
        model.generator.to(device)
        self.top = top.to(device, memory_format=torch.channels_last)
        mean = torch.optim.swa_utils.get_ema_multi_avg_fn(0.99)
        self.average = torch.optim.swa_utils.AveragedModel(self.top, multi_avg_fn=mean)
        groups = [{"params": [p], "times": times_of(name)} for name, p in self.top.named_parameters()]
        self.optimiser = torch.optim.Adam(groups, betas=(0.5, 0.99))
        self.map, self.window_map, self.levels, self.draw = head_map, window_map, self._levels, self.top.forward
        if not eager:
            self.map, self.window_map, self.levels, self.draw = (
                torch.compile(part, dynamic=False) for part in (self.map, self.window_map, self.levels, self.draw)
            )
        self.spent, self.step, self.loss = 0.0, 0, math.nan

    def _levels(self, drawn: Tensor, wplus: Tensor, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        return self.model.generator.levels(drawn, wplus.unbind(1), maps)[1:]

    @torch.no_grad()
    def below(self, attributes: Tensor, motion: Tensor, mix: bool) -> Below:
        """The network below for a batch."""
        wplus = mixed_codes(self.model, attributes, mix)
        rest = self.model.generator.geometry(wplus[:, 0], motion)
        fine = self.map(rest, motion, SIZE // 4).contiguous(memory_format=torch.channels_last)
        maps = [F.avg_pool2d(fine, 2), fine]
        drawn = drawing(project(rest, motion), motion, maps[0]).to(memory_format=torch.channels_last)
        return Below(wplus, rest, *self.levels(drawn, wplus, maps))

    def take(self, rate: float) -> None:
        """One step."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["times"]
        random = np.random.default_rng(self.step)
        attributes, motion, at_rest, want = self.faces.batch(random.integers(0, len(self.faces), HEADS), SIZE)
        below = self.below(attributes, motion, True)
        # Whole pixels of the features below; the windows lie anywhere, so what is in the middle is in most of them.
        places = torch.from_numpy(2 * random.integers(0, (SIZE // 2 - EDGE) // 2 + 1, (HEADS * WINDOWS, 2)))
        each = [t.repeat_interleave(WINDOWS, 0) for t in (below.rest, motion, below.wplus)]
        with torch.no_grad():
            maps = self.window_map(each[0], each[1], places.to(self.device), EDGE)
            maps = maps.contiguous(memory_format=torch.channels_last)
            weight = cut(weights(at_rest, motion, SIZE), 2 * places, 2 * EDGE)
        made = self.draw(cut(below.x, places // 2, EDGE // 2), cut(below.bare, places, EDGE), maps, each[2])
        inner = slice(2 * MARGIN, 2 * (EDGE - MARGIN))
        parts = (t[..., inner, inner] for t in (made, cut(want, 2 * places, 2 * EDGE), weight))
        loss = distance(*parts)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.top.parameters(), 1.0)
        self.optimiser.step()
        self.average.update_parameters(self.top)
        self.step, self.loss = self.step + 1, loss.item()

    def load(self, file: Path) -> None:
        """Go on from a checkpoint. ``tools/checkpoints`` keeps the weights only: the optimiser starts afresh."""
        saved = torch.load(file, map_location=self.device, weights_only=True)
        for name in ("top", "average", "optimiser"):
            if name in saved:
                getattr(self, name).load_state_dict(saved[name])
        self.spent, self.step = saved["spent"], saved["step"]
        if not torch.equal(saved.get("reads", torch.zeros(())).to(self.device), self._reads()):
            for top in (self.top, self.average.module):
                follow(top, self.model.generator)

    def _reads(self) -> Tensor:
        """What the generator below reads W by: others, if it was trained on."""
        return self.model.generator.cover.colours.get_parameter("weight")

    def save(self, file: Path) -> None:
        """Write a checkpoint in one piece."""
        state = {name: getattr(self, name).state_dict() for name in ("top", "average", "optimiser")}
        write({**state, "reads": self._reads(), "spent": self.spent, "step": self.step}, file)


@torch.no_grad()
def drawn_twice(model: Model, top: Top, faces: Faces, count: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Of the first heads, a few at a time: as drawn, the doubled 256 px pictures, and the top's [N, 4, 512, 512]."""
    large = LargeGenerator(model.generator, top)
    for start in range(0, min(count, len(faces)), 4):
        attributes, motion, _, want = faces.batch(np.arange(start, min(start + 4, count, len(faces))), SIZE)
        wplus = mixed_codes(model, attributes, False)
        drawn, *maps = large.motion_code(wplus[:, 0], motion)
        pictures, x, bare = model.generator.levels(drawn, wplus.unbind(1), maps[:-1])
        doubled = F.interpolate(pictures[-1].clamp(0, 1), scale_factor=2.0, mode="bilinear", align_corners=False)
        yield want, doubled, top(x, bare, maps[-1], wplus).clamp(0, 1)


def evaluate(model: Model, top: Top, faces: Faces, count: int = 24) -> tuple[float, float]:
    """Mean PSNR at 512 px on heads that were not trained on: the top's, and the doubled 256 px picture's."""
    pairs = []
    for want, doubled, made in drawn_twice(model, top, faces, count):
        pairs += zip(ratios(made, want), ratios(doubled, want), strict=True)
    one, other = np.mean(pairs, 0).tolist()
    return one, other


def train(run: Training, held_out: Faces, minutes: float, file: Path) -> None:
    """Train until the minutes are spent."""
    total = 60 * minutes

    def take() -> None:
        through = run.spent / total
        run.take(RATE * min(1.0, 50 * through + 0.05) * max(0.04, 0.5 + 0.5 * math.cos(math.pi * through)))

    def told() -> str:
        own, doubled = evaluate(run.model, run.average.module, held_out)
        run.faces.refresh()
        return (
            f"step {run.step}, loss {run.loss:.4f}, held-out PSNR at {SIZE} px {own:.2f} dB, "
            f"the doubled picture's {doubled:.2f} dB, {len(run.faces)} pictures"
        )

    spend(run, total, take, partial(run.save, file), told)


def load_top(file: Path) -> Top:
    """The moving average of a top's checkpoint."""
    top = Top()
    top.load_state_dict(averaged(file))
    return top.eval()


def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--generator", type=Path, default=Path("runs/generator/checkpoint.pt"))
    a.add_argument("--data", type=Path, default=Path("runs/faces512"))
    a.add_argument("--out", type=Path, default=Path("runs/top"))
    a.add_argument("--minutes", type=float, default=20)
    a.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    a.add_argument("--eager", action="store_true", help="do not compile: starts at once, for short runs")
    o = a.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    faces, held_out = (Faces(o.data, split, o.device) for split in ("train", "held_out"))
    model = Model()
    model.load_state_dict(averaged(o.generator))
    run, file = Training(model, faces, o.device, o.eager), o.out / "checkpoint.pt"
    if file.exists():
        run.load(file)
    train(run, held_out, o.minutes, file)


if __name__ == "__main__":
    keep_memory("tools.train_top")
    main()

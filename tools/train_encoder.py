"""Train the encoder of the bundled models: from a head crop to the attributes of the person and the light; resumable.

    python -m tools.train_encoder --data runs/faces --out runs/encoder --minutes 20 --start engines/weights/encoder.onnx

Trained on drawn heads of all four styles (``tools/encoder_pictures.py``), natural ones more often, because real people
look most like them. The loss is a Huber distance for measures and a cross-entropy for hair styles and yes-or-no. What
only some people have (a beard, earrings) is asked for as whether and how much; the answer is the product. ``--start``
takes over the convolutions of an exported encoder, so that a training begins where the last one ended.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.attributes import PERSONAL
from tools.encoder_network import (
    GEAR,
    GLASSES,
    MEASURES,
    SOME_COLUMNS,
    SOMETIMES,
    STYLE_COLUMNS,
    YES_COLUMNS,
    AttributeEncoder,
    begin_with,
)
from tools.encoder_pictures import augment, backgrounds, reduced
from tools.face_world import names
from tools.train_generator import Faces

# Measures that only these show; elsewhere they are not asked for.
SHOWN_BY = {
    **dict.fromkeys(("glasses_frame", "frame_r", "frame_g", "frame_b"), GLASSES),
    **dict.fromkeys(("gear_r", "gear_g", "gear_b"), GEAR),
}
# What likeness hangs on and is rare or hard to see counts more; what is measured on the picture itself counts less.
EMPHASIS = {
    "age": 4.0,
    "femininity": 8.0,
    **{f"{part}_{c}": 0.3 for part in ("lip", "frame", "light", "cloth", "iris") for c in "rgbxyz"},
}
NATURAL, BEARDED = 2.0, 1.5  # how often natural heads are shown, and those with a beard, against the others
RATE, WARM_UP, AVERAGE = 1.5e-3, 0.03, 0.996


def loss_of(model: AttributeEncoder, pictures: Tensor, attributes: Tensor) -> Tensor:
    """Huber for measures and amounts where they show, cross-entropy for the rest."""
    raw = model.raw(pictures)
    wanted = (attributes - model.mean) / model.spread
    shown = torch.ones_like(wanted)
    for name, by in SHOWN_BY.items():
        shown[:, PERSONAL.index(name)] = (attributes[:, [PERSONAL.index(n) for n in by]].amax(1) > 0.5).float()
    there = (attributes[:, SOME_COLUMNS] > 0.05).float()
    shown[:, SOME_COLUMNS] = 2 * there
    emphasis = shown * torch.tensor([EMPHASIS.get(name, 1.0) for name in PERSONAL], device=raw.device)
    measured = MEASURES + SOME_COLUMNS
    each = F.smooth_l1_loss(raw[:, measured], wanted[:, measured], reduction="none")
    loss = (each * emphasis[:, measured]).sum() / emphasis[:, measured].sum()
    style = attributes[:, STYLE_COLUMNS].argmax(1)
    loss = loss + 0.4 * F.cross_entropy(raw[:, STYLE_COLUMNS], style, label_smoothing=0.03)
    loss = loss + F.binary_cross_entropy_with_logits(raw[:, len(PERSONAL) :], there)
    return loss + 0.5 * F.binary_cross_entropy_with_logits(raw[:, YES_COLUMNS], attributes[:, YES_COLUMNS].clamp(0, 1))


def truth(faces: Faces) -> Tensor:
    """The attributes of all pictures of a split, float32 [n, attributes]."""
    return torch.from_numpy(faces.parameters[:, [names().index(name) for name in PERSONAL]])


@torch.no_grad()
def evaluate(model: AttributeEncoder, faces: Faces, small: Tensor) -> dict[str, float]:
    """Accuracy on people who were not trained on, plain grey background; natural heads by themselves too."""
    rgba = small.to(model.mean.device).float() / 255
    model.eval()
    got = model.values(model.raw(rgba[:, :3] + (1 - rgba[:, 3:]) * 0.6)).cpu()
    model.train()
    want = truth(faces)

    def most(values: Tensor, *of: str) -> Tensor:
        return values[:, [PERSONAL.index(name) for name in of]].amax(1)

    def column(values: Tensor, name: str) -> Tensor:
        return values[:, PERSONAL.index(name)]

    right = {
        "hair_style": got[:, STYLE_COLUMNS].argmax(1) == want[:, STYLE_COLUMNS].argmax(1),
        "glasses": (sum(column(got, name) for name in GLASSES) > 0.5) == (most(want, *GLASSES) > 0.5),
        "beard": (most(got, *SOMETIMES[:3]) > 0.3) == (most(want, *SOMETIMES[:3]) > 0.3),
        "hat": (most(got, *GEAR[:2]) > 0.5) == (most(want, *GEAR[:2]) > 0.5),
        "headphones": (column(got, "headphones") > 0.5) == (column(want, "headphones") > 0.5),
        "age_within_0.15": (column(got, "age") - column(want, "age")).abs() < 0.15,
        "femininity": (column(got, "femininity") > 0.5) == (column(want, "femininity") > 0.5),
    }
    natural = torch.from_numpy(faces.parameters[:, names().index("domain_natural")] > 0.5)
    result = {name: float(each.float().mean()) for name, each in right.items()}
    result |= {f"natural_{name}": float(each[natural].float().mean()) for name, each in right.items()}
    skin = [PERSONAL.index(f"skin_{c}") for c in "rgb"]
    return result | {"skin_mean_error": float((got - want)[:, skin].abs().mean())}


def load_encoder(file: Path) -> AttributeEncoder:
    """The encoder of a training checkpoint: the moving average of its weights."""
    model = AttributeEncoder()
    model.load_state_dict(torch.load(file, map_location="cpu", weights_only=True)["average"])
    return model.eval()


class Training:
    """A model, its moving average and its optimiser, with the seconds spent; kept in a file and continued from it."""

    def __init__(self, model: AttributeEncoder, file: Path, device: str) -> None:
        self.model = model.to(device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.model)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), weight_decay=1e-3)
        self.file, self.spent, self.steps = file, 0.0, 0
        if file.exists():
            saved = torch.load(file, map_location=device, weights_only=True)
            self.model.load_state_dict(saved["model"])
            self.average.load_state_dict(saved["average"])
            self.optimiser.load_state_dict(saved["optimiser"])
            self.spent, self.steps = saved["spent"], saved["steps"]

    def step(self, pictures: Tensor, wanted: Tensor, through: float) -> float:
        """One step at ``through`` (0 to 1) of the training; gives the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = RATE * min(1.0, through / WARM_UP + 0.02) * max(0.02, 0.5 + 0.5 * math.cos(math.pi * through))
        loss = loss_of(self.model, pictures, wanted)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.steps += 1
        share = max(1 - AVERAGE, 1 / (self.steps + 1))
        with torch.no_grad():
            for old, new in zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True):
                old.copy_(torch.lerp(old, new, share)) if old.is_floating_point() else old.copy_(new)
        return loss.item()

    def save(self) -> None:
        """Write the file, whole or not at all."""
        state = {part: getattr(self, part).state_dict() for part in ("model", "average", "optimiser")}
        torch.save({**state, "spent": self.spent, "steps": self.steps}, self.file.with_suffix(".new"))
        self.file.with_suffix(".new").replace(self.file)


def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--data", type=Path, default=Path("runs/faces"))
    a.add_argument("--out", type=Path, default=Path("runs/encoder"))
    a.add_argument("--minutes", type=float, default=20)
    a.add_argument("--batch", type=int, default=64)
    a.add_argument("--start", type=Path, help="an exported encoder to begin with")
    a.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    o = a.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    train(o.data, o.out / "checkpoint.pt", o.minutes, o.batch, o.start, o.device)


def train(data: Path, file: Path, minutes: float, batch: int, start: Path | None, device: str) -> None:
    """Train until ``minutes`` are spent, all runs together, saving every two minutes."""
    generator = torch.Generator().manual_seed(0)
    faces, held_out = Faces(data, "train"), Faces(data, "held_out")
    scenery, small, unseen = backgrounds(600, generator), reduced(faces), reduced(held_out)
    attributes, model = truth(faces), AttributeEncoder()
    model.mean.data, model.spread.data = attributes.mean(0), attributes.std(0) + 0.02
    often = 1 + (NATURAL - 1) * torch.from_numpy(faces.parameters[:, names().index("domain_natural")])
    often *= 1 + (BEARDED - 1) * (attributes[:, SOME_COLUMNS[:3]].amax(1) > 0.3)

    def pictures(count: int) -> tuple[Tensor, Tensor]:
        rows = torch.multinomial(often, count, replacement=True, generator=generator)
        return augment(small[rows].float() / 255, attributes[rows], scenery, generator)

    if start is not None and not file.exists():
        begin_with(model, start, *pictures(1024))
    training = Training(model, file, device)
    generator.manual_seed(round(training.spent * 1000) + 1)  # go on with other pictures than at the start
    last, saved_at = time.monotonic(), training.spent
    while (through := training.spent / (60 * minutes)) < 1:
        seen, wanted = pictures(batch)
        loss = training.step(seen.to(device), wanted.to(device), through)
        now = time.monotonic()
        training.spent, last = training.spent + min(now - last, 10.0), now
        if training.spent - saved_at > 120 or training.spent >= 60 * minutes:
            training.save()
            figures = ", ".join(f"{k} {v:.3f}" for k, v in evaluate(training.average, held_out, unseen).items())
            done = f"{training.spent / 60:.1f} min, {training.steps} steps"
            print(f"{done}, loss {loss:.3f}, held-out {figures}", flush=True)
            saved_at = training.spent


if __name__ == "__main__":
    main()

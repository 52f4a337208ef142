"""Train the encoder of the bundled models: from a head crop to the attributes of the person and the light; resumable.

    python -m tools.train_encoder --data runs/faces --out runs/encoder --minutes 20 --start engines/weights/encoder.onnx

Trained on drawn heads of all four styles (``tools/encoder_pictures.py``), natural ones more often, because real people
look most like them. The loss is a Huber distance for measures and a cross-entropy for hair styles and yes-or-no. What
only some people have (a beard, earrings) is asked for as whether and how much; the answer is the product. ``--start``
takes over the convolutions of an exported encoder, or all of a checkpoint, so that a training begins where the last one
ended. ``--more`` adds heads of another folder, such as those of ``tools.render_faces --near``.
"""

from __future__ import annotations

import argparse
import copy
import math
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
from tools.encoder_pictures import augment, reduced
from tools.encoder_rooms import surroundings
from tools.face_world import names
from tools.train_generator import Faces
from tools.training import spend, write

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
NATURAL, BEARDED, FURTHER = 2.0, 1.5, 0.7  # how often natural heads are shown, bearded, those of --more, against others
RATE, WARM_UP, AVERAGE = 1.5e-3, 0.03, 0.996
LEAST_EYES = 0.85
UNSURE = 0.01  # nothing is asked to be surer than this: real faces are unlike all that is drawn


def loss_of(model: AttributeEncoder, pictures: Tensor, attributes: Tensor) -> Tensor:
    """Huber for measures and amounts where they show, cross-entropy for the rest. Not-a-number is not asked for."""
    raw = model.raw(pictures)
    known, attributes = attributes.isfinite(), attributes.nan_to_num()
    wanted = (attributes - model.mean) / model.spread
    shown = known.float()
    for name, by in SHOWN_BY.items():
        shown[:, PERSONAL.index(name)] *= (attributes[:, [PERSONAL.index(n) for n in by]].amax(1) > 0.5).float()
    there = (attributes[:, SOME_COLUMNS] > 0.05).float()
    shown[:, SOME_COLUMNS] = 2 * there
    emphasis = shown * torch.tensor([EMPHASIS.get(name, 1.0) for name in PERSONAL], device=raw.device)
    measured = MEASURES + SOME_COLUMNS
    each = F.smooth_l1_loss(raw[:, measured], wanted[:, measured], reduction="none")
    loss = (each * emphasis[:, measured]).sum() / emphasis[:, measured].sum()
    styles = attributes[:, STYLE_COLUMNS]
    loss = loss + 0.4 * F.cross_entropy(raw[:, STYLE_COLUMNS], styles, label_smoothing=0.03)
    loss = loss + F.binary_cross_entropy_with_logits(raw[:, len(PERSONAL) :], there.clamp(UNSURE, 1 - UNSURE))
    yes = attributes[:, YES_COLUMNS].clamp(UNSURE, 1 - UNSURE)
    return loss + 0.5 * F.binary_cross_entropy_with_logits(raw[:, YES_COLUMNS], yes)


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

    def step(self, pictures: Tensor, wanted: Tensor, through: float, rate: float = RATE) -> float:
        """One step at ``through`` (0 to 1) of the training; gives the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate * min(1.0, through / WARM_UP + 0.02) * max(0.02, 0.5 + 0.5 * math.cos(math.pi * through))
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
        write({**state, "spent": self.spent, "steps": self.steps}, self.file)


def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--data", type=Path, default=Path("runs/faces"))
    a.add_argument("--out", type=Path, default=Path("runs/encoder"))
    a.add_argument("--minutes", type=float, default=20)
    a.add_argument("--batch", type=int, default=64)
    a.add_argument("--start", type=Path, help="an exported encoder, or a checkpoint, to begin with")
    a.add_argument("--more", type=Path, help="a folder with further heads to train on")
    a.add_argument("--rate", type=float, default=RATE, help="of learning, at its highest")
    a.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    o = a.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    train(o)


class Heads:
    """What is trained on: the drawn heads of one or two folders, shown as a camera sees them."""

    def __init__(self, data: Path, more: Path | None) -> None:
        splits = [Faces(folder, "train") for folder in (data, more) if folder is not None]
        self.generator = torch.Generator().manual_seed(0)
        self.around = surroundings(500, self.generator)
        self.small = torch.cat([reduced(faces) for faces in splits])
        self.attributes = torch.cat([truth(faces) for faces in splits])
        eyes = self.attributes[:, PERSONAL.index("eye_size")]
        eyes[eyes < LEAST_EYES] = torch.nan  # human ones, which no avatar has
        natural = torch.cat([torch.from_numpy(f.parameters[:, names().index("domain_natural")]) for f in splits])
        bearded = (self.attributes[:, SOME_COLUMNS[:3]].amax(1) > 0.3).float()
        self.often = (1 + (NATURAL - 1) * natural) * (1 + (BEARDED - 1) * bearded)
        self.often[len(splits[0]) :] *= FURTHER

    def pictures(self, count: int) -> tuple[Tensor, Tensor]:
        """Random ones, RGB [count, 3, 128, 128], and their attributes [count, attributes]."""
        rows = torch.multinomial(self.often, count, replacement=True, generator=self.generator)
        return augment(self.small[rows].float() / 255, self.attributes[rows], self.around, self.generator)


def spread_of(values: Tensor) -> Tensor:
    """The standard deviation of each column of [n, k] over what is known of it."""
    return (values - values.nanmean(0)).square().nanmean(0).sqrt()


def begun(start: Path | None, heads: Heads) -> AttributeEncoder:
    """A model to train: a new one, all of a checkpoint or what an exported encoder holds."""
    if start is not None and start.suffix == ".pt":
        return load_encoder(start).train()
    model = AttributeEncoder()
    model.mean.data, model.spread.data = heads.attributes.nanmean(0), spread_of(heads.attributes) + 0.02
    if start is not None:
        begin_with(model, start, *heads.pictures(1024))
    return model


def train(o: argparse.Namespace) -> None:
    """Train until ``minutes`` are spent, all runs together, saving every two minutes."""
    heads, held_out, file = Heads(o.data, o.more), Faces(o.data, "held_out"), o.out / "checkpoint.pt"
    unseen = reduced(held_out)
    training = Training(begun(None if file.exists() else o.start, heads), file, o.device)
    heads.generator.manual_seed(round(training.spent * 1000) + 1)  # go on with other pictures than at the start
    total, loss = 60 * o.minutes, math.nan

    def take() -> None:
        nonlocal loss
        seen, wanted = heads.pictures(o.batch)
        loss = training.step(seen.to(o.device), wanted.to(o.device), training.spent / total, o.rate)

    def told() -> str:
        figures = ", ".join(f"{k} {v:.3f}" for k, v in evaluate(training.average, held_out, unseen).items())
        return f"{training.steps} steps, loss {loss:.3f}, held-out {figures}"

    spend(training, total, take, training.save, told, every_s=120)


if __name__ == "__main__":
    main()

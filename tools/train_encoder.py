"""Train the encoder of the bundled models: from a head crop to the attributes of the person and the light; resumable.

    python -m tools.train_encoder --data runs/faces --out runs/encoder --minutes 12

Trained on drawn heads before random scenery, with shifts, light, colour, blur, noise and things in front of the
face, so that it bears what cameras do. The loss is a Huber distance for measures and a cross-entropy for hair
styles and yes-or-no.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.attributes import HAIR_STYLES, PERSONAL
from tools.face_world import names
from tools.train_generator import Faces

SIZE = 64
# The part of the aligner's square (256 px) that shows a real head as large as drawn heads are in their pictures.
SEEN = (32, 29, 198)  # top, left, side
YES_OR_NO = ("glasses_round", "glasses_square", "fringe")
STYLE_COLUMNS = [PERSONAL.index(name) for name in HAIR_STYLES]
YES_COLUMNS = [PERSONAL.index(name) for name in YES_OR_NO]
MEASURES = [i for i in range(len(PERSONAL)) if i not in STYLE_COLUMNS + YES_COLUMNS]
# What likeness hangs on and is rare or hard to see counts more; what is measured on the picture itself counts less.
EMPHASIS = {
    **dict.fromkeys(("beard", "goatee", "moustache", "stubble", "age", "femininity"), 3.0),
    **{f"{part}_{c}": 0.3 for part in ("skin", "lip", "frame", "light", "cloth", "iris") for c in "rgbxyz"},
}


class AttributeEncoder(nn.Module):
    """uint8 BGR crops [N, 256, 256, 3] -> attributes float32 [N, attributes]."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        # Batch norm, which keeps how bright a picture is: skin is told by that.
        for width in (32, 64, 96, 128):
            for stride, inside in ((2, before), (1, width)):
                conv = nn.Conv2d(inside, width, 3, stride=stride, padding=1, bias=False)
                layers += [conv, nn.BatchNorm2d(width), nn.LeakyReLU(0.1)]
            before = width
        layers += [nn.Flatten(), nn.Linear(128 * 16, 256), nn.LeakyReLU(0.1), nn.Linear(256, len(PERSONAL))]
        self.features = nn.Sequential(*layers)
        self.mean = nn.Parameter(torch.zeros(len(PERSONAL)), requires_grad=False)
        self.spread = nn.Parameter(torch.ones(len(PERSONAL)), requires_grad=False)

    def raw(self, pictures: Tensor) -> Tensor:
        """RGB [N, 3, 64, 64] in 0..1 -> normalised measures and logits [N, attributes]."""
        return self.features(pictures * 4 - 2)

    def forward(self, crop: Tensor) -> Tensor:
        """See the class."""
        top, left, side = SEEN
        rgb = crop[:, top : top + side, left : left + side].permute(0, 3, 1, 2).float().flip(1) / 255
        raw = self.raw(F.interpolate(F.avg_pool2d(rgb, 3), size=(SIZE, SIZE), mode="bilinear", align_corners=False))
        columns = [raw[:, i] * self.spread[i] + self.mean[i] for i in range(len(PERSONAL))]
        styles = raw[:, STYLE_COLUMNS].softmax(1)
        for k, i in enumerate(STYLE_COLUMNS):
            columns[i] = styles[:, k]
        for i in YES_COLUMNS:
            columns[i] = raw[:, i].sigmoid()
        return torch.stack(columns, 1)


def loss_of(model: AttributeEncoder, pictures: Tensor, attributes: Tensor) -> Tensor:
    """Huber for measures, cross-entropy for the rest."""
    raw = model.raw(pictures)
    wanted = (attributes - model.mean) / model.spread
    emphasis = torch.tensor([EMPHASIS.get(PERSONAL[i], 1.0) for i in MEASURES], device=raw.device)
    each = F.smooth_l1_loss(raw[:, MEASURES], wanted[:, MEASURES], reduction="none")
    loss = (each * emphasis).mean() / emphasis.mean()
    loss = loss + 0.3 * F.cross_entropy(raw[:, STYLE_COLUMNS], attributes[:, STYLE_COLUMNS].argmax(1))
    return loss + 0.3 * F.binary_cross_entropy_with_logits(raw[:, YES_COLUMNS], attributes[:, YES_COLUMNS].clamp(0, 1))


def truth(faces: Faces) -> Tensor:
    """The attributes of all pictures of a split, float32 [n, attributes]."""
    return torch.from_numpy(faces.parameters[:, [names().index(name) for name in PERSONAL]])


def reduced(faces: Faces) -> Tensor:
    """All pictures of a split, premultiplied RGBA uint8 [n, 4, 64, 64], in memory."""
    rows = np.empty((len(faces), SIZE, SIZE, 4), np.uint8)
    i = 0
    for shard in faces.pictures:
        for rgba in shard:
            flat = rgba.astype(np.float32)
            flat[..., :3] *= flat[..., 3:] / 255
            rows[i] = cv2.resize(flat, (SIZE, SIZE), interpolation=cv2.INTER_AREA) + 0.5
            i += 1
    return torch.from_numpy(rows).permute(0, 3, 1, 2)


def backgrounds(count: int, generator: torch.Generator) -> Tensor:
    """Smooth random pictures [count, 3, 64, 64] of several scales."""
    total = torch.rand(count, 3, 1, 1, generator=generator).expand(-1, -1, SIZE, SIZE)
    for scale in (2, 5, 12, 24):
        noise = torch.rand(count, 3, scale, scale, generator=generator) - 0.5
        strength = torch.rand(count, 1, 1, 1, generator=generator) ** 2
        total = total + strength * F.interpolate(noise, size=(SIZE, SIZE), mode="bicubic", align_corners=False)
    return total.clamp(0, 1)


def augment(rgba: Tensor, scenery: Tensor, generator: torch.Generator) -> Tensor:
    """Premultiplied RGBA [N, 4, 64, 64] -> RGB [N, 3, 64, 64] as a camera might see it."""
    n = len(rgba)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    scale, angle = uniform(0.88, 1.12), uniform(-0.06, 0.06)
    theta = torch.stack(
        [
            scale * angle.cos(),
            -angle.sin(),
            uniform(-0.08, 0.08),
            angle.sin(),
            scale * angle.cos(),
            uniform(-0.08, 0.08),
        ],
        1,
    )
    warped = F.grid_sample(
        rgba, F.affine_grid(theta.view(n, 2, 3), [n, 4, SIZE, SIZE], align_corners=False), align_corners=False
    )
    behind = scenery[torch.randint(0, len(scenery), (n,), generator=generator)]
    picture = warped[:, :3] + (1 - warped[:, 3:]) * behind
    x, y, w, h = (uniform(a, b, 1, 1, 1) for a, b in ((0, 1), (0.4, 1.2), (0, 0.25), (0, 0.25)))
    axis = torch.arange(SIZE) / SIZE
    inside = (
        ((axis[None, None, None] - x).abs() < w)
        & ((axis[None, None, :, None] - y).abs() < h)
        & (uniform(0, 1, 1, 1, 1) < 0.25)
    )
    picture = torch.where(inside, uniform(0, 1, 3, 1, 1), picture)
    picture = picture * uniform(0.82, 1.18, 1, 1, 1) * uniform(0.94, 1.06, 3, 1, 1)
    picture = (picture - 0.5) * uniform(0.8, 1.15, 1, 1, 1) + 0.5 + uniform(-0.05, 0.05, 1, 1, 1)
    small = F.interpolate(F.avg_pool2d(picture, 2), size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    picture = torch.where(uniform(0, 1, 1, 1, 1) < 0.3, small, picture)
    return (picture + 0.03 * uniform(0, 1, 1, 1, 1) * torch.randn(picture.shape, generator=generator)).clamp(0, 1)


@torch.no_grad()
def evaluate(model: AttributeEncoder, faces: Faces, small: Tensor) -> dict[str, float]:
    """Accuracy on people who were not trained on, plain grey background."""
    rgba = small.to(model.mean.device).float() / 255
    model.eval()
    raw = model.raw(rgba[:, :3] + (1 - rgba[:, 3:]) * 0.6)
    want = truth(faces).to(raw.device)
    worn = want[:, YES_COLUMNS[:2]].sum(1) > 0.5
    beard = [PERSONAL.index(n) for n in ("beard", "goatee", "moustache")]
    values = raw * model.spread + model.mean
    model.train()
    return {
        "hair_style": float((raw[:, STYLE_COLUMNS].argmax(1) == want[:, STYLE_COLUMNS].argmax(1)).float().mean()),
        "glasses": float(((raw[:, YES_COLUMNS[:2]].sigmoid().sum(1) > 0.5) == worn).float().mean()),
        "beard": float(((values[:, beard].max(1).values > 0.3) == (want[:, beard].max(1).values > 0.3)).float().mean()),
        "age_within_0.15": float(((values - want)[:, PERSONAL.index("age")].abs() < 0.15).float().mean()),
        "skin_mean_error": float((values - want)[:, [PERSONAL.index(f"skin_{c}") for c in "rgb"]].abs().mean()),
    }


def load_encoder(file: Path) -> AttributeEncoder:
    """The encoder of a training checkpoint."""
    model = AttributeEncoder()
    model.load_state_dict(torch.load(file, map_location="cpu", weights_only=True)["model"])
    return model.eval()


def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--data", type=Path, default=Path("runs/faces"))
    a.add_argument("--out", type=Path, default=Path("runs/encoder"))
    a.add_argument("--minutes", type=float, default=12)
    a.add_argument("--batch", type=int, default=64)
    a.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    o = a.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    generator = torch.Generator().manual_seed(0)
    faces, held_out = Faces(o.data, "train"), Faces(o.data, "held_out")
    scenery = backgrounds(600, generator)
    small, unseen = reduced(faces), reduced(held_out)
    model = AttributeEncoder()
    attributes = truth(faces)
    model.mean.data, model.spread.data = attributes.mean(0), attributes.std(0) + 0.02
    model = model.to(o.device, memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=1e-3)
    spent, file = 0.0, o.out / "checkpoint.pt"
    if file.exists():
        saved = torch.load(file, map_location=o.device, weights_only=True)
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        spent = saved["spent"]
        generator.manual_seed(round(spent * 1000))  # go on with other pictures than at the start
    last, saved_at, step = time.monotonic(), spent, 0
    while (through := spent / (60 * o.minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 1.5e-3 * max(0.02, 0.5 + 0.5 * math.cos(math.pi * through))
        rows = torch.randint(0, len(faces), (o.batch,), generator=generator)
        pictures = augment(small[rows].float() / 255, scenery, generator).to(o.device)
        loss = loss_of(model, pictures, attributes[rows].to(o.device))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        step, now = step + 1, time.monotonic()
        spent, last = spent + min(now - last, 10.0), now
        if spent - saved_at > 120 or spent >= 60 * o.minutes:
            torch.save(
                {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "spent": spent},
                file.with_suffix(".new"),
            )
            file.with_suffix(".new").replace(file)
            figures = ", ".join(f"{k} {v:.3f}" for k, v in evaluate(model, held_out, unseen).items())
            print(f"{spent / 60:.1f} min, {step} steps, loss {loss.item():.3f}, held-out {figures}", flush=True)
            saved_at = spent


if __name__ == "__main__":
    main()

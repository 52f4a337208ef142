"""The encoder network of the bundled models: a head crop in, the attributes of the person and the light out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import Tensor, nn

from engines.attributes import HAIR_STYLES, PERSONAL
from tools.encoder_pictures import SIZE

# The part of the aligner's square (256 px) that shows a real head as large as drawn heads are in their pictures.
SEEN = (32, 29, 198)  # top, left, side
# The part of what is seen that shows the face, in pixels of 128: moustaches are gone at half of that.
FACE = (44, 32, 64)  # top, left, side
YES_OR_NO = ("glasses_round", "glasses_square", "fringe", "hat_beanie", "hat_cap", "headphones")
SOMETIMES = ("beard", "goatee", "moustache", "stubble", "make_up", "freckles", "earrings")
GLASSES, GEAR = YES_OR_NO[:2], YES_OR_NO[3:]
STYLE_COLUMNS = [PERSONAL.index(name) for name in HAIR_STYLES]
YES_COLUMNS = [PERSONAL.index(name) for name in YES_OR_NO]
SOME_COLUMNS = [PERSONAL.index(name) for name in SOMETIMES]
MEASURES = [i for i in range(len(PERSONAL)) if i not in STYLE_COLUMNS + YES_COLUMNS + SOME_COLUMNS]
ORDER = [(MEASURES + STYLE_COLUMNS + YES_COLUMNS + SOME_COLUMNS).index(i) for i in range(len(PERSONAL))]


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity, which it is before training."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.1),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            last := nn.BatchNorm2d(width),
        )
        nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, width, h, w] -> the same shape."""
        return x + self.inner(x)


def trunk(widths: tuple[tuple[int, int], ...], outputs: int) -> nn.Sequential:
    """From a picture [N, 3, 64, 64] to float32 [N, outputs], halved at every width, with so many residuals there."""
    layers: list[nn.Module] = []
    before = 3
    # Batch norm, which keeps how bright a picture is: skin is told by that.
    for width, further in widths:
        for stride, inside in ((2, before), (1, width)):
            conv = nn.Conv2d(inside, width, 3, stride=stride, padding=1, bias=False)
            layers += [conv, nn.BatchNorm2d(width), nn.LeakyReLU(0.1)]
        layers += [Residual(width) for _ in range(further)]
        before = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * 16, outputs), nn.LeakyReLU(0.1))


class AttributeEncoder(nn.Module):
    """uint8 BGR crops [N, 256, 256, 3] -> attributes float32 [N, attributes].

    Two looks: the whole head at 64 px, and the face alone at twice that detail.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = trunk(((32, 0), (64, 0), (96, 1), (128, 2)), 256)
        self.face = trunk(((24, 0), (48, 0), (64, 1), (96, 1)), 192)
        self.answers = nn.Linear(256 + 192, len(PERSONAL) + len(SOMETIMES))
        self.mean = nn.Parameter(torch.zeros(len(PERSONAL)), requires_grad=False)
        self.spread = nn.Parameter(torch.ones(len(PERSONAL)), requires_grad=False)

    def raw(self, pictures: Tensor) -> Tensor:
        """RGB [N, 3, 128, 128] in 0..1 -> normalised measures, logits, and whether of SOMETIMES as logits."""
        return self.answers(self.seen(pictures))

    def seen(self, pictures: Tensor) -> Tensor:
        """What the answers are read from: both looks at RGB [N, 3, 128, 128], float32 [N, 448]."""
        top, left, side = FACE
        pictures = pictures * 4 - 2
        face = pictures[:, :, top : top + side, left : left + side]
        return torch.cat([self.features(F.avg_pool2d(pictures, 2)), self.face(face)], 1)

    def values(self, raw: Tensor) -> Tensor:
        """Of what ``raw`` gives: attributes [N, attributes]."""
        amounts = raw[:, : len(PERSONAL)] * self.spread + self.mean
        some = amounts[:, SOME_COLUMNS].clamp(0, 1.5) * raw[:, len(PERSONAL) :].sigmoid()
        styles, yes = raw[:, STYLE_COLUMNS].softmax(1), raw[:, YES_COLUMNS].sigmoid()
        return torch.cat([amounts[:, MEASURES], styles, yes, some], 1)[:, ORDER]

    def forward(self, crop: Tensor) -> Tensor:
        """See the class."""
        top, left, side = SEEN
        rgb = crop[:, top : top + side, left : left + side].permute(0, 3, 1, 2).float().flip(1) / 255
        sized = F.interpolate(rgb, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
        return self.values(self.raw(sized))


@torch.no_grad()
def begin_with(model: AttributeEncoder, exported: Path, pictures: Tensor, wanted: Tensor) -> None:
    """Take over an exported encoder. The answers of one that lacks a look or an answer are fitted by least squares.

    ``pictures`` [N, 3, 128, 128] with their attributes [N, attributes]. A look that the file lacks stays as it is.
    """
    graph = onnx.load(exported).graph
    arrays = {tensor.name.removesuffix(".half"): numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = [node for node in graph.node if node.op_type in ("Conv", "Gemm") and node.input[1] in arrays]
    top, left, side = FACE
    looks = {"features": F.avg_pool2d(pictures, 2), "face": pictures[:, :, top : top + side, left : left + side]}
    for part, look in looks.items():
        own = [node.input[1:3] for node in nodes if node.name.startswith(f"/{part}/")]
        if own:
            layers = iter([tuple(torch.tensor(arrays[name]).float() for name in names) for names in own])
            _take(getattr(model, part), layers, look * 4 - 2)
    last = arrays.get("answers.weight")
    if last is not None and last.shape == tuple(model.answers.weight.shape):
        parts = {"mean": model.mean, "spread": model.spread, "answers.weight": model.answers.weight}
        for name, part in (parts | {"answers.bias": model.answers.bias}).items():
            part.copy_(torch.tensor(arrays[name]).float())
        return
    model.eval()
    seen = model.seen(pictures)
    model.train()
    seen, wanted = torch.cat([seen, torch.ones(len(seen), 1)], 1), torch.where(wanted.isnan(), model.mean, wanted)
    logits = torch.cat([wanted, (wanted[:, SOME_COLUMNS] > 0.05).float()], 1) * 4 - 2
    measured = MEASURES + SOME_COLUMNS
    logits[:, measured] = ((wanted - model.mean) / model.spread)[:, measured]
    fitted = torch.linalg.solve(seen.T @ seen + 1e-3 * len(seen) * torch.eye(seen.shape[1]), seen.T @ logits)
    model.answers.weight.copy_(fitted[:-1].T)
    model.answers.bias.copy_(fitted[-1])


def _take(modules: nn.Sequential, layers: Iterator[tuple[Tensor, ...]], x: Tensor) -> Tensor:
    """Set layers from (weight, bias) pairs while ``x`` passes through. An exported encoder holds no batch norm: the
    norms get the mean and spread of what passes, and undo them."""
    bias = torch.zeros(())
    for layer in modules:
        if isinstance(layer, Residual):
            x = x + _take(layer.inner, layers, x)
            continue
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            weight, bias = next(layers)
            layer.weight.copy_(weight)
        if isinstance(layer, nn.Linear):
            layer.bias.copy_(bias)
        if isinstance(layer, nn.BatchNorm2d):
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
            layer.running_mean.copy_(mean), layer.running_var.copy_(variance)
            layer.weight.copy_((variance + layer.eps).sqrt()), layer.bias.copy_(mean + bias)
            x = x + bias[:, None, None]
        else:
            x = layer(x)
    return x

"""The bundled portrait generator: a StyleGAN2-type network whose first features come from a spatial motion code.

Modulated convolutions with demodulation and skip RGB as in Karras et al. 2020, "Analyzing and Improving the Image
Quality of StyleGAN", equations 1 to 3. Two things differ from the published network: the constant input is replaced by
a drawing of the head's tracked points and of its own coordinates under the pose (``engines/spatial_code.py``), so that
motion arrives with its place and texture sticks to the head; and every RGB layer predicts 2x2 sub-pixels, which halves
the top resolution's cost.

Torch only; run time uses the exported ONNX file.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.attributes import column
from engines.motion import MOTION
from engines.spatial_code import FEATURES, POINTS, drawing, head_map, project

DIM, LAYERS = 256, 10
ROWS = POINTS + 4  # what the geometry tells: the points, then the hair's numbers
INPUT = 2 * POINTS + 48  # channels of the drawing
CHANNELS = {32: 128, 64: 80, 128: 48}
# Colours that show only where something is worn, and what that is.
WORN = {"frame": ("glasses_round", "glasses_square"), "gear": ("hat_beanie", "hat_cap", "headphones")}
SHAPE_LAYERS, COLOUR_LAYERS = (0, 1, 2, 3, 4), (5, 6, 7, 8, 9)


class ModulatedConv2d(nn.Module):
    """Modulation, 3x3 convolution, demodulation, bias, leaky ReLU (Karras et al. 2020, equations 1 to 3).

    Modulates the input and demodulates the output, which equals modulating the weights and keeps them constant.
    """

    fir: Tensor

    def __init__(self, channels_in: int, channels_out: int, *, size: int = 3, up: bool = False) -> None:
        super().__init__()
        self.up = up
        self.affine = nn.Linear(DIM, channels_in)
        nn.init.normal_(self.affine.weight, std=0.3 / DIM**0.5)
        nn.init.ones_(self.affine.bias)
        self.weight = nn.Parameter(
            torch.randn(channels_out, channels_in, size, size) / (channels_in * size * size) ** 0.5
        )
        self.bias = nn.Parameter(torch.zeros(channels_out))
        if up:
            fir = torch.tensor([1.0, 2.0, 1.0]) / 4
            kernel = (fir[:, None] * fir[None] * 4).expand(channels_out, 1, 3, 3).clone()
            self.register_buffer("fir", kernel, persistent=False)

    def forward(self, x: Tensor, w: Tensor, injected: Tensor | None = None) -> Tensor:
        """x [N, in, s, s], w [N, 256] -> [N, out, s, s] (2s with up); ``injected`` is added before the bias."""
        style = self.affine(w)
        x = x * style[:, :, None, None]
        energy = (style * style) @ self.weight.square().sum((2, 3)).t()
        # The gain of sqrt(2) after the activation is folded in here: leaky ReLU is positively homogeneous.
        demodulation = (energy + 1e-8).rsqrt()[:, :, None, None] * 2**0.5
        if self.up:
            x = F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2, padding=1, output_padding=1)
            x = F.conv2d(x, self.fir, padding=1, groups=x.shape[1])
        else:
            x = F.conv2d(x, self.weight, padding=self.weight.shape[-1] // 2)
        bias = self.bias[:, None, None] if injected is None else injected + self.bias[:, None, None]
        return F.leaky_relu(torch.addcmul(bias, x, demodulation), 0.2)


def each_by_its_own(x: Tensor, matrices: Tensor) -> Tensor:
    """A 1x1 convolution with weights of its own for every picture: x [N, C, s, s], [N, out, C] -> [N, out, s, s]."""
    n, channels, size = int(x.shape[0]), int(x.shape[1]), int(x.shape[2])
    pixels = x.permute(0, 2, 3, 1).reshape(n, size * size, channels) @ matrices.transpose(1, 2)
    return pixels.view(n, size, size, -1).permute(0, 3, 1, 2)


class PaintedRGB(nn.Module):
    """To-RGB whose whole matrix comes from w: every feature gets a colour of its own, at 2x2 sub-pixels.

    StyleGAN2 scales the inputs of one fixed matrix; with few channels that leaves too little room for skin, hair, eyes
    and clothes of any colour. Seen on the same drawn heads at 64 px: without it hair and clothes were still grey after
    21,000 pictures (18.0 dB on held-out heads); with it their colours were there after 30,000 more (20.9 dB).
    """

    def __init__(self, channels: int, gain: float) -> None:
        super().__init__()
        self.affine = nn.Linear(DIM, 16 * channels)
        nn.init.normal_(self.affine.weight, std=gain / (DIM * channels) ** 0.5)
        nn.init.normal_(self.affine.bias, std=gain / channels**0.5)
        self.bias = nn.Parameter(torch.zeros(16))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x [N, C, s, s], w [N, 256] -> premultiplied RGBA [N, 4, 2s, 2s]."""
        n, channels = int(x.shape[0]), int(x.shape[1])
        if n == 1:  # as the live program draws: a plain 1x1 convolution, which runtimes lay out best
            one = self.affine(w).view(channels, 16).t()[:, :, None, None]
            return F.pixel_shuffle(F.conv2d(x, one) + self.bias[:, None, None], 2)
        matrix = self.affine(w).view(n, channels, 16)
        return F.pixel_shuffle(each_by_its_own(x, matrix.transpose(1, 2)) + self.bias[:, None, None], 2)


class Cover(nn.Module):
    """What is worn over everything else, painted opaquely in its own colour: frames of glasses; hats and headphones.

    Colours that are added can darken a face but not hide whatever lies behind a rim. How much each sub-pixel is hidden
    comes from the detail maps, by gates of their own, and from the features, which know what hair or a turned head
    hides. ``GAIN`` makes a step of training count in logits.
    """

    GAIN = 20.0

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.worn = nn.Linear(DIM, FEATURES)
        self.maps = nn.Conv2d(FEATURES, 4 * len(WORN), 1)
        self.seen = nn.Conv2d(channels, 4 * len(WORN), 1, bias=False)
        self.colours = nn.Linear(DIM, 3 * len(WORN))
        assert self.maps.bias is not None
        nn.init.constant_(self.maps.bias, -5.0 / self.GAIN)
        for nothing in (self.worn.weight, self.worn.bias, self.maps.weight, self.seen.weight, self.colours.weight):
            nn.init.zeros_(nothing)

    def matrix(self, w: Tensor) -> Tensor:
        """What each map adds to the logits for w [N, 256]: [N, 8, 80]."""
        matrix: Tensor = self.GAIN * self.maps.weight.flatten(1) * self.worn(w)[:, None]
        return matrix

    def bias(self) -> Tensor:
        """The logits where no map says anything: [8]."""
        return self.GAIN * self.maps.get_parameter("bias")

    def hiding(self, x: Tensor, features: Tensor, w: Tensor) -> Tensor:
        """x [N, C, s, s], features [N, 62, s, s], w [N, 256] -> 0..1, four sub-pixels a part: [N, 8, s, s]."""
        matrix = self.matrix(w)
        if x.shape[0] == 1:  # as the live program draws
            hidden = F.conv2d(features, matrix[0, :, :, None, None])
        else:
            hidden = each_by_its_own(features, matrix)
        return torch.sigmoid(hidden + self.bias()[:, None, None] + self.GAIN * self.seen(x))

    def colour(self, w: Tensor) -> list[Tensor]:
        """w [N, 256] -> for each part its opaque RGBA [N, 4]."""
        return [F.pad(rgb, (0, 1), value=1.0) for rgb in self.colours(w).chunk(len(WORN), 1)]

    def forward(self, y: Tensor, hiding: Tensor, w: Tensor) -> Tensor:
        """Premultiplied RGBA y [N, 4, 2s, 2s], covered."""
        for part, rgba in zip(F.pixel_shuffle(hiding, 2).chunk(len(WORN), 1), self.colour(w), strict=True):
            y = torch.lerp(y, rgba[:, :, None, None].type_as(y).expand_as(y), part.type_as(y).expand_as(y))
        return y


class Geometry(nn.Module):
    """A code of the person and an expression -> the tracked points at rest [N, 44, 3], in the head's own frame, and the
    hair's numbers [N, 4, 3] (``points_of`` in tools/face_world/head.h), together [N, 48, 3]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(DIM + len(MOTION) - 3, 192),
            nn.LeakyReLU(0.2),
            nn.Linear(192, 192),
            nn.LeakyReLU(0.2),
            nn.Linear(192, ROWS * 3),
        )
        self.mean = nn.Parameter(torch.zeros(ROWS, 3), requires_grad=False)

    def forward(self, w: Tensor, motion: Tensor) -> Tensor:
        """w [N, 256], motion [N, motion] -> [N, 48, 3] in head units."""
        moved: Tensor = self.layers(torch.cat([w, motion[:, 3:]], 1))
        return self.mean + moved.view(-1, ROWS, 3) * 0.3


class Mapping(nn.Module):
    """Attributes of a person (and the light) to W: float32 [N, attributes] -> [N, 256].

    What is worn or not also goes straight into W, along directions of its own, so that the gates of the detail maps can
    read it off from the first step on. Colours of frames, hats and headphones that nobody wears count as black.
    """

    seen: Tensor
    worn_columns: tuple[tuple[int, ...], ...]

    def __init__(self, attributes: int) -> None:
        super().__init__()
        self.worn_columns = tuple(tuple(column(name) for name in names) for names in WORN.values())
        seen = torch.zeros(len(WORN), attributes)
        for row, part in enumerate(WORN):
            seen[row, [column(f"{part}_{c}") for c in "rgb"]] = 1
        self.register_buffer("seen", seen, persistent=False)
        self.straight = nn.Linear(attributes, DIM, bias=False)
        nn.init.normal_(self.straight.weight, std=attributes**-0.5)
        self.mean = nn.Parameter(torch.zeros(attributes), requires_grad=False)
        self.spread = nn.Parameter(torch.ones(attributes), requires_grad=False)
        self.layers = nn.Sequential(
            nn.Linear(attributes, 384), nn.LeakyReLU(0.2), nn.Linear(384, 384), nn.LeakyReLU(0.2), nn.Linear(384, DIM)
        )

    def forward(self, attributes: Tensor) -> Tensor:
        """See the class."""
        for row, columns in zip(self.seen, self.worn_columns, strict=True):
            worn = torch.stack([attributes[:, i] for i in columns], 1).amax(1, keepdim=True).clamp(0, 1)
            attributes = attributes * (1 - row * (1 - worn))
        plain = (attributes - self.mean) / self.spread
        w: Tensor = self.layers(plain) + self.straight(plain)
        return w


class PortraitGenerator(nn.Module):
    """W+ [N, 10, 256] and a motion code [N, motion] -> premultiplied RGBA in 0..1: [N, 4, 64, 64], 128 and 256 px."""

    def __init__(self) -> None:
        super().__init__()
        c = CHANNELS
        self.geometry = Geometry()
        self.maps = head_map  # training puts a compiled one here
        self.convs = nn.ModuleList(
            [
                ModulatedConv2d(INPUT, c[32]),
                ModulatedConv2d(c[32], c[32]),
                ModulatedConv2d(c[32], c[32]),
                ModulatedConv2d(c[32], c[64], up=True),
                ModulatedConv2d(c[64], c[64]),
                ModulatedConv2d(c[64], c[128], up=True),
                ModulatedConv2d(c[128], c[128]),
            ]
        )
        sizes = (64, 64, 128, 128)  # of the last four convolutions, which get the maps too
        self.inject = nn.ModuleList(nn.Conv2d(FEATURES, c[s], 1) for s in sizes)
        self.rgb = nn.ModuleList(PaintedRGB(c[s], gain) for s, gain in ((32, 0.3), (64, 0.1), (128, 0.1)))
        for layer in self.inject:
            assert isinstance(layer, nn.Conv2d)
            layer.weight.data *= 0.3
        # Which of the maps a person wears (tools/gates.py sets it first); at first none is painted straight on.
        self.worn = nn.ModuleList(nn.Linear(DIM, FEATURES) for _ in sizes)
        for gate in self.worn:
            assert isinstance(gate, nn.Linear)
            nn.init.zeros_(gate.weight)
            nn.init.ones_(gate.bias)
        self.painted = PaintedRGB(FEATURES, 0.0)
        self.cover = Cover(c[128])

    def motion_code(self, w: Tensor, motion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The spatial motion code of w [N, 256] (shape, layer 0) and motion [N, motion], at 32, 64 and 128 px.

        [N, 136, 32, 32], [N, 62, 64, 64] and [N, 62, 128, 128].
        """
        rest = self.geometry(w, motion)
        fine = self.maps(rest, motion, 128)
        middle = F.avg_pool2d(fine, 2)
        return drawing(project(rest, motion), motion, middle), middle, fine

    def forward(self, wplus: Tensor, motion: Tensor, size: int = 256) -> tuple[list[Tensor], Tensor]:
        """Pictures up to ``size`` and the points at rest and the hair's numbers [N, 48, 3]."""
        w = wplus.unbind(1)
        rest = self.geometry(w[0], motion)
        with torch.no_grad():  # the points have a loss of their own; through the maps it would cost a third more time
            fine = self.maps(rest.detach(), motion, 128 if size > 128 else 64)
            fine = fine.contiguous(memory_format=torch.channels_last)
            maps = [F.avg_pool2d(fine, 2), fine] if size > 128 else [fine]
        drawn = drawing(project(rest, motion), motion, maps[0]).to(memory_format=torch.channels_last)
        return self.synthesis(drawn, w, maps if size > 64 else []), rest

    def synthesis(self, drawn: Tensor, w: tuple[Tensor, ...], maps: list[Tensor]) -> list[Tensor]:
        """Pictures [N, 4, 64, 64], then one twice as large for every map in ``maps``."""
        return self.levels(drawn, w, maps)[0]

    def levels(self, drawn: Tensor, w: tuple[Tensor, ...], maps: list[Tensor]) -> tuple[list[Tensor], Tensor, Tensor]:
        """The pictures; the last features; the last picture before anything is laid over it."""
        x = self.convs[0](drawn, w[0])
        for i in (1, 2):
            x = self.convs[i](x, w[i])
        y = self.rgb[0](x, w[7])
        pictures, bare = [y], y
        for level, features in enumerate(maps):
            both, here = slice(2 * level, 2 * level + 2), w[3 + 2 * level : 5 + 2 * level]
            injected = injections(self.inject[both], self.worn[both], features, here)
            for i in (0, 1):
                x = self.convs[3 + 2 * level + i](x, here[i], injected[i])
            y = F.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False)
            y = bare = y + self.rgb[1 + level](x, w[8 + level])
            if level == 1:
                y = self.cover(y, self.cover.hiding(x, features, w[9]), w[9]) + self.painted(features, w[9])
            pictures.append(y)
        return pictures, x, bare


def injections(
    layers: Iterable[nn.Module], gates: Iterable[nn.Module], features: Tensor, w: tuple[Tensor, ...]
) -> list[Tensor]:
    """What the maps add to the convolutions of a level: for each its layer, its gate and its w [N, 256]."""
    added = []
    for layer, gate, code in zip(layers, gates, w, strict=True):
        # What is worn is folded into the weights, so that the maps, which need no gradient, are read as they are.
        matrix = layer.get_parameter("weight") * gate(code)[:, None, :, None, None]
        one = features.shape[0] == 1  # as the live program draws
        mixed = F.conv2d(features, matrix[0]) if one else each_by_its_own(features, matrix[..., 0, 0])
        added.append(mixed + layer.get_parameter("bias")[:, None, None])
    return added

"""The bundled portrait generator: a StyleGAN2-type network whose first features come from a spatial motion code.

Modulated convolutions with demodulation and skip RGB as in Karras et al. 2020, "Analyzing and Improving the Image Quality
of StyleGAN", equations 1 to 3. Two things differ from the published network: the constant input is replaced by a drawing of
the head's tracked points and of its own coordinates under the pose (the spatial motion code), so that motion arrives with
its place and texture sticks to the head; and every RGB layer predicts 2x2 sub-pixels, which halves the top resolution's cost.

Torch only; run time uses the exported ONNX file.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.motion import MOTION

GRID, DIM, LAYERS, POINTS, TORSO_POINTS = 32, 256, 10, 44, 3
INPUT = 128  # channels of the drawing as exported
CHANNELS = {32: 128, 64: 80, 128: 48}
VIEW, CAMERA_Y, CAMERA_Z, TILT = 0.31, -0.02, 5.2, -0.03  # the camera of tools/face_world/world.h
SHAPE_LAYERS, COLOUR_LAYERS = (0, 1, 2, 3, 4), (5, 6, 7, 8, 9)


def rotation(yaw: Tensor, pitch: Tensor, roll: Tensor) -> Tensor:
    """Rz(roll) Rx(pitch) Ry(yaw): float32 [N], [N], [N] -> [N, 3, 3], head to camera."""
    cy, sy, cp, sp, cr, sr = yaw.cos(), yaw.sin(), pitch.cos(), pitch.sin(), roll.cos(), roll.sin()
    rows = [
        cr * cy - sr * sp * sy,
        -sr * cp,
        cr * sy + sr * sp * cy,
        sr * cy + cr * sp * sy,
        cr * cp,
        sr * sy - cr * sp * cy,
        -cp * sy,
        sp,
        cp * cy,
    ]
    return torch.stack(rows, 1).view(-1, 3, 3)


def head_and_torso(motion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rotations of head and torso [N, 3, 3] and the neck joint's place [N, 3] for a motion code [N, motion]."""
    yaw, pitch, roll = motion[:, 0], motion[:, 1], motion[:, 2]
    head = rotation(yaw, pitch, roll)
    torso = rotation(0.30 * yaw, 0.12 * pitch, 0.22 * roll)
    return head, torso, head @ motion.new_tensor([0.0, -0.92, -0.12])


def project(points: Tensor, motion: Tensor) -> Tensor:
    """Points at rest [N, points, 3] (the last three in the torso's frame) -> picture x, y (-1..1, y up) and depth [N, points, 3]."""
    head, torso, joint = head_and_torso(motion)
    posed_head = points[:, :-TORSO_POINTS] @ head.transpose(1, 2)
    neck = points.new_tensor([0.0, 0.92, 0.12])
    posed_torso = (points[:, -TORSO_POINTS:] + neck) @ torso.transpose(1, 2) + joint[:, None]
    x, y, z = torch.cat([posed_head, posed_torso], 1).unbind(-1)
    depth = CAMERA_Z - z
    return torch.stack([x / depth / VIEW, ((y - CAMERA_Y) / depth - TILT) / VIEW, z], -1)


def ellipsoid_coordinates(motion: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Where each picture point's ray meets a proxy of the head, and of the torso, in that part's own frame.

    [N, motion] -> two maps [N, 4, size, size]: x, y, z of the first meeting (of the nearest approach where it misses) and the
    half chord, which is 0 outside. Smooth in the pose, so that what is painted with it sticks to the head.
    """
    axis = (torch.arange(size, device=motion.device, dtype=motion.dtype) + 0.5) / size * 2 - 1
    gx, gy = axis[None, :].expand(size, size), -axis[:, None].expand(size, size)
    ray = F.normalize(torch.stack([gx * VIEW, gy * VIEW + TILT, -torch.ones_like(gx)], -1).reshape(1, -1, 3), dim=-1)
    head, torso, joint = head_and_torso(motion)
    eye = motion.new_tensor([0.0, CAMERA_Y, CAMERA_Z])
    centre = motion.new_tensor([0.0, 0.92, 0.12])
    maps = []
    for turn, origin, middle, radii in (
        (head, eye @ head, (0.0, 0.05, -0.10), (0.92, 1.08, 0.98)),
        (torso, torch.einsum("ni,nij->nj", eye - joint, torso) - centre, (0.0, -1.95, -0.20), (1.25, 0.75, 0.55)),
    ):
        scale = 1 / motion.new_tensor(radii)
        o = ((origin - motion.new_tensor(middle)) * scale)[:, None]  # [N, 1, 3]
        d = (ray @ turn) * scale  # [N, pixels, 3]
        dd, od, oo = (d * d).sum(-1), (o * d).sum(-1), (o * o).sum(-1)
        half = (F.relu(od * od - dd * (oo - 1)) + 1e-6).sqrt() / dd
        t = -od / dd - half
        met = torch.cat([(o + d * t[..., None]), half[..., None] * 0.5], -1)
        maps.append(met.transpose(1, 2).reshape(-1, 4, size, size))
    return maps[0], maps[1]


def waves(head: Tensor, octaves: int) -> Tensor:
    """Fourier features of the head's coordinates [N, 4, s, s]: sines and cosines of 2 pi, 4 pi, ... times x, y, z, then of 26
    times the angle along combed and along hanging hair -> [N, 6 * octaves + 4, s, s]. Octaves by the double-angle formulas."""
    angle = head[:, :3] * (2 * math.pi)
    sine, cosine = angle.sin(), angle.cos()
    rows = [sine, cosine]
    for _ in range(octaves - 1):
        sine, cosine = 2 * sine * cosine, 1 - 2 * sine * sine
        rows += [sine, cosine]
    comb = torch.atan2(head[:, :1] * 0.92, head[:, 1:2] * 1.08 + 0.20)
    hang = torch.atan2(head[:, :1] * 0.92, head[:, 2:3] + 0.05)
    strands = torch.cat([comb, hang], 1) * 26
    return torch.cat([*rows, *(f(a) for a in (strands[:, :1], strands[:, 1:]) for f in (torch.sin, torch.cos))], 1)


def slow_waves(head: Tensor) -> Tensor:
    """Three octaves from pi times the coordinates: [N, 4, s, s] -> [N, 18, s, s]."""
    angle = head[:, :3] * math.pi
    sine, cosine = angle.sin(), angle.cos()
    rows = [sine, cosine]
    for _ in range(2):
        sine, cosine = 2 * sine * cosine, 1 - 2 * sine * sine
        rows += [sine, cosine]
    return torch.cat(rows, 1)


def drawing(points: Tensor, motion: Tensor) -> Tensor:
    """The spatial motion code: [N, 2 * points + 26, 32, 32].

    Per tracked point a soft dot placed with sub-pixel precision and a broad one weighted by depth; then the coordinates of
    the head and torso proxies with three octaves of Fourier features.
    """
    axis = (torch.arange(GRID, device=motion.device, dtype=motion.dtype) + 0.5) / GRID * 2 - 1
    dx2 = (axis - points[..., 0:1]) ** 2  # [N, points, 32]
    dy2 = (-axis - points[..., 1:2]) ** 2
    narrow = torch.exp(dy2 * (-1 / (2 * 0.06**2)))[..., :, None] * torch.exp(dx2 * (-1 / (2 * 0.06**2)))[..., None, :]
    broad = torch.exp(dy2 * (-1 / (2 * 0.25**2)))[..., :, None] * torch.exp(dx2 * (-1 / (2 * 0.25**2)))[..., None, :]
    head, torso = ellipsoid_coordinates(motion, GRID)
    return torch.cat(
        [
            narrow,
            broad * points[..., 2, None, None],
            head,
            torso,
            slow_waves(head),
        ],
        1,
    )


class ModulatedConv2d(nn.Module):
    """Modulation, 3x3 convolution, demodulation, bias, leaky ReLU (Karras et al. 2020, equations 1 to 3).

    Modulates the input and demodulates the output, which equals modulating the weights and keeps them constant.
    """

    def __init__(
        self, channels_in: int, channels_out: int, *, size: int = 3, up: bool = False
    ) -> None:
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
            self.register_buffer(
                "fir", (fir[:, None] * fir[None] * 4).expand(channels_out, 1, 3, 3).clone(), persistent=False
            )

    def forward(self, x: Tensor, w: Tensor, injected: Tensor | None = None) -> Tensor:
        """x [N, in, s, s], w [N, 256] -> [N, out, s, s] (2s with up); ``injected`` is added before the bias."""
        style = self.affine(w)
        x = x * style[:, :, None, None]
        # The gain of sqrt(2) after the activation is folded in here: leaky ReLU is positively homogeneous.
        demodulation = ((style * style) @ self.weight.square().sum((2, 3)).t() + 1e-8).rsqrt()[:, :, None, None] * 2**0.5
        if self.up:
            x = F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2, padding=1, output_padding=1)
            x = F.conv2d(x, self.fir, padding=1, groups=x.shape[1])
        else:
            x = F.conv2d(x, self.weight, padding=self.weight.shape[-1] // 2)
        bias = self.bias[:, None, None] if injected is None else injected + self.bias[:, None, None]
        return F.leaky_relu(torch.addcmul(bias, x, demodulation), 0.2)


class PaintedRGB(nn.Module):
    """To-RGB whose whole matrix comes from w: every feature gets a colour of its own, at 2x2 sub-pixels.

    StyleGAN2 scales the inputs of one fixed matrix; with few channels that leaves too little room for skin, hair, eyes and clothes of
    any colour: on drawn heads colours came several times sooner this way.
    """

    def __init__(self, channels: int, gain: float) -> None:
        super().__init__()
        self.affine = nn.Linear(DIM, 16 * channels)
        nn.init.normal_(self.affine.weight, std=gain / (DIM * channels) ** 0.5)
        nn.init.normal_(self.affine.bias, std=gain / channels**0.5)
        self.bias = nn.Parameter(torch.zeros(16))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x [N, C, s, s], w [N, 256] -> premultiplied RGBA [N, 4, 2s, 2s]."""
        n, channels, size = x.shape[0], x.shape[1], x.shape[2]
        matrix = self.affine(w).view(n, channels, 16)
        pixels = x.permute(0, 2, 3, 1).reshape(n, size * size, channels) @ matrix + self.bias
        return F.pixel_shuffle(pixels.view(n, size, size, 16).permute(0, 3, 1, 2), 2)


class Geometry(nn.Module):
    """The tracked points at rest, in the head's own proportions: a code of the person and an expression -> [N, points, 3]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(DIM + len(MOTION) - 3, 192),
            nn.LeakyReLU(0.2),
            nn.Linear(192, 192),
            nn.LeakyReLU(0.2),
            nn.Linear(192, POINTS * 3),
        )
        self.mean = nn.Parameter(torch.zeros(POINTS, 3), requires_grad=False)

    def forward(self, w: Tensor, motion: Tensor) -> Tensor:
        """w [N, 256], motion [N, motion] -> [N, points, 3] in head units."""
        return self.mean + self.layers(torch.cat([w, motion[:, 3:]], 1)).view(-1, POINTS, 3) * 0.3


class Mapping(nn.Module):
    """Attributes of a person (and the light) to W: float32 [N, attributes] -> [N, 256]."""

    def __init__(self, attributes: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(attributes), requires_grad=False)
        self.spread = nn.Parameter(torch.ones(attributes), requires_grad=False)
        self.layers = nn.Sequential(
            nn.Linear(attributes, 384), nn.LeakyReLU(0.2), nn.Linear(384, 384), nn.LeakyReLU(0.2), nn.Linear(384, DIM)
        )

    def forward(self, attributes: Tensor) -> Tensor:
        """See the class."""
        return self.layers((attributes - self.mean) / self.spread)


class PortraitGenerator(nn.Module):
    """W+ [N, 10, 256] and a motion code [N, motion] -> premultiplied RGBA, a list of [N, 4, 64, 64], 128 and 256 px in 0..1."""

    def __init__(self) -> None:
        super().__init__()
        c = CHANNELS
        self.geometry = Geometry()
        self.convs = nn.ModuleList(
            [
                ModulatedConv2d(2 * POINTS + 26, c[32]),
                ModulatedConv2d(c[32], c[32]),
                ModulatedConv2d(c[32], c[32]),
                ModulatedConv2d(c[32], c[64], up=True),
                ModulatedConv2d(c[64], c[64]),
                ModulatedConv2d(c[64], c[128], up=True),
                ModulatedConv2d(c[128], c[128]),
            ]
        )
        self.inject = nn.ModuleDict({"64": nn.Conv2d(32, c[64], 1), "128": nn.Conv2d(32, c[128], 1)})
        self.rgb = nn.ModuleList(PaintedRGB(c[s], gain) for s, gain in ((32, 0.3), (64, 0.1), (128, 0.1)))
        for layer in self.inject.values():
            layer.weight.data *= 0.3

    def motion_code(self, w: Tensor, motion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The spatial motion code of w [N, 256] (shape, layer 0) and motion [N, motion]: what is drawn at 32, 64 and 128 px.

        [N, 128, 32, 32] (the last 14 channels are zero: full blocks of channels run faster), [N, 32, 64, 64], [N, 32, 128, 128].
        """
        points = project(self.geometry(w, motion), motion)
        drawn = drawing(points, motion)
        drawn = torch.cat([drawn, drawn[:, : INPUT - drawn.shape[1]] * 0], 1)
        heads = [ellipsoid_coordinates(motion, size)[0] for size in (64, 128)]
        return drawn, *(torch.cat([head, waves(head, 4)], 1) for head in heads)

    def forward(self, wplus: Tensor, motion: Tensor, size: int = 256) -> tuple[list[Tensor], Tensor]:
        """Pictures up to ``size`` and the tracked points at rest [N, points, 3]."""
        w = wplus.unbind(1)
        points = self.geometry(w[0], motion)
        x = drawing(project(points, motion), motion).to(memory_format=torch.channels_last)
        heads = [ellipsoid_coordinates(motion, half)[0] for half in (64, 128) if size > half]
        injected = [torch.cat([head, waves(head, 4)], 1) for head in heads]
        return self.synthesis(x, w, injected), points

    def synthesis(self, drawn: Tensor, w: tuple[Tensor, ...], injected: list[Tensor]) -> list[Tensor]:
        """Pictures [N, 4, 64, 64], then one twice as large for every map in ``injected``."""
        x = self.convs[0](drawn, w[0])
        for i in (1, 2):
            x = self.convs[i](x, w[i])
        y = self.rgb[0](x, w[7])
        pictures = [y]
        for level, coordinates in enumerate(injected):
            inject = self.inject[str(64 * 2**level)](coordinates)
            x = self.convs[3 + 2 * level](x, w[3 + 2 * level])
            x = self.convs[4 + 2 * level](x, w[4 + 2 * level], inject)
            y = F.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False) + self.rgb[1 + level](x, w[8 + level])
            pictures.append(y)
        return pictures

    def pad_input(self) -> None:
        """Widen the first convolution to the padded motion code, for export."""
        first = self.convs[0]
        missing = INPUT - first.weight.shape[1]
        first.weight.data = F.pad(first.weight.data, (0, 0, 0, 0, 0, missing))
        first.affine.weight.data = F.pad(first.affine.weight.data, (0, 0, 0, missing))
        first.affine.bias.data = F.pad(first.affine.bias.data, (0, missing))

"""What the encoder is trained on: drawn heads, small, before scenery, in all light that cameras meet.

The encoder sees drawn heads alone and must bear real ones. What differs between them is made random here: the room,
the light's colour and side, the camera's curve and saturation, blur, noise, coarse colour of compressed video, things
in front of the face.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.attributes import PERSONAL
from tools.train_generator import Faces

SIZE = 128
LIGHT_X = PERSONAL.index("light_x")


def reduced(faces: Faces) -> Tensor:
    """All pictures of a split, premultiplied RGBA uint8 [n, 4, 128, 128], in memory."""
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
    """Random rooms [count, 3, 128, 128]: smooth colours of several scales, and upright and level edges before them."""
    total = torch.rand(count, 3, 1, 1, generator=generator).expand(-1, -1, SIZE, SIZE)
    for scale in (2, 5, 12, 24):
        noise = torch.rand(count, 3, scale, scale, generator=generator) - 0.5
        strength = torch.rand(count, 1, 1, 1, generator=generator) ** 2
        total = total + strength * F.interpolate(noise, size=(SIZE, SIZE), mode="bicubic", align_corners=False)
    axis = torch.arange(SIZE) / SIZE
    for _ in range(3):  # shelves, doors, windows
        x, y, w, h = (torch.rand(count, 1, 1, 1, generator=generator) for _ in range(4))
        there = torch.rand(count, 1, 1, 1, generator=generator) < 0.4
        inside = ((axis[None, None, None] - x).abs() < 0.5 * w**2) & ((axis[None, None, :, None] - y).abs() < 0.6 * h)
        colour = torch.rand(count, 3, 1, 1, generator=generator)
        total = torch.where(inside & there, 0.3 * total + 0.7 * colour, total)
    return (total * (0.3 + 0.9 * torch.rand(count, 1, 1, 1, generator=generator))).clamp(0, 1)


def augment(rgba: Tensor, wanted: Tensor, scenery: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Premultiplied RGBA [N, 4, 128, 128] and attributes [N, attributes] -> RGB [N, 3, 128, 128] as a camera sees it.

    Half of the heads are mirrored, and the light's side in their attributes with them.
    """
    n = len(rgba)
    mirrored = torch.rand(n, generator=generator) < 0.5
    wanted = wanted.clone()
    wanted[:, LIGHT_X] *= 1 - 2 * mirrored.float()
    scale, angle, x, y = (
        low + (high - low) * torch.rand(n, generator=generator)
        for low, high in ((0.86, 1.14), (-0.08, 0.08), (-0.09, 0.09), (-0.09, 0.09))
    )
    way = 1 - 2 * mirrored.float()
    theta = torch.stack([way * scale * angle.cos(), -angle.sin(), x, way * angle.sin(), scale * angle.cos(), y], 1)
    grid = F.affine_grid(theta.view(n, 2, 3), [n, 4, SIZE, SIZE], align_corners=False)
    warped = F.grid_sample(rgba, grid, align_corners=False)
    behind = scenery[torch.randint(0, len(scenery), (n,), generator=generator)]
    picture = lit(warped[:, :3], generator) + (1 - warped[:, 3:]) * behind
    return filmed(covered(picture, generator), generator), wanted


def _uniform(n: int, low: float, high: float, generator: torch.Generator, channels: int = 1) -> Tensor:
    return low + (high - low) * torch.rand(n, channels, 1, 1, generator=generator)


def lit(head: Tensor, generator: torch.Generator) -> Tensor:
    """A head [N, 3, 128, 128] under a further lamp from some side."""
    axis = torch.linspace(-1, 1, SIZE)
    aside, above = (_uniform(len(head), -0.3, 0.3, generator) for _ in range(2))
    return head * (1 + aside * axis[None, None, None] + above * axis[None, None, :, None])


def covered(picture: Tensor, generator: torch.Generator) -> Tensor:
    """Sometimes a thing in front of the face: a box or, as often, something round; a hand, a microphone."""
    n = len(picture)
    axis = torch.arange(SIZE) / SIZE
    x, y = _uniform(n, 0, 1, generator), _uniform(n, 0.4, 1.2, generator)
    w, h = _uniform(n, 0.02, 0.25, generator), _uniform(n, 0.02, 0.25, generator)
    dx, dy = (axis[None, None, None] - x).abs() / w, (axis[None, None, :, None] - y).abs() / h
    round_ = _uniform(n, 0, 1, generator) < 0.5
    inside = torch.where(round_, dx**2 + dy**2, torch.maximum(dx, dy)) < 1
    inside &= _uniform(n, 0, 1, generator) < 0.25
    return torch.where(inside, _uniform(n, 0, 1, generator, 3), picture)


def filmed(picture: Tensor, generator: torch.Generator) -> Tensor:
    """A picture [N, 3, 128, 128] through some camera: light, curve, saturation, coarse colour, blur and noise."""
    n = len(picture)
    picture = picture * _uniform(n, 0.7, 1.25, generator) * _uniform(n, 0.88, 1.12, generator, 3)
    picture = picture.clamp(1e-4, 1) ** _uniform(n, 0.75, 1.35, generator)
    picture = (picture - 0.5) * _uniform(n, 0.8, 1.2, generator) + 0.5 + _uniform(n, -0.05, 0.05, generator)
    grey = picture.mean(1, keepdim=True)
    colour = picture - grey
    coarse = F.interpolate(F.avg_pool2d(colour, 8), size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    colour = torch.where(_uniform(n, 0, 1, generator) < 0.4, coarse, colour)
    picture = grey + colour * _uniform(n, 0.6, 1.2, generator)
    small = F.interpolate(F.avg_pool2d(picture, 4), size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    picture = torch.where(_uniform(n, 0, 1, generator) < 0.3, small, picture)
    noise = torch.randn(picture.shape, generator=generator)
    return (picture + 0.06 * _uniform(n, 0, 1, generator) ** 2 * noise).clamp(0, 1)

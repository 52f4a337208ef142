"""What the encoder is trained on: drawn heads, small, before scenery, in all light that cameras meet.

The encoder sees drawn heads alone and must bear real ones. What differs between them is made random here: the shape of
neck and shoulders, the room, light and shadows on the face, skin's and strands' texture and its absence, things in
front of the face, the edge of the picture, the camera's curve, colours, sharpness and noise. Some pictures stay as they
were drawn.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.attributes import COLOURS, PERSONAL
from tools.encoder_rooms import SIZE, Surroundings, grown, uniform
from tools.train_generator import Faces

LIGHT_X = PERSONAL.index("light_x")
PAINTED = [PERSONAL.index(name) for name in COLOURS]  # what nobody can tell of a picture with other colours
HAIR = [PERSONAL.index(f"hair_{c}") for c in "rgb"]
BEARDS = [PERSONAL.index(name) for name in ("beard", "goatee", "moustache", "stubble")]
EARS_SHOW = [PERSONAL.index(name) for name in ("headphones", "hair_bald")]
PLAIN, RECOLOURED, SMOOTHED, OVERGROWN, COVERED, GAPING = 0.2, 0.2, 0.35, 0.25, 0.2, 0.12  # shares of the pictures
EYES = -0.13  # their height in drawn pictures, -1..1
# Ranges of size, angle, place (x, y), aspect, length above and below the eyes, and width and length below the chin.
PLACED = (
    *((-0.24, 0.14), (-0.13, 0.13), (-0.1, 0.1), (-0.14, 0.1), (-0.07, 0.07)),
    *((-0.05, 0.35), (-0.05, 0.5), (-0.2, 0.7), (-0.1, 0.7)),
)
# Ranges of middle (x, y) and size (x, y), and of how dark: shadows on the lower face and under the nose, in -1..1;
# things in front of the face and across the neck, in 0..1.
SHADOWS = (
    ((-0.4, 0.4), (0.0, 0.5), (0.06, 0.4), (0.04, 0.25), (-0.1, 0.45)),
    ((-0.15, 0.15), (0.05, 0.35), (0.06, 0.2), (0.02, 0.08), (0.0, 0.75)),
)
THINGS = (
    ((0.0, 1.0), (0.4, 1.2), (0.02, 0.25), (0.02, 0.25)),
    ((0.0, 1.0), (0.95, 1.3), (0.2, 0.8), (0.1, 0.3)),
)


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


def augment(rgba: Tensor, wanted: Tensor, around: Surroundings, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Premultiplied RGBA [N, 4, 128, 128] and attributes [N, attributes] -> RGB [N, 3, 128, 128] as a camera sees it.

    Half of the heads are mirrored, and the light's side in their attributes with them. Colours that the picture no
    longer tells are not-a-number among the attributes.
    """
    n = len(rgba)
    mirrored, plain, recoloured = (torch.rand(n, generator=generator) < share for share in (0.5, PLAIN, RECOLOURED))
    wanted = wanted.clone()
    wanted[:, LIGHT_X] *= 1 - 2 * mirrored.float()
    warped = F.grid_sample(rgba, places(mirrored, plain, generator), padding_mode="border", align_corners=False)
    head, opaque = warped[:, :3], warped[:, 3:]
    changed = gaping(overgrown(head, opaque, wanted, generator), wanted, generator)
    lighted = textured(lit(changed, _some(around.light, n, generator), generator), around, generator)
    behind = shoulders(_some(around.rooms, n, generator), generator)
    picture = covered(lighted + (1 - opaque) * behind, generator)
    rows = (recoloured & ~plain).nonzero()[:, 0]
    picture[rows] = refiltered(picture[rows], generator)
    wanted[rows[:, None], PAINTED] = torch.nan
    picture = framed(filmed(picture, _some(around.noise, n, generator), generator), generator)
    grey = uniform(n, 0.4, 0.8, generator)
    return torch.where(plain[:, None, None, None], head + (1 - opaque) * grey, picture), wanted


def _some(of: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return of[torch.randint(0, len(of), (count,), generator=generator)]


def places(mirrored: Tensor, plain: Tensor, generator: torch.Generator) -> Tensor:
    """Where each pixel is taken from, [N, 128, 128, 2] as ``grid_sample`` wants it: turned, sized, moved and bent
    (a little everywhere, more below the chin: necks and shoulders differ), and longer from the eyes down and up, as
    people are: the mouth of 19 lay 30 rows below the eyes, of drawn heads 23. Plain ones are mirrored at most."""
    n = len(mirrored)
    moved = 1 - plain.float()[:, None, None]
    scale, angle, x, y, aspect, upper, lower, wider, longer = (
        moved * (low + (high - low) * torch.rand(n, 1, 1, generator=generator)) for low, high in PLACED
    )
    axis = (torch.arange(SIZE) + 0.5) * 2 / SIZE - 1
    across, down = axis[None, None], axis[None, :, None]
    u = (1 + scale) * (angle.cos() * across - angle.sin() * down) * (1 + aspect) + x
    v = (1 + scale) * (angle.sin() * across + angle.cos() * down) + y
    from_eyes = v - EYES
    v = EYES + from_eyes / (1 + torch.where(from_eyes > 0, lower, upper))
    below = (v - 0.35).clamp(0, 1)
    u, v = u / (1 + wider * below * 1.5), v - below * longer / (1 + longer.abs())
    bent = grown(torch.randn(n, 2, 5, 5, generator=generator)) * 0.018 * moved[..., None]
    way = 1 - 2 * mirrored.float()[:, None, None]
    return torch.stack([(u + bent[:, 0]) * way, v + bent[:, 1]], 3)


def overgrown(head: Tensor, opaque: Tensor, wanted: Tensor, generator: torch.Generator) -> Tensor:
    """Heads [N, 3, 128, 128], premultiplied, of which some have hair along the sides down to the ear or the jaw, as
    real heads have and drawn ones have not: it is no headphones. Not those that wear any, and no bald ones."""
    able = wanted[:, EARS_SHOW].amax(1) < 0.5
    rows = ((torch.rand(len(head), generator=generator) < OVERGROWN) & able).nonzero()[:, 0]
    n, down = len(rows), torch.linspace(-1, 1, SIZE)[None, None, :, None]
    inside = F.avg_pool2d(opaque[rows], 17, 1, 8)
    rim = ((uniform(n, 0.6, 0.95, generator) - inside) * 12).clamp(0, 1) * opaque[rows]
    rim = rim * ((uniform(n, -0.15, 0.4, generator) - down) * 10).clamp(0, 1)
    colour = (1.05 * wanted[rows][:, HAIR]).clamp(0, 1).sqrt()[:, :, None, None] * uniform(n, 0.6, 1.1, generator)
    head = head.clone()
    head[rows] += rim * (colour * opaque[rows] - head[rows])
    return head


def gaping(head: Tensor, wanted: Tensor, generator: torch.Generator) -> Tensor:
    """Heads [N, 3, 128, 128] of which some have the mouth open wider than is drawn, with or without teeth: a dark hole
    that is no beard. Not those that wear one."""
    able = wanted[:, BEARDS].amax(1) < 0.05
    rows = ((torch.rand(len(head), generator=generator) < GAPING) & able).nonzero()[:, 0]
    n, axis = len(rows), torch.linspace(-1, 1, SIZE)
    x, y, w, h = (uniform(n, *of, generator) for of in ((-0.1, 0.1), (0.15, 0.5), (0.06, 0.17), (0.04, 0.2)))
    down = (axis[None, None, :, None] - y) / h
    hole = ((1 - ((axis[None, None, None] - x) / w) ** 2 - down**2) * 3).clamp(0, 1)
    colour = uniform(n, 0.02, 0.3, generator) * torch.tensor([1.0, 0.5, 0.45])[:, None, None]
    teeth = uniform(n, -1.2, -0.2, generator) > down
    colour = torch.where(teeth, uniform(n, 0.4, 0.9, generator), colour)
    head = head.clone()
    head[rows] += hole * (colour - head[rows])
    return head


def lit(head: Tensor, light: Tensor, generator: torch.Generator) -> Tensor:
    """A head [N, 3, 128, 128] under a further lamp from some side, in ``light``, with soft shadows on the lower face
    that are no beard."""
    n = len(head)
    axis = torch.linspace(-1, 1, SIZE)
    across, down = axis[None, None, None], axis[None, None, :, None]
    aside, above = (uniform(n, -0.35, 0.35, generator) for _ in range(2))
    factor = 1 + aside * across + above * down + 0.55 * uniform(n, 0, 1, generator) ** 2 * light
    for ranges in SHADOWS:
        x, y, w, h, dark = (uniform(n, low, high, generator) for low, high in ranges)
        shade = (1.3 - ((across - x) / w) ** 2 - ((down - y) / h) ** 2).clamp(0, 1)
        factor = factor * (1 - shade * dark * (uniform(n, 0, 1, generator) < 0.4))
    tint = 1 + uniform(n, 0, 1, generator) ** 2 * uniform(n, -0.3, 0.3, generator, 3) * light
    return (head * factor.clamp_min(0.2) * tint).clamp(0, 1)


def textured(head: Tensor, around: Surroundings, generator: torch.Generator) -> Tensor:
    """A head [N, 3, 128, 128] with finer structure than is drawn, or with less: smoothed but for its edges (the local
    filter of Lee 1980, "Digital image enhancement and noise filtering by use of local statistics")."""
    n = len(head)
    rows = (torch.rand(n, generator=generator) < SMOOTHED).nonzero()[:, 0]
    some = head[rows]
    mean, grey = _around(some), some.mean(1, keepdim=True)
    spread = (_around(grey**2) - _around(grey) ** 2).clamp_min(0)
    keep = spread / (spread + uniform(len(rows), 0.05, 0.16, generator) ** 2)
    amount = 0.15 * uniform(n, 0, 1, generator) ** 2
    head = head.clone()
    head[rows] = mean + keep * (some - mean)
    return head * (1 + amount * _some(around.texture, n, generator))


def _around(picture: Tensor, size: int = 5) -> Tensor:
    """The mean of ``size`` x ``size`` pixels around each."""
    return F.avg_pool2d(picture, size, 1, size // 2, count_include_pad=False)


def shoulders(rooms: Tensor, generator: torch.Generator) -> Tensor:
    """Rooms [N, 3, 128, 128] with somebody's clothes or a chair at the lower edge, wider than drawn shoulders are."""
    n = len(rooms)
    axis = torch.linspace(-1, 1, SIZE)
    x, y = uniform(n, -0.3, 0.3, generator), uniform(n, 0.8, 1.5, generator)
    w, h = uniform(n, 0.5, 1.3, generator), uniform(n, 0.2, 0.9, generator)
    inside = ((axis[None, None, None] - x).abs() / w) ** 2.5 + ((axis[None, None, :, None] - y).abs() / h) ** 2.5 < 1
    inside &= uniform(n, 0, 1, generator) < 0.6
    colour = uniform(n, 0, 1, generator) ** 1.5 * (1 + uniform(n, -0.3, 0.3, generator, 3))
    return torch.where(inside, colour.clamp(0, 1), rooms)


def covered(picture: Tensor, generator: torch.Generator) -> Tensor:
    """Sometimes a thing in front of the face, a box or something round (a hand, a microphone), or across the neck (a
    scarf, a collar)."""
    n = len(picture)
    axis = torch.arange(SIZE) / SIZE
    for ranges in THINGS:
        x, y, w, h = (uniform(n, low, high, generator) for low, high in ranges)
        dx, dy = (axis[None, None, None] - x).abs() / w, (axis[None, None, :, None] - y).abs() / h
        round_ = uniform(n, 0, 1, generator) < 0.5
        inside = torch.where(round_, dx**2 + dy**2, torch.maximum(dx, dy)) < 1
        inside &= uniform(n, 0, 1, generator) < COVERED
        picture = torch.where(inside, uniform(n, 0, 1, generator, 3), picture)
    return picture


def refiltered(picture: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures [N, 3, 128, 128] mixed with themselves through a random convolution, after Xu et al. 2021, "Robust and
    generalizable visual representation learning via random convolutions": shapes stay, colours and textures do not."""
    n = len(picture)
    if not n:
        return picture
    size = 3
    kernels = torch.randn(n * 3, 3, size, size, generator=generator) / (3 * size**2) ** 0.5
    other = F.conv2d(picture.reshape(1, n * 3, SIZE, SIZE), kernels, padding=1, groups=n).view_as(picture)
    middle, spread = other.mean((2, 3), keepdim=True), other.std((2, 3), keepdim=True) + 1e-3
    other = 0.5 + (other - middle) * 0.22 / spread
    share = uniform(n, 0.1, 0.7, generator)
    return (picture + share * (other - picture)).clamp(0, 1)


def filmed(picture: Tensor, noise: Tensor, generator: torch.Generator) -> Tensor:
    """A picture [N, 3, 128, 128] through some camera: light, curves, saturation, coarse colour, focus and noise."""
    n = len(picture)
    dim = torch.where(uniform(n, 0, 1, generator) < 0.1, 0.6, 1.0)
    picture = (picture * (dim * uniform(n, 0.7, 1.25, generator) * uniform(n, 0.85, 1.15, generator, 3))).clamp(0, 1)
    bend, colours = uniform(n, -0.35, 0.65, generator), uniform(n, -0.15, 0.15, generator, 3)
    steep = uniform(n, -0.5, 1.3, generator)
    left = 1 - picture
    picture = picture + picture * left * (bend + colours + steep * (picture - left))
    grey = picture.mean(1, keepdim=True)
    colour = picture - grey
    rows = (torch.rand(n, generator=generator) < 0.4).nonzero()[:, 0]
    colour[rows] = _coarse(colour[rows], 8)
    picture = grey + colour * uniform(n, 0.4, 1.25, generator)
    kind = torch.rand(n, generator=generator)
    for size, low, high in ((4, 0.0, 0.2), (2, 0.2, 0.5)):
        rows = ((kind >= low) & (kind < high)).nonzero()[:, 0]
        picture[rows] = _coarse(picture[rows], size)
    rows = (kind > 0.8).nonzero()[:, 0]  # sharpened, as telephones do
    picture[rows] += uniform(len(rows), 0.2, 1.2, generator) * (picture[rows] - _around(picture[rows], 3))
    return (picture + 0.045 * uniform(n, 0, 1, generator) ** 2 * noise).clamp(0, 1)


def _coarse(picture: Tensor, size: int) -> Tensor:
    small = F.avg_pool2d(picture, size)
    return F.interpolate(small, size=(SIZE, SIZE), mode="bilinear", align_corners=False)


def framed(picture: Tensor, generator: torch.Generator) -> Tensor:
    """Some pictures [N, 3, 128, 128] end early, as crops at the edge of a frame do: black, or the last row goes on."""
    n = len(picture)
    axis = torch.arange(SIZE)
    edge = (uniform(n, 0.0, 0.2, generator) * SIZE * (uniform(n, 0, 1, generator) < 0.15)).long()
    side = uniform(n, 0, 1, generator) < 0.5
    across = torch.where(side, axis[None, None, None], SIZE - 1 - axis[None, None, None])
    last = (uniform(n, 0.8, 1.0, generator) * SIZE).long()
    kind = uniform(n, 0, 1, generator)
    black = (across < edge) | ((axis[None, None, :, None] > last) & (kind < 0.1))
    picture = picture * ~black
    for i in ((kind > 0.85).nonzero()[:, 0]).tolist():
        row = int(last[i])
        picture[i, :, row:] = picture[i, :, row - 1 : row]
    return picture

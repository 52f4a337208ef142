"""What one frame tells about who someone is: colours, proportions and edges, measured where the landmarks say.

The encoder network is trained on drawn heads alone; these cues are measured on the pixels and points themselves, so
they hold for real faces too. Pixels are taken from the crop. The head's frame is that of ``realtime.alignment``: the
outer eye corners are 1 apart, x to the picture's right, y up, z to the camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from realtime.brows import brow_thickness
from realtime.frames import Crop, Face, Floats, Pixels
from realtime.irises import iris_colour

Array = npt.NDArray[np.float64]

SKIN = (50, 280, 101, 330, 205, 425, 36, 266, 151, 9, 108, 337, 69, 299)  # FaceMesh: cheeks, forehead
FACE = (  # the same as areas
    (117, 118, 119, 100, 142, 36, 205, 187, 123), (346, 347, 348, 329, 371, 266, 425, 411, 352),
    (69, 108, 151, 337, 299, 9),
)  # fmt: skip
LIPS = (0, 37, 267, 17, 84, 314)
UPPER_LIP = (164, 167, 393, 165, 391)  # between nose and mouth
CHIN = (199, 200, 175, 208, 428)
HAIRLINE = (103, 67, 109, 10, 338, 297, 332)
FOREHEAD = ((10, 151), (109, 108), (338, 337))  # from the hairline down to above the brows
ABOVE = (0.10, 0.13, 0.16, 0.19)  # of the face's height, above the hairline
HAIR_FROM, HAIR_TO = 0.15, 0.27  # the same, where hair is hair and not skin under its first strands, nor room
BROWS = (105, 66, 107, 334, 296, 336)
COLOURS = ("skin", "lips", "hair", "eyes", "clothes")

# The picture of the eyes: its size, pixels per distance of the outer eye corners, and the row of the corners.
EYES_SHAPE, EYES_SCALE, EYES_ROW = (112, 192), 120.0, 36
# Where hair hangs beside the jaw in long styles (x, y, z of the head's frame), on the right.
_BESIDE = np.array([(x, y, -0.5) for x in np.linspace(0.85, 1.1, 6) for y in np.linspace(-0.95, -0.5, 6)])
# Where clothes are (x, y of the head's frame), far below the chin.
_CLOTHES = np.array([(x, y) for x in np.linspace(-0.9, 0.9, 8) for y in np.linspace(-2.1, -1.75, 4)])
_LIT = 80.0  # percentile of the places on the face: what its better lit parts show
_IN_SHADOW = 0.65  # of their lightness, below which hair or a hard shadow lies on the face
_NO_SKIN = 12.0  # Lab distance, lightness weighted less, from which a colour is not skin in shade
_HARDLY = 0.18  # of what lies above the forehead, up to which hair is hardly seen
_DARKER, _HUED = (0.10, 0.50), (0.10, 0.80)  # of the hair by lightness: what tells how dark it is, and its hue
_HAIR_NEAR = (12.0, 24.0)  # Lab distances within which a colour counts as the hair's: for even and for uneven hair
_FRONTAL = 0.35  # radians from the camera at which a frame counts for e^-1/2 of a frontal one


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One frame's evidence.

    weight: how much it counts, by how frontal the face is, 0 to 1.
    network: float64 [attributes], what the encoder network says.
    colours: Lab of :data:`COLOURS`, float64 [3] each; not-a-number for clothes and eyes where none are seen.
    lit: Lab of the better lit skin, float64 [3].
    drawn_eyes: Lab of the eyes if the face is a drawn one, float64 [3]; not-a-number where they are closed.
    figures: float64 [figures], proportions by :data:`FIGURES`.
    eyes: float32 [112, 192], the surroundings of the eyes in grey, upright and at one scale, 1 for bright skin.
    beside_jaw: share of the places beside the jaw that have the hair's colour; NaN where the room has it too.
    bare: share of the places above the forehead that look like skin.
    fringe: share of the places down the middle of the forehead that look more like the hair than like skin.
    upper_lip, chin: how light these are, 1 for the skin.
    brows: how thick they are (``realtime.brows``); NaN where none stand out.
    """

    weight: float
    network: Array
    colours: dict[str, Array]
    lit: Array
    drawn_eyes: Array
    figures: Array
    eyes: Floats
    beside_jaw: float
    bare: float
    fringe: float
    upper_lip: float
    chin: float
    brows: float


def look(face: Face, crop: Crop, network: npt.NDArray[np.float32]) -> Look:
    """The evidence of one frame; ``network`` is the encoder's answer for the crop [attributes]."""
    points = in_crop(face, crop)
    lab = to_lab(crop.pixels)
    lit = np.percentile(patches(lab, points[list(SKIN), :2]), _LIT, axis=0)
    hair, near, bare = _hair(lab, points, lit)
    lips = np.median(patches(lab, points[list(LIPS), :2]), axis=0)
    clothes = _clothes(lab, points, lit, hair)
    colours = {
        "skin": _skin(lab, points, lit),
        "lips": lips,
        "hair": _hair_colour(lab, points, lit, hair),
        "eyes": iris_colour(lab, points),
        "clothes": clothes,
    }
    upper_lip, chin = (np.median(patches(lab, points[list(part), :2])[:, 0]) for part in (UPPER_LIP, CHIN))
    turn = crop.rotation
    aside = np.array([np.arctan2(-turn[2, 0], turn[2, 2]), np.arcsin(np.clip(turn[2, 1], -1.0, 1.0))])
    return Look(
        weight=float(np.exp(-(aside @ aside) / (2 * _FRONTAL**2))),
        network=np.asarray(network, np.float64),
        colours=colours,
        lit=lit,
        drawn_eyes=iris_colour(lab, points, drawn=True),
        figures=proportions(face, crop),
        eyes=eye_picture(crop.pixels, points),
        beside_jaw=_beside_jaw(lab, points, turn, hair, lit, near),
        bare=bare,
        fringe=_fringe(lab, points, hair, lit),
        upper_lip=float(upper_lip / max(lit[0], 1.0)),
        chin=float(chin / max(lit[0], 1.0)),
        brows=brow_thickness(lab[..., 0], points),
    )


def in_crop(face: Face, crop: Crop) -> Array:
    """The landmarks in crop pixels, float64 [478, 3]."""
    inverse = np.linalg.inv(crop.transform[:, :2])
    points = face.landmarks.astype(np.float64)
    points[:, :2] = (points[:, :2] - crop.transform[:, 2]) @ inverse.T
    points[:, 2] *= inverse[0, 0]
    return points


def to_lab(pixels: Pixels) -> Array:
    """BGR bytes [..., 3] as CIE Lab float64 of the same shape: L 0..100 (sRGB, D65)."""
    flat = np.ascontiguousarray(pixels.reshape(1, -1, 3), np.float32) / 255
    return np.asarray(cv2.cvtColor(flat, cv2.COLOR_BGR2Lab), np.float64).reshape(pixels.shape)


def to_bgr(lab: Array) -> Pixels:
    """The inverse of :func:`to_lab`."""
    flat = np.ascontiguousarray(lab.reshape(1, -1, 3), np.float32)
    bgr = np.asarray(cv2.cvtColor(flat, cv2.COLOR_Lab2BGR), np.float64)
    return np.asarray(np.clip(np.rint(bgr * 255), 0, 255), np.uint8).reshape(lab.shape)


def linear_rgb(lab: Array) -> Array:
    """A Lab colour as linear RGB, float64 [3], by the display curve of the drawn heads."""
    rgb = to_bgr(lab)[::-1].astype(np.float64) / 255
    return np.asarray(rgb**2 / (1.1 - 0.16 * rgb**2))


def patches(picture: Array, places: Array) -> Array:
    """The median of 3 x 3 pixels around each place [n, 2] (x, y): float64 [n, 3]; places outside move to the edge."""
    height, width = picture.shape[:2]
    at = np.clip(np.rint(places).astype(int), 1, [width - 2, height - 2])
    around = [picture[at[:, 1] + dy, at[:, 0] + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return np.asarray(np.median(np.stack(around), axis=0))


def far(colours: Array, from_: Array, lightness: float = 0.6) -> Array:
    """Lab distances [n] in which lightness counts less: light and shade change it."""
    return np.asarray(np.linalg.norm((colours - from_) * (lightness, 1.0, 1.0), axis=-1))


def _skin(lab: Array, points: Array, lit: Array) -> Array:
    """The skin's Lab colour: the median of cheeks and forehead where they are not in shadow; ``lit`` without any."""
    inside = np.zeros(lab.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.rint(points[list(area), :2]).astype(np.int32) for area in FACE], (1,))
    seen = lab[inside > 0]
    seen = seen[seen[:, 0] > _IN_SHADOW * lit[0]]
    return np.median(seen, axis=0) if len(seen) else lit


def _hair(lab: Array, points: Array, skin: Array) -> tuple[Array, float, float]:
    """The hair's Lab colour above the forehead, the distance within which others are the hair's, and the bare share."""
    up = points[10, :2] - points[152, :2]
    seen = patches(lab, np.concatenate([points[list(HAIRLINE), :2] + rise * up for rise in ABOVE]))
    hair = seen[far(seen, skin) > _NO_SKIN]
    bare = 1.0 - len(hair) / len(seen)
    if len(hair) < 5:  # no hair to be seen there: the brows tell its colour
        return np.median(patches(lab, points[list(BROWS), :2]), axis=0), _HAIR_NEAR[0], bare
    colour = np.median(hair, axis=0)
    spread = float(np.median(np.linalg.norm(hair - colour, axis=1)))
    return colour, float(np.clip(2.5 * spread, *_HAIR_NEAR)), bare


def _hair_colour(lab: Array, points: Array, skin: Array, hair: Array) -> Array:
    """The Lab colour of all that is not skin above the forehead: the lightness of its darker half but for the darkest,
    the hue and chroma of all but that and what shines, which has the lamp's colour.

    Hair has bands of light and shade, of which the median of some places (``hair``) is now the one and now the other.
    It stands for the hair where hardly any is seen. People's hair has more colour in the light than in the shade, more
    so than drawn hair: by the shade alone brown hair came out nearly black (docs/decisions/0099).
    """
    up = points[10, :2] - points[152, :2]
    line = points[list(HAIRLINE), :2]
    band = np.concatenate([line + HAIR_FROM * up, (line + HAIR_TO * up)[::-1]])
    inside = np.zeros(lab.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.rint(band).astype(np.int32)], (1,))
    above = lab[inside > 0]
    seen = above[far(above, skin) > _NO_SKIN]
    if len(seen) <= _HARDLY * len(above):
        return hair
    lightest_last = seen[np.argsort(seen[:, 0], kind="stable")]
    dark, hued = (lightest_last[int(a * len(seen)) : int(b * len(seen)) + 1].mean(axis=0) for a, b in (_DARKER, _HUED))
    return np.array([dark[0], *hued[1:]])


def _fringe(lab: Array, points: Array, hair: Array, skin: Array) -> float:
    """See :class:`Look`."""
    top, bottom = (points[[pair[end] for pair in FOREHEAD], :2] for end in (0, 1))
    seen = patches(lab, np.concatenate([top + down * (bottom - top) for down in (0.2, 0.4, 0.6, 0.8)]))
    return float((far(seen, hair, 0.7) < far(seen, skin, 0.7)).mean())


def _clothes(lab: Array, points: Array, skin: Array, hair: Array) -> Array:
    """The Lab colour of clothes below the neck: what is neither skin nor hair; not-a-number where nothing is."""
    scale = float(np.linalg.norm(points[33] - points[263]))
    seen = patches(lab, (points[33, :2] + points[263, :2]) / 2 + _CLOTHES * (scale, -scale))
    cloth = seen[(far(seen, skin) > _NO_SKIN) & (far(seen, hair, 0.7) > _HAIR_NEAR[0])]
    return np.median(cloth, axis=0) if len(cloth) >= 8 else np.full(3, np.nan)


def _beside_jaw(lab: Array, points: Array, rotation: Array, hair: Array, skin: Array, near: float) -> float:
    """See :class:`Look`; both sides together."""
    rows, columns = lab.shape[:2]
    edges = np.array([(x, y) for x in (8, 20, columns - 21, columns - 9) for y in (20, 60, 100)], np.float64)
    if (far(patches(lab, edges), hair, 0.7) < near).mean() > 0.3:
        return float("nan")
    scale = float(np.linalg.norm(points[33] - points[263]))
    middle = (points[33, :2] + points[263, :2]) / 2
    places = np.concatenate([_BESIDE * (side, 1, 1) for side in (-1, 1)]) @ rotation.T * scale
    seen = patches(lab, middle + places[:, :2] * (1, -1))
    return float(((far(seen, hair, 0.7) < near) & (far(seen, hair, 0.7) < far(seen, skin))).mean())


def eye_picture(pixels: Pixels, points: Array) -> Floats:
    """The surroundings of the eyes; see :class:`Look`."""
    left, right = points[33, :2], points[263, :2]
    across = (right - left) / EYES_SCALE
    down = np.array([-across[1], across[0]])
    corner = (left + right) / 2 - across * EYES_SHAPE[1] / 2 - down * EYES_ROW
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shown = cv2.warpAffine(pixels, np.stack([across, down, corner], 1), EYES_SHAPE[::-1], flags=flags)
    grey = cv2.cvtColor(shown, cv2.COLOR_BGR2GRAY).astype(np.float32)
    return np.asarray(grey / max(float(np.percentile(grey, 80)), 1.0), np.float32)


def bridge_edge(eyes: Floats) -> float:
    """How sharp the sharpest line across the bridge of the nose is, in hundredths of the skin's brightness.

    Noses have no such line, glasses do. The second difference down each column of the bridge; its largest value per
    column, then the median of the columns. Over real faces, several frames each: 0.07 to 0.67 without glasses, 1.4 to
    5.2 with (``docs/likeness.md``).
    """
    smooth = cv2.GaussianBlur(eyes, (0, 0), 1.0)
    second = np.abs(smooth[2:] - 2 * smooth[1:-1] + smooth[:-2])
    middle, half = EYES_SHAPE[1] // 2, int(0.1 * EYES_SCALE)
    rows = slice(EYES_ROW - int(0.12 * EYES_SCALE) - 1, EYES_ROW + int(0.12 * EYES_SCALE) - 1)
    return 100 * float(np.median(second[rows, middle - half : middle + half].max(axis=0)))


FIGURES = (
    *("face_length", "jaw_width", "chin", "cheeks", "forehead", "nose_length", "nose_width", "eye_size"),
    *("eye_distance", "eye_tilt", "brow_height", "brow_arch", "lip_thickness", "mouth_width", "eye_open", "philtrum"),
    "chin_length",
)


def proportions(face: Face, crop: Crop) -> Array:
    """The figures of a face in the head's frame, float64 [figures]: distances over that of the outer eye corners."""
    p = (face.landmarks.astype(np.float64) * (1.0, -1.0, -1.0)) @ crop.rotation
    p /= max(float(np.linalg.norm(p[263] - p[33])), 1e-6)
    y = p[:, 1]

    def apart(a: int, b: int) -> float:
        return float(np.linalg.norm(p[a] - p[b]))

    width = max(apart(234, 454), 1e-6)
    eyes = (y[33] + y[133] + y[362] + y[263]) / 4
    return np.array(
        [
            *(apart(10, 152), apart(172, 397) / width, apart(149, 378) / width, apart(50, 280) / width, y[10] - eyes),
            *(eyes - y[2], apart(129, 358), (apart(33, 133) + apart(362, 263)) / 2, apart(133, 362)),
            *((y[33] - y[133] + y[263] - y[362]) / 2, (y[105] + y[334] - y[159] - y[386]) / 2),
            (2 * y[105] - y[107] - y[70] + 2 * y[334] - y[336] - y[300]) / 4,
            *(y[0] - y[13] + y[14] - y[17], apart(61, 291)),
            *(y[159] - y[145] + y[386] - y[374], y[2] - y[0], y[17] - y[152]),
        ]
    )


def at_rest(figures: Array) -> float:
    """How far the eyes are open while the jaw is not, for choosing a picture of a person; never negative."""
    return max(float(figures[FIGURES.index("eye_open")]), 0.0) / float(figures[0]) ** 3

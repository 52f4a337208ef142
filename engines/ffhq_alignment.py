"""The alignment that photographic face generators were trained with: a landmark-defined square, cut out and resampled.

Source: Karras et al. 2018, "Progressive Growing of GANs", appendix C, and Karras et al. 2019, "A Style-Based Generator
Architecture for GANs", appendix A (FFHQ). The square's axes come from the eyes and mouth corners; where it leaves the
picture, the picture is reflected and blurred towards its border.

Pictures are uint8 [H, W, channels] in any channel order. Points are x, y in pixels, the first pixel's centre at (0, 0).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

# The scheme of 68 points (iBUG 300-W, as dlib numbers it).
LEFT_EYE_68, RIGHT_EYE_68, MOUTH_CORNERS_68 = slice(36, 42), slice(42, 48), (48, 54)
# The same places among MediaPipe's 478 points: eye corners and lids in the order of points 36-47, mouth corners.
LEFT_EYE_478 = (33, 160, 158, 133, 153, 144)
RIGHT_EYE_478 = (362, 385, 387, 263, 373, 380)
MOUTH_CORNERS_478 = (61, 291)


@dataclass(frozen=True, slots=True, eq=False)
class Anchors:
    """The four points that define the square, float64 [2] each; left and right in the picture."""

    left_eye: Points
    right_eye: Points
    left_mouth: Points
    right_mouth: Points


@dataclass(frozen=True, slots=True, eq=False)
class AlignedFace:
    """An aligned face.

    pixels: uint8 [size, size, channels].
    quad: float64 [4, 2] in the picture: top left, bottom left, bottom right, top right.
    quad_before_transform: the same corners after shrinking, cropping and padding.
    padded: whether the square left the picture so far that it was padded.
    """

    pixels: Pixels
    quad: Points
    quad_before_transform: Points
    padded: bool


def anchors_from_68(landmarks: npt.ArrayLike) -> Anchors:
    """Anchors of 68 points [68, 2]: eye centres as the mean of six contour points each."""
    points = _points(landmarks, 68)
    left, right = MOUTH_CORNERS_68
    return Anchors(points[LEFT_EYE_68].mean(axis=0), points[RIGHT_EYE_68].mean(axis=0), points[left], points[right])


def anchors_from_478(landmarks: npt.ArrayLike) -> Anchors:
    """Anchors of MediaPipe's 478 points [478, 2 or more], from the places that correspond to the 68."""
    points = _points(landmarks, 478)
    left, right = MOUTH_CORNERS_478
    return Anchors(
        points[list(LEFT_EYE_478)].mean(axis=0), points[list(RIGHT_EYE_478)].mean(axis=0), points[left], points[right]
    )


def _points(landmarks: npt.ArrayLike, count: int) -> Points:
    points = np.asarray(landmarks, np.float64)
    if points.ndim != 2 or points.shape[0] != count or points.shape[1] < 2 or not np.isfinite(points[:, :2]).all():
        raise ValueError(f"landmarks have shape {list(points.shape)}; wanted [{count}, 2] finite numbers")
    return points[:, :2]


def quad_from_anchors(anchors: Anchors) -> Points:
    """The square's corners, float64 [4, 2]: top left, bottom left, bottom right, top right.

    Raises ValueError when the anchors coincide.
    """
    eyes, mouth = (anchors.left_eye + anchors.right_eye) / 2, (anchors.left_mouth + anchors.right_mouth) / 2
    across, down = anchors.right_eye - anchors.left_eye, mouth - eyes
    x = across + np.array([down[1], -down[0]])  # the mean of both hints at the face's horizontal
    length = math.hypot(*x)
    if length == 0:
        raise ValueError("the eyes and the mouth lie on one point; wanted a face")
    x *= max(2.0 * math.hypot(*across), 1.8 * math.hypot(*down)) / length
    y = np.array([-x[1], x[0]])
    centre = eyes + 0.1 * down
    return np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])


def crop_transform(quad: Points, size: int) -> npt.NDArray[np.float64]:
    """float64 [2, 3]: pixels of the aligned square (first centre at 0, 0) to pixels of the picture."""
    x, y = (quad[3] - quad[0]) / size, (quad[1] - quad[0]) / size
    return np.column_stack([x, y, quad[0] + (x + y) / 2])


def align_face(picture: Pixels, quad: Points, size: int = 256, sample_size: int | None = None) -> AlignedFace:
    """Cut the square out of a picture, as the training pictures were made.

    1. Shrink a picture that is much larger than wanted.
    2. Crop to the square and a border.
    3. Pad where the square leaves the picture.
    4. Sample the square bilinearly, at ``sample_size`` (None: ``size``), and reduce to ``size``.

    For live pictures ``cv2.warpAffine`` with :func:`crop_transform` does nearly the same at once.
    """
    corners = quad.astype(np.float64)
    pixels, corners = _shrink(picture, corners, size)
    pixels, corners = _crop(pixels, corners)
    pixels, corners, padded = _pad(pixels, corners)
    sample_size = sample_size or size
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    transform = crop_transform(corners, sample_size)
    square: Pixels = np.asarray(cv2.warpAffine(pixels, transform, (sample_size, sample_size), flags=flags), np.uint8)
    if sample_size != size:
        square = lanczos_resize(square, size, size)
    return AlignedFace(square, quad, corners, padded)


def live_crop(picture: Pixels, quad: Points, size: int = 256) -> Pixels:
    """The square, uint8 [size, size, channels], of live pictures: nearly :func:`align_face`, in a fraction of its time.

    A square much larger than ``size`` is averaged over whole blocks first, so that fine detail does not flicker; beyond
    the picture its edge is reflected.
    """
    factor = max(1, math.floor(_square_px(quad) / size))
    corners = quad
    if factor > 1:
        pixels, corners = _crop(picture, quad)
        height, width = (max(1, edge // factor) for edge in pixels.shape[:2])
        part = pixels[: height * factor, : width * factor]
        picture = np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        corners = (corners + 0.5) / factor - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    transform = crop_transform(corners, size)
    square = cv2.warpAffine(picture, transform, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(square, np.uint8)


def _square_px(quad: Points) -> float:
    """The edge of the square."""
    return math.hypot(*(quad[3] - quad[0]))


def _border_px(quad: Points) -> int:
    return max(round(_square_px(quad) * 0.1), 3)


def _shrink(picture: Pixels, quad: Points, size: int) -> tuple[Pixels, Points]:
    factor = math.floor(_square_px(quad) / size * 0.5)
    if factor <= 1:
        return picture, quad
    height, width = picture.shape[:2]
    return lanczos_resize(picture, round(width / factor), round(height / factor)), quad / factor


def _bounds(quad: Points) -> tuple[int, int, int, int]:
    """The upright box around a square: left, top, right, bottom."""
    left, top = np.floor(quad.min(axis=0)).astype(int)
    right, bottom = np.ceil(quad.max(axis=0)).astype(int)
    return int(left), int(top), int(right), int(bottom)


def _crop(picture: Pixels, quad: Points) -> tuple[Pixels, Points]:
    height, width = picture.shape[:2]
    border, (left, top, right, bottom) = _border_px(quad), _bounds(quad)
    left, top = max(left - border, 0), max(top - border, 0)
    right, bottom = min(right + border, width), min(bottom + border, height)
    if right <= left or bottom <= top:
        raise ValueError("the face lies outside the picture")
    return picture[top:bottom, left:right], quad - [left, top]


def _pad(picture: Pixels, quad: Points) -> tuple[Pixels, Points, bool]:
    """Reflect a picture around its edge and blur it towards the new edge, if the square leaves it."""
    height, width = picture.shape[:2]
    border, (left, top, right, bottom) = _border_px(quad), _bounds(quad)
    needed = (border - left, border - top, right - width + border, bottom - height + border)
    if max(needed) <= border - 4:
        return picture, quad, False
    least = round(_square_px(quad) * 0.3)
    before_x, before_y, after_x, after_y = (max(pad, least, 0) for pad in needed)
    pads = ((before_y, after_y), (before_x, after_x), (0, 0))
    pixels = np.pad(picture.astype(np.float32), pads, "reflect")
    mask = _edge_mask(pixels.shape[1], pixels.shape[0], (before_x, before_y, after_x, after_y))
    sigma = _square_px(quad) * 0.02
    radius = int(4 * sigma + 0.5)
    blurred = cv2.GaussianBlur(pixels, (2 * radius + 1,) * 2, sigma, borderType=cv2.BORDER_REFLECT)
    pixels += (blurred - pixels) * np.clip(mask * 3 + 1, 0, 1)
    pixels += (np.median(pixels, axis=(0, 1)) - pixels) * np.clip(mask, 0, 1)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8), quad + [before_x, before_y], True


def _edge_mask(width: int, height: int, pads: tuple[int, int, int, int]) -> npt.NDArray[np.float32]:
    """[height, width, 1]: 1 at the padded picture's edge, 0 at the original's, negative inside."""
    x, y = np.arange(width, dtype=np.float32)[None, :, None], np.arange(height, dtype=np.float32)[:, None, None]
    across = np.minimum(x / pads[0], (width - 1 - x) / pads[2])
    down = np.minimum(y / pads[1], (height - 1 - y) / pads[3])
    return np.asarray(np.maximum(1 - across, 1 - down), np.float32)


def lanczos_resize(picture: Pixels, width: int, height: int) -> Pixels:
    """Resize with a Lanczos filter of three lobes, widened when reducing so that it does not alias."""
    rows = _lanczos_weights(picture.shape[0], height)  # [height H]
    columns = _lanczos_weights(picture.shape[1], width)  # [width W]
    narrow = np.clip(np.rint(np.einsum("xw,hwc->hxc", columns, picture, optimize=True)), 0, 255)
    result = np.clip(np.rint(np.einsum("yh,hxc->yxc", rows, narrow, optimize=True)), 0, 255)
    return np.asarray(result, np.uint8)


def _lanczos_weights(old: int, new: int) -> npt.NDArray[np.float32]:
    """[new, old]: how much every old sample adds to every new one; rows sum to 1."""
    scale = max(old / new, 1.0)
    centres = (np.arange(new)[:, None] + 0.5) * old / new
    distance = (np.arange(old)[None] + 0.5 - centres) / scale
    weights = np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)

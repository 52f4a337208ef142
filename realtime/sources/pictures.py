"""From what decoders and devices deliver to upright BGR pixels of one fixed size."""

from __future__ import annotations

from collections.abc import Iterator

import av
import cv2
import numpy as np

from realtime.frames import Pixels
from realtime.settings import CaptureSettings

MOST_PIXELS = 1920 * 1080
UNSPECIFIED_COLORSPACE = 2  # AVCOL_SPC_UNSPECIFIED
TURNS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}

Size = tuple[int, int]


def within(size: Size, box: Size) -> Size:
    """The largest size with the proportions of ``size`` that fits into ``box``; at least 1 x 1."""
    scale = min(box[0] / size[0], box[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def capped(size: Size, settings: CaptureSettings) -> Size:
    """``size``, or what it is scaled down to when it has more pixels than 1920 x 1080 and than was asked for."""
    box = (settings.width, settings.height)
    if size[0] * size[1] <= max(MOST_PIXELS, box[0] * box[1]):
        return size
    upright = (size[0] < size[1]) != (box[0] < box[1])
    return within(size, box[::-1] if upright else box)


def fitted(pixels: Pixels, size: Size) -> Pixels:
    """``pixels`` scaled into ``size`` with their proportions kept, black bars around; the same array when it fits."""
    height, width = pixels.shape[:2]
    if (width, height) == size:
        return pixels
    inner = within((width, height), size)
    if inner != (width, height):
        flags = cv2.INTER_AREA if inner[0] < width else cv2.INTER_LINEAR
        pixels = np.asarray(cv2.resize(pixels, inner, interpolation=flags), dtype=np.uint8)
    return _padded(pixels, size)


def mirrored(pixels: Pixels, settings: CaptureSettings) -> Pixels:
    """``pixels`` with left and right exchanged where the settings want it, C-contiguous."""
    return np.ascontiguousarray(pixels[:, ::-1] if settings.mirror else pixels)


def upright_size(frame: av.VideoFrame) -> Size:
    """Width and height of a decoded picture once its rotation is applied."""
    return (frame.height, frame.width) if _quarter_turns(frame) % 2 else (frame.width, frame.height)


def bgr(frame: av.VideoFrame, size: Size) -> Pixels:
    """A decoded picture as uint8 BGR [height, width, 3] of ``size``.

    Its rotation is applied, transparency lies over black, and a picture of other proportions gets black bars.
    """
    turns = _quarter_turns(frame)
    inner = within(upright_size(frame), size)
    width, height = inner[::-1] if turns % 2 else inner
    has_alpha = any(component.is_alpha for component in frame.format.components) or frame.format.has_palette
    converted = frame.reformat(width, height, "bgra" if has_alpha else "bgr24", src_colorspace=_colorspace(frame))
    pixels = np.asarray(converted.to_ndarray(), dtype=np.uint8)
    if has_alpha:
        pixels = over_black(pixels)
    if turns:
        pixels = np.asarray(cv2.rotate(pixels, TURNS[turns]), dtype=np.uint8)
    return _padded(pixels, size)


def over_black(pixels: Pixels) -> Pixels:
    """uint8 BGRA [height, width, 4], straight alpha, laid over black: uint8 BGR [height, width, 3]."""
    alpha = pixels[:, :, 3:].astype(np.uint16)
    return ((pixels[:, :, :3] * alpha + 127) // 255).astype(np.uint8)


def decoded(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """The pictures of a stream in the order of presentation.

    Damaged packets are left out. Errors of the connection itself (a time-out, a reset) are raised as they are; a file
    that is cut short ends where its data end.
    """
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except (av.error.InvalidDataError, av.error.EOFError):
            continue


def _padded(pixels: Pixels, size: Size) -> Pixels:
    height, width = pixels.shape[:2]
    if (width, height) == size:
        return pixels
    canvas = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    canvas[top : top + height, left : left + width] = pixels
    return canvas


def _quarter_turns(frame: av.VideoFrame) -> int:
    """How many quarter turns to the left bring the picture upright (the display matrix of its file)."""
    return round(frame.rotation / 90) % 4


def _colorspace(frame: av.VideoFrame) -> str | None:
    """BT.709 for a picture of 720 lines or more that names no matrix, as players take it; else what swscale takes."""
    unnamed = frame.colorspace == UNSPECIFIED_COLORSPACE and not frame.format.is_rgb
    return "ITU709" if unnamed and min(frame.width, frame.height) >= 720 else None

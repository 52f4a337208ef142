"""What the webcam of the guest shows: a face in the middle, a counter at the left, a colour chart at the right.

The counter is ``BITS`` squares, least bit on top, with their opposites beside them: a picture in which any pair does
not differ (because it was blurred, covered or faded) has no number. The chart is 24 colours that fill the gamut.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

LOOP = 120  # frames that are played over and over
BITS = 8
PATCHES_BGR = np.array(
    [[b, g, r] for r in (40, 128, 216) for g in (40, 128, 216) for b in (40, 128, 216)][1:25], np.uint8
)


def squares(size: tuple[int, int]) -> Iterator[tuple[int, slice, slice, slice]]:
    """Per bit its number, its rows, its columns and those of its opposite; only their inner halves."""
    pitch, side = size[1] / 16, size[1] / 24
    for bit in range(BITS):
        top = round((2 + bit) * pitch)
        rows = slice(top, top + round(side))
        left, right = round(side / 2), round(side * 2)
        yield bit, rows, slice(left, left + round(side)), slice(right, right + round(side))


def patches(size: tuple[int, int]) -> Iterator[tuple[int, slice, slice]]:
    """Per patch of the chart its number, rows and columns: two columns of twelve at the right edge."""
    side = size[1] / 14
    for number in range(len(PATCHES_BGR)):
        top = round((1 + number % 12) * side)
        left = round(size[0] - (2.2 - number // 12) * side)
        yield number, slice(top, top + round(side)), slice(left, left + round(side))


def inner(part: slice) -> slice:
    """The middle half, away from what scaling and 4:2:0 do to edges."""
    quarter = (part.stop - part.start) // 4
    return slice(part.start + quarter, part.stop - quarter)


def number(picture: np.ndarray) -> int | None:
    """What the counter of a picture says; None when it cannot be read."""
    value = 0
    for bit, rows, left, right in squares((picture.shape[1], picture.shape[0])):
        one, other = (float(picture[inner(rows), inner(columns)].mean()) for columns in (left, right))
        if abs(one - other) < 128:
            return None
        value |= (one > other) << bit
    return value if value < LOOP else None


def frames(clip: Path, size: tuple[int, int]) -> np.ndarray:
    """uint8 BGR [LOOP, height, width, 3]: the clip's first frames, forth and back, with counter and chart."""
    capture = cv2.VideoCapture(str(clip))
    taken: list[np.ndarray] = []
    while len(taken) < LOOP // 2:
        arrived, picture = capture.read()
        if not arrived:
            break
        taken.append(fitted(picture, size))
    assert taken, f"{clip} has no frames"
    order = [*range(len(taken)), *reversed(range(len(taken)))]
    made = np.stack([taken[order[index % len(order)]] for index in range(LOOP)])
    for index, picture in enumerate(made):
        draw(picture, index)
    return made


def fitted(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture at three quarters of the height, at the bottom of a grey one, in the middle."""
    height = round(0.75 * size[1])
    width = round(picture.shape[1] * height / picture.shape[0])
    out = np.full((size[1], size[0], 3), 90, np.uint8)
    left = (size[0] - width) // 2
    out[size[1] - height :, left : left + width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return out


def draw(picture: np.ndarray, index: int) -> None:
    size = (picture.shape[1], picture.shape[0])
    for bit, rows, left, right in squares(size):
        picture[rows, left], picture[rows, right] = (255, 0) if index >> bit & 1 else (0, 255)
    for which, rows, columns in patches(size):
        picture[rows, columns] = PATCHES_BGR[which]


def encoded(made: np.ndarray, fourcc: str, fps: int, folder: Path) -> tuple[Path, list[int]]:
    """The frames in a pixel format, one after another in a file, by ffmpeg; and the size of each in bytes."""
    count, height, width, _ = made.shape
    path = folder / f"{width}x{height}.{fourcc.lower()}"
    form = {"YUYV": ["-pix_fmt", "yuyv422"], "NV12": ["-pix_fmt", "nv12"]}.get(fourcc)
    form = ["-f", "rawvideo", *form] if form else ["-f", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj422p"]
    source = ["-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "-"]
    options = ["-loglevel", "error", "-y", *source, "-sws_flags", "accurate_rnd+full_chroma_int", *form]
    subprocess.run(["ffmpeg", *options, str(path)], input=made.tobytes(), check=True)
    if fourcc != "MJPG":
        return path, [path.stat().st_size // count] * count
    content, starts = path.read_bytes(), []
    at = content.find(b"\xff\xd8\xff")
    while at >= 0:
        starts.append(at)
        at = content.find(b"\xff\xd9\xff\xd8\xff", at)
        at = at + 2 if at >= 0 else at
    assert len(starts) == count, f"{len(starts)} pictures in {path}; wanted {count}"
    return path, list(np.diff([*starts, len(content)]))

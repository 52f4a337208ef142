"""Put clips of single people into one picture, to try and to measure several faces.

    python -m tools.compose_faces A.mp4 B.mp4 --out runs/two.mp4             # side by side
    python -m tools.compose_faces A.mp4 B.mp4 --out runs/cross.mp4 --cross   # B slides across A and back
    python -m tools.bench_pipeline runs/two.mp4 -- --faces 2                 # the frame budget for two

Pictures are 1280x720 at 30 frames a second on plain grey; clips go there and back where they end.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np

WIDTH, HEIGHT, FPS, GREY = 1280, 720, 30, 110


def read(clip: Path, height: int, most: int) -> list[np.ndarray]:
    """Up to ``most`` pictures of a clip, ``height`` pixels high and at most as wide, cut in the middle."""
    reader, pictures = cv2.VideoCapture(str(clip)), []
    while len(pictures) < most:
        there, pixels = reader.read()
        if not there:
            break
        width = round(pixels.shape[1] * height / pixels.shape[0])
        small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        left = max(0, (width - height) // 2)
        pictures.append(np.ascontiguousarray(small[:, left : left + height]))
    if not pictures:
        raise SystemExit(f"{clip} cannot be read as a video")
    return pictures


def composed(clips: list[list[np.ndarray]], frames: int, cross: bool) -> Iterator[np.ndarray]:
    """The pictures; with ``cross`` the last clip goes from right to left and back, the others the other way."""
    for number in range(frames):
        whole = np.full((HEIGHT, WIDTH, 3), GREY, np.uint8)
        across = 0.5 - 0.5 * math.cos(2 * math.pi * number / frames) if cross else 0.0
        for index, clip in enumerate(clips):
            place = index / max(len(clips) - 1, 1)
            place += across * (1 - 2 * place)
            there_and_back = len(clip) - 1 - abs(number % max(2 * len(clip) - 2, 1) - (len(clip) - 1))
            picture = clip[there_and_back]
            left, top = round(place * (WIDTH - picture.shape[1])), HEIGHT - picture.shape[0]
            whole[top:, left : left + picture.shape[1]] = picture
        yield whole


def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("clips", type=Path, nargs="+")
    a.add_argument("--out", type=Path, required=True)
    a.add_argument("--seconds", type=float, default=10)
    a.add_argument("--cross", action="store_true")
    o = a.parse_args()
    frames = round(o.seconds * FPS)
    height = min(640, WIDTH // len(o.clips))
    clips = [read(path, height - 40 * (len(o.clips) - 1 - i) * o.cross, frames) for i, path in enumerate(o.clips)]
    o.out.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(o.out), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "18"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for pixels in composed(clips, frames, o.cross):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        container.mux(stream.encode())


if __name__ == "__main__":
    main()

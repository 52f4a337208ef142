"""The demo source: the bundled actor, drawn by the project's own generator and moving through a scripted performance.

No camera and no recording: the picture is made by the same network that draws avatars, so everything after capture runs
as it does for a person.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from engines.attributes import ATTRIBUTES
from engines.bundled import LAYERS, load
from realtime.frames import Frame, Latent, Pixels
from realtime.generating import Generator
from realtime.performance import SECONDS, motion_at
from realtime.settings import CaptureSettings

# The actor: attributes of engines.attributes; measures that are not named are 1, the rest 0.
ACTOR: dict[str, float] = {
    "face_length": 1.0, "jaw_width": 1.0, "chin": 1.0, "cheeks": 1.0, "nose_length": 1.0, "nose_width": 1.0,
    "nose_tip": 1.0, "eye_size": 1.0, "eye_distance": 1.0, "ear_size": 1.0, "brow_thickness": 1.0,
    "lip_thickness": 1.0, "mouth_width": 1.0, "exposure": 1.0,
    "age": 0.36, "femininity": 0.1, "hair_side_part": 1.0, "stubble": 0.5,
    "brow_height": 0.35, "brow_arch": 0.6, "eye_tilt": 0.05,
    "skin_r": 0.80, "skin_g": 0.50, "skin_b": 0.36, "hair_r": 0.06, "hair_g": 0.03, "hair_b": 0.018,
    "iris_r": 0.10, "iris_g": 0.05, "iris_b": 0.02, "lip_r": 0.60, "lip_g": 0.25, "lip_b": 0.22,
    "cloth_r": 0.10, "cloth_g": 0.12, "cloth_b": 0.16, "frame_r": 0.03, "frame_g": 0.03, "frame_b": 0.03,
    "light_x": -0.4, "light_y": 0.5, "light_z": 0.8,
}  # fmt: skip


def open_demo(settings: CaptureSettings) -> DemoSource:
    """The demo at the settings' size and rate; ends after one performance. Raises ModelError and EngineError."""
    return DemoSource(settings)


class DemoSource:
    """A :class:`realtime.sources.base.Source`: pictures come as fast as they are read, stamped by the script's time."""

    def __init__(self, settings: CaptureSettings) -> None:
        self._fps, self._size, self._mirror = settings.fps, (settings.width, settings.height), settings.mirror
        model = load("toon")
        self._generator = Generator(model)
        person = np.array([[ACTOR.get(name, 0.0) for name in ATTRIBUTES]], np.float32)
        self._wplus = np.repeat(model.mapping.infer(person)[0], LAYERS, axis=0)
        self._room = room(*self._size)
        self._next, self._open = 0, True

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self._fps

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._size

    @property
    def live(self) -> bool:
        """Never: a demo waits for its reader."""
        return False

    @property
    def path(self) -> Path | None:
        """There is no file."""
        return None

    def describe(self) -> str:
        """What plays."""
        return f"demo: the bundled actor, {self._size[0]}x{self._size[1]} at {self._fps:g} fps, {SECONDS:g} s"

    def read(self) -> Frame | None:
        """The next picture; None after the performance."""
        seconds = self._next / self._fps
        if not self._open or seconds >= SECONDS:
            return None
        captured_ns = round(seconds * 1e9)
        pixels = self._draw(seconds, captured_ns)
        frame = Frame(self._next, captured_ns, np.ascontiguousarray(pixels[:, ::-1]) if self._mirror else pixels)
        self._next += 1
        return frame

    def close(self) -> None:
        """End the performance."""
        self._open = False

    def _draw(self, seconds: float, captured_ns: int) -> Pixels:
        """The actor before the room: shoulders end at the picture's lower edge, the body sways a little."""
        width, height = self._size
        side = round(min(width, height) * 0.94)
        sway_x, sway_y = 0.03 * np.sin(seconds * 0.9), 0.012 * np.sin(seconds * 1.7 + 1)
        left, top = round(width / 2 - side / 2 + sway_x * side), round(height - side * (0.975 + sway_y))
        place = np.array([[side / 256, 0, left], [0, side / 256, top]], np.float64)
        latent = Latent(self._next, captured_ns, self._wplus, motion_at(seconds), place, False)
        actor = cv2.resize(self._generator.generate(latent).pixels, (side, side), interpolation=cv2.INTER_CUBIC)
        pixels = self._room.copy()
        y0, y1, x0, x1 = max(top, 0), min(top + side, height), max(left, 0), min(left + side, width)
        part = actor[y0 - top : y1 - top, x0 - left : x1 - left]
        alpha = part[..., 3:].astype(np.float32) / 255
        behind = pixels[y0:y1, x0:x1]
        behind[:] = (part[..., :3] * alpha + behind * (1 - alpha)).astype(np.uint8)
        return pixels


def room(width: int, height: int) -> Pixels:
    """A quiet room out of focus, uint8 BGR [height, width, 3]: a wall, a window's light, a shelf."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    wall = np.stack([150 - 40 * y, 160 - 45 * y, 172 - 45 * y], -1)
    wall += 60 * np.exp(-(((x - 0.12) / 0.14) ** 2 + ((y - 0.3) / 0.35) ** 2))[..., None] * (1.0, 0.98, 0.9)
    pixels = wall.clip(0, 255).astype(np.uint8)
    books = np.random.default_rng(4)
    for i in range(14):
        left, tall = 0.68 + 0.022 * i, books.uniform(0.10, 0.17)
        colour = tuple(int(v) for v in books.uniform(40, 150, 3))
        corners = [(round(u * width), round(v * height)) for u, v in ((left, 0.38 - tall), (left + 0.019, 0.38))]
        cv2.rectangle(pixels, corners[0], corners[1], colour, -1)
    cv2.rectangle(pixels, (round(0.66 * width), round(0.38 * height)), (width, round(0.40 * height)), (70, 90, 110), -1)
    blur = max(3, width // 80) | 1
    return np.asarray(cv2.GaussianBlur(pixels, (blur, blur), 0), np.uint8)

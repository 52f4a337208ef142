"""The values that travel between the stages of the live program.

    Frame -> Face -> Crop -> Latent -> Portrait (or CodedPortrait) -> Picture

Every value is frozen and compares by identity, and each carries the ``frame_id`` and ``captured_ns`` of the
:class:`Frame` that it came from, so that latency can be told at any point of the path.

Pictures are ``uint8`` BGR ``[height, width, 3]``; a portrait is ``uint8`` BGRA, its alpha straight (not premultiplied).
Transforms are ``float64 [2, 3]`` and map *crop pixels to frame pixels*: ``frame_xy = transform @ (crop_x, crop_y, 1)``,
with the centre of the first pixel at (0, 0).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Transform = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of the source.

    frame_id: counts from 0, in the order of capture, without gaps.
    captured_ns: the clock's time at capture; for files and the demo the presentation time, counted from 0.
    pixels: uint8 BGR [height, width, 3], C-contiguous, already upright.
    """

    frame_id: int
    captured_ns: int
    pixels: Pixels


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One tracked face.

    landmarks: float32 [478, 3]: x and y in pixels of the frame, z in the same scale, towards the camera negative
        (MediaPipe FaceMesh order, the irises last).
    fresh: true on the first frame of a face that was not there on the frame before (found, or another one).
    """

    frame_id: int
    captured_ns: int
    landmarks: Floats
    fresh: bool


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """The square around the head that the models see, and where it lies.

    pixels: uint8 BGR [size, size, 3].
    transform: crop pixels to frame pixels.
    rotation: float64 [3, 3], head to camera, right-handed: x to the picture's right, y up, z to the camera.
    """

    frame_id: int
    captured_ns: int
    pixels: Pixels
    transform: Transform
    rotation: npt.NDArray[np.float64]


class LateCrop(Crop):
    """A crop whose pixels are cut when someone first asks for them: once it is known who someone is, nobody does."""

    __slots__ = ("_cut", "_pixels")

    def __init__(
        self, face: Face, transform: Transform, rotation: npt.NDArray[np.float64], cut: Callable[[], Pixels]
    ) -> None:
        values = {"frame_id": face.frame_id, "captured_ns": face.captured_ns, "transform": transform}
        for name, value in {**values, "rotation": rotation, "_cut": cut, "_pixels": None}.items():
            object.__setattr__(self, name, value)

    @property
    def pixels(self) -> Pixels:
        """See :class:`Crop`."""
        if object.__getattribute__(self, "_pixels") is None:
            object.__setattr__(self, "_pixels", object.__getattribute__(self, "_cut")())
        pixels: Pixels = object.__getattribute__(self, "_pixels")
        return pixels


@dataclass(frozen=True, slots=True, eq=False)
class Latent:
    """The code that the generator draws.

    wplus: float32 [layers, dim]: one style vector per generator layer.
    motion: float32 [motion]: pose and expression, in the units of ``engines.motion``; empty for generators without one.
    transform: crop pixels to frame pixels.
    fresh: true when nothing from before this frame may be blended in.
    """

    frame_id: int
    captured_ns: int
    wplus: Floats
    motion: Floats
    transform: Transform
    fresh: bool


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """The drawn head.

    pixels: uint8 BGRA [size, size, 4], straight alpha.
    transform: portrait pixels to frame pixels.
    """

    frame_id: int
    captured_ns: int
    pixels: Pixels
    transform: Transform

    @property
    def edge_px(self) -> int:
        """Its height and width."""
        return self.pixels.shape[0]


@dataclass(frozen=True, slots=True, eq=False)
class CodedPortrait:
    """A head that is drawn only where it is put into its picture.

    wplus, motion: its code, as in :class:`Latent`. edge_px: height and width of the portrait that it stands for.
    transform: pixels of that portrait to frame pixels.
    """

    frame_id: int
    captured_ns: int
    wplus: Floats
    motion: Floats
    edge_px: int
    transform: Transform


AnyPortrait = Portrait | CodedPortrait


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What goes to the outputs: uint8 BGR [height, width, 3]."""

    frame_id: int
    captured_ns: int
    pixels: Pixels


class LatePicture(Picture):
    """A picture that is still being made elsewhere: asking for its pixels waits for them, and may raise."""

    __slots__ = ("_take",)

    def __init__(self, frame_id: int, captured_ns: int, take: Callable[[], Pixels]) -> None:
        object.__setattr__(self, "frame_id", frame_id)
        object.__setattr__(self, "captured_ns", captured_ns)
        object.__setattr__(self, "_take", take)

    @property
    def pixels(self) -> Pixels:
        """See :class:`Picture`."""
        take: Callable[[], Pixels] = object.__getattribute__(self, "_take")
        return take()

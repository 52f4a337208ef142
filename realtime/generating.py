"""The generator: :class:`Latent` to :class:`Portrait`, or to :class:`CodedPortrait` where the painter draws it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engines.bundled import BundledModel
from realtime.frames import CodedPortrait, Latent, Portrait, Transform


class Generator:
    """Draws codes with the bundled model.

    Threads do not disturb each other; ``at_once`` of them had best draw at the same time, and ``prepare`` in each loads
    what it needs for its first portrait.
    crop_px: side of the crop that the codes' transforms map to the frame.
    """

    def __init__(self, model: BundledModel, crop_px: int = 256) -> None:
        self.at_once, self.prepare, self._crop_px = model.at_once, model.drawer.prepare, crop_px
        self._drawer = model.drawer

    def generate(self, latent: Latent) -> Portrait:
        """The portrait of a code, in the place that the code names. Raises EngineError when the device fails."""
        return self.generate_all([latent])[0]

    def generate_all(self, latents: Sequence[Latent]) -> list[Portrait]:
        """The portraits of the faces of a frame, at least one, which a GPU draws together; see :meth:`generate`."""
        wplus, motion = np.stack([one.wplus for one in latents]), np.stack([one.motion for one in latents])
        drawn = zip(latents, self._drawer.draw(wplus, motion), strict=True)
        return [
            Portrait(one.frame_id, one.captured_ns, pixels, of_portrait(one.transform, self._crop_px, len(pixels)))
            for one, pixels in drawn
        ]


class Coder:
    """Leaves the drawing to the painter.

    size_px: edge of its portraits. crop_px: side of the crop that the codes' transforms map to the frame.
    """

    at_once = 1

    def __init__(self, size_px: int, crop_px: int = 256) -> None:
        self._size_px, self._crop_px = size_px, crop_px

    def prepare(self) -> None:
        """Nothing: graphs are captured when they are made."""

    def generate(self, latent: Latent) -> CodedPortrait:
        """The code as a portrait, in the place that the code names."""
        place = of_portrait(latent.transform, self._crop_px, self._size_px)
        return CodedPortrait(latent.frame_id, latent.captured_ns, latent.wplus, latent.motion, self._size_px, place)

    def generate_all(self, latents: Sequence[Latent]) -> list[CodedPortrait]:
        """Those of all faces of a frame."""
        return [self.generate(latent) for latent in latents]


def of_portrait(transform: Transform, crop_px: int, size: int) -> Transform:
    """The transform of a crop of ``crop_px`` for a portrait of ``size`` pixels that covers the same square."""
    if size == crop_px:
        return transform
    step = crop_px / size
    half = (step - 1) / 2  # pixels are at their middles: the first one of a finer picture lies further out
    return np.asarray(transform @ np.array([[step, 0, half], [0, step, half], [0, 0, 1]]))

"""The generator: :class:`Latent` to :class:`Portrait`."""

from __future__ import annotations

import cv2
import numpy as np

from engines.bundled import BundledModel
from realtime.frames import Floats, Latent, Pixels, Portrait, Transform


class Generator:
    """Draws codes with the bundled model: the spatial motion code first, then the synthesis network.

    Threads do not disturb each other; ``at_once`` of them had best draw at the same time, and ``prepare`` in each loads
    what it needs for its first portrait.
    crop_px: side of the crop that the codes' transforms map to the frame.
    """

    def __init__(self, model: BundledModel, crop_px: int = 256) -> None:
        self.at_once, self.prepare, self._crop_px = model.at_once, model.prepare, crop_px
        self._motion_code, self._synthesis = model.motion_code, model.synthesis

    def generate(self, latent: Latent) -> Portrait:
        """The portrait of a code, in the place that the code names."""
        codes = self._motion_code.infer(latent.wplus[:1], latent.motion[None])
        (rgba,) = self._synthesis.infer(latent.wplus[None], *codes)
        place = of_portrait(latent.transform, self._crop_px, rgba.shape[-1])
        return Portrait(latent.frame_id, latent.captured_ns, straight(rgba[0]), place)


def of_portrait(transform: Transform, crop_px: int, size: int) -> Transform:
    """The transform of a crop of ``crop_px`` for a portrait of ``size`` pixels that covers the same square."""
    if size == crop_px:
        return transform
    step = crop_px / size
    half = (step - 1) / 2  # pixels are at their middles: the first one of a finer picture lies further out
    return np.asarray(transform @ np.array([[step, 0, half], [0, step, half], [0, 0, 1]]))


def straight(rgba: Floats) -> Pixels:
    """Premultiplied RGBA, float32 [4, size, size] around 0..1, as straight BGRA bytes [size, size, 4]."""
    red, green, blue, alpha = (np.ascontiguousarray(plane) for plane in rgba)
    alpha = np.clip(alpha, 0.0, 1.0)
    scale = 255.0 / np.maximum(alpha, 1e-3)
    planes = [cv2.convertScaleAbs(np.maximum(cv2.multiply(plane, scale), 0.0)) for plane in (blue, green, red)]
    return np.asarray(cv2.merge([*planes, cv2.convertScaleAbs(alpha, alpha=255.0)]), np.uint8)

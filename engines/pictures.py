"""The bundled model's pictures: codes in, bytes out.

On a GPU one graph draws them (``engines.cuda_bundled``), or the whole frame (``engines.cuda_overlay``); on a CPU
OpenVINO runs two networks for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from engines.cuda_overlay import OverlayEngine
    from engines.drawings import DrawingEngine
    from engines.openvino_engine import OpenVinoEngine

Floats = npt.NDArray[Any]
Pixels = npt.NDArray[np.uint8]


class Draws(Protocol):
    """What draws the bundled model's pictures; any thread may ask."""

    def draw(self, wplus: Floats, motion: Floats) -> list[Pixels]:
        """A picture of each code: straight BGRA, uint8 [S, S, 4], the caller's own.

        wplus: float32 [N, rows, dim]. motion: float32 [N, motion]. N is at least 1.

        Raises EngineError when the device fails.
        """

    def prepare(self) -> None:
        """Load what the calling thread needs to draw its first picture."""

    def whole_frames(self, height: int, width: int, faces: int, fade: Floats) -> OverlayEngine | None:
        """What draws whole pictures with so many faces at most, from codes on; None where the processor puts them in.

        fade: float32 [S, S] of 0..1: how much of each pixel is seen of a portrait that fades.
        """

    def describe(self) -> str:
        """Runtime, precision and device, in one line."""


@dataclass(frozen=True, slots=True, eq=False)
class TwoNetworks:
    """On a CPU: the spatial motion code, then the synthesis network, one picture after the other; :class:`Draws`."""

    motion_code: DrawingEngine
    synthesis: OpenVinoEngine

    def draw(self, wplus: Floats, motion: Floats) -> list[Pixels]:
        """See :meth:`Draws.draw`."""
        return [self._one(*codes) for codes in zip(wplus, motion, strict=True)]

    def _one(self, wplus: Floats, motion: Floats) -> Pixels:
        codes = self.motion_code.infer(wplus[:1], motion[None])
        (rgba,) = self.synthesis.infer(wplus[None], *codes)
        return straight(rgba[0])

    def prepare(self) -> None:
        """See :meth:`Draws.prepare`."""
        self.motion_code.prepare()
        self.synthesis.prepare()

    def whole_frames(self, height: int, width: int, faces: int, fade: Floats) -> None:
        """None: the processor puts portraits into their pictures."""

    def describe(self) -> str:
        """Of the synthesis network, which takes most of the time."""
        return self.synthesis.describe()


def straight(rgba: Floats) -> Pixels:
    """Premultiplied RGBA, float32 [4, size, size] around 0..1, as straight BGRA bytes [size, size, 4]."""
    red, green, blue, alpha = (np.ascontiguousarray(plane) for plane in rgba)
    alpha = np.clip(alpha, 0.0, 1.0)
    scale = 255.0 / np.maximum(alpha, 1e-3)
    planes = [cv2.convertScaleAbs(np.maximum(cv2.multiply(plane, scale), 0.0)) for plane in (blue, green, red)]
    return np.asarray(cv2.merge([*planes, cv2.convertScaleAbs(alpha, alpha=255.0)]), np.uint8)

"""Pictures of the bundled model put together on a GPU, as one graph from codes to the finished picture.

Where heads are covered and with which colours is told here, by the functions that the processor covers with; masks and
colours are small. A picture comes back before it is finished: while the GPU draws it the next frame is tracked, and
whoever wants its pixels waits.
"""

from __future__ import annotations

import cv2
import numpy as np

from engines.cuda_overlay import Head, OverlayEngine, Place
from realtime.covering import covers
from realtime.frames import CodedPortrait, Frame, LatePicture, Picture, Pixels
from realtime.painting import Composition, Layer, OnCpu
from realtime.warping import HALVED, halvings


class OnGpu:
    """Paints by a GPU; :class:`realtime.painting.Paints`.

    Portraits that are drawn already are painted by the processor: they come once it goes on for a GPU that failed.
    """

    def __init__(self, engine: OverlayEngine) -> None:
        self._engine, self._on_cpu = engine, OnCpu()
        self._still: Pixels | None = None  # the canvas that the GPU has, where that stays

    def paint(self, frame: Frame, composition: Composition) -> Picture:
        """See :meth:`realtime.painting.Paints.paint`."""
        coded = [(one, one.portrait) for one in composition.layers if isinstance(one.portrait, CodedPortrait)]
        if len(coded) < len(composition.layers):
            return self._on_cpu.paint(frame, composition)
        canvas, still = composition.canvas, composition.still
        over = covers(canvas, [face.landmarks for face in composition.covered])
        heads = [Head(portrait.wplus, portrait.motion, placed(layer)) for layer, portrait in coded]
        ticket = self._engine.submit(None if still and canvas is self._still else canvas, heads, over)
        self._still = canvas if still else None
        return LatePicture(frame.frame_id, frame.captured_ns, ticket.result)


def placed(layer: Layer) -> Place:
    """Where the GPU draws a layer."""
    edge, transform = layer.portrait.edge_px, layer.transform
    level = halvings(edge, edge, transform)
    for _ in range(level):
        transform = transform @ HALVED
    seen = layer.opacity if abs(float(np.linalg.det(transform[:, :2]))) > 1e-12 else 0.0  # no size, nothing to see
    into = cv2.invertAffineTransform(transform).reshape(-1).tolist()
    return Place(into, level, layer.fades, seen)

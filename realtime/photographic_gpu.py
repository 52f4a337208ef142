"""Imported models with the whole frame on the GPU: :class:`Frame` and :class:`Face` to :class:`Picture`.

The place of the crop and of the portrait, the outline and all times are told here, from the tracked points, as the
stages on the CPU do; everything that touches pixels or codes is one graph of ``engines.cuda_frame``. A picture comes
back before it is finished: while the GPU draws it the next frame is tracked, and whoever wants its pixels waits.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from engines.cuda_codes import MOST_EDITS, FilterSettings
from engines.cuda_frame import FrameEngine, Moment, Place
from engines.cuda_imported import GpuModel
from engines.devices import gpu_errors
from engines.encoders_config import INPUT_PX
from engines.errors import EngineError
from engines.ffhq_alignment import anchors_from_478, crop_transform, quad_from_anchors
from engines.installed_directions import RowEdit
from realtime.covering import cover_head
from realtime.frames import Face, Floats, Frame, Latent, LatePicture, Picture, Pixels, Transform
from realtime.holding import fitted
from realtime.photographic import halvings, portrait_transform
from realtime.photographic_compositing import (
    PhotographicCompositor,
    Size,
    Values,
    chained,
    in_canvas,
    outlined,
    reaches,
    to_canvas,
)
from realtime.settings import CompositingSettings, SmoothingSettings
from realtime.stages import Tracks, followed
from realtime.statistics import Statistics
from realtime.strengths import Strength, at

UPGRADE_AFTER = 30  # frames with a face; then the encoder's better engine is built, compared on what was seen last

log = logging.getLogger(__name__)


class Smooths(Protocol):
    """``realtime.smoothing.Smoother``."""

    def smooth(self, latent: Latent) -> Latent:
        """The latent with its transform smoothed."""


@dataclass(frozen=True, slots=True)
class FrameStages:
    """The stages of the work thread where the GPU does whole frames."""

    tracker: Tracks
    compositor: WholeFrame

    def draw(self, frame: Frame, statistics: Statistics) -> Picture:
        """The picture of one frame: the avatar, or the holding picture where there is no face."""
        face = followed(self.tracker, self.compositor, frame, statistics)
        if isinstance(face, Picture):
            return face
        with statistics.stage("submitting"):
            return self.compositor.draw(frame, face)


def filter_settings(settings: SmoothingSettings, rows: int) -> FilterSettings | None:
    """The filter of every row of W+, as ``realtime.smoothing`` groups them; None where nothing is smoothed."""
    if not settings.enabled:
        return None
    groups = [("coarse", "middle", "fine")[k * 3 // rows] for k in range(rows)]
    cutoffs, betas = ([getattr(settings, f"{g}_{kind}") for g in groups] for kind in ("min_cutoff_hz", "beta"))
    return FilterSettings(cutoffs, betas, settings.derivative_cutoff_hz)


class WholeFrame(PhotographicCompositor):
    """Draws whole frames; its holding pictures are those of the compositor on the CPU.

    smoother: of the crop's place; W+ is smoothed on the GPU by ``smoothing``, the settings for imported models.
    edits: with their strengths.
    """

    def __init__(
        self, settings: CompositingSettings, size: Size, model: GpuModel, smoother: Smooths,
        smoothing: SmoothingSettings, edits: Sequence[tuple[RowEdit, Strength]] = (),
    ) -> None:  # fmt: skip
        super().__init__(settings, size)
        self._model, self._smoother, self._edits = model, smoother, list(edits)
        self._wanted = self._edits
        self._filter = filter_settings(smoothing, len(model.centre))
        self._filtered_ns, self._drawn = 0, 0
        self._engine = self._engine_for(size[1], size[0])
        self._frame_size = (size[1], size[0])

    def _engine_for(self, height: int, width: int) -> FrameEngine:
        model = self._model
        return FrameEngine(
            model.generator, height, width, model.encoder, canvas=(self._size[1], self._size[0]), start=model.centre,
            first_steps=model.first_steps, filter_settings=self._filter, edits=[edit for edit, _ in self._edits],
        )  # fmt: skip

    def wear(self, edits: Sequence[tuple[RowEdit, Strength]]) -> None:
        """Other edits from the next picture on; any thread may ask. They are written where the graph reads them.

        Raises ValueError for more than fit.
        """
        if len(edits) > MOST_EDITS:
            raise ValueError(f"there are {len(edits)} edits; wanted at most {MOST_EDITS}")
        self._wanted = list(edits)

    def draw(self, frame: Frame, face: Face) -> Picture:
        """The face in its picture, which may not be finished yet. Raises EngineError when the GPU fails."""
        if self._wanted is not self._edits:
            self._edits = self._wanted
            self._engine.wear([edit for edit, _ in self._edits])
        crop = crop_transform(quad_from_anchors(anchors_from_478(face.landmarks)), INPUT_PX)
        none = np.zeros((0, 1), np.float32)
        latent = self._smoother.smooth(Latent(face.frame_id, face.captured_ns, none, none[:, 0], crop, face.fresh))
        level = halvings(latent.transform, self._model.resolution)
        edge, way = self._model.resolution >> level, to_canvas(frame.pixels, self._size)
        placed = chained(way, portrait_transform(latent.transform, edge))
        landmarks = in_canvas(face, way)
        canvas = self._drawn_on(frame, landmarks, reaches(placed, edge, landmarks[:, :2]))
        hull, soft, box = outlined(landmarks[:, :2], self._size)
        if box is None:
            whole = self._canvas(frame)[0] if canvas is None else canvas
            picture = Picture(frame.frame_id, frame.captured_ns, whole)
        else:
            into = cv2.invertAffineTransform(placed).reshape(-1).tolist()
            weight = self._weight(face.fresh or self._drawn == 0, frame.captured_ns)
            place = Place(into, box, soft, len(hull), level, self._model.resolution, weight)
            picture = self._submitted(frame, self._moment(crop, place, hull, latent, face.fresh), canvas)
        self._last_id, self._last_ns = frame.frame_id, frame.captured_ns
        return self._compared(frame, self._holding.remember(picture))

    def _drawn_on(self, frame: Frame, landmarks: Values, covered: bool) -> Pixels | None:
        """The canvas, where it is not the frame as it came: of another size, or with the head covered."""
        if not covered:
            canvas, _ = self._canvas(frame)
            cover_head(canvas, landmarks.astype(np.float32))
            return canvas
        pixels = fitted(frame.pixels, self._size)
        return None if pixels is frame.pixels else pixels

    def _moment(self, crop: Transform, place: Place, hull: Floats, latent: Latent, new_face: bool) -> Moment:
        now_ns = latent.captured_ns
        fresh = latent.fresh or self._drawn == 0
        step_s = 0.0 if fresh else max(0.0, (now_ns - self._filtered_ns) * 1e-9)
        self._filtered_ns = now_ns if fresh else max(now_ns, self._filtered_ns)
        strengths = [at(strength, now_ns) for _, strength in self._edits]
        return Moment(crop, place, hull, step_s, fresh, new_face or self._drawn == 0, strengths)

    def _submitted(self, frame: Frame, moment: Moment, canvas: Pixels | None) -> Picture:
        if frame.pixels.shape[:2] != self._frame_size:
            self._frame_size = (frame.pixels.shape[0], frame.pixels.shape[1])
            self._engine, self._drawn = self._engine_for(*self._frame_size), 0
            moment = Moment(moment.crop, moment.place, moment.outline, 0.0, True, True, moment.strengths)
        self._upgrade()
        ticket = self._engine.submit(frame.pixels, moment, canvas=canvas)
        self._drawn += 1
        return LatePicture(frame.frame_id, frame.captured_ns, ticket.result)

    def _upgrade(self) -> None:
        """Let the encoder's better engine be built, and take it over when it is there."""
        encoder = self._model.encoder
        if not self._model.generator.wplus.is_cuda:
            return
        if self._drawn == UPGRADE_AFTER:
            self._engine.settle()
            with gpu_errors():
                encoder.start_upgrade(lambda text: log.info("%s", text))
        if encoder.taken_over():
            try:
                self._engine.capture()
            except EngineError as error:
                log.warning("the encoder's faster engine is not used: %s", error)
                encoder.give_back()
                self._engine.capture()

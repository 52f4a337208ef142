"""Imported models with the whole frame on the GPU: :class:`Frame` and :class:`Face` to :class:`Picture`.

The place of the crop and of the portrait, the outline and all times are told here, from the tracked points, as the
stages on the CPU do; everything that touches pixels or codes is one graph of ``engines.cuda_frame``. A picture comes
back before it is finished: while the GPU draws it the next frame is tracked, and whoever wants its pixels waits.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from realtime.covering import cover_heads
from realtime.frames import Face, Frame, Latent, LatePicture, Picture, Pixels
from realtime.holding import fitted
from realtime.photographic import PhotographicEditor, check_style, halvings, portrait_transform
from realtime.photographic_compositing import (
    PhotographicCompositor,
    Size,
    chained,
    in_canvas,
    outlined,
    reaches,
    to_canvas,
)
from realtime.settings import CompositingSettings, EditingSettings, SmoothingSettings
from realtime.stages import Tracks, followed
from realtime.statistics import Statistics
from realtime.strengths import Strength, at

UPGRADE_AFTER = 30  # frames with a face; then the encoder's better engine is built, compared on what was seen last

log = logging.getLogger(__name__)


class Smooths(Protocol):
    """``realtime.smoothing.Smoother``."""

    def smooth(self, latent: Latent) -> Latent:
        """The latent with its transform smoothed."""


@dataclass(slots=True, eq=False)
class Memory:
    """What is remembered of a person here; their codes and colours are on the GPU. drawn: whether they are."""

    smoother: Smooths
    filtered_ns: int = 0
    drawn: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A face, in the canvas's pixels. covers: whether the portrait lies over all of its points.

    moment: None outside of the picture.
    """

    face: Face
    covers: bool
    moment: Moment | None


@dataclass(frozen=True, slots=True)
class FrameStages:
    """The stages of the work thread where the GPU does whole frames."""

    tracker: Tracks
    compositor: WholeFrame
    editor: PhotographicEditor

    def wear(self, editing: EditingSettings) -> None:
        """See ``realtime.stages.Wears``."""
        check_style(editing)
        self.editor.wear(editing.edits)
        self.compositor.wear(self.editor.edits)

    def draw(self, frame: Frame, statistics: Statistics) -> Picture:
        """The picture of one frame: the avatar, or the holding picture where there is no face."""
        face = followed(self.tracker, frame, statistics)
        if face is None:
            with statistics.stage("compositing"):
                return self.compositor.holding(frame)
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
        self._model, self._edits = model, list(edits)
        self._wanted, self._memory = self._edits, Memory(smoother)
        self._filter = filter_settings(smoothing, len(model.centre))
        self._drawn = 0
        self._engine = self._engine_for(size[1], size[0])
        self._frame_size = (size[1], size[0])

    def _engine_for(self, height: int, width: int) -> FrameEngine:
        model = self._model
        return FrameEngine(
            model.generator, height, width, model.encoder, more=model.more, canvas=(self._size[1], self._size[0]),
            start=model.centre, first_steps=model.first_steps, filter_settings=self._filter,
            edits=[edit for edit, _ in self._edits],
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
        self._prepare(frame)
        placed = self._placed(frame, face, self._memory)
        canvas = self._drawn_on(frame, [placed])
        picture = self._holding.remember(self._submitted(frame, [placed], canvas))
        self._last_id, self._last_ns = frame.frame_id, frame.captured_ns
        return self._compared(frame, picture)

    def _prepare(self, frame: Frame) -> None:
        """The engine for frames of this size, wearing what is wanted."""
        if frame.pixels.shape[:2] != self._frame_size:
            self._frame_size = (frame.pixels.shape[0], frame.pixels.shape[1])
            self._engine, self._drawn = self._engine_for(*self._frame_size), 0
            self._forget()
        if self._wanted is not self._edits:
            self._edits = self._wanted
            self._engine.wear([edit for edit, _ in self._edits])

    def _forget(self) -> None:
        """Everyone is new to the engine."""
        self._memory.drawn = False

    def _placed(self, frame: Frame, face: Face, memory: Memory, person: int = 0) -> Placed:
        """Where a face lies, and what the engine is told of it."""
        crop = crop_transform(quad_from_anchors(anchors_from_478(face.landmarks)), INPUT_PX)
        none = np.zeros((0, 1), np.float32)
        latent = Latent(face.frame_id, face.captured_ns, none, none[:, 0], crop, face.fresh)
        latent = memory.smoother.smooth(latent)
        level = halvings(latent.transform, self._model.resolution)
        edge, way = self._model.resolution >> level, to_canvas(frame.pixels, self._size)
        placed = chained(way, portrait_transform(latent.transform, edge))
        landmarks = in_canvas(face, way)
        covers = reaches(placed, edge, landmarks[:, :2])
        there = replace(face, landmarks=landmarks.astype(np.float32))
        hull, soft, box = outlined(landmarks[:, :2], self._size)
        if box is None:
            return Placed(there, covers, None)
        into = cv2.invertAffineTransform(placed).reshape(-1).tolist()
        weight = self._weight(face.fresh or not memory.drawn, frame.captured_ns)
        place = Place(into, box, soft, len(hull), level, self._model.resolution, weight)
        now_ns, fresh, new = latent.captured_ns, latent.fresh or not memory.drawn, face.fresh or not memory.drawn
        step_s = 0.0 if fresh else max(0.0, (now_ns - memory.filtered_ns) * 1e-9)
        memory.filtered_ns = now_ns if fresh else max(now_ns, memory.filtered_ns)
        memory.drawn = True
        strengths = [at(strength, now_ns) for _, strength in self._edits]
        return Placed(there, covers, Moment(crop, place, hull, step_s, fresh, new, strengths, person))

    def _drawn_on(self, frame: Frame, faces: Sequence[Placed]) -> Pixels | None:
        """The canvas, where it is not the frame as it came: of another size, or with the heads covered."""
        if not all(one.covers for one in faces):
            canvas, _ = self._canvas(frame)
            cover_heads(canvas, [one.face.landmarks for one in faces])
            return canvas
        pixels = fitted(frame.pixels, self._size)
        return None if pixels is frame.pixels else pixels

    def _submitted(self, frame: Frame, faces: Sequence[Placed], canvas: Pixels | None) -> Picture:
        """The faces drawn, in their order; those outside of the picture are left out."""
        moments = [one.moment for one in faces if one.moment is not None]
        if not moments:
            whole = self._canvas(frame)[0] if canvas is None else canvas
            return Picture(frame.frame_id, frame.captured_ns, whole)
        self._upgrade()
        ticket = self._engine.submit(frame.pixels, moments, canvas=canvas)
        self._drawn += 1
        return LatePicture(frame.frame_id, frame.captured_ns, ticket.result)

    def _upgrade(self) -> None:
        """Let the encoder's better engine be built, and take it over when it is there."""
        encoder = self._model.encoder
        if not self._model.generator.wplus.is_cuda or self._model.more:  # engines are built for one face at a time
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

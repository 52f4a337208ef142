"""Several faces of imported models with the whole frame on the GPU: all of a frame's faces are one batch.

Privacy: while somebody who was in the picture is lost, no newer frame of the camera is shown. The others are drawn over
the holding picture, which fades from the last picture in which everyone was drawn to one blurred beyond recognition;
``on_lost`` ``blur`` and ``card`` blur at once, ``raw`` shows the camera.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engines.cuda_imported import GpuModel
from engines.installed_directions import RowEdit
from realtime.covering import blurred
from realtime.faces_tracking import Group
from realtime.frames import Frame, Picture, Pixels
from realtime.photographic import PhotographicEditor, check_style
from realtime.photographic_compositing import Size
from realtime.photographic_gpu import Memory, Smooths, WholeFrame
from realtime.settings import CompositingSettings, EditingSettings, SmoothingSettings
from realtime.statistics import Statistics
from realtime.strengths import Strength


class TracksGroup(Protocol):
    """``realtime.faces_tracking.GroupTracker``."""

    def track(self, frame: Frame) -> Group:
        """The people in a frame."""

    def close(self) -> None:
        """Give everything back."""


@dataclass(frozen=True, slots=True)
class GroupFrameStages:
    """The stages of the work thread where the GPU does whole frames of several faces."""

    tracker: TracksGroup
    compositor: WholeGroup
    editor: PhotographicEditor

    def wear(self, editing: EditingSettings) -> None:
        """See ``realtime.stages.Wears``; everyone wears it."""
        check_style(editing)
        self.editor.wear(editing.edits)
        self.compositor.wear(self.editor.edits)

    def draw(self, frame: Frame, statistics: Statistics) -> Picture:
        """The picture of one frame: everyone's face replaced, or the holding picture where there is no face."""
        with statistics.stage("tracking"):
            group = self.tracker.track(frame)
        if not group.seen:
            statistics.frame_without_face()
            with statistics.stage("compositing"):
                return self.compositor.holding(frame)
        with statistics.stage("submitting"):
            return self.compositor.draw_group(frame, group)


class WholeGroup(WholeFrame):
    """Draws whole frames of several people.

    model: loaded for so many faces. smooth: makes a smoother of the crop's place for a person.
    """

    def __init__(
        self, settings: CompositingSettings, size: Size, model: GpuModel, smooth: Callable[[], Smooths],
        smoothing: SmoothingSettings, edits: Sequence[tuple[RowEdit, Strength]] = (),
    ) -> None:  # fmt: skip
        super().__init__(settings, size, model, smooth(), smoothing, edits)
        self._memories = [Memory(smooth()) for _ in range(1 + len(model.more))]

    def draw_group(self, frame: Frame, group: Group) -> Picture:
        """Everyone in their picture, the nearest in front; it may not be finished yet.

        Raises EngineError when the GPU fails.
        """
        self._prepare(frame)
        people = sorted(group.seen, key=lambda one: float(np.ptp(one.face.landmarks[:, 1])))
        placed = [self._placed(frame, one.face, self._memories[one.person], one.person) for one in people]
        hidden = bool(group.lost) and self._settings.on_lost != "raw"
        picture = self._submitted(frame, placed, self._behind(frame) if hidden else self._drawn_on(frame, placed))
        if not hidden:
            picture = self._holding.remember(picture)
        self._last_id, self._last_ns = frame.frame_id, frame.captured_ns
        return self._compared(frame, picture)

    def _behind(self, frame: Frame) -> Pixels:
        """What the others are drawn on while somebody is lost."""
        if self._settings.on_lost == "hold":
            return self._holding.pixels(frame, frame.captured_ns, None, self._size)
        return blurred(frame.pixels, self._size)

    def _forget(self) -> None:
        super()._forget()
        for memory in self._memories:
            memory.drawn = False

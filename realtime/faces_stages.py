"""The stages of the work thread for several faces: each person has an encoder and a smoother, the rest is shared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtime.faces_compositing import Shown
from realtime.frames import Frame, Picture
from realtime.statistics import Statistics

if TYPE_CHECKING:
    from realtime.alignment import Aligner
    from realtime.editing import Editor
    from realtime.encoding import Encoder
    from realtime.faces import Seen
    from realtime.faces_compositing import GroupCompositor
    from realtime.faces_tracking import GroupTracker
    from realtime.generating import Generator
    from realtime.smoothing import Smoother


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of one person: who they are and how they look at rest, and how they moved."""

    encoder: Encoder
    smoother: Smoother


class GroupStages:
    """The stages in the frame's order; each stage is done for all faces before the next one.

    remember: makes the memory of a new person of this number; 0 is the first, and the largest of the first frame.
    """

    def __init__(
        self,
        tracker: GroupTracker,
        aligner: Aligner,
        remember: Callable[[int], Memory],
        editor: Editor,
        generator: Generator,
        compositor: GroupCompositor,
    ) -> None:
        self.tracker, self.compositor = tracker, compositor
        self._aligner, self._editor, self._generator = aligner, editor, generator
        self._remember = remember
        self._people: dict[int, Memory] = {}

    def draw(self, frame: Frame, statistics: Statistics) -> Picture:
        """The picture of one frame: everyone's avatar, or the holding picture where there is no face."""
        with statistics.stage("tracking"):
            group = self.tracker.track(frame)
        if not group.seen:
            statistics.frame_without_face()
            with statistics.stage("compositing"):
                return self.compositor.composite_group(frame, [], group.lost)
        memories = [self._memory(one) for one in group.seen]
        with statistics.stage("alignment"):
            crops = [self._aligner.align(frame, one.face) for one in group.seen]
        with statistics.stage("encoding"):
            people = zip(group.seen, crops, memories, strict=True)
            latents = [memory.encoder.encode(one.face, crop) for one, crop, memory in people]
        with statistics.stage("smoothing"):
            latents = [memory.smoother.smooth(code) for memory, code in zip(memories, latents, strict=True)]
        with statistics.stage("editing"):
            latents = [self._editor.edit(code) for code in latents]
        with statistics.stage("generating"):
            portraits = [self._generator.generate(code) for code in latents]
        shown = [Shown(one.person, one.face, drawn) for one, drawn in zip(group.seen, portraits, strict=True)]
        with statistics.stage("compositing"):
            return self.compositor.composite_group(frame, shown, group.lost)

    def drawn_by(self, generator: Generator) -> GroupStages:
        """The same, with all that is remembered, and another generator."""
        self._generator = generator
        return self

    def _memory(self, one: Seen) -> Memory:
        """The memory of a person; empty for somebody new."""
        if one.another or one.person not in self._people:
            self._people[one.person] = self._remember(one.person)
        return self._people[one.person]

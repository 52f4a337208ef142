"""The stages of the work thread for several faces: each person has an encoder and a smoother, the rest is shared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtime.faces_compositing import Shown
from realtime.frames import AnyPortrait, Frame, Latent, Picture
from realtime.statistics import Statistics

if TYPE_CHECKING:
    from engines.bundled import BundledModel
    from realtime.alignment import Aligner
    from realtime.editing import Editor
    from realtime.encoding import Encoder
    from realtime.faces import Seen
    from realtime.faces_compositing import GroupCompositor
    from realtime.faces_tracking import Group, GroupTracker
    from realtime.generating import Coder, Generator
    from realtime.settings import EditingSettings
    from realtime.smoothing import Smoother


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of one person: who they are and how they look at rest, and how they moved."""

    encoder: Encoder
    smoother: Smoother


@dataclass(frozen=True, slots=True)
class LookedAtAll:
    """A frame that was looked at: the people in it, and what is to be drawn of each."""

    frame: Frame
    group: Group
    latents: list[Latent]


class GroupStages:
    """The stages in the frame's order; each stage is done for all faces before the next one.

    remember: makes the memory of a new person of this number; 0 is the first, and the largest of the first frame.
    dresses: the model for people who wear a style; raises UsageError where there is none.
    """

    def __init__(
        self,
        tracker: GroupTracker,
        aligner: Aligner,
        remember: Callable[[int], Memory],
        editor: Editor,
        generator: Generator | Coder,
        compositor: GroupCompositor,
        dresses: Callable[[EditingSettings], BundledModel],
    ) -> None:
        self.tracker, self.compositor = tracker, compositor
        self._aligner, self._editor, self._generator = aligner, editor, generator
        self._remember, self._dresses = remember, dresses
        self._people: dict[int, Memory] = {}
        self._worn: BundledModel | None = None  # by everyone, since another style was asked for

    def wear(self, editing: EditingSettings) -> None:
        """See ``realtime.stages.Wears``; everyone wears it."""
        model = self._dresses(editing)
        self._editor.wear(editing.edits)
        self._worn = model

    @property
    def at_once(self) -> int:
        """How many threads had best portray at the same time."""
        return self._generator.at_once

    def prepare(self) -> None:
        """Load what the calling thread needs to portray; else its first portraits do."""
        self._generator.prepare()

    def draw(self, frame: Frame, statistics: Statistics) -> Picture:
        """The picture of one frame: everyone's avatar, or the holding picture where there is no face."""
        looked = self.look(frame, statistics)
        return self.show(looked, self.portray(looked, statistics), statistics)

    def look(self, frame: Frame, statistics: Statistics) -> LookedAtAll:
        """Who is in a frame, and what they do."""
        with statistics.stage("tracking"):
            group = self.tracker.track(frame)
        if not group.seen:
            statistics.frame_without_face()
            return LookedAtAll(frame, group, [])
        memories = [self._memory(one) for one in group.seen]
        with statistics.stage("alignment"):
            crops = [self._aligner.align(frame, one.face) for one in group.seen]
        with statistics.stage("encoding"):
            people = zip(group.seen, crops, memories, strict=True)
            latents = [memory.encoder.encode(one.face, crop) for one, crop, memory in people]
        with statistics.stage("smoothing"):
            latents = [memory.smoother.smooth(code) for memory, code in zip(memories, latents, strict=True)]
        with statistics.stage("editing"):
            return LookedAtAll(frame, group, [self._editor.edit(code) for code in latents])

    def portray(self, looked: LookedAtAll, statistics: Statistics) -> list[AnyPortrait]:
        """The avatars alone."""
        if not looked.latents:
            return []
        with statistics.stage("generating"):
            return list(self._generator.generate_all(looked.latents))

    def show(self, looked: LookedAtAll, portraits: list[AnyPortrait], statistics: Statistics) -> Picture:
        """The avatars in the picture; the holding picture without any."""
        seen = zip(looked.group.seen, portraits, strict=True)
        shown = [Shown(one.person, one.face, drawn) for one, drawn in seen]
        with statistics.stage("compositing"):
            return self.compositor.composite_group(looked.frame, shown, looked.group.lost)

    def drawn_by(self, generator: Generator) -> GroupStages:
        """The same, with all that is remembered, and another generator."""
        self._generator = generator
        return self

    def _memory(self, one: Seen) -> Memory:
        """The memory of a person; empty for somebody new."""
        if one.another or one.person not in self._people:
            self._people[one.person] = self._remember(one.person)
        memory = self._people[one.person]
        if self._worn is not None:
            memory.encoder.dress(self._worn)
        return memory

"""The stages of the work thread in the frame's order, and how the settings make them for a bundled model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from realtime.frames import AnyPortrait, Face, Frame, Latent, Picture
from realtime.settings import EditingSettings, Settings, TrackingSettings
from realtime.statistics import Statistics

if TYPE_CHECKING:
    from engines.bundled import BundledModel
    from realtime.alignment import Aligner
    from realtime.avatars import Avatar
    from realtime.compositing import Compositor
    from realtime.editing import Editor
    from realtime.encoding import Encoder
    from realtime.faces_stages import GroupStages, Memory
    from realtime.generating import Coder, Generator
    from realtime.painting import Paints
    from realtime.photographic import PhotographicEditor, PhotographicEncoder, PhotographicGenerator
    from realtime.photographic_alignment import PhotographicAligner
    from realtime.photographic_compositing import PhotographicCompositor
    from realtime.smoothing import Smoother
    from realtime.tracking import Tracker


class Closes(Protocol):
    """Every tracker."""

    def close(self) -> None:
        """Give everything back."""


class Tracks(Closes, Protocol):
    """``realtime.tracking.Tracker``."""

    def track(self, frame: Frame) -> Face | None:
        """The face in a frame."""


class Holds(Protocol):
    """Every compositor."""

    def holding(self, frame: Frame | None, now_ns: int | None = None) -> Picture:
        """What goes out without an avatar."""


class Wears(Protocol):
    """All stages together."""

    def wear(self, editing: EditingSettings) -> None:
        """Another style, strength and edits from the next frame on; any thread may ask.

        Raises UsageError, and for imported models ModelError and ValueError; what is worn stays then.
        """


class Tracked(Wears, Protocol):
    """All stages together: what whoever runs them needs to know of them."""

    @property
    def tracker(self) -> Closes:
        """Finds faces."""

    @property
    def compositor(self) -> Holds:
        """Makes all pictures."""


def followed(tracker: Tracks, frame: Frame, statistics: Statistics) -> Face | None:
    """Where every frame begins: its face, if one is found."""
    with statistics.stage("tracking"):
        face = tracker.track(frame)
    if face is None:
        statistics.frame_without_face()
    return face


@dataclass(frozen=True, slots=True)
class Looked:
    """A frame that was looked at: its face and what is to be drawn; None where there is none."""

    frame: Frame
    face: Face | None
    latent: Latent | None


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages of the work thread, in the frame's order.

    ``look`` and ``show`` remember what came before, so frames must come to each in order; ``portray`` does not.
    dresses: what the encoder needs to know of a style. Raises UsageError where the model cannot show it.
    """

    tracker: Tracker
    aligner: Aligner | PhotographicAligner
    encoder: Encoder | PhotographicEncoder
    smoother: Smoother
    editor: Editor | PhotographicEditor
    generator: Generator | Coder | PhotographicGenerator
    compositor: Compositor | PhotographicCompositor
    dresses: Callable[[EditingSettings], Any]

    def wear(self, editing: EditingSettings) -> None:
        """See :class:`Wears`."""
        dress = self.dresses(editing)
        self.editor.wear(editing.edits)
        self.encoder.dress(dress)

    @property
    def at_once(self) -> int:
        """How many threads had best portray at the same time."""
        return self.generator.at_once

    def prepare(self) -> None:
        """Load what the calling thread needs to portray; else its first portrait does."""
        self.generator.prepare()

    def draw(self, frame: Frame, statistics: Statistics) -> Picture:
        """The picture of one frame: the avatar, or the holding picture where there is no face."""
        looked = self.look(frame, statistics)
        if looked.face is not None:
            self.compositor.cover_ahead(frame, looked.face)
        return self.show(looked, self.portray(looked, statistics), statistics)

    def look(self, frame: Frame, statistics: Statistics) -> Looked:
        """Who is in a frame, and what they do."""
        face = followed(self.tracker, frame, statistics)
        if face is None:
            return Looked(frame, None, None)
        with statistics.stage("alignment"):
            crop = self.aligner.align(frame, face)
        with statistics.stage("encoding"):
            latent = self.encoder.encode(face, crop)
        with statistics.stage("smoothing"):
            latent = self.smoother.smooth(latent)
        with statistics.stage("editing"):
            return Looked(frame, face, self.editor.edit(latent))

    def portray(self, looked: Looked, statistics: Statistics) -> AnyPortrait | None:
        """The avatar alone."""
        if looked.latent is None:
            return None
        with statistics.stage("generating"):
            return self.generator.generate(looked.latent)

    def show(self, looked: Looked, portrait: Any, statistics: Statistics) -> Picture:
        """What ``portray`` gave in the picture, perhaps not finished yet; the holding picture without one."""
        with statistics.stage("compositing"):
            return self.compositor.composite(looked.frame, looked.face, portrait)

    def drawn_by(self, generator: Generator) -> Stages:
        """The same, with all that is remembered, and another generator."""
        return replace(self, generator=generator)


def bundled_stages(settings: Settings, size: tuple[int, int]) -> tuple[Stages | GroupStages, str]:
    """As ``realtime.building.build_stages``, for a bundled model. Raises UsageError, ModelError and EngineError."""
    model = _model(settings)
    make = _stages_of_several if settings.tracking.faces > 1 else _stages_of_one
    return make(settings, size, model), model.describe()


def another_generator(settings: Settings) -> Generator:
    """A generator of the same model on the settings' device. Raises ModelError and EngineError."""
    from realtime.generating import Generator

    return Generator(_model(settings), settings.alignment.size_px)


def _model(settings: Settings) -> BundledModel:
    from engines.bundled import load

    wanted = settings.generating
    several = settings.tracking.faces > 1  # whose drawings fill all cores one after the other: docs/decisions/0084
    return load(
        wanted.model,
        wanted.device,
        precision=wanted.precision,
        resolution=wanted.resolution,
        pictures="1" if several and wanted.at_once == "auto" else wanted.at_once,
    )


def _dressed(model: BundledModel, editing: EditingSettings) -> BundledModel:
    """The model for people who wear a style. Raises UsageError for attributes that it does not know."""
    from realtime.dressing import dressed

    return dressed(model, editing.attributes, editing.strength)


def remembering(settings: Settings, model: BundledModel, worn: Avatar | None) -> Memory:
    """What is remembered of one person, still empty; ``worn``: the avatar they wear, if any."""
    from engines.motion import EYES, MOTION, MOUTH, POSE, REACH, columns
    from realtime.encoding import Encoder
    from realtime.faces_stages import Memory
    from realtime.smoothing import Smoother

    groups = {"pose": columns(POSE), "mouth": columns(MOUTH), "eyes": columns(EYES)}
    reach = [REACH[name] for name in MOTION]
    smoother = Smoother(settings.smoothing, groups, settings.alignment.size_px, reach)
    attributes, offset = (None, None) if worn is None else (worn.attributes(), worn.offset())
    return Memory(Encoder(model, settings.encoding, attributes, offset), smoother)


def _worn(settings: Settings) -> Avatar | None:
    """The avatar to wear, if one is named. Raises UsageError when there is none of the name."""
    if not settings.encoding.avatar:
        return None
    from realtime.avatars import AvatarStore, default_folder

    return AvatarStore(default_folder()).load(settings.encoding.avatar)


def _drawing(settings: Settings, size: tuple[int, int], model: BundledModel) -> tuple[Generator | Coder, Paints | None]:
    """What draws portraits, and what puts them into pictures, None for the processor. Raises EngineError."""
    from realtime.compositing import output_size
    from realtime.generating import Coder, Generator
    from realtime.painting import fade

    drawer, crop_px = model.drawer, settings.alignment.size_px
    if settings.compositing.mode != "paste":  # which takes the person's colours on the processor
        width, height = output_size(size, replace(settings.compositing, compare=False))
        engine = drawer.whole_frames(height, width, settings.tracking.faces, fade(model.size_px))
        if engine is not None:
            from realtime.painting_gpu import OnGpu

            return Coder(model.size_px, crop_px), OnGpu(engine)
    elif settings.generating.device == "cuda":
        drawer.prepare()  # else the first frame waits for it
    return Generator(model, crop_px), None


def _stages_of_one(settings: Settings, size: tuple[int, int], model: BundledModel) -> Stages:
    from realtime.alignment import Aligner
    from realtime.compositing import Compositor
    from realtime.editing import Editor
    from realtime.tracking import Tracker

    generator, painter = _drawing(settings, size, model)
    memory = remembering(settings, _dressed(model, settings.editing), _worn(settings))
    return Stages(
        tracker=Tracker(_looking(settings.tracking, model)),
        aligner=Aligner(settings.alignment),
        encoder=memory.encoder,
        smoother=memory.smoother,
        editor=Editor(model.directions, settings.editing.edits),
        generator=generator,
        compositor=Compositor(settings.compositing, size, painter),
        dresses=partial(_dressed, model),
    )


def _looking(tracking: TrackingSettings, model: BundledModel) -> TrackingSettings:
    """How often a face is looked at where that is left open."""
    return replace(tracking, looks=model.looks) if tracking.looks == 0 else tracking


def _stages_of_several(settings: Settings, size: tuple[int, int], model: BundledModel) -> GroupStages:
    from realtime.alignment import Aligner
    from realtime.editing import Editor
    from realtime.faces_compositing import GroupCompositor
    from realtime.faces_stages import GroupStages
    from realtime.faces_tracking import GroupTracker

    generator, painter = _drawing(settings, size, model)
    worn = _worn(settings)
    dressed_model = _dressed(model, settings.editing)
    return GroupStages(
        tracker=GroupTracker(settings.tracking),
        aligner=Aligner(settings.alignment),
        remember=lambda person: remembering(settings, dressed_model, worn if person == 0 else None),
        editor=Editor(model.directions, settings.editing.edits),
        generator=generator,
        compositor=GroupCompositor(settings.compositing, size, painter),
        dresses=partial(_dressed, model),
    )

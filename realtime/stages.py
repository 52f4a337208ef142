"""The stages of the work thread in the frame's order, and how the settings make them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtime.errors import UsageError
from realtime.frames import Frame, Picture
from realtime.settings import Settings
from realtime.statistics import Statistics

FEW_CORES = 4

if TYPE_CHECKING:
    from engines.bundled import BundledModel
    from realtime.alignment import Aligner
    from realtime.avatars import Avatar
    from realtime.compositing import Compositor
    from realtime.editing import Editor
    from realtime.encoding import Encoder
    from realtime.faces_stages import GroupStages, Memory
    from realtime.generating import Generator
    from realtime.photographic import PhotographicEditor, PhotographicEncoder, PhotographicGenerator
    from realtime.photographic_alignment import PhotographicAligner
    from realtime.photographic_compositing import PhotographicCompositor
    from realtime.photographic_gpu import FrameStages
    from realtime.smoothing import Smoother
    from realtime.tracking import Tracker


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages of the work thread, in the frame's order."""

    tracker: Tracker
    aligner: Aligner | PhotographicAligner
    encoder: Encoder | PhotographicEncoder
    smoother: Smoother
    editor: Editor | PhotographicEditor
    generator: Generator | PhotographicGenerator
    compositor: Compositor | PhotographicCompositor

    def draw(self, frame: Frame, statistics: Statistics) -> Picture:
        """The picture of one frame: the avatar, or the holding picture where there is no face."""
        with statistics.stage("tracking"):
            face = self.tracker.track(frame)
        if face is None:
            statistics.frame_without_face()
            with statistics.stage("compositing"):
                return self.compositor.holding(frame)
        with statistics.stage("alignment"):
            crop = self.aligner.align(frame, face)
        with statistics.stage("encoding"):
            latent = self.encoder.encode(face, crop)
        with statistics.stage("smoothing"):
            latent = self.smoother.smooth(latent)
        with statistics.stage("editing"):
            latent = self.editor.edit(latent)
        with statistics.stage("generating"):
            portrait = self.generator.generate(latent)
        with statistics.stage("compositing"):
            return self.compositor.composite(frame, face, portrait)


def build_stages(settings: Settings, size: tuple[int, int]) -> tuple[Stages | GroupStages | FrameStages, str]:
    """All stages as the settings want them for frames of ``size``, and what the model runs on, in one line.

    Raises UsageError, ModelError and EngineError.
    """
    import cv2

    from engines import bundled

    if (os.cpu_count() or 1) <= FEW_CORES:  # its threads gain nothing on parts of one picture, and wait in a loop
        cv2.setNumThreads(1)
    if settings.generating.model not in bundled.MODELS:
        if settings.encoding.avatar:
            raise UsageError(
                f"the avatar {settings.encoding.avatar!r} cannot be worn with {settings.generating.model!r}; "
                f"wanted a bundled model: {', '.join(bundled.MODELS)}"
            )
        if settings.tracking.faces > 1:
            raise UsageError(
                f"{settings.generating.model!r} draws one face; with --faces {settings.tracking.faces} "
                f"wanted a bundled model: {', '.join(bundled.MODELS)}"
            )
        from realtime.photographic_stages import photographic_stages

        return photographic_stages(settings, size)
    from realtime.dressing import dressed

    wanted = settings.generating
    model = bundled.load(wanted.model, wanted.device, precision=wanted.precision)
    model = dressed(model, settings.editing.attributes, settings.editing.strength)
    make = _stages_of_several if settings.tracking.faces > 1 else _stages_of_one
    return make(settings, size, model), model.describe()


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


def _stages_of_one(settings: Settings, size: tuple[int, int], model: BundledModel) -> Stages:
    from realtime.alignment import Aligner
    from realtime.compositing import Compositor
    from realtime.editing import Editor
    from realtime.generating import Generator
    from realtime.tracking import Tracker

    memory = remembering(settings, model, _worn(settings))
    return Stages(
        tracker=Tracker(settings.tracking),
        aligner=Aligner(settings.alignment),
        encoder=memory.encoder,
        smoother=memory.smoother,
        editor=Editor(model.directions, settings.editing.edits),
        generator=Generator(model),
        compositor=Compositor(settings.compositing, size),
    )


def _stages_of_several(settings: Settings, size: tuple[int, int], model: BundledModel) -> GroupStages:
    from realtime.alignment import Aligner
    from realtime.editing import Editor
    from realtime.faces_compositing import GroupCompositor
    from realtime.faces_stages import GroupStages
    from realtime.faces_tracking import GroupTracker
    from realtime.generating import Generator

    worn = _worn(settings)
    return GroupStages(
        tracker=GroupTracker(settings.tracking),
        aligner=Aligner(settings.alignment),
        remember=lambda person: remembering(settings, model, worn if person == 0 else None),
        editor=Editor(model.directions, settings.editing.edits),
        generator=Generator(model),
        compositor=GroupCompositor(settings.compositing, size),
    )

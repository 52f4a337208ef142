"""The stages of the work thread in the frame's order, and how the settings make them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtime.frames import Frame, Picture
from realtime.settings import Settings
from realtime.statistics import Statistics

if TYPE_CHECKING:
    from realtime.alignment import Aligner
    from realtime.compositing import Compositor
    from realtime.editing import Editor
    from realtime.encoding import Encoder
    from realtime.generating import Generator
    from realtime.smoothing import Smoother
    from realtime.tracking import Tracker


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages of the work thread, in the frame's order."""

    tracker: Tracker
    aligner: Aligner
    encoder: Encoder
    smoother: Smoother
    editor: Editor
    generator: Generator
    compositor: Compositor

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


def build_stages(settings: Settings, size: tuple[int, int]) -> tuple[Stages, str]:
    """All stages as the settings want them for frames of ``size``, and what the model runs on, in one line.

    Raises UsageError, ModelError and EngineError.
    """
    from engines import bundled
    from engines.motion import EYES, MOUTH, POSE, columns
    from realtime.alignment import Aligner
    from realtime.compositing import Compositor
    from realtime.dressing import dressed
    from realtime.editing import Editor
    from realtime.encoding import Encoder
    from realtime.generating import Generator
    from realtime.smoothing import Smoother
    from realtime.tracking import Tracker

    editing = settings.editing
    model = bundled.load(settings.generating.model, settings.generating.device)
    model = dressed(model, editing.attributes, editing.strength)
    groups = {"pose": columns(POSE), "mouth": columns(MOUTH), "eyes": columns(EYES)}
    stages = Stages(
        tracker=Tracker(settings.tracking),
        aligner=Aligner(settings.alignment),
        encoder=Encoder(model, settings.encoding),
        smoother=Smoother(settings.smoothing, groups, settings.alignment.size_px),
        editor=Editor(model.directions, editing.edits),
        generator=Generator(model),
        compositor=Compositor(settings.compositing, size),
    )
    return stages, model.describe()

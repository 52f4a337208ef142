"""The stages for an imported model: all that a face does is in its W+, and it is put back into the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.encoders_config import INPUT_PX
from engines.models_folder import models_folder
from realtime import photographic
from realtime.compositing import Compositor
from realtime.photographic_alignment import PhotographicAligner
from realtime.photographic_compositing import PhotographicCompositor
from realtime.settings import Settings
from realtime.smoothing import Smoother
from realtime.stages import Stages
from realtime.tracking import Tracker

if TYPE_CHECKING:
    from realtime.photographic_gpu import FrameStages
    from realtime.photographic_group import GroupFrameStages


def photographic_stages(
    settings: Settings, size: tuple[int, int]
) -> tuple[Stages | FrameStages | GroupFrameStages, str]:
    """As ``realtime.building.build_stages``, for a model that was imported.

    Raises UsageError for what imported models cannot do, ModelError and EngineError.
    """
    photographic.check_style(settings.editing)
    pasted = settings.compositing.mode in ("overlay", "paste")
    if settings.generating.device == "cuda" and pasted:
        return _whole_frame(settings, size)
    model = photographic.load(settings.generating, settings.editing.strength)
    editor = photographic.PhotographicEditor(settings.editing.edits, models_folder().directions, model.centre)
    stages = Stages(
        tracker=Tracker(settings.tracking),
        aligner=PhotographicAligner(),
        encoder=photographic.PhotographicEncoder(model),
        smoother=Smoother(photographic.smoothing(settings.smoothing), None, INPUT_PX),
        editor=editor,
        generator=photographic.PhotographicGenerator(model),
        compositor=(PhotographicCompositor if pasted else Compositor)(settings.compositing, size),
        dresses=photographic.check_style,
    )
    return stages, model.describe()


def _whole_frame(settings: Settings, size: tuple[int, int]) -> tuple[FrameStages | GroupFrameStages, str]:
    """The stages where the GPU does whole frames. Raises ModelError and EngineError."""
    photographic.check_precision(settings.generating)
    photographic.check_gpu()
    from engines.cuda_imported import load_on_gpu
    from realtime.photographic_gpu import FrameStages, WholeFrame

    path, look = photographic.chosen(settings.generating, settings.editing.strength)
    model = load_on_gpu(path, look=look, faces=settings.tracking.faces)
    if model is None:
        raise photographic.without_encoder(settings.generating.model)
    editor = photographic.PhotographicEditor(settings.editing.edits, models_folder().directions, model.centre)
    smoothing = photographic.smoothing(settings.smoothing)
    given = (settings.compositing, size, model)
    if settings.tracking.faces > 1:
        from realtime.faces_tracking import GroupTracker
        from realtime.photographic_group import GroupFrameStages, WholeGroup

        group = WholeGroup(*given, lambda: Smoother(smoothing, None, INPUT_PX), smoothing, editor.edits)
        return GroupFrameStages(GroupTracker(settings.tracking), group, editor), model.describe()
    drawn = WholeFrame(*given, Smoother(smoothing, None, INPUT_PX), smoothing, editor.edits)
    return FrameStages(Tracker(settings.tracking), drawn, editor), model.describe()

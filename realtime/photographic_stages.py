"""The stages for an imported model: all that a face does is in its W+, and it is put back into the picture."""

from __future__ import annotations

from engines.encoders_config import INPUT_PX
from engines.models_folder import models_folder
from realtime import photographic
from realtime.compositing import Compositor
from realtime.errors import UsageError
from realtime.photographic_alignment import PhotographicAligner
from realtime.photographic_compositing import PhotographicCompositor
from realtime.settings import Settings
from realtime.smoothing import Smoother
from realtime.stages import Stages
from realtime.tracking import Tracker


def photographic_stages(settings: Settings, size: tuple[int, int]) -> tuple[Stages, str]:
    """As ``realtime.stages.build_stages``, for a model that was imported.

    Raises UsageError for what imported models cannot do, ModelError and EngineError.
    """
    if settings.editing.attributes:
        raise UsageError(
            f"the style {settings.editing.style!r} sets attributes of bundled avatars, which imported models do not "
            "have; leave it out"
        )
    model = photographic.load(settings.generating, settings.editing.strength)
    editor = photographic.PhotographicEditor(model, settings.editing.edits, models_folder().directions)
    pasted = settings.compositing.mode in ("overlay", "paste")
    stages = Stages(
        tracker=Tracker(settings.tracking),
        aligner=PhotographicAligner(),
        encoder=photographic.PhotographicEncoder(model),
        smoother=Smoother(photographic.smoothing(settings.smoothing), None, INPUT_PX),
        editor=editor,
        generator=photographic.PhotographicGenerator(model),
        compositor=(PhotographicCompositor if pasted else Compositor)(settings.compositing, size),
    )
    return stages, model.describe()

"""The stages that the settings want, on the device that ``--device`` means.

With ``--device auto`` a GPU that cannot be used, or fails while the program runs, is named in one line and the CPU goes
on; with ``--device cuda`` its EngineError ends the program. While the CPU's model is made, the last picture that was
finished stays: no frame of the camera is ever shown instead.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Protocol

from engines.devices import FEW_CORES, automatic
from realtime.errors import EngineError, UsageError
from realtime.frames import Frame, LatePicture, Picture, Pixels
from realtime.settings import EditingSettings, Settings
from realtime.stages import Closes, Holds, Stages, Tracked, another_generator, bundled_stages
from realtime.statistics import Statistics
from realtime.two_at_once import TwoAtOnce

if TYPE_CHECKING:
    from realtime.faces_stages import GroupStages

Size = tuple[int, int]
log = logging.getLogger(__name__)


class AnyStages(Tracked, Protocol):
    """What the work thread runs."""

    def draw(self, frame: Frame, statistics: Statistics) -> Picture:
        """The picture of one frame."""


def build_stages(settings: Settings, size: Size) -> tuple[AnyStages, str]:
    """All stages as the settings want them for frames of ``size``, and what the model runs on, in one line.

    Raises UsageError, ModelError and EngineError.
    """
    import cv2

    if (os.cpu_count() or 1) <= FEW_CORES:  # its threads gain nothing on parts of one picture, and wait in a loop
        cv2.setNumThreads(1)
    _check_faces(settings)
    if settings.generating.device != "auto":
        return _built(settings, size)
    if settings.generating.precision != "auto" or automatic().kind == "cpu":  # precisions are the CPU's
        return _built(_on("cpu", settings), size)
    try:
        stages, description = _built(_on("cuda", settings), size)
    except EngineError as error:
        log.warning("the GPU is not used: %s", error)
        return _built(_on("cpu", settings), size)
    from realtime.compositing import output_size

    shown = output_size(size, settings.compositing)
    return FallingBack(stages, lambda running: _moved(running, settings, size), shown), description


def device_line(requested: str, stages: AnyStages) -> str:
    """What ``--device`` came to and why, in one line for people."""
    if requested != "auto":
        return f"{requested}, as asked for"
    choice = automatic()
    if isinstance(stages, FallingBack):
        return f"cuda; {choice.reason}; should it fail, the CPU goes on"
    why = choice.reason if choice.kind == "cpu" else "the GPU could not be used, or a precision was asked for"
    return f"cpu; {why}"


def _on(device: Literal["cpu", "cuda"], settings: Settings) -> Settings:
    return replace(settings, generating=replace(settings.generating, device=device))


def _check_faces(settings: Settings) -> None:
    """Raise UsageError where several faces are wanted of what draws one: an imported model but on a GPU that was named.

    With ``auto`` too: the CPU could not go on.
    """
    from engines.bundled import MODELS

    name, faces, pasted = settings.generating.model, settings.tracking.faces, settings.compositing.mode
    on_gpu = settings.generating.device == "cuda" and pasted in ("paste", "overlay")
    if faces > 1 and name not in MODELS and not on_gpu:
        raise UsageError(
            f"{name!r} draws one face; with --faces {faces} wanted a bundled model: {', '.join(MODELS)}, or --device "
            "cuda with --mode paste or overlay"
        )


def _built(settings: Settings, size: Size) -> tuple[AnyStages, str]:
    from engines.bundled import MODELS

    name = settings.generating.model
    if name in MODELS:
        stages, line = bundled_stages(settings, size)
        return _at_once(stages), line
    known = ", ".join(MODELS)
    if settings.encoding.avatar:
        raise UsageError(
            f"the avatar {settings.encoding.avatar!r} cannot be worn with {name!r}; wanted a bundled model: {known}"
        )
    from realtime.photographic_stages import photographic_stages

    return photographic_stages(settings, size)


def _at_once(stages: Stages | GroupStages) -> AnyStages:
    """The same, with two frames under way where that is faster."""
    return TwoAtOnce(stages) if stages.at_once > 1 else stages


def _moved(running: AnyStages, settings: Settings, size: Size) -> AnyStages:
    """What goes on with the CPU where the GPU's stages end; a bundled model forgets nobody."""
    from engines.bundled import MODELS
    from realtime.faces_stages import GroupStages

    on_cpu = _on("cpu", settings)
    if settings.generating.model in MODELS and isinstance(running, (Stages, GroupStages)):
        return _at_once(running.drawn_by(another_generator(on_cpu)))
    running.tracker.close()
    return _built(on_cpu, size)[0]


class FallingBack:
    """Stages on a GPU until it fails, then those that ``move`` makes of them, on the CPU.

    size: width and height of the pictures. The output thread may meet the failure first, when it waits for a picture:
    the work thread moves at the next frame.
    """

    def __init__(self, stages: AnyStages, move: Callable[[AnyStages], AnyStages], size: Size) -> None:
        self._stages, self._move, self._size = stages, move, size
        self._failed = self._moved = False
        self._shown: Pixels | None = None  # what was finished last
        self._worn: EditingSettings | None = None  # since it was changed

    @property
    def tracker(self) -> Closes:
        """The running stages' own."""
        return self._stages.tracker

    @property
    def compositor(self) -> Holds:
        """This: a holding picture may need one that the GPU did not finish."""
        return self

    def wear(self, editing: EditingSettings) -> None:
        """See ``realtime.stages.Wears``; what goes on with the CPU wears it too."""
        stages = self._stages
        stages.wear(editing)
        self._worn = editing
        if self._stages is not stages:  # it was moved meanwhile
            self._stages.wear(editing)

    def draw(self, frame: Frame, statistics: Statistics) -> Picture:
        """The picture of one frame. Raises EngineError when the CPU fails too."""
        return self._tried(lambda: self._stages.draw(frame, statistics), frame.frame_id, frame.captured_ns)

    def holding(self, frame: Frame | None, now_ns: int | None = None) -> Picture:
        """The running stages' holding picture."""
        number, when_ns = (0, now_ns or 0) if frame is None else (frame.frame_id, frame.captured_ns)
        return self._tried(lambda: self._stages.compositor.holding(frame, now_ns), number, when_ns)

    def _tried(self, make: Callable[[], Picture], number: int, when_ns: int) -> Picture:
        if not self._moved and not self._failed:
            try:
                return self._kept(make())
            except EngineError as error:
                self._fail(error)
        if not self._moved:
            self._stages, self._moved = self._move(self._stages), True
            if self._worn is not None:
                self._stages.wear(self._worn)
            return LatePicture(number, when_ns, self._last)  # the one before may not be finished yet
        return make()

    def _kept(self, picture: Picture) -> Picture:
        if not isinstance(picture, LatePicture):
            self._shown = picture.pixels
            return picture

        def finished() -> Pixels:
            try:
                self._shown = picture.pixels
            except EngineError as error:
                self._fail(error)
                return self._last()
            return self._shown

        return LatePicture(picture.frame_id, picture.captured_ns, finished)

    def _fail(self, error: EngineError) -> None:
        if not self._failed:
            log.warning("%s; the CPU goes on", error)
        self._failed = True

    def _last(self) -> Pixels:
        """What is shown while there is nothing new."""
        from realtime.holding import card

        return card(self._size) if self._shown is None else self._shown

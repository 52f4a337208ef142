"""Two frames at once on few cores: each is drawn by one thread from end to end, while the other is drawn or looked at.

    work thread          two drawing threads, in turn
    look -> portray, show ------------------------->
            look -> portray, show ----------------->

Parts of one picture wait for each other on two cores; two pictures do not (docs/decisions/0084). Looking and showing
remember what came before, so both are done in the frames' order. A picture comes back before it is finished; whoever
wants its pixels waits. Never more than two are under way, so that nothing queues up.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any, Protocol

from realtime.frames import Frame, LatePicture, Picture
from realtime.settings import EditingSettings
from realtime.stages import Tracked
from realtime.statistics import Statistics


class LooksAndShows(Tracked, Protocol):
    """``realtime.stages.Stages`` and ``realtime.faces_stages.GroupStages``."""

    def prepare(self) -> None:
        """Load what the calling thread needs to portray."""

    def look(self, frame: Frame, statistics: Statistics) -> Any:
        """Who is in a frame, and what they do."""

    def portray(self, looked: Any, statistics: Statistics) -> Any:
        """The avatar alone."""

    def show(self, looked: Any, portrait: Any, statistics: Statistics) -> Picture:
        """The avatar in the picture."""


class TwoAtOnce:
    """Stages whose drawing is done by two threads; to be given frames from one thread.

    stages: the plain ones, for those who call each stage themselves.
    """

    def __init__(self, stages: LooksAndShows) -> None:
        self.stages = stages
        # While the second thread loads its networks, the first draws alone.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="drawing", initializer=self._prepare)
        self._latest: Future[Picture] | None = None
        self._showing = threading.Lock()

    @property
    def tracker(self) -> TwoAtOnce:
        """This: the tracker is closed with the threads."""
        return self

    @property
    def compositor(self) -> TwoAtOnce:
        """This: a holding picture comes after those that are under way."""
        return self

    def wear(self, editing: EditingSettings) -> None:
        """See ``realtime.stages.Wears``."""
        self.stages.wear(editing)

    def draw(self, frame: Frame, statistics: Statistics) -> Picture:
        """The picture of one frame, perhaps not finished yet. Raises what the one before raised."""
        looked = self.stages.look(frame, statistics)
        before = self._latest
        drawing = self._latest = self._threads.submit(self._drawn, looked, before, statistics)
        if before is not None:
            before.result()
        return LatePicture(frame.frame_id, frame.captured_ns, lambda: drawing.result().pixels)

    def holding(self, frame: Frame | None, now_ns: int | None = None) -> Picture:
        """The compositor's holding picture."""
        if self._latest is not None:
            wait([self._latest])  # what it raised is told elsewhere
        with self._showing:
            return self.stages.compositor.holding(frame, now_ns)

    def close(self) -> None:
        """Finish what is under way and give everything back."""
        self._threads.shutdown()
        self.stages.tracker.close()

    def _prepare(self) -> None:
        with suppress(Exception):  # the first picture tells it
            self.stages.prepare()

    def _drawn(self, looked: Any, before: Future[Picture] | None, statistics: Statistics) -> Picture:
        portrait = self.stages.portray(looked, statistics)
        if before is not None:
            before.result()
        with self._showing:
            return self.stages.show(looked, portrait, statistics)

"""Every stage in order, and the three threads that carry a frame through them.

    capture thread            work thread                                                   calling thread
    source --> LatestSlot --> track, align, encode, smooth, edit, generate, composite --> LatestSlot --> outputs

*Newest-frame* pace (cameras): when the work is slower than the source, waiting frames are replaced by newer ones, so
that the delay never grows. *Every-frame* pace (files): the source waits instead, and as many pictures leave as frames
came.

Privacy: what leaves is what the compositor made. Without a face, during a stall and after any error that is its holding
picture; should the compositor itself fail, a plain card. A frame of the camera never goes to an output from here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from realtime.building import AnyStages
from realtime.clock import Clock
from realtime.frames import Frame, LatePicture, Picture
from realtime.settings import PipelineSettings
from realtime.slot import LatestSlot, SlotClosed
from realtime.sources.base import Stalled
from realtime.statistics import Statistics

if TYPE_CHECKING:
    from realtime.capture import Source
    from realtime.outputs import Output

log = logging.getLogger(__name__)

LEAST_PATIENCE_S = 0.05  # for a frame that comes, however long the one before took
POLL_S = 0.1  # how often the calling thread looks up, so that signals are heard
GRACE_S = 5.0  # how long a stopped pipeline may take to pass on what it holds
JOIN_S = 2.0
CARD_BGR = (64, 52, 46)

Timed = tuple[Frame, int]  # a frame and the clock's time at its capture
Sendable = tuple[Picture, int | None]  # a picture and its frame's such time; None for a holding picture
Observer = Callable[[Frame, Picture], None]


class Pipeline:
    """Carries frames from a source through the stages to the outputs; runs once.

    observer: called in the work thread with every frame and its picture.
    The pipeline closes source, tracker and outputs when it ends, however it ends.
    """

    def __init__(
        self,
        source: Source,
        stages: AnyStages,
        outputs: Sequence[Output],
        clock: Clock,
        settings: PipelineSettings,
        statistics: Statistics,
        observer: Observer | None = None,
    ) -> None:
        self._source = source
        self._stages = stages
        self._outputs = list(outputs)
        self._clock = clock
        self._settings = settings
        self._statistics = statistics
        self._observer = observer
        paced = source.live or any(output.wants_pacing for output in outputs)
        self.every = settings.pace == "every" or (settings.pace == "auto" and not paced)
        self._frames: LatestSlot[Timed] = LatestSlot(self.every)
        self._pictures: LatestSlot[Sendable] = LatestSlot(self.every)
        self._stopping = False
        self._trouble = ""
        self._errors: list[BaseException] = []
        self._last: Picture | None = None

    def stop(self) -> None:
        """Read no further; what was read is still sent and files are finished. Safe in a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Run until the source ends, :meth:`stop` is called or something fails.

        Raises the first error, after every output got its holding picture and was closed.
        """
        threads = [
            threading.Thread(target=self._run_thread, args=args, name=args[0].__name__, daemon=True)
            for args in ((self._capture, [self._frames]), (self._work, [self._frames, self._pictures]))
        ]
        for thread in threads:
            thread.start()
        try:
            self._output()
        except Exception as error:
            self._errors.append(error)
        finally:
            self._close(threads)
        if self._errors:
            raise self._errors[0]

    def _run_thread(self, body: Callable[[], None], slots: Sequence[LatestSlot[Any]]) -> None:
        """Run a thread's body; when it ends, or dies, close the slots that it takes from and puts into."""
        error: BaseException | None = None
        try:
            body()
        except SlotClosed:
            pass
        except Exception as caught:
            error = caught
        finally:
            for slot in slots:
                slot.close(error)

    def _capture(self) -> None:
        """The capture thread: source to slot."""
        start_ns = self._clock.now_ns()
        first_ns: int | None = None
        while not self._stopping:
            frame = self._source.read()
            if frame is None:
                return
            self._tell_trouble(frame.reason if isinstance(frame, Stalled) else "")
            if isinstance(frame, Stalled):  # the work thread notices the pause by itself
                continue
            first_ns = frame.captured_ns if first_ns is None else first_ns
            if 0 < self._settings.duration_s * 1e9 <= frame.captured_ns - first_ns:
                return
            if not self._source.live and not self.every:
                self._clock.sleep_until_ns(start_ns + frame.captured_ns - first_ns)
            self._statistics.frame_in()
            captured_ns = frame.captured_ns if self._source.live else self._clock.now_ns()
            if self._frames.put((frame, captured_ns)) is not None:
                self._statistics.frame_dropped()

    def _tell_trouble(self, reason: str) -> None:
        """Say once that the source is in trouble, and once that it is back."""
        if reason != self._trouble:
            log.warning("source: %s", reason or "it is back")
            self._trouble = reason

    def _work(self) -> None:
        """The work thread: slot through the stages to slot."""
        stall_s = self._settings.stall_ms / 1000 if self._source.live else None
        patience_s = stall_s
        while True:
            timed = self._frames.get(patience_s)
            if timed is None:
                now_ns = self._clock.now_ns()
                picture = self._stages.compositor.holding(None, now_ns)
                self._pictures.put((Picture(picture.frame_id, now_ns, picture.pixels), None))
                patience_s = 1 / max(self._source.fps, 1.0)  # the holding picture moves: it fades
                continue
            frame, captured_ns = timed
            picture = self._stages.draw(frame, self._statistics)
            if self._observer is not None:
                self._observer(frame, picture)
            dropped = self._pictures.put((picture, captured_ns))
            if dropped is not None and dropped[1] is not None:
                self._statistics.frame_dropped()
            if stall_s is not None:  # counted from the capture: what the work took is part of the pause
                age_s = (self._clock.now_ns() - captured_ns) * 1e-9
                patience_s = min(stall_s, max(LEAST_PATIENCE_S, stall_s - age_s))

    def _output(self) -> None:
        """The calling thread: slot to outputs."""
        idle_s = 0.0
        while self._outputs and idle_s < GRACE_S:
            try:
                item = self._pictures.get(POLL_S)
                if item is not None and isinstance(item[0], LatePicture):
                    with self._statistics.stage("waiting"):
                        item[0].pixels  # noqa: B018 - waits; what fails here is no output's fault
            except SlotClosed:
                return
            except Exception:
                self._send(self._holding(), None)
                raise
            if item is not None:
                self._send(*item)
            idle_s = idle_s + POLL_S if item is None and self._stopping else 0.0

    def _send(self, picture: Picture, captured_ns: int | None) -> None:
        """Send to every output; one that fails is finished and left out, the others go on."""
        self._last = picture
        with self._statistics.stage("output"):
            for output in list(self._outputs):
                try:
                    output.send(picture)
                except Exception as error:
                    log.warning("%s failed: %s", output.describe(), error)
                    self._errors.append(error)
                    self._outputs.remove(output)
                    self._closed(output.close)
        self._statistics.picture_out(captured_ns)
        if any(output.wants_stop for output in self._outputs):
            self.stop()

    def _holding(self) -> Picture:
        """The last thing to show after an error; the work thread has ended, so the compositor is free."""
        last = self._last
        frame_id = 0 if last is None else last.frame_id
        captured_ns = self._clock.now_ns() if last is None else last.captured_ns + int(1e9 / max(self._source.fps, 1.0))
        try:
            pixels = self._stages.compositor.holding(None).pixels
        except Exception:  # the compositor may be what failed
            width, height = self._source.size
            shape = (height, width, 3) if last is None else last.pixels.shape
            pixels = np.broadcast_to(np.array(CARD_BGR, np.uint8), shape).copy()
        return Picture(frame_id, captured_ns, pixels)

    def _close(self, threads: Sequence[threading.Thread]) -> None:
        self._stopping = True
        self._frames.close()
        self._pictures.close()
        for output in self._outputs:
            self._closed(output.close)
        for thread, close in zip(threads, (self._source.close, self._stages.tracker.close), strict=True):
            thread.join(JOIN_S)
            if not thread.is_alive():  # what a stuck thread uses is left to the end of the process
                self._closed(close)

    def _closed(self, close: Callable[[], None]) -> None:
        """Close one thing; the others must be closed even if this fails."""
        try:
            close()
        except Exception as error:
            self._errors.append(error)

"""What every source offers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from realtime.frames import Frame


@dataclass(frozen=True, slots=True)
class Stalled:
    """What ``read`` gives while a live source has no new picture but may have one again.

    reason: what is the matter in a few words, or "" when it is merely slow.
    """

    reason: str


class Source(Protocol):
    """Frames in the order of capture.

    A file gives every frame; a live source gives the newest and forgets those that nobody read.
    """

    @property
    def fps(self) -> float:
        """Frames per second as the source states them; the real rate may vary."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of every frame, in pixels; it never changes."""
        ...

    @property
    def live(self) -> bool:
        """Whether time passes by itself: a camera, a stream, a screen; false for files and the demo."""
        ...

    @property
    def path(self) -> Path | None:
        """The file that is read, where sound can be taken from; None when it is no file."""
        ...

    def describe(self) -> str:
        """What is open and what it delivers, in one line."""
        ...

    def read(self) -> Frame | Stalled | None:
        """The next frame; None at the end of the source, and from then on.

        A live source waits at most 0.1 s and then gives :class:`Stalled`: keep reading, it comes back by itself.
        A file never stalls. Raises SourceError or DeviceError when the source failed for good.
        """
        ...

    def close(self) -> None:
        """Release the device or file; closing again does nothing. A ``read`` that waits in another thread ends."""
        ...

"""Pictures that go nowhere: for measurements."""

from __future__ import annotations

from realtime.frames import Picture
from realtime.outputs.base import checked_pixels


class NullOutput:
    """Takes every picture and keeps none; ``sent`` counts them."""

    wants_pacing = False
    wants_stop = False

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self.sent = 0

    def describe(self) -> str:
        """That there is nothing to see."""
        return "nowhere"

    def send(self, picture: Picture) -> None:
        """Count the picture. Raises ValueError when it has another size."""
        checked_pixels(picture, self._size)
        self.sent += 1

    def close(self) -> None:
        """Nothing to finish."""

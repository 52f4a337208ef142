"""What every output offers, and what they share."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from realtime.frames import Picture, Pixels


class Output(Protocol):
    """A place where pictures go."""

    @property
    def wants_pacing(self) -> bool:
        """Whether pictures must be sent evenly, when they are due: a virtual camera shows them as they come.

        Others take each picture with its own time (a file) or simply show the newest (a window, a page).
        """
        ...

    @property
    def wants_stop(self) -> bool:
        """Whether the user closed this output, so that the program should end (a preview window)."""
        ...

    def describe(self) -> str:
        """Where pictures go, in one line."""
        ...

    def send(self, picture: Picture) -> None:
        """Take one picture of the size that was given at opening; its pixels are not kept.

        Raises ValueError for another size, OutputError or DeviceError when it cannot be delivered. After an error
        nothing more is delivered, what was is kept safe, and ``close`` still has to be called.
        """
        ...

    def close(self) -> None:
        """Finish what was begun and release it; called once by the pipeline, and harmless again.

        Raises OutputError when a file could not be finished.
        """
        ...


def checked_pixels(picture: Picture, size: tuple[int, int]) -> Pixels:
    """The picture's pixels, uint8 BGR [height, width, 3]. Raises ValueError when they are not of ``size``."""
    wanted = (size[1], size[0], 3)
    if picture.pixels.shape != wanted or picture.pixels.dtype != np.uint8:
        raise ValueError(f"picture is {picture.pixels.dtype} {picture.pixels.shape}; wanted uint8 {wanted}")
    return picture.pixels


def even_size(size: tuple[int, int]) -> tuple[int, int]:
    """``size`` with odd sides made one larger: 4:2:0 colour comes in blocks of 2 x 2."""
    return size[0] + size[0] % 2, size[1] + size[1] % 2


def even_pixels(pixels: Pixels) -> Pixels:
    """Pixels [height, width, 3] with the last row and column repeated where their number is odd."""
    odd_rows, odd_columns = pixels.shape[0] % 2, pixels.shape[1] % 2
    if not odd_rows and not odd_columns:
        return pixels
    return np.pad(pixels, ((0, odd_rows), (0, odd_columns), (0, 0)), mode="edge")

"""A window that shows one picture until it is closed."""

from __future__ import annotations

import time

from realtime.frames import Picture, Pixels
from realtime.outputs.window import WindowOutput

_RENEW_S = 0.03


def show_until_closed(pixels: Pixels) -> None:
    """Show a picture, uint8 BGR, until Esc, q or the close button. Raises OutputError without a desktop."""
    height, width = pixels.shape[:2]
    window = WindowOutput((width, height))
    try:
        while not window.wants_stop:
            window.send(Picture(0, 0, pixels))
            time.sleep(_RENEW_S)
    finally:
        window.close()

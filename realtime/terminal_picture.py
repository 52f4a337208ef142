"""A picture file as coloured half blocks, two pixels a character, for terminals."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from rich.color import Color
from rich.style import Style
from rich.text import Text

WIDEST = 96


def terminal_picture(path: Path, columns: int) -> Text:
    """The picture, at most ``columns`` and 96 characters wide; empty text when it cannot be read."""
    pixels = cv2.imread(str(path))
    if pixels is None:
        return Text()
    width = max(1, min(columns, WIDEST, pixels.shape[1]))
    height = max(1, round(pixels.shape[0] * width / pixels.shape[1] / 2)) * 2
    small = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))[..., ::-1].tolist()
    text = Text(no_wrap=True)
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        for above, below in zip(upper, lower, strict=True):
            text.append("▀", Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below)))
        text.append("\n")
    return text

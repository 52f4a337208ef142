"""The spatial motion code on the CPU: the exported network draws, OpenCV halves and lays out.

``motion_code.onnx`` gives the maps at 128 px and what the code's start has beside them. Their means over 2x2 and 4x4
pixels, and the order that the synthesis network reads best, channels last, are made here: OpenCV needs a fifth to a
tenth of the time that OpenVINO takes for the same. ``motion_code_512.onnx`` gives the maps at 256 px too.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from engines.map_order import COARSE, COORDINATES

Array = npt.NDArray[Any]

_ROWS = [COORDINATES + number for number in COARSE]
# Codes of a thread that stay valid: one that is drawn, one that waits and one that is being made.
HELD = 3


class DrawingEngine:
    """w float32 [1, dim] and motion float32 [1, motion] to the spatial motion code at 32, 64, 128 px; 256 too.

    file, streams, digest: ``motion_code.onnx``, see ``engines.openvino_engine``. One core computes one, because a
    second would be half as busy and gain a tenth (docs/decisions/0081). channels_last: as networks in f32 and 8 bits
    read them best; without it as they are drawn, which bf16 reads as well.
    """

    def __init__(self, file: Path, *, streams: int = 1, digest: str = "", channels_last: bool = True) -> None:
        from engines.openvino_engine import OpenVinoEngine  # machines that draw on a GPU may not have it

        self._engine = OpenVinoEngine(file, threads=streams, streams=streams, digest=digest)
        self._channels_last = channels_last
        self._local = threading.local()

    def infer(self, *inputs: Array) -> tuple[Array, ...]:
        """The codes float32 [1, C, s, s], smallest first; with ``channels_last`` views of memory that lies so.

        They are the engine's own and change with the same thread's next call; channels last with the third from here.
        """
        start, fine, *finer = self._engine.infer(*inputs)
        (channels, size), first = fine.shape[1:3], start.shape[1]
        middle = _halved(fine[0])
        coarse = _halved(middle[_ROWS])
        if not self._channels_last:
            return np.concatenate([start[0], coarse])[None], middle[None], fine, *finer
        if not hasattr(self._local, "rooms"):
            shapes = [(size // 4, first + len(_ROWS)), (size // 2, channels), (size, channels)]
            shapes += [(maps.shape[-1], channels) for maps in finer]
            rooms = [tuple(np.zeros((1, s, s, c), np.float32) for s, c in shapes) for _ in range(HELD)]
            self._local.rooms = itertools.cycle(rooms)
        rooms_now: Iterator[tuple[Array, ...]] = self._local.rooms
        drawn = (np.concatenate([start[0], coarse]), middle, fine[0], *(maps[0] for maps in finer))
        return tuple(_laid_out(maps, room) for maps, room in zip(drawn, next(rooms_now), strict=True))

    def prepare(self) -> None:
        """See ``engines.openvino_engine``."""
        self._engine.prepare()

    def describe(self) -> str:
        """Runtime, precision and processor, in one line."""
        return self._engine.describe()


def _halved(maps: Array) -> Array:
    """Means over 2x2 pixels: float32 [C, s, s] -> [C, s/2, s/2]. All maps are one tall picture, as s is even."""
    channels, size, _ = maps.shape
    tall = maps.reshape(channels * size, size)
    small = cv2.resize(tall, (size // 2, channels * size // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(small).reshape(channels, size // 2, size // 2)


def _laid_out(maps: Array, room: Array) -> Array:
    """Maps float32 [C, s, s] written to ``room`` [1, s, s, C], seen as [1, C, s, s]."""
    channels, pixels = maps.shape[0], room.reshape(-1, room.shape[-1])
    cv2.transpose(maps.reshape(channels, -1), pixels)
    return room.transpose(0, 3, 1, 2)

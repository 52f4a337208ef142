"""What inversion adds to an avatar: how far its code lies from that of its traits, as text for the avatar's file.

    W+ = mapping(traits) in every layer + offset

So a changed trait, a style and its strength move the code as they move anybody's, and without them the code is the one
that inversion found. The offset is 2,560 numbers, from which no picture of the person can be had but the avatar's.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from realtime.errors import UsageError

Floats = npt.NDArray[np.float32]

LAYERS, DIM = 10, 256  # of the bundled models
_KEYS = ("weights", "offset")
_WEIGHTS = re.compile(r"[0-9a-f]{16}")


def weights_of(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """What tells the weights that a code belongs to, from the manifest of the bundled models (``engines.bundled``)."""
    together = "".join(str(rows[part]["sha256"]) for part in ("mapping", "motion_code", "synthesis"))
    return hashlib.sha256(together.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Code:
    """An offset from the code of the traits, and which weights it is for.

    text: base64 of float16 [10, 256], little-endian. Raises UsageError for anything else.
    """

    weights: str
    text: str

    def __post_init__(self) -> None:
        if not isinstance(self.weights, str) or not _WEIGHTS.fullmatch(self.weights):
            raise UsageError("the code's weights are not 16 digits 0 to f; make the avatar anew: avatar-live invert")
        self.offset()

    def offset(self) -> Floats:
        """What is added to the code of the traits, float32 [10, 256]."""
        try:
            numbers = np.frombuffer(base64.b64decode(self.text, validate=True), "<f2").astype(np.float32)
        except (binascii.Error, ValueError, TypeError):
            numbers = np.zeros(0, np.float32)
        if numbers.size != LAYERS * DIM or not np.isfinite(numbers).all():
            raise UsageError(
                f"the code's offset is no base64 of {LAYERS} x {DIM} numbers; make the avatar anew: avatar-live invert"
            )
        return numbers.reshape(LAYERS, DIM)

    def fitting(self, weights: str, avatar: str) -> Floats:
        """The offset, if it is for these weights. Raises UsageError: it means nothing to others."""
        if weights != self.weights:
            raise UsageError(
                f"the code of the avatar {avatar!r} is for other weights than the installed ones; make it anew "
                f"(avatar-live invert PHOTO --save {avatar} --replace) or wear its traits alone "
                f"(avatar-live avatar edit {avatar} --drop-code)"
            )
        return self.offset()


def coded(offset: npt.NDArray[np.floating[Any]], weights: str) -> Code:
    """The code of an offset [10, 256]."""
    return Code(weights, base64.b64encode(np.ascontiguousarray(offset, "<f2").tobytes()).decode("ascii"))


def read_code(table: object) -> Code:
    """The code in an avatar's file, its table ``[code]``. Raises UsageError."""
    if not isinstance(table, dict) or set(table) != set(_KEYS):
        raise UsageError(f"code is no table of {' and '.join(_KEYS)}; make the avatar anew: avatar-live invert")
    return Code(*(table[key] for key in _KEYS))

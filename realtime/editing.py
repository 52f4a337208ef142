"""Edits: directions in latent space with strengths. :class:`Latent` to :class:`Latent`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches

import numpy as np

from engines.bundled import Direction
from engines.motion import LIMITS, MOTION
from realtime.errors import UsageError
from realtime.frames import Floats, Latent
from realtime.strengths import Strength, at

_LOW, _HIGH = (np.array([LIMITS[name][side] for name in MOTION], np.float32) for side in (0, 1))


def within(direction: Direction, strength: float, wplus: Floats) -> float:
    """As much of a strength as takes a code no further than people go that the generator was trained on.

    Beyond them there are smears, not older faces or longer hair. Who is further already stays; a strength beyond 1 asks
    for more, and gets so much more. wplus: float32 [layers, dim], before any edit.
    """
    gauge = direction.gauge
    if gauge is None:
        return strength
    changed = np.any(direction.wplus, axis=1)
    place = float(wplus[changed].mean(axis=0) @ gauge.weights) + gauge.offset
    beyond = max(0.0, abs(strength) - 1.0)
    if strength > 0:
        return min(strength, max(0.0, gauge.most + beyond - place))
    return max(strength, min(0.0, gauge.least - beyond - place))


class Editor:
    """Adds ``strength * direction`` for every edit (Shen et al. 2020, "Interpreting the latent space of GANs"), as far
    as :func:`within` lets it.

    A strength that is a sweep is the one of the frame's time of capture.
    Raises UsageError for an edit that the model has no direction for.
    """

    def __init__(self, directions: Mapping[str, Direction], edits: Mapping[str, Strength]) -> None:
        self._directions = directions
        self.wear(edits)

    def wear(self, edits: Mapping[str, Strength]) -> None:
        """Other edits from the next frame on; any thread may ask. Raises UsageError; those that are worn stay then."""
        directions = self._directions
        for name in edits:
            if name not in directions:
                near = get_close_matches(name, directions, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise UsageError(f"no edit {name!r} for this model; known are {', '.join(directions)}{hint}")
        self._worn = [(s, directions[name]) for name, s in edits.items() if s]  # at once: a frame sees all or nothing

    def edit(self, latent: Latent) -> Latent:
        """The edited code; motion stays within what the generator was trained on."""
        worn = self._worn
        if not worn:
            return latent
        wplus, motion = latent.wplus, latent.motion
        for strength, direction in worn:
            now = np.float32(within(direction, at(strength, latent.captured_ns), latent.wplus))
            wplus, motion = wplus + now * direction.wplus, motion + now * direction.motion
        if motion.size == len(MOTION):
            motion = np.clip(motion, _LOW, _HIGH)
        return replace(latent, wplus=wplus, motion=motion)

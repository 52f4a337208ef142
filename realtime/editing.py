"""Edits: directions in latent space with strengths. :class:`Latent` to :class:`Latent`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches

import numpy as np

from engines.bundled import Direction
from engines.motion import LIMITS, MOTION
from realtime.errors import UsageError
from realtime.frames import Latent
from realtime.strengths import Strength, Sweep

_LOW, _HIGH = (np.array([LIMITS[name][side] for name in MOTION], np.float32) for side in (0, 1))


class Editor:
    """Adds ``strength * direction`` for every edit (Shen et al. 2020, "Interpreting the latent space of GANs").

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
        used = [(s, directions[name]) for name, s in edits.items() if s and not isinstance(s, Sweep)]
        sweeps = [(s, directions[name]) for name, s in edits.items() if isinstance(s, Sweep)]
        wplus = sum((np.float32(s) * d.wplus for s, d in used), np.float32(0))
        motion = sum((np.float32(s) * d.motion for s, d in used), np.float32(0))
        self._worn = (wplus, motion, sweeps, not used and not sweeps)  # at once: a frame sees all or nothing of it

    def edit(self, latent: Latent) -> Latent:
        """The edited code; motion stays within what the generator was trained on."""
        wplus, motion, sweeps, idle = self._worn
        if idle:
            return latent
        moving = [(np.float32(sweep.at(latent.captured_ns)), direction) for sweep, direction in sweeps]
        motion = sum((s * d.motion for s, d in moving), latent.motion + motion)
        wplus = sum((s * d.wplus for s, d in moving), latent.wplus + wplus)
        if motion.size == len(MOTION):
            motion = np.clip(motion, _LOW, _HIGH)
        return replace(latent, wplus=wplus, motion=motion)

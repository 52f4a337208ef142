"""Which colours a person must be said to have to be drawn in those that were seen.

Highlights make dark hair lighter than it is said to be, hair that falls from a parting or to a side more than hair
that is combed back; shade makes skin darker and yellower, and the skin's look depends a little on what the lips are
said to be. So the logarithms of the nine linear numbers that are said follow from those that are seen, from the light
and from how the hair falls, by one affine map, fitted on drawn people (``python -m tools.likeness --colours``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.attributes import LIGHT

Array = npt.NDArray[np.float64]

PARTS = ("skin", "lip", "hair")
FILE = "said_colours.json"
FAINTEST = 1e-3  # is added before a logarithm is taken


def circumstances(attributes: Mapping[str, float]) -> Array:
    """What colours are seen in, float64 [7]: the attributes of the light, how much of the hair falls from a parting or
    to a side, and how much of it curls."""
    parted = sum(attributes[f"hair_{style}"] for style in ("bob", "long", "wavy", "braids")) * (
        1 - attributes["fringe"]
    )
    swept = attributes["hair_short"] + attributes["hair_side_part"]
    curly = attributes["hair_curly"] + attributes["hair_afro"]
    return np.array([*(attributes[name] for name in LIGHT), parted + swept, curly])


def to_say(seen: Mapping[str, Array], around: Array) -> dict[str, Array]:
    """Linear RGB to say by part (:data:`PARTS`), float64 [3] each, not yet limited, for what is seen, linear RGB.

    A part that is not there is taken for the usual one, and is not answered for. around: the :func:`circumstances`
    that the avatar will be drawn in.
    """
    usual_known, usual_said, matrix = _fitted()
    known = usual_known.copy()
    for n, part in enumerate(PARTS):
        if part in seen:
            known[3 * n : 3 * n + 3] = np.log(seen[part] + FAINTEST)
    known[3 * len(PARTS) :] = around
    said = np.exp(usual_said + matrix @ (known - usual_known)).reshape(len(PARTS), 3) - FAINTEST
    return {part: np.maximum(said[n], 0.0) for n, part in enumerate(PARTS) if part in seen}


def fitted(seen: Array, around: Array, said: Array, kept: float = 0.1) -> dict[str, Any]:
    """What :data:`FILE` holds, by ridge regression over drawn people.

    seen, said: linear colours [people, 9]. around: their circumstances [people, n]. kept: the share of the spread of
    what is known that pulls the map to the nearest one of each number by itself, since the lips of drawn people go with
    their skin more strictly than those of real ones.
    """
    x, y = np.hstack([np.log(seen + FAINTEST), around]), np.log(said + FAINTEST)
    usual_known, usual_said = x.mean(axis=0), y.mean(axis=0)
    x, y = x - usual_known, y - usual_said
    spread, n = (x * x).sum(axis=0) + 1e-6, y.shape[1]  # what never changes tells nothing
    alone = np.zeros((x.shape[1], n))
    alone[:n] = np.diag((x[:, :n] * y).sum(axis=0) / spread[:n])
    ridge = kept * np.diag(spread)
    matrix = np.linalg.solve(x.T @ x + ridge, x.T @ y + ridge @ alone).T
    found = {"known": usual_known, "said": usual_said, "matrix": matrix}
    return {name: value.round(4).tolist() for name, value in found.items()}


@lru_cache
def _fitted() -> tuple[Array, Array, Array]:
    kept = json.loads(resources.files("realtime").joinpath(FILE).read_text("utf-8"))
    known, said, matrix = (np.array(kept[name], np.float64) for name in ("known", "said", "matrix"))
    return known, said, matrix

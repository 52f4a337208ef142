"""Styles that set attributes: the person as the style wants them, in front of the mapping network.

An attribute is exact where an edit direction is a mean over many people, so a style names attributes where it can. In
between, ``strength`` goes from the plain avatar's code to the style's on a straight line in W, where the generator
is at home; a straight line in the attributes would pass through people with half a hair style. Nobody wears half a hat:
what is put on (hats, headphones, glasses and their colours, earrings) is worn from :data:`WORN_FROM` up, and not below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np

from engines.attributes import ATTRIBUTES, EITHER_OR, NEW_GEAR, NEW_GLASSES, column
from realtime.configuration import Style
from realtime.errors import UsageError
from realtime.strengths import described

if TYPE_CHECKING:
    from engines.bundled import Array, BundledModel, Network

WORN = ("glasses_round", "glasses_square", *NEW_GLASSES, "hat_beanie", "hat_cap", "headphones", *NEW_GEAR, "earrings")
WORN_FROM = 0.5


def unknown_attributes(style: Style) -> list[str]:
    """The attributes that a style sets and the installed weights do not know."""
    return [name for name in style.attributes if name not in ATTRIBUTES]


def sets(style: Style) -> str:
    """What a style sets, for people (what it sets to 0 left out); attributes that the weights lack are named."""
    missing = unknown_attributes(style)
    told = described({name: value for name, value in {**style.attributes, **style.edits}.items() if value}) or "nothing"
    return f"{told} (not with these weights: {', '.join(missing)})" if missing else told


def completed(attributes: Mapping[str, float]) -> dict[str, float]:
    """The attributes with the others of every either-or group at 0.

    Raises UsageError for names that the installed weights do not know.
    """
    for name in attributes:
        if name not in ATTRIBUTES:
            near = get_close_matches(name, ATTRIBUTES, 1)
            hint = f"did you mean {near[0]}?" if near else "avatar-live styles tells which styles they can show"
            raise UsageError(f"the style sets the attribute {name!r}, which the installed weights do not know; {hint}")
    result = dict(attributes)
    for group in EITHER_OR:
        if any(attributes.get(name, 0.0) > 0 for name in group):
            result = {**dict.fromkeys(group, 0.0), **result}
    return result


class DressedMapping:
    """The mapping network for people who wear a style.

    strength: 0 the person's own code, 1 the code of the person with the style's attributes.
    Raises UsageError for attributes that the installed weights do not know.
    """

    def __init__(self, mapping: Network, attributes: Mapping[str, float], strength: float) -> None:
        wanted = completed(attributes)
        self._mapping, self._strength = mapping, strength
        self._columns: Sequence[int] = [column(name) for name in wanted]
        self._values = np.array(list(wanted.values()), np.float32)
        self._worn = [column(name) for name in wanted if name in WORN]

    def infer(self, *inputs: Array) -> tuple[Array, ...]:
        """W float32 [1, dim] of a person's attributes float32 [1, attributes]."""
        (attributes,) = inputs
        dressed = np.array(attributes, np.float32)
        dressed[:, self._columns] = self._values
        plain = np.array(attributes, np.float32)
        from_, to = (dressed, plain) if self._strength >= WORN_FROM else (plain, dressed)
        to[:, self._worn] = from_[:, self._worn]
        own = self._mapping.infer(plain)[0].copy()  # the engine's next call writes over it
        return (own + np.float32(self._strength) * (self._mapping.infer(dressed)[0] - own),)

    def describe(self) -> str:
        """What runs where, in one line."""
        return self._mapping.describe()


def dressed(model: BundledModel, attributes: Mapping[str, float], strength: float) -> BundledModel:
    """The model with a mapping network that dresses people; the model itself where there is nothing to set.

    Raises UsageError for attributes that the installed weights do not know.
    """
    if not attributes or not strength:
        completed(attributes)
        return model
    return replace(model, mapping=DressedMapping(model.mapping, attributes, strength))

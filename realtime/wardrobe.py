"""What the avatar wears, and changing it on air: another style, strength or other edits from the next frame on.

What the command, the environment and the settings file add to the style stays on: of edits until they are changed here,
of attributes for good. A style's way of compositing and its background are those of the start.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from realtime.configuration import ATTRIBUTES, EDITS, Style, checked_at, find_style
from realtime.dressing import unknown_attributes
from realtime.errors import UsageError
from realtime.settings import EditingSettings, Settings, unknown
from realtime.strengths import Strength, Sweep, scaled

ORIGIN = "what to wear"
KEYS = ("style", "strength", "edits")


class Wardrobe:
    """Styles and edits to choose from.

    styles: all that are known; those of other models and those that the installed weights cannot show are left out.
    edits: what can be edited, description by name. wear: puts on what was chosen, as ``realtime.stages.Wears`` does.
    """

    def __init__(
        self,
        settings: Settings,
        styles: Mapping[str, Style],
        edits: Mapping[str, str],
        wear: Callable[[EditingSettings], None],
    ) -> None:
        model = settings.generating.model
        self._styles = {n: s for n, s in styles.items() if s.model == model and not unknown_attributes(s)}
        self._edits, self._wear, self._changing = dict(edits), wear, threading.Lock()
        given = settings.editing
        first = find_style(given.style, styles)
        own = {name: value for name, value in given.attributes.items() if first.attributes.get(name) != value}
        self._own: Mapping[str, float] = own
        brought = {name: scaled(value, given.strength) for name, value in first.edits.items()}
        self._worn: tuple[str, float, dict[str, Strength]] = (
            given.style,
            given.strength,
            {name: value for name, value in given.edits.items() if brought.get(name) != value},
        )

    def choice(self) -> dict[str, Any]:
        """What there is and what is worn, for JSON: styles and edits with descriptions, ``worn`` as for ``change``."""
        style, strength, edits = self._worn
        told = {name: str(value) if isinstance(value, Sweep) else value for name, value in edits.items()}
        return {
            "styles": {name: found.description for name, found in self._styles.items()},
            "edits": self._edits,
            "worn": {"style": style, "strength": strength, "edits": told},
        }

    def change(self, wanted: object) -> None:
        """Wear something else.

        wanted: a table of ``style`` (names joined by ``+``), ``strength`` (0 to 1) and ``edits`` (strength by name,
        beside those that the style brings along); what is left out stays as it is.
        Raises UsageError for anything else, and what putting it on raises; what is worn stays then.
        """
        if not isinstance(wanted, Mapping):
            raise UsageError(f"{ORIGIN} is {wanted!r}; wanted a table of {', '.join(KEYS)}")
        for key in wanted:
            if key not in KEYS:
                raise UsageError(f"{ORIGIN}: {unknown('key', key, KEYS)}")
        with self._changing:
            style, strength, worn = self._worn
            style = checked_at(ORIGIN, "editing.style", wanted.get("style", style))
            strength = checked_at(ORIGIN, "editing.strength", wanted.get("strength", strength))
            edits = dict(checked_at(ORIGIN, EDITS, wanted.get("edits", worn)))
            for name in edits.keys() - worn.keys():  # what is worn may be a part of a direction, as NAME.2-4
                if name not in self._edits:
                    raise UsageError(f"{ORIGIN}: {unknown('edit', name, self._edits)}")
            found = find_style(style, self._styles)
            brought = {name: scaled(value, strength) for name, value in found.edits.items()}
            attributes = checked_at(ORIGIN, ATTRIBUTES, {**found.attributes, **self._own})
            self._wear(EditingSettings(style, strength, attributes, {**brought, **edits}))
            self._worn = (style, strength, edits)

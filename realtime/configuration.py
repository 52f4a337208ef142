"""Where settings come from: flags over the environment over a TOML file over the style over the defaults.

    settings = load(flags={"capture.fps": 60.0}, environ=os.environ, config=Path("mine.toml"))

Every given value keeps the place it came from, so that an error can name the file, the key, what was wanted and the
nearest known name. A TOML file holds one table a section, ``[editing.edits]`` for strengths, and ``[styles.NAME]`` for
the user's own styles; a variable is called AVATAR_LIVE_SECTION_KEY.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import reduce
from importlib import resources
from pathlib import Path
from typing import Any

from engines.attributes import EITHER_OR
from realtime.errors import UsageError
from realtime.settings import Settings, checked, kinds, unknown
from realtime.strengths import EXAMPLES, Strength, parse, scaled

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PREFIX = "AVATAR_LIVE_"
EDITS, ATTRIBUTES = "editing.edits", "editing.attributes"
JOINED = (EDITS, ATTRIBUTES)  # name by name, where other settings replace each other
SECTIONS: Mapping[str, type[Any]] = kinds(Settings)
KEYS: Mapping[str, type[Any]] = {
    f"{name}.{entry.name}": section for name, section in SECTIONS.items() for entry in fields(section)
}
VARIABLES = {PREFIX + key.replace(".", "_").upper(): key for key in KEYS}


@dataclass(frozen=True, slots=True)
class Style:
    """A named look: a model, how it is composited, attributes it sets, and edits; None leaves a setting as it is."""

    name: str
    description: str
    model: str
    mode: str | None = None
    background: str | None = None
    attributes: Mapping[str, float] = field(default_factory=dict)
    edits: Mapping[str, Strength] = field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """The settings that the style stands for, by key."""
        given = {
            "generating.model": self.model,
            "compositing.mode": self.mode,
            "compositing.background": self.background,
            ATTRIBUTES: self.attributes,
            EDITS: self.edits,
        }
        return {key: value for key, value in given.items() if value is not None}

    def joined(self, other: Style) -> Style:
        """This style with ``other`` on top of it; of hats, hair styles and the like it takes this style's off."""
        off = {n for group in EITHER_OR if any(other.attributes.get(m, 0.0) > 0 for m in group) for n in group}
        kept = {name: value for name, value in self.attributes.items() if name not in off}
        return Style(
            f"{self.name}+{other.name}",
            f"{self.description}; {other.description}",
            other.model,
            other.mode or self.mode,
            other.background or self.background,
            {**kept, **other.attributes},
            {**self.edits, **other.edits},
        )


STYLE_KEYS = tuple(entry.name for entry in fields(Style) if entry.name != "name")


def load(flags: Mapping[str, Any], environ: Mapping[str, str], config: Path | None = None) -> Settings:
    """The settings; ``flags`` by key (``capture.fps``), None where a flag was not given.

    Raises UsageError for unknown names and values that do not fit, with the place they came from.
    """
    document = read_toml(config) if config else {}
    layers = [
        _from_document(document, str(config)),
        _from_environment(environ),
        {key: checked_at("the command line", key, value) for key, value in flags.items() if value is not None},
    ]
    given = {key: value for layer in layers for key, value in layer.items()}
    values = find_style(given.get("editing.style", "toon"), styles(document, str(config))).values()
    strength = given.get("editing.strength", 1.0)
    values[EDITS] = {edit: scaled(value, strength) for edit, value in values[EDITS].items()}
    return _settings([values, *layers])


def _settings(layers: list[dict[str, Any]]) -> Settings:
    """One Settings of all layers, later over earlier; edits and attributes are joined name by name."""
    values: dict[str, Any] = {}
    for layer in layers:
        joined = {key: {**values.get(key, {}), **layer.get(key, {})} for key in JOINED}
        values.update(layer)
        values.update(joined)
    sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    for key, value in values.items():
        section, _, name = key.partition(".")
        sections[section][name] = value
    return Settings(**{name: SECTIONS[name](**given) for name, given in sections.items()})


def checked_at(origin: str, key: str, value: object) -> Any:
    """``value`` as setting ``key`` wants it; an error names ``origin``."""
    section, name = KEYS[key], key.partition(".")[2]
    if key in JOINED and isinstance(value, str):
        value = dict(edit(part) for part in value.split(",") if part.strip())
    try:
        return checked(section, name, value)
    except UsageError as error:
        raise UsageError(f"{origin}: {error}") from None


def edit(text: str) -> tuple[str, Strength]:
    """``name=strength`` as a pair. Raises UsageError."""
    name, equals, strength = text.partition("=")
    if name.strip() and equals and strength.strip():
        try:
            return name.strip(), parse(strength)
        except UsageError as error:
            raise UsageError(f"edit {text!r}: {error}; wanted name=strength, {EXAMPLES}") from None
    raise UsageError(f"edit {text!r} is not understood; wanted name=strength, {EXAMPLES}")


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file. Raises UsageError when it cannot be read, with the line where it breaks."""
    try:
        document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return document
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}; give the path of a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error


def _from_document(document: Mapping[str, Any], origin: str) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, table in document.items():
        if name in ("styles", "edits"):
            continue
        if name not in SECTIONS:
            raise UsageError(f"{origin}: {unknown('section', name, [*SECTIONS, 'styles'])}")
        if not isinstance(table, Mapping):
            raise UsageError(f"{origin}: {name} is {table!r}; wanted a table [{name}] with keys of its own")
        known = [entry.name for entry in fields(SECTIONS[name])]
        for key, value in table.items():
            if key not in known:
                raise UsageError(f"{origin}: [{name}] {unknown('key', key, known)}")
            given[f"{name}.{key}"] = checked_at(f"{origin}: [{name}]", f"{name}.{key}", value)
    return given


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX):
            continue
        if variable not in VARIABLES:
            raise unknown("environment variable", variable, VARIABLES)
        given[VARIABLES[variable]] = checked_at(variable, VARIABLES[variable], text)
    return given


def styles(document: Mapping[str, Any] | None = None, origin: str = "") -> dict[str, Style]:
    """The imported models, the bundled styles and those of the user's ``document``, by name; the user's win."""
    from realtime.imported_styles import imported_styles

    found = _styles(_bundled(), "styles.toml")
    return {**_styles(imported_styles(), "imported models"), **found, **_styles(document or {}, origin)}


def edits() -> dict[str, str]:
    """What the bundled models can be edited in: description by name."""
    return dict(_bundled()["edits"])


def _bundled() -> dict[str, Any]:
    text = resources.files("realtime").joinpath("styles.toml").read_text(encoding="utf-8")
    document: dict[str, Any] = tomllib.loads(text)
    return document


def _styles(document: Mapping[str, Any], origin: str) -> dict[str, Style]:
    tables = document.get("styles", {})
    if not isinstance(tables, Mapping):
        raise UsageError(f"{origin}: styles is {tables!r}; wanted tables [styles.NAME]")
    return {name: _style(name, table, f"{origin}: [styles.{name}]") for name, table in tables.items()}


def _style(name: str, table: object, origin: str) -> Style:
    if not isinstance(table, Mapping):
        raise UsageError(f"{origin} is {table!r}; wanted a table")
    for key in table:
        if key not in STYLE_KEYS:
            raise UsageError(f"{origin} {unknown('key', key, STYLE_KEYS)}")
    if not isinstance(table.get("description", ""), str):
        raise UsageError(f"{origin}: description is {table['description']!r}; wanted text")
    style = Style(name, **{"description": "", "model": "toon", **table})
    values = {key: checked_at(origin, key, value) for key, value in style.values().items()}
    return replace(style, attributes=values[ATTRIBUTES], edits=values[EDITS])


def find_style(name: str, known: Mapping[str, Style]) -> Style:
    """The style of this name, or of several joined by ``+``, later over earlier. Raises UsageError with the known."""
    parts = [part.strip() for part in name.split("+")]
    for part in parts:
        if part not in known:
            raise unknown("style", part, known)
    return reduce(Style.joined, [known[part] for part in parts])

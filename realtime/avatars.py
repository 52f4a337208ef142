"""Avatars that people made: small files of traits, one a person, in the folder for their data.

    # An avatar of avatar-live. Change it here or with: avatar-live avatar edit mona --set hair=bob
    version = 1
    [traits]
    hair = "bob"
    age = 0.35

A file holds traits (``realtime.traits``) and, where ``avatar-live invert --save`` made it, the code that was found
(``realtime.avatar_codes``); no picture, no measurement of the face beyond them. It may be edited by hand, so everything
in it is checked when it is read.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engines.places import data_folder
from realtime.avatar_codes import Code, Floats, read_code, weights_of
from realtime.errors import OutputError, UsageError
from realtime.settings import unknown
from realtime.traits import TRAITS, Value, checked, shown, to_attributes, together

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER_VARIABLE = "AVATAR_LIVE_AVATARS"
VERSION = 1
SUFFIX = ".toml"
MOST_BYTES = 64 * 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)")  # Windows takes these for devices


@dataclass(frozen=True, slots=True)
class Avatar:
    """Someone to be: a name and traits; those that are missing are the usual ones. code: what inversion adds."""

    name: str
    traits: Mapping[str, Value] = field(default_factory=dict)
    code: Code | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", checked_name(self.name))
        traits = {trait: checked(trait, value) for trait, value in self.traits.items()}
        together(traits)
        object.__setattr__(self, "traits", MappingProxyType(traits))

    def attributes(self) -> dict[str, float]:
        """Every attribute that the model wants, by name."""
        return to_attributes(self.traits)

    def changed(self, changes: Mapping[str, Value]) -> Avatar:
        """The same avatar with some traits changed. Raises UsageError."""
        return Avatar(self.name, {**self.traits, **changes}, self.code)

    def offset(self) -> Floats | None:
        """What is added to the code of the attributes, float32 [10, 256], or None.

        Raises UsageError when it is for other weights than the installed ones.
        """
        if self.code is None:
            return None
        from engines.bundled import manifest

        return self.code.fitting(weights_of(manifest()), self.name)


def checked_name(name: str) -> str:
    """``name`` if it can be one. Raises UsageError: only a to z, 0 to 9, - and _ can, at most 40 of them."""
    if not _NAME.fullmatch(name) or _RESERVED.fullmatch(name):
        near = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:40]
        hint = f", for example {near}" if _NAME.fullmatch(near) and not _RESERVED.fullmatch(near) else ""
        raise UsageError(
            f"an avatar cannot be called {shown(name)}; wanted up to 40 letters a to z, digits, - and _{hint}"
        )
    return name


def default_folder() -> Path:
    """Where avatars lie: $AVATAR_LIVE_AVATARS, or the system's folder for a program's data."""
    return data_folder("avatars", FOLDER_VARIABLE)


def write(avatar: Avatar) -> str:
    """The text of an avatar's file."""
    lines = [
        f"# An avatar of avatar-live. Change it here or with: avatar-live avatar edit {avatar.name} --set hair=bob",
        f"version = {VERSION}",
        "",
        "[traits]",
        *(f"{trait} = {_toml(avatar.traits[trait])}" for trait in TRAITS if trait in avatar.traits),
    ]
    if avatar.code is not None:
        lines += ["", "[code]", f'weights = "{avatar.code.weights}"', f'offset = "{avatar.code.text}"']
    return "\n".join(lines) + "\n"


def _toml(value: Value) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


def read(name: str, text: str, origin: str) -> Avatar:
    """An avatar from the text of its file. Raises UsageError that names ``origin`` and what is wrong in it."""
    try:
        document: dict[str, Any] = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{origin} is not valid TOML: {error}; mend it or delete it") from None
    version = document.get("version")
    if type(version) is not int or version < 1:
        raise UsageError(f"{origin}: version is {shown(version)}; wanted version = {VERSION}")
    if version > VERSION:
        raise UsageError(f"{origin} has version {version}, this avatar-live reads up to {VERSION}; update avatar-live")
    for key in document:
        if key not in ("version", "traits", "code"):
            raise UsageError(f"{origin}: {unknown('key', key, ('version', 'traits', 'code'))}")
    traits = document.get("traits", {})
    if not isinstance(traits, dict):
        raise UsageError(f"{origin}: traits is {shown(traits)}; wanted a table [traits]")
    try:
        return Avatar(name, traits, read_code(document["code"]) if "code" in document else None)
    except UsageError as error:
        raise UsageError(f"{origin}: {error}") from None


@dataclass(frozen=True, slots=True)
class AvatarStore:
    """The avatars in one folder."""

    folder: Path

    def names(self) -> list[str]:
        """The avatars there are, by name; files of other names are none."""
        try:
            stems = [path.name.removesuffix(SUFFIX) for path in self.folder.iterdir() if path.name.endswith(SUFFIX)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UsageError(f"cannot look into {self.folder}: {error.strerror}; give another folder") from None
        return sorted(stem for stem in stems if _NAME.fullmatch(stem))

    def path(self, name: str) -> Path:
        """The file of an avatar. Raises UsageError for what cannot be a name."""
        return self.folder / (checked_name(name) + SUFFIX)

    def load(self, name: str) -> Avatar:
        """An avatar. Raises UsageError when there is none, or its file cannot be read or is not sound."""
        path = self.path(name)
        try:
            with path.open("rb") as file:
                data = file.read(MOST_BYTES + 1)
            if len(data) > MOST_BYTES:
                raise UsageError(f"{path} is larger than {MOST_BYTES // 1024} KiB; that is no avatar")
            return read(name, data.decode("utf-8"), str(path))
        except FileNotFoundError:
            hint = "; make one with: avatar-live avatar create NAME" if not self.names() else ""
            raise UsageError(f"{unknown('avatar', name, self.names())}{hint}") from None
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise UsageError(f"{path} is no text (UTF-8); mend it or delete it") from None

    def save(self, avatar: Avatar, *, replace: bool = True) -> Path:
        """Write an avatar, whole or not at all, and give its path.

        Raises UsageError when there is one of the name and ``replace`` is false, OutputError when it cannot be written.
        """
        path = self.path(avatar.name)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor, building = tempfile.mkstemp(prefix=".avatar-", suffix=".new", dir=self.folder)
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                    file.write(write(avatar))
                    file.flush()
                    os.fsync(file.fileno())
                _put(Path(building), path, replace)
            finally:
                Path(building).unlink(missing_ok=True)
        except FileExistsError:
            raise UsageError(
                f"there is an avatar {avatar.name!r} already; give another name, or --replace to make it anew"
            ) from None
        except OSError as error:
            raise OutputError(
                f"cannot write {path}: {error.strerror or error}; name a folder that can be written with --folder "
                f"or {FOLDER_VARIABLE}"
            ) from error
        return path

    def delete(self, name: str) -> None:
        """Delete an avatar's file, sound or not. Raises UsageError when there is none, OutputError when it stays."""
        path = self.path(name)
        try:
            path.unlink()
        except FileNotFoundError:
            raise unknown("avatar", name, self.names()) from None
        except OSError as error:
            raise OutputError(f"cannot delete {path}: {error.strerror or error}") from error


def _put(building: Path, path: Path, replace: bool) -> None:
    """Move a finished file into place. Raises FileExistsError when there is one that must stay."""
    if replace:
        os.replace(building, path)
        return
    try:
        os.link(building, path)  # fails where the name is taken, in one step
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if path.exists():
            raise FileExistsError from None
        os.replace(building, path)

"""Which public models can be pulled, and the folder in which they lie.

    entries = read_registry([Path("mine.toml")])
    store = ModelStore(default_folder())
    store.pull(entries["direction-age"])

Every file lies in a folder of its entry's name beside ``download.json``. Where nobody states a hash, the first
download's is pinned in ``pins.json``, and later ones must have it; pins outlive the files. Once pulled, nothing is ever
fetched again.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

from engines.download import DownloadError, Progress, Wanted, fetch
from engines.errors import ModelError
from engines.places import default_folder

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Entry", "ModelStore", "Pulled", "RegistryError", "default_folder", "read_registry"]
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
RECORD, PINS = "download.json", "pins.json"


class RegistryError(ModelError):
    """A registry file is broken, or a model is unknown or not there."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that can be pulled; see the comment at the head of ``registry.toml``."""

    name: str
    title: str
    file: str
    licence: str
    urls: tuple[str, ...] = ()
    page: str = ""
    bytes: int | None = None
    sha256: str | None = None
    hash_from: str = ""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A file in the store.

    pinned: whether its hash was taken from the first download, for want of a stated one.
    """

    name: str
    path: Path
    byte_count: int
    sha256: str
    url: str
    licence: str
    pinned: bool


def read_registry(files: Iterable[Path] = ()) -> dict[str, Entry]:
    """The bundled entries and those of the user's files; a name may be given once.

    Raises RegistryError for files that cannot be read and entries that are not sound.
    """
    bundled = resources.files("engines").joinpath("registry.toml").read_text(encoding="utf-8")
    texts = [("the bundled registry", bundled)]
    for file in files:
        try:
            texts.append((str(file), file.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise RegistryError(f"cannot read the registry {file}: {error}") from None
    entries: dict[str, Entry] = {}
    for origin, text in texts:
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise RegistryError(f"{origin} is not sound TOML: {error}") from None
        for name, values in table.items():
            if name in entries:
                raise RegistryError(f"{origin} names {name!r} a second time; choose another name")
            entries[name] = _entry(name, values, origin)
    return entries


def _entry(name: str, values: Any, origin: str) -> Entry:
    """One checked entry."""
    known = {entry.name for entry in fields(Entry)} - {"name"}
    if not re.fullmatch(NAME, name) or not isinstance(values, dict):
        raise RegistryError(
            f"{origin}: {name!r} is not an entry; wanted a table [name] of letters, digits, '.', '_', '-'"
        )
    if unknown := values.keys() - known:
        raise RegistryError(f"{origin}: {name} has the unknown key {min(unknown)!r}; known: {', '.join(sorted(known))}")
    checks: dict[str, Callable[[Any], Any]] = {
        "title": lambda v: isinstance(v, str),
        "file": lambda v: isinstance(v, str) and re.fullmatch(NAME, v) and v != RECORD,
        "licence": lambda v: isinstance(v, str) and v,
        "urls": lambda v: isinstance(v, list) and all(isinstance(url, str) for url in v),
        "page": lambda v: isinstance(v, str),
        "bytes": lambda v: type(v) is int and v > 0,
        "sha256": lambda v: isinstance(v, str) and re.fullmatch(r"[0-9a-f]{64}", v),
        "hash_from": lambda v: isinstance(v, str),
    }
    for key, sound in checks.items():
        if key in ("title", "file", "licence") and key not in values:
            raise RegistryError(f"{origin}: {name} lacks {key!r}")
        if key in values and not sound(values[key]):
            raise RegistryError(f"{origin}: {name}.{key} is {str(values[key])[:80]!r}, which is not sound")
    return Entry(name, **{**values, "urls": tuple(values.get("urls", ()))})


@dataclass(frozen=True, slots=True)
class ModelStore:
    """The pulled files below one folder."""

    folder: Path

    def pull(self, entry: Entry, *, progress: Progress | None = None, **options: Any) -> Pulled:
        """Fetch an entry's file unless it is there already and whole.

        progress, options: see ``engines.download.fetch``.

        Raises DownloadError when it cannot be fetched or is not what it should be; RegistryError when the entry has no
        address of its own. What was in the store stays.
        """
        if self._record_path(entry.name).exists():
            try:
                return self.verify(entry.name)
            except RegistryError:
                pass  # damaged: fetched again, and replaced only by a whole file
        if not entry.urls:
            raise RegistryError(
                f"{entry.name} is offered by a web page only: download {entry.file} at {entry.page}, then run "
                f"avatar-live models import {entry.file}"
            )
        pins = self._pins()
        sha256 = entry.sha256 or pins.get(entry.name)
        try:
            fetched = fetch(
                Wanted(entry.urls, entry.bytes, sha256),
                self.folder / entry.name / entry.file,
                progress=progress,
                **options,
            )
        except DownloadError as error:
            source = "stated by " + entry.hash_from if entry.sha256 else "pinned at the first download"
            hint = f" (the hash is {source})" if sha256 else ""
            raise DownloadError(f"{error}{hint}") from None
        if entry.sha256 is None:
            self._write(self.folder / PINS, {**pins, entry.name: fetched.sha256})
        row = {"file": entry.file, "bytes": fetched.byte_count, "sha256": fetched.sha256, "url": fetched.url}
        self._write(self._record_path(entry.name), {**row, "licence": entry.licence, "pinned": entry.sha256 is None})
        return self.where(entry.name)

    def installed(self) -> list[Pulled]:
        """Everything in the store, by name."""
        return [self.where(path.parent.name) for path in sorted(self.folder.glob(f"*/{RECORD}"))]

    def where(self, name: str) -> Pulled:
        """One file of the store. Raises RegistryError when it is not there."""
        try:
            row = json.loads(self._record_path(name).read_text(encoding="utf-8"))
            path = self.folder / name / Path(str(row["file"])).name
            return Pulled(name, path, row["bytes"], row["sha256"], row["url"], row["licence"], row["pinned"])
        except OSError:
            known = ", ".join(pulled.name for pulled in self.installed()) if name else ""
            raise RegistryError(
                f"{name!r} is not in {self.folder}; there: {known or 'nothing'}; pull it first"
            ) from None
        except (ValueError, KeyError, TypeError):
            raise RegistryError(f"{self._record_path(name)} is damaged; pull {name!r} again") from None

    def verify(self, name: str) -> Pulled:
        """Compare a file with its hash. Raises RegistryError when it is missing or damaged."""
        from engines.checkpoints.importing import file_sha256

        pulled = self.where(name)
        if not pulled.path.is_file():
            raise RegistryError(f"{pulled.path} is missing; pull {name!r} again")
        if (got := file_sha256(pulled.path)) != pulled.sha256:
            raise RegistryError(f"{pulled.path} is damaged: SHA-256 {got}, wanted {pulled.sha256}; pull {name!r} again")
        return pulled

    def remove(self, name: str) -> None:
        """Delete a file from the store; its pin stays. Raises RegistryError when it is not there."""
        self.where(name)
        shutil.rmtree(self.folder / name)

    def _record_path(self, name: str) -> Path:
        if not re.fullmatch(NAME, name):
            raise RegistryError(f"{name!r} is not a model's name; wanted letters, digits, '.', '_' and '-'")
        return self.folder / name / RECORD

    def _pins(self) -> dict[str, str]:
        path = self.folder / PINS
        try:
            pins = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            if not isinstance(pins, dict):
                raise ValueError
        except (OSError, ValueError):
            raise RegistryError(f"{path} is damaged; delete it to pin anew") from None
        return pins

    def _write(self, path: Path, value: dict[str, Any]) -> None:
        """Write JSON by one rename."""
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(path.name + ".new")
        new.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
        os.replace(new, path)

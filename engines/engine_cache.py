"""Built engines on disk: found again only where they were made, complete and for the same model.

A file is a line that names the format, a line of JSON (the key, the payload's length and SHA-256), then the payload.
It is written beside its place and renamed, so that no reader ever sees half of one.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from engines.errors import EngineError

MAGIC = b"avatar-live engine 1\n"


class EngineRefused(EngineError):
    """A file in the cache that is not used; the message says why."""


@dataclass(frozen=True, slots=True)
class EngineKey:
    """What an engine holds for.

    model: SHA-256 of the ONNX file. settings: how it was built. runtime: "TensorRT 11.4.0". gpu: its name and compute
    capability. driver: the driver's version.
    """

    model: str
    runtime: str
    gpu: str
    driver: str
    settings: Mapping[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """The file's name: 24 characters."""
        text = json.dumps(_plain(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


def _plain(key: EngineKey) -> dict[str, object]:
    return {**asdict(key), "settings": dict(sorted(key.settings.items()))}


class EngineCache:
    """Engines in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: EngineKey) -> Path:
        """Where the key's engine lies, whether it is there or not."""
        return self.folder / f"{key.digest()}.engine"

    def load(self, key: EngineKey) -> bytes | None:
        """The key's engine, or None when there is none. Raises EngineRefused for a file that must not be used."""
        try:
            data = self.path(key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise EngineRefused(f"{self.path(key)} cannot be read ({error.strerror}); it is built anew") from error
        return _checked(data, key, self.path(key))

    def store(self, key: EngineKey, payload: bytes) -> Path:
        """Put an engine in its place, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        head = {"key": _plain(key), "bytes": len(payload), "sha256": hashlib.sha256(payload).hexdigest()}
        handle, name = tempfile.mkstemp(dir=self.folder, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(MAGIC + json.dumps(head, sort_keys=True).encode() + b"\n" + payload)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self.path(key))
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return self.path(key)

    def obtain(self, key: EngineKey, build: Callable[[], bytes], say: Callable[[str], None]) -> bytes:
        """The cached engine, or one that is built and kept; ``say`` hears why one is not used."""
        try:
            found = self.load(key)
        except EngineRefused as refusal:
            say(str(refusal))
            found = None
        if found is not None:
            return found
        payload = build()
        try:
            self.store(key, payload)
        except OSError as error:  # an engine that took minutes is used all the same
            say(f"{self.path(key)} cannot be written ({error.strerror}); it will be built again next time")
        return payload


def _checked(data: bytes, key: EngineKey, path: Path) -> bytes:
    """The payload of a file's bytes. Raises EngineRefused."""
    line, _, payload = data[len(MAGIC) :].partition(b"\n")
    try:
        head = json.loads(line) if data.startswith(MAGIC) else None
        found, length, digest = (head["key"], int(head["bytes"]), str(head["sha256"])) if head else (None, 0, "")
    except (ValueError, KeyError, TypeError):
        found, length, digest = None, 0, ""
    if not isinstance(found, dict):
        raise EngineRefused(f"{path.name} is no engine of this program; it is built anew")
    for name, value in _plain(key).items():
        if found.get(name) != value:
            raise EngineRefused(
                f"{path.name} was built for {name} {found.get(name)}; here is {value}; it is built anew"
            )
    if len(payload) != length:
        raise EngineRefused(f"{path.name} is truncated: {len(payload)} of {length} bytes; it is built anew")
    if hashlib.sha256(payload).hexdigest() != digest:
        raise EngineRefused(f"{path.name} is damaged: its SHA-256 is not the one it was stored with; it is built anew")
    return payload

"""The containers of foreign checkpoints: torch's zip and legacy files, and bare pickles.

The file is read into memory once; tensors are views of those bytes.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.checkpoints.admitted import builders, storage_type
from engines.checkpoints.errors import CheckpointError
from engines.checkpoints.pickle_data import read_pickle
from engines.checkpoints.tensors import Storage
from engines.checkpoints.values import Budget, Record, children

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
CONTENT_PER_FILE = 3  # tensors may together cover the file's bytes this many times (tied weights, embedded storages)
CONTENT_FLOOR = 1 << 20
LOCAL_HEADER_BYTES = 30


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """What a file holds, as data.

    root: plain values, tensors and records.
    container: "zip", "legacy" or "pickle".
    byte_count, sha256: of the file.
    """

    root: Any
    container: str
    byte_count: int
    sha256: str

    def sources(self) -> dict[str, str]:
        """The source text that foreign classes brought along, by class name; it is shown and never compiled."""
        found: dict[str, str] = {}
        seen: set[int] = set()
        left = [self.root]
        while left:
            value = left.pop()
            if id(value) not in seen:
                seen.add(id(value))
                left.extend(children(value))
                if isinstance(value, Record) and value.source is not None:
                    found.setdefault(value.name, value.source)
        return found


def read_file(path: Path) -> Contents:
    """Read a checkpoint as data. Raises CheckpointError for damaged, hostile and foreign files."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}; check the path") from None
    if not content:
        raise CheckpointError(f"{path.name} is empty; download it again")
    root, container = read_content(content)
    return Contents(root, container, len(content), hashlib.sha256(content).hexdigest())


def read_content(content: bytes) -> tuple[Any, str]:
    """The value that a checkpoint's bytes hold, and the kind of container."""
    budget = Budget(content_bytes=max(CONTENT_FLOOR, CONTENT_PER_FILE * len(content)))
    if content[:4] == b"PK\x03\x04":
        return read_zip(content, budget), "zip"
    if content[257:262] == b"ustar":
        raise CheckpointError("the file is a tar archive; unpack it and import the checkpoint in it")
    if content[:1] != b"\x80":
        start = content[:16].decode("ascii", "backslashreplace")
        raise CheckpointError(f"the file starts with {start!r}: neither a torch checkpoint nor a pickle; refused")
    if is_legacy(content):
        return read_legacy(content, budget), "legacy"
    stream = io.BytesIO(content)
    return read_pickle(stream, _table(budget, nested=False), budget), "pickle"


def _table(budget: Budget, nested: bool) -> Any:
    """The admitted names; a storage within a storage is refused."""

    def storage_of_blob(blob: bytes) -> Storage:
        if nested:
            raise CheckpointError("the file nests a checkpoint in a checkpoint in a checkpoint; refused")
        if not is_legacy(blob):
            raise CheckpointError("an embedded storage is not in torch's legacy container; refused")
        storage = read_legacy(blob, budget, nested=True)
        if not isinstance(storage, Storage):
            raise CheckpointError(f"an embedded storage holds a {type(storage).__name__}; refused")
        return storage

    return builders(storage_of_blob, budget.charge_bytes)


# The legacy container: pickles of magic number, protocol and machine, the value, the storages' keys, then their bytes.


def is_legacy(content: bytes) -> bool:
    """Whether the first pickle is the legacy container's magic number."""
    try:
        return bool(read_pickle(io.BytesIO(content[:64]), {}, Budget(instructions=8)) == LEGACY_MAGIC)
    except CheckpointError:
        return False


@dataclass(slots=True)
class _Storages:
    """The storages that a pickle refers to, by key."""

    by_key: dict[str, Storage] = field(default_factory=dict)

    def reference(self, reference: tuple[Any, ...]) -> Storage:
        """The storage of ("storage", type, key, device, size[, view]); the device does not matter here."""
        if len(reference) not in (5, 6) or reference[0] != "storage" or not isinstance(reference[2], str):
            raise CheckpointError("the file refers to something that is not a storage; refused")
        if len(reference) == 6 and reference[5] is not None:
            raise CheckpointError(
                "the file uses storages within storages (torch before 0.4); save it with a newer torch"
            )
        dtype, key, size = storage_type(reference[1]), reference[2], reference[4]
        if type(size) is not int or size < 0:
            raise CheckpointError(f"a storage's size is {str(size)[:40]}; the file is damaged")
        known = self.by_key.setdefault(key, Storage(dtype, size))
        if (known.dtype, known.size) != (dtype, size):
            raise CheckpointError(f"storage {key[:40]!r} is given two types or sizes; the file is damaged")
        return known


def read_legacy(content: bytes, budget: Budget, nested: bool = False) -> Any:
    """The value in a legacy container (torch before 1.6)."""
    stream, storages = io.BytesIO(content), _Storages()
    read_pickle(stream, {}, budget)  # the magic number, known by now
    protocol, machine = read_pickle(stream, {}, budget), read_pickle(stream, {}, budget)
    if protocol != LEGACY_PROTOCOL:
        raise CheckpointError(f"the container's protocol is {str(protocol)[:40]}, wanted {LEGACY_PROTOCOL}; refused")
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise CheckpointError("the file was written on a big-endian machine; save it again on a common one")
    root = read_pickle(stream, _table(budget, nested), budget, storages.reference)
    keys = read_pickle(stream, {}, budget)
    if not isinstance(keys, list) or set(map(repr, keys)) != set(map(repr, storages.by_key)):
        raise CheckpointError("the container's list of storages does not match its content; the file is damaged")
    position, view = stream.tell(), memoryview(content)
    for key in keys:
        storage = storages.by_key[key]
        if int.from_bytes(view[position : position + 8], "little") != storage.size:
            raise CheckpointError(f"storage {key[:40]!r} is truncated or damaged; download the file again")
        start, position = position + 8, position + 8 + storage.byte_count
        storage.fill(view[start:position])
    return root


# The zip container: one pickle, one member for each storage, nothing compressed.


def read_zip(content: bytes, budget: Budget) -> Any:
    """The value in a zip container (torch from 1.6 on)."""
    members = zip_members(content)
    pickles = [name for name in members if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise CheckpointError(f"the zip file holds {len(pickles)} members 'data.pkl', wanted 1: not a torch checkpoint")
    prefix = pickles[0].removesuffix("data.pkl")
    if f"{prefix}constants.pkl" in members:
        raise CheckpointError("the file is a TorchScript program, not a checkpoint; import the original checkpoint")
    if f"{prefix}byteorder" in members and bytes(members[f"{prefix}byteorder"]) != b"little":
        raise CheckpointError("the file was written on a big-endian machine; save it again on a common one")
    storages = _Storages()
    stream = io.BytesIO(members[pickles[0]])
    root = read_pickle(stream, _table(budget, nested=False), budget, storages.reference)
    for key, storage in storages.by_key.items():
        member = members.get(f"{prefix}data/{key}")
        if member is None:
            raise CheckpointError(f"the zip file lacks the storage {key[:40]!r}; it is truncated, download it again")
        storage.fill(member)
    return root


def zip_members(content: bytes) -> dict[str, memoryview]:
    """The members of a zip file as views of its bytes; all must be stored, distinct, whole and inside the file."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, UnicodeDecodeError, OverflowError) as error:
        raise CheckpointError(f"the zip file is truncated or damaged ({str(error)[:80]}); download it again") from None
    members = {entry.filename: zip_member(memoryview(content), entry) for entry in entries}
    if len(members) != len(entries):
        raise CheckpointError("the zip file names a member twice; refused")
    return members


def zip_member(content: memoryview, entry: zipfile.ZipInfo) -> memoryview:
    """One member's bytes."""
    name = entry.filename[:80]
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        raise CheckpointError(f"the zip member {name!r} is compressed, torch stores its members as they are; refused")
    if entry.flag_bits & 0x1:
        raise CheckpointError(f"the zip member {name!r} is encrypted; refused")
    header = (
        content[entry.header_offset : entry.header_offset + LOCAL_HEADER_BYTES] if entry.header_offset >= 0 else b""
    )
    if len(header) != LOCAL_HEADER_BYTES or bytes(header[:4]) != b"PK\x03\x04":
        raise CheckpointError(f"the zip member {name!r} lies outside the file; it is truncated, download it again")
    extra = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    start = entry.header_offset + LOCAL_HEADER_BYTES + extra
    member = content[start : start + entry.file_size]
    if len(member) != entry.file_size:
        raise CheckpointError(f"the zip member {name!r} is truncated; download the file again")
    if entry.CRC and zlib.crc32(member) != entry.CRC:
        raise CheckpointError(f"the zip member {name!r} is damaged (its checksum differs); download the file again")
    return member

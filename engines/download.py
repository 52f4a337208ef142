"""Fetch one file over HTTPS: resumed after every break, checked before it is installed, installed by one rename.

The bytes gather in ``NAME.part`` beside the target; ``NAME.part.json`` remembers the server's version mark (ETag), so
that a changed file is fetched anew. A file that turns out wrong is dropped; what lay at the target before stays.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.errors import ModelError
from engines.https import Broken, Refused, open_url

CHUNK_BYTES = 1 << 18
TIMEOUT_S = 30.0
ATTEMPTS = 5
LARGEST_BYTES = 16 << 30
Progress = Callable[[int, int | None], None]


class DownloadError(ModelError):
    """A file could not be fetched, or is not what it should be."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The file to fetch.

    urls: https addresses, the first tried first (http only for this machine itself).
    byte_count, sha256: of the file; None where they are not known.
    """

    urls: Sequence[str]
    byte_count: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that was fetched and installed."""

    path: Path
    url: str
    byte_count: int
    sha256: str


@dataclass(slots=True)
class _Part:
    """The bytes so far, which version of the file they belong to, and whether they came in pieces."""

    path: Path
    etag: str | None = None
    resumed: bool = False

    @property
    def notes(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    def size(self) -> int:
        """Bytes so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    def load(self) -> None:
        """Take up what an earlier run left."""
        try:
            self.etag = json.loads(self.notes.read_text(encoding="utf-8")).get("etag")
        except (OSError, ValueError, AttributeError):
            self.etag = None
        self.resumed = self.size() > 0

    def restart(self, etag: str | None) -> None:
        """Begin anew with another version."""
        self.path.write_bytes(b"")
        self.etag, self.resumed = etag, False
        self.notes.write_text(json.dumps({"etag": etag}), encoding="utf-8")

    def drop(self) -> None:
        """Remove the bytes and the notes."""
        self.path.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)


def fetch(
    wanted: Wanted,
    target: Path,
    *,
    progress: Progress | None = None,
    timeout_s: float = TIMEOUT_S,
    attempts: int = ATTEMPTS,
    wait: Callable[[float], None] = time.sleep,
) -> Fetched:
    """Fetch a file to ``target``.

    progress: is told the bytes so far and in all (None while unknown).
    timeout_s: how long a server may keep silent.
    attempts: breaks in a row without a new byte after which an address is given up.
    wait: sleeps between attempts.

    Raises DownloadError with every address's reason when none gave the file, when it is not the wanted one, and when it
    cannot be written. Bytes of a broken transfer stay for the next call; a file that was at ``target`` stays as well.
    """
    if not wanted.urls:
        raise DownloadError("there is no address to download from")
    part, reasons = _Part(target.with_name(target.name + ".part")), []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.load()
        for url in wanted.urls:
            try:
                _gather(wanted, url, part, progress or (lambda done, total: None), timeout_s, attempts, wait)
                return _install(wanted, url, part, target)
            except Refused as refusal:
                reasons.append(f"{url}: {refusal}")
    except OSError as error:
        full = error.errno == errno.ENOSPC
        hint = (
            f"the disk is full; {part.size()} bytes are kept, free some space and try again" if full else error.strerror
        )
        raise DownloadError(f"cannot write {target}: {hint}") from None
    raise DownloadError(f"cannot download {target.name}: " + "; ".join(reasons))


def _gather(
    wanted: Wanted,
    url: str,
    part: _Part,
    progress: Progress,
    timeout_s: float,
    attempts: int,
    wait: Callable[[float], None],
) -> None:
    """Fill the part from one address, resuming after breaks, until it is whole and right."""
    fruitless, began_anew = 0, False
    while True:
        before = part.size()
        try:
            _transfer(wanted, url, part, progress, timeout_s)
        except Broken as reason:
            fruitless = 0 if part.size() > before else fruitless + 1
            if fruitless >= attempts:
                raise Refused(f"{reason} ({attempts} attempts)") from None
            wait(min(2.0**fruitless, 30.0))
            continue
        got = _sha256(part.path)
        if wanted.sha256 in (None, got):
            return
        size, resumed = part.size(), part.resumed
        part.drop()
        if not resumed or began_anew:
            raise Refused(f"the file is wrong: got {size} bytes with SHA-256 {got}, wanted {wanted.sha256}")
        began_anew = True  # pieces of two versions may have met


def _transfer(wanted: Wanted, url: str, part: _Part, progress: Progress, timeout_s: float) -> None:
    """One request: append to the part what the server sends. Returns when the file is whole."""
    if not (part.etag or wanted.sha256):
        part.drop()  # nothing would tell whether the pieces belong together
    start = part.size()
    if start and start == wanted.byte_count:
        return
    headers = {"User-Agent": "avatar-live", "Accept-Encoding": "identity", "Connection": "close"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if part.etag:
            headers["If-Range"] = part.etag
    response = open_url(url, headers, timeout_s)
    try:
        total = _begin(response, wanted, part, start)
        _append(response, wanted, part, total, progress)
    finally:
        response.close()
    if part.size() < (total or 0):
        raise Broken(f"the connection ended after {part.size()} of {total} bytes")


def _begin(response: http.client.HTTPResponse, wanted: Wanted, part: _Part, start: int) -> int | None:
    """Check the answer's head, make the part ready, and return how many bytes the whole file has, if known."""
    length = response.headers.get("Content-Length")
    body = int(length) if length is not None and length.isdigit() else None
    etag = response.headers.get("ETag")
    if response.status == 206 and start:
        unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
        span, _, whole = rest.partition("/")
        if unit != "bytes" or span.partition("-")[0] != str(start):
            part.drop()
            raise Broken(f"the server answered with another part ({rest[:60] or 'none named'})")
        part.resumed = True
        total = int(whole) if whole.isdigit() else (None if body is None else start + body)
    elif response.status == 200:
        part.restart(etag if etag and not etag.startswith("W/") else None)
        total = body
    elif response.status == 416 and start:
        if response.headers.get("Content-Range") == f"bytes */{start}":
            return start
        part.drop()
        raise Broken("the server's file is shorter than what was fetched")
    elif response.status in (408, 425, 429) or response.status >= 500:
        raise Broken(f"the server answered {response.status} {response.reason}")
    else:
        raise Refused(f"the server answered {response.status} {response.reason}")
    _check_total(response, wanted, total)
    return wanted.byte_count if total is None else total


def _check_total(response: http.client.HTTPResponse, wanted: Wanted, total: int | None) -> None:
    kind = (response.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    if kind == "text/html":
        raise Refused("the server sent a web page instead of the file (it may want a click or a log-in)")
    if total is not None and wanted.byte_count not in (None, total):
        raise Refused(f"the server's file has {total} bytes, wanted {wanted.byte_count}")
    if (total or 0) > LARGEST_BYTES:
        raise Refused(f"the server's file has {total} bytes; wanted at most {LARGEST_BYTES}")


def _append(
    response: http.client.HTTPResponse, wanted: Wanted, part: _Part, total: int | None, progress: Progress
) -> None:
    """Write the body to the part as it comes; never more than the file may have."""
    limit = wanted.byte_count or total or LARGEST_BYTES
    with part.path.open("ab") as stream:
        done = stream.tell()
        progress(done, total)
        while chunk := _read(response):
            done += len(chunk)
            if done > limit:
                stream.close()
                part.drop()
                raise Refused(f"the server sends more than the {limit} bytes that it should")
            stream.write(chunk)
            progress(done, total)


def _read(response: http.client.HTTPResponse) -> bytes:
    """The next bytes of the body; none at its end, and none of an error's page."""
    if response.status not in (200, 206):
        return b""
    try:
        return response.read1(CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise Broken(f"the connection broke ({type(error).__name__})") from None


def _install(wanted: Wanted, url: str, part: _Part, target: Path) -> Fetched:
    """Put the whole file into place."""
    digest, size = _sha256(part.path), part.size()
    with part.path.open("rb") as stream:
        os.fsync(stream.fileno())
    os.replace(part.path, target)
    part.drop()
    return Fetched(target, url, size, digest)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()

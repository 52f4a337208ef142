"""Fragmented MP4 and MOV files: cutting off a torn end, and making a regular file of a finished one.

Such a file is ``ftyp moov`` and then any number of ``moof mdat``, each pair complete in itself (ISO/IEC 14496-12, 8.8).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import av

INDEX_IN_FRONT = {"movflags": "faststart"}
WRITE_ERRORS = (av.error.FFmpegError, OSError)


def cut_torn_end(path: Path) -> None:
    """Take off what follows the last whole fragment: a disk that fills tears the one that is being written."""
    with open(path, "r+b") as file:
        whole = 0
        for kind, end in _boxes(file):
            if kind != b"moof":  # a moof counts only with the mdat that follows it
                whole = end
        file.truncate(whole)


def defragment(path: Path, container_format: str) -> None:
    """Replace a fragmented file by a regular one with the same packets and its index in front; on failure leave it."""
    whole = path.with_name(f".{path.stem}.finishing{path.suffix}")
    try:
        with (
            av.open(f"file:{path}", mode="r") as source,
            av.open(f"file:{whole}", mode="w", format=container_format, container_options=INDEX_IN_FRONT) as target,
        ):
            streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = streams[packet.stream.index]
                    target.mux(packet)
        os.replace(whole, path)
    except WRITE_ERRORS:
        with contextlib.suppress(OSError):
            whole.unlink()


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Kind and end of every box at the top level that lies in the file as a whole: 32-bit size, kind, content."""
    length = file.seek(0, os.SEEK_END)
    end = 0
    while end + 8 <= length:
        file.seek(end)
        size, kind = int.from_bytes(file.read(4), "big"), file.read(4)
        if size == 1:  # the size follows in 64 bits
            size = int.from_bytes(file.read(8), "big")
        end += size
        if size < 8 or end > length:
            return
        yield kind, end

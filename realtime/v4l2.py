"""Linux video devices, asked directly: what is there, what it is called and what it can deliver.

The requests and structures are those of ``<linux/videodev2.h>``; the test compiles that header and compares them.
Nothing here streams: OpenCV does that. Nothing here is imported on other systems than Linux.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from realtime import permissions
from realtime.camera_modes import Mode

DEV = Path("/dev")
SYS = Path("/sys/class/video4linux")

QUERYCAP = 0x80685600
ENUM_FMT = 0xC0405602
ENUM_FRAMESIZES = 0xC02C564A
ENUM_FRAMEINTERVALS = 0xC034564B
STREAMON = 0x40045612

CAPABILITY = struct.Struct("=16s32s32sIII12x")
FORMAT = struct.Struct("=III32s4sI12x")
FRAME_SIZE = struct.Struct("=II I 6I 8x")
FRAME_INTERVAL = struct.Struct("=II II I 6I 8x")

CAPTURE = 0x00000001
OUTPUT = 0x00000002
CAPTURE_MPLANE = 0x00001000
HAS_DEVICE_CAPS = 0x80000000
BUFFER_CAPTURE = 1
BUFFER_OUTPUT = 2
DISCRETE = 1
LOOPBACK = "loopback"  # part of the name of v4l2loopback's driver
USUAL_SIZES = ((640, 480), (1280, 720), (1920, 1080))

Ioctl = Callable[[int, int, bytearray], int]


@dataclass(frozen=True, slots=True)
class Capability:
    """What a device says of itself: whether pictures come out of it (``captures``) and can be put in (``takes``)."""

    driver: str
    card: str
    captures: bool
    takes: bool


def device_paths(dev: Path = DEV) -> list[Path]:
    """The paths ``/dev/videoN`` in the order of N."""
    found = [path for path in dev.glob("video*") if path.name[5:].isdecimal()]
    return sorted(found, key=lambda path: int(path.name[5:]))


def device_name(path: Path, sys: Path = SYS) -> str:
    """The name that the driver gave to a device, or its file name where none is told."""
    try:
        return (sys / path.resolve().name / "name").read_text().strip() or path.name
    except OSError:
        return path.name


def open_reason(path: Path) -> str | None:
    """Why a device cannot be opened, with what to do about it; None when it can."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            return f"permission denied; {permissions.denied(path)}"
        if error.errno == errno.EBUSY:
            return "it is busy: close the other program that uses it"
        return os.strerror(error.errno or 0)
    return None


def capability(handle: int, ioctl: Ioctl = fcntl.ioctl) -> Capability | None:
    """VIDIOC_QUERYCAP of an open device; None when it is no video device."""
    buffer = bytearray(CAPABILITY.size)
    if not _asked(handle, QUERYCAP, buffer, ioctl):
        return None
    driver, card, _, _, all_caps, device_caps = CAPABILITY.unpack(buffer)
    caps = device_caps if all_caps & HAS_DEVICE_CAPS else all_caps
    return Capability(_text(driver), _text(card), bool(caps & (CAPTURE | CAPTURE_MPLANE)), bool(caps & OUTPUT))


def loopbacks() -> list[Path]:
    """The devices of v4l2loopback: into these a program can send pictures."""
    return [*_told_loopbacks()]


def fed_loopbacks() -> list[Path]:
    """Those of them that some program feeds, as far as they say so: with exclusive_caps they take nothing then."""
    return [path for path, told in _told_loopbacks().items() if told.captures and not told.takes]


def _told_loopbacks() -> dict[Path, Capability]:
    found: dict[Path, Capability] = {}
    for path in device_paths():
        try:
            handle = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            told = capability(handle)
            if told is not None and LOOPBACK in told.driver:
                found[path] = told
                _revive(handle, told)
        finally:
            os.close(handle)
    return found


def _revive(handle: int, told: Capability, ioctl: Ioctl = fcntl.ioctl) -> None:
    """Give an idle loopback its input side back.

    Up to v4l2loopback 0.12.7 (Debian 12, Ubuntu 22.04) a device with exclusive_caps can neither be sent to nor read
    from once a program that wrote plainly has closed it: see issue 470 of v4l2loopback. A STREAMON, even one that is
    refused, makes this handle a writer, and closing a writer restores the device.
    """
    if not told.captures and not told.takes:
        _asked(handle, STREAMON, bytearray(BUFFER_OUTPUT.to_bytes(4, "little")), ioctl)


def modes(handle: int, ioctl: Ioctl = fcntl.ioctl) -> tuple[Mode, ...]:
    """Every discrete mode of an open device; of a stepwise range the usual sizes inside it, and its largest."""
    found: list[Mode] = []
    for fourcc in _formats(handle, ioctl):
        for width, height in _sizes(handle, fourcc, ioctl):
            fps = max(_rates(handle, fourcc, width, height, ioctl), default=30.0)
            found.append(Mode(width, height, fps, fourcc.decode("latin-1").strip()))
    return tuple(found)


def _formats(handle: int, ioctl: Ioctl) -> Iterator[bytes]:
    for index in range(64):
        buffer = bytearray(FORMAT.pack(index, BUFFER_CAPTURE, 0, b"", b"", 0))
        if not _asked(handle, ENUM_FMT, buffer, ioctl):
            return
        yield FORMAT.unpack(buffer)[4]


def _sizes(handle: int, fourcc: bytes, ioctl: Ioctl) -> Iterator[tuple[int, int]]:
    code = int.from_bytes(fourcc, "little")
    for index in range(256):
        buffer = bytearray(FRAME_SIZE.pack(index, code, 0, *(0,) * 6))
        if not _asked(handle, ENUM_FRAMESIZES, buffer, ioctl):
            return
        kind, *sides = FRAME_SIZE.unpack(buffer)[2:]
        if kind == DISCRETE:
            yield sides[0], sides[1]
            continue
        least_width, most_width, _, least_height, most_height, _ = sides
        for width, height in {*USUAL_SIZES, (most_width, most_height)}:
            if least_width <= width <= most_width and least_height <= height <= most_height:
                yield width, height
        return


def _rates(handle: int, fourcc: bytes, width: int, height: int, ioctl: Ioctl) -> Iterator[float]:
    code = int.from_bytes(fourcc, "little")
    for index in range(256):
        buffer = bytearray(FRAME_INTERVAL.pack(index, code, width, height, 0, *(0,) * 6))
        if not _asked(handle, ENUM_FRAMEINTERVALS, buffer, ioctl):
            return
        kind, seconds, of = FRAME_INTERVAL.unpack(buffer)[4:7]  # the first of a stepwise range is the shortest
        if seconds:
            yield of / seconds
        if kind != DISCRETE:
            return


def _asked(handle: int, request: int, buffer: bytearray, ioctl: Ioctl) -> bool:
    """Whether the driver answered; it refuses an index past its last with EINVAL, and a plain file with ENOTTY."""
    try:
        ioctl(handle, request, buffer)
    except OSError:
        return False
    return True


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")

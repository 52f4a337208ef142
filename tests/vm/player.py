"""Plays frames into a V4L2 output device as a webcam would: on time, over and over, and says when each was written.

    python3 player.py DEVICE FILE WIDTH HEIGHT FOURCC FPS TIMES SIZE...

TIMES: a file of one int64 per frame: the monotonic clock when it was written last. A late frame is left out, as a
camera does. Ends by a signal.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import sys
import time
from pathlib import Path

import numpy as np

QUERYCAP, S_FMT, STREAMON = 0x80685600, 0xC0D05605, 0x40045612
FORMAT = struct.Struct("=I4x 2I4s5I 168x")  # struct v4l2_format with v4l2_pix_format
BUFFER_OUTPUT, FIELD_NONE, COLORSPACE_SMPTE170M, COLORSPACE_JPEG = 2, 1, 1, 7


def revive(device: str) -> None:
    """v4l2loopback 0.12.7 takes nothing more once a program that wrote plainly was killed; see realtime.v4l2."""
    handle = os.open(device, os.O_RDWR)
    with contextlib.suppress(OSError):
        fcntl.ioctl(handle, STREAMON, BUFFER_OUTPUT.to_bytes(4, "little"))
    os.close(handle)


def main() -> None:
    """Play until ended."""
    device, path, width, height, fourcc, fps, times = sys.argv[1:8]
    sizes = [int(text) for text in sys.argv[8:]]
    starts = np.cumsum([0, *sizes])
    content = memoryview(Path(path).read_bytes())  # a slice of it is no copy
    written = np.memmap(times, np.int64, "r+", shape=(len(sizes),))
    revive(device)
    handle = os.open(device, os.O_RDWR)
    colours = COLORSPACE_JPEG if fourcc == "MJPG" else COLORSPACE_SMPTE170M
    line = int(width) * {"YUYV": 2, "NV12": 1, "MJPG": 0}[fourcc]
    fcntl.ioctl(handle, QUERYCAP, bytearray(104))  # the driver renews what the device can do when it is asked
    ask = bytearray(
        FORMAT.pack(BUFFER_OUTPUT, int(width), int(height), fourcc.encode(), FIELD_NONE, line, max(sizes), colours, 0)
    )
    fcntl.ioctl(handle, S_FMT, ask)
    interval_ns, start_ns, number = round(1e9 / float(fps)), time.monotonic_ns(), 0
    while True:
        left_ns = start_ns + number * interval_ns - time.monotonic_ns()
        if left_ns > 0:
            time.sleep(left_ns * 1e-9)
        elif left_ns < -interval_ns:
            number += 1
            continue
        index = number % len(sizes)
        written[index] = time.monotonic_ns()
        os.write(handle, content[starts[index] : starts[index + 1]])
        number += 1


if __name__ == "__main__":
    main()

"""Finding cameras and choosing their modes."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from realtime.cameras import Camera, Mode, best_mode, find_camera, list_cameras
from tests.realtime.clips import as_nobody

linux = pytest.mark.skipif(platform.system() != "Linux", reason="V4L2 is Linux's")

WEBCAM = (
    Mode(640, 480, 30, "YUYV"),
    Mode(1280, 720, 10, "YUYV"),
    Mode(640, 480, 30, "MJPG"),
    Mode(1280, 720, 30, "MJPG"),
    Mode(1920, 1080, 30, "MJPG"),
)


@pytest.mark.parametrize(
    ("modes", "wanted", "best"),
    [
        (WEBCAM, (1280, 720, 30), Mode(1280, 720, 30, "MJPG")),
        (WEBCAM, (1920, 1080, 30), Mode(1920, 1080, 30, "MJPG")),
        (WEBCAM, (320, 240, 30), Mode(640, 480, 30, "MJPG")),
        (WEBCAM[:2], (1280, 720, 30), Mode(640, 480, 30, "YUYV")),  # smooth and small rather than sharp and jerky
        ((Mode(1280, 720, 60, "MJPG"), Mode(1280, 720, 30, "MJPG")), (1280, 720, 30), Mode(1280, 720, 30, "MJPG")),
        ((Mode(1280, 800, 30, "RGB3"), Mode(0, 0, 30, "MJPG")), (1280, 720, 30), Mode(1280, 800, 30, "RGB3")),
        ((), (1280, 720, 30), None),
    ],
)
def test_best_mode(modes: tuple[Mode, ...], wanted: tuple[int, int, int], best: Mode | None) -> None:
    assert best_mode(modes, *wanted) == best


@pytest.mark.parametrize(
    ("text", "index"),
    [("0", 0), ("2", 2), ("/dev/video2", 2), ("hd pro webcam c920", 0), ("c920", 0), ("built", 2), ("1", None)]
    + [("e", None), ("", None), ("nothing", None)],
)
def test_find_camera(text: str, index: int | None) -> None:
    cameras = [Camera(0, "HD Pro Webcam C920", "/dev/video0"), Camera(2, "Built-in Camera", "/dev/video2")]
    found = find_camera(text, cameras)
    assert (found.index if found else None) == index


def test_list_cameras_runs_here() -> None:
    for camera in list_cameras():
        assert camera.name and camera.label()


@linux
def test_structures_and_requests_are_those_of_the_header(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not Path("/usr/include/linux/videodev2.h").exists():
        pytest.skip("needs a C compiler and linux/videodev2.h")
    from realtime import v4l2

    pairs = {
        "VIDIOC_QUERYCAP": v4l2.QUERYCAP,
        "VIDIOC_ENUM_FMT": v4l2.ENUM_FMT,
        "VIDIOC_ENUM_FRAMESIZES": v4l2.ENUM_FRAMESIZES,
        "VIDIOC_ENUM_FRAMEINTERVALS": v4l2.ENUM_FRAMEINTERVALS,
        "VIDIOC_STREAMON": v4l2.STREAMON,
        "sizeof(struct v4l2_capability)": v4l2.CAPABILITY.size,
        "sizeof(struct v4l2_fmtdesc)": v4l2.FORMAT.size,
        "sizeof(struct v4l2_frmsizeenum)": v4l2.FRAME_SIZE.size,
        "sizeof(struct v4l2_frmivalenum)": v4l2.FRAME_INTERVAL.size,
        "offsetof(struct v4l2_capability, device_caps)": 88,
        "offsetof(struct v4l2_fmtdesc, pixelformat)": 44,
        "offsetof(struct v4l2_frmsizeenum, stepwise.max_height)": 28,
        "offsetof(struct v4l2_frmivalenum, discrete.denominator)": 24,
        "V4L2_CAP_VIDEO_CAPTURE": v4l2.CAPTURE,
        "V4L2_CAP_VIDEO_CAPTURE_MPLANE": v4l2.CAPTURE_MPLANE,
        "V4L2_CAP_DEVICE_CAPS": v4l2.HAS_DEVICE_CAPS,
        "V4L2_CAP_VIDEO_OUTPUT": v4l2.OUTPUT,
        "V4L2_BUF_TYPE_VIDEO_OUTPUT": v4l2.BUFFER_OUTPUT,
        "V4L2_BUF_TYPE_VIDEO_CAPTURE": v4l2.BUFFER_CAPTURE,
        "V4L2_FRMSIZE_TYPE_DISCRETE": v4l2.DISCRETE,
    }
    lines = "".join(f'printf("%lu\\n", (unsigned long)({name}));' for name in pairs)
    source = tmp_path / "header.c"
    source.write_text(
        "#include <linux/videodev2.h>\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {" + lines + "return 0;}"
    )
    subprocess.run([compiler, str(source), "-o", str(tmp_path / "header")], check=True)
    printed = subprocess.run([str(tmp_path / "header")], check=True, capture_output=True, text=True).stdout.split()
    assert dict(zip(pairs, map(int, printed), strict=True)) == pairs


class Webcam:
    """A driver that answers as a USB camera's does, with bytes laid out as the kernel's header has them."""

    sizes = {b"MJPG": [(1280, 720), (640, 480)], b"YUYV": [(640, 480)]}
    rates = [30, 15]

    def __call__(self, handle: int, request: int, buffer: bytearray) -> int:
        formats = list(self.sizes)
        (index,) = struct.unpack_from("=I", buffer)
        if request == 0x80685600:
            buffer[0:16], buffer[16:48] = b"uvcvideo".ljust(16, b"\0"), b"HD Webcam".ljust(32, b"\0")
            struct.pack_into("=II", buffer, 84, 0x84A00001, 0x04200001)
        elif request == 0xC0405602 and index < len(formats):
            buffer[44:48] = formats[index]
        elif request == 0xC02C564A and index < len(sizes := self.sizes[bytes(buffer[4:8])]):
            struct.pack_into("=III", buffer, 8, 1, *sizes[index])
        elif request == 0xC034564B and index < len(self.rates):
            struct.pack_into("=III", buffer, 16, 1, 1, self.rates[index])
        else:
            raise OSError(errno.EINVAL, "Invalid argument")
        return 0


class Sensor(Webcam):
    """A driver with a range of sizes and rates."""

    def __call__(self, handle: int, request: int, buffer: bytearray) -> int:
        (index,) = struct.unpack_from("=I", buffer)
        if request == 0xC02C564A and index == 0:
            struct.pack_into("=I6I", buffer, 8, 3, 32, 1640, 2, 32, 1232, 2)
        elif request == 0xC034564B and index == 0:
            struct.pack_into("=I6I", buffer, 16, 3, 1, 90, 1, 1, 1, 1)
        elif request in (0xC02C564A, 0xC034564B):
            raise OSError(errno.EINVAL, "Invalid argument")
        else:
            return super().__call__(handle, request, buffer)
        return 0


@linux
def test_modes_of_a_webcam() -> None:
    from realtime import v4l2

    capability = v4l2.capability(0, Webcam())
    assert capability == v4l2.Capability("uvcvideo", "HD Webcam", captures=True, takes=False)
    assert v4l2.modes(0, Webcam()) == (
        Mode(1280, 720, 30, "MJPG"),
        Mode(640, 480, 30, "MJPG"),
        Mode(640, 480, 30, "YUYV"),
    )


@linux
def test_modes_of_a_sensor_with_a_range() -> None:
    from realtime import v4l2

    assert set(v4l2.modes(0, Sensor())) >= {
        Mode(640, 480, 90, "MJPG"),
        Mode(1280, 720, 90, "MJPG"),
        Mode(1640, 1232, 90, "MJPG"),
    }
    assert not [mode for mode in v4l2.modes(0, Sensor()) if mode.width > 1640]


@linux
@pytest.mark.parametrize(("captures", "takes", "revived"), [(0, 0, True), (1, 0, False), (0, 1, False)])
def test_only_a_loopback_without_both_sides_is_revived(captures: int, takes: int, revived: bool) -> None:
    from realtime import v4l2

    asked: list[tuple[int, bytes]] = []

    def driver(handle: int, request: int, buffer: bytearray) -> int:
        asked.append((request, bytes(buffer)))
        raise OSError(errno.EINVAL, "Invalid argument")  # as v4l2loopback 0.12.7 does, and is restored all the same

    v4l2._revive(0, v4l2.Capability("v4l2 loopback", "Cam", bool(captures), bool(takes)), driver)
    assert asked == ([(v4l2.STREAMON, b"\2\0\0\0")] if revived else [])


@linux
def test_a_plain_file_is_no_camera(tmp_path: Path) -> None:
    from realtime import v4l2

    path = tmp_path / "video7"
    path.write_bytes(b"no device")
    handle = os.open(path, os.O_RDWR)
    try:
        assert v4l2.capability(handle) is None
        assert v4l2.modes(handle) == ()
    finally:
        os.close(handle)


@linux
def test_devices_are_listed_in_order_with_their_names(tmp_path: Path) -> None:
    from realtime import v4l2

    dev, sys = tmp_path / "dev", tmp_path / "sys"
    dev.mkdir()
    for name in ("video10", "video2", "videotape", "video"):
        (dev / name).touch()
    (sys / "video2").mkdir(parents=True)
    (sys / "video2" / "name").write_text("HD Webcam\n")
    assert [path.name for path in v4l2.device_paths(dev)] == ["video2", "video10"]
    assert v4l2.device_name(dev / "video2", sys) == "HD Webcam"
    assert v4l2.device_name(dev / "video10", sys) == "video10"


@linux
def test_a_device_without_permission_says_what_to_do(tmp_path: Path) -> None:
    from realtime import v4l2

    path = tmp_path / "video0"
    path.touch()
    assert v4l2.open_reason(path) is None
    path.chmod(0)
    with as_nobody():
        advice = f"permission denied; give yourself the device: sudo setfacl -m u:$USER:rw {path}"
        assert v4l2.open_reason(path) == advice
    assert v4l2.open_reason(tmp_path / "video1") == "No such file or directory"

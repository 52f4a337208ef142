"""Which source a text opens, and the sources that run by themselves: cameras, streams and the screen."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.cameras import Camera, list_cameras
from realtime.capture import Source, Stalled, open_source
from realtime.clock import Clock, FakeClock, SystemClock
from realtime.errors import DeviceError, SourceError, UsageError
from realtime.frames import Frame
from realtime.settings import CaptureSettings
from realtime.sources.camera import CameraDevice, connector
from realtime.sources.live import DeviceGone, LiveSource
from realtime.sources.stream import without_password
from tests.realtime.clips import corners, grey, quadrants, write_clip

QUICK = CaptureSettings(reconnect_ms=50, open_timeout_ms=500)


def take(source: Source, count: int, patience: int = 100) -> list[Frame]:
    """The next ``count`` frames; a source may stall ``patience`` times (0.1 s each) before the test fails."""
    found: list[Frame] = []
    while len(found) < count:
        item = source.read()
        if isinstance(item, Stalled):
            patience -= 1
            assert patience, f"the source stays stalled: {item.reason}"
        else:
            assert item is not None, "the source has ended"
            found.append(item)
    return found


def until(source: Source, kind: type | None, patience: int = 2000) -> object:
    """Read until an item of ``kind`` comes (None: the end)."""
    for _ in range(patience):
        item = source.read()
        if item is None or kind is not None and isinstance(item, kind):
            return item
    raise AssertionError("the source never got there")


# What a text opens


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the source is empty; wanted a camera"),
        ("gopher://127.0.0.1/x", "gopher:// is no kind of stream that can be read; wanted one of rtsp"),
        ("screen:1,2", "is no screen region; wanted screen or screen:X,Y,WxH"),
        ("screens:1,2,3x4", None),
        ("screen:a,b,cxd", "is no screen region"),
    ],
)
def test_text_that_names_nothing(text: str, message: str | None) -> None:
    with pytest.raises(UsageError if message else DeviceError, match=message):
        open_source(text, CaptureSettings(), FakeClock())


@pytest.mark.parametrize("text", ["97", "/dev/video97", "A camera nobody has"])
def test_missing_camera_lists_what_there_is_and_suggests_the_demo(text: str) -> None:
    with pytest.raises(DeviceError) as caught:
        open_source(text, CaptureSettings(), FakeClock())
    message = str(caught.value)
    assert f"no camera {text!r}" in message and "--source demo" in message and "\n" not in message
    cameras = list_cameras()
    assert all(camera.label() in message for camera in cameras)
    assert cameras or "no camera was found" in message


def test_a_file_beats_a_camera_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path / "clip.mp4", [grey(32, 32, 0)]).rename(tmp_path / "webcam")
    monkeypatch.chdir(tmp_path)
    source = open_source("webcam", CaptureSettings(), FakeClock())
    assert (source.live, source.path, source.size) == (False, Path("webcam"), (32, 32))
    source.close()


# Cameras. A file of MJPG pictures stands in for the device: OpenCV reads it alike, and its end is a pulled cable.


def file_camera(path: Path) -> Camera:
    return Camera(7, "File Camera", str(path))


def mjpg(path: Path, count: int, size: tuple[int, int] = (64, 48)) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, size)
    for index in range(count):
        writer.write(grey(*size, 20 + index))
    writer.release()
    return path


def test_camera_delivers_and_says_what_it_got(tmp_path: Path) -> None:
    device = CameraDevice(file_camera(mjpg(tmp_path / "a.avi", 4)), QUICK, FakeClock(5), cv2.CAP_FFMPEG)
    assert device.size == (64, 48)
    assert "camera 'File Camera' (" in device.describe()
    assert "64x48 at 30 fps, MJPG" in device.describe()
    captured_ns, pixels = device.grab()
    assert captured_ns == 5
    assert pixels.shape == (48, 64, 3) and pixels.dtype == np.uint8
    device.close()


def test_camera_that_vanishes_is_opened_again(tmp_path: Path) -> None:
    path = mjpg(tmp_path / "a.avi", 3)
    camera = file_camera(path)
    connect = connector(camera, QUICK, SystemClock(), lambda: [camera] if path.exists() else [], cv2.CAP_FFMPEG)
    source = LiveSource(connect, QUICK)
    take(source, 1)
    path.rename(tmp_path / "unplugged.avi")
    stalled = until(source, Stalled)
    for _ in range(30):
        stalled = source.read() if not (isinstance(stalled, Stalled) and stalled.reason) else stalled
    assert isinstance(stalled, Stalled) and "is gone; trying again" in stalled.reason
    assert source.describe() == stalled.reason
    (tmp_path / "unplugged.avi").rename(path)
    frame = take(source, 1, patience=20)[0]  # 2 s
    assert frame.pixels.shape == (48, 64, 3)
    source.close()


def test_camera_that_comes_back_with_another_path_and_size_is_known_by_its_name(tmp_path: Path) -> None:
    first, second = mjpg(tmp_path / "a.avi", 2), mjpg(tmp_path / "b.avi", 50, (128, 48))
    found = [Camera(0, "Cam", str(first))]
    source = LiveSource(connector(found[0], QUICK, SystemClock(), lambda: found, cv2.CAP_FFMPEG), QUICK)
    found[:] = [Camera(4, "Other", str(first)), Camera(3, "Cam", str(second))]
    wanted, frames = (str(second), "128x48", "scaled to 64x48"), take(source, 4)
    for _ in range(200):  # the second one is a file too: it ends, and comes back again
        frames += take(source, 1)
        if all(part in source.describe() for part in wanted):
            break
    else:
        pytest.fail(f"{source.describe()} never names {wanted}")
    assert {frame.pixels.shape for frame in frames} == {(48, 64, 3)}  # the pipeline never sees another size
    assert frames[-1].pixels[:8].max() == 0  # bars
    source.close()


@pytest.mark.parametrize(
    ("camera", "message"),
    [
        (Camera(0, "Cam", "/nowhere/video0"), "does not open; if another program uses it, close that"),
        (
            Camera(0, "Cam", "/dev/video0", problem="permission denied; join the group video"),
            "cannot be used: permission",
        ),
    ],
)
def test_camera_that_does_not_open(camera: Camera, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        CameraDevice(camera, QUICK, FakeClock(), cv2.CAP_FFMPEG)


# Any live source


class Scripted:
    """A device that does one scripted step per picture; a number is a picture of that grey."""

    def __init__(self, steps: list[object], clock: Clock, size: tuple[int, int] = (32, 24)) -> None:
        self.fps, self.size = 30.0, size
        self._steps, self._clock = steps, clock
        self.wanted = threading.Semaphore(0)
        self.done = threading.Event()
        self.closed = 0

    def describe(self) -> str:
        return "a script"

    def grab(self) -> tuple[int, np.ndarray] | None:
        self.wanted.acquire()
        step = self._steps.pop(0) if self._steps else None
        if not self._steps:
            self.done.set()
        if isinstance(step, Exception):
            raise step
        return None if step is None else (self._clock.now_ns(), grey(*self.size, int(str(step))))

    def close(self) -> None:
        self.closed += 1


def test_newest_picture_wins_and_ids_have_no_gaps() -> None:
    device = Scripted([10, 20, 30, 40, None], FakeClock())
    source = LiveSource(lambda: device, QUICK)
    assert source.live and source.path is None and source.size == (32, 24)
    assert source.read() == Stalled("")
    for _ in range(3):
        device.wanted.release()
    frames = [take(source, 1)[0]]
    while frames[-1].pixels.max() < 30:  # the thread may not have passed on all three at the first read
        frames += take(source, 1)
    device.wanted.release()
    frames += take(source, 1)
    assert frames[-1].pixels.max() == 40
    assert [frame.frame_id for frame in frames] == list(range(len(frames)))
    device.wanted.release()
    assert until(source, Frame) is None
    assert source.read() is None
    source.close()
    assert device.closed == 1


def test_failure_of_the_device_reaches_the_reader() -> None:
    device = Scripted([SourceError("broken for good")], FakeClock())
    source = LiveSource(lambda: device, QUICK)
    device.wanted.release()
    with pytest.raises(SourceError, match="broken for good"):
        until(source, Frame)
    source.close()
    assert device.closed == 1


def test_close_while_the_device_is_gone_ends_reading() -> None:
    devices = [Scripted([DeviceGone("unplugged")], FakeClock())]

    def connect() -> Scripted:
        if not devices:
            raise DeviceError("still not there")
        return devices.pop()

    first = devices[0]
    source = LiveSource(connect, QUICK)
    first.wanted.release()
    while not (isinstance(item := source.read(), Stalled) and item.reason):
        pass
    assert item.reason == "unplugged; trying again"
    source.close()
    source.close()
    assert source.read() is None


def test_large_live_pictures_are_scaled_down_and_mirrored() -> None:
    device = Scripted([1], FakeClock(), size=(3840, 2160))
    source = LiveSource(lambda: device, CaptureSettings(mirror=True))
    assert source.size == (1280, 720)
    assert source.describe() == "a script, scaled to 1280x720"
    device.wanted.release()
    assert take(source, 1)[0].pixels.shape == (720, 1280, 3)
    device.wanted.release()
    source.close()


# Streams, from a real server on the loopback interface


class Server(ThreadingHTTPServer):
    """Sends ``body`` and then ``ends`` by closing, or stalls with the connection open."""

    daemon_threads = True
    body = b""
    kind = "video/mp4"
    length: int | None = None
    stalls = False
    requests = 0

    def __init__(self) -> None:
        self.released = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/x"

    def stop(self) -> None:
        self.released.set()
        self.shutdown()
        self.thread.join()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        self.send_response(200)
        self.send_header("Content-Type", self.server.kind)
        if self.server.length is not None:
            self.send_header("Content-Length", str(self.server.length))
        self.end_headers()
        try:
            self.wfile.write(self.server.body)
            if self.server.stalls:
                self.wfile.flush()
                self.server.released.wait(10)
        except OSError:
            pass
        self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


def multipart(pictures: list[np.ndarray]) -> bytes:
    parts = []
    for pixels in pictures:
        jpeg = cv2.imencode(".jpg", pixels)[1].tobytes()
        parts.append(b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(jpeg), jpeg))
    return b"".join(parts)


def clip_bytes(tmp_path: Path, count: int = 40) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (count, 48, 64, 3), np.uint8)
    return write_clip(tmp_path / "clip.mp4", list(noise), options={"movflags": "faststart"}).read_bytes()


def test_clip_over_http_ends_where_it_ends(tmp_path: Path, server: Server) -> None:
    server.body = write_clip(
        tmp_path / "a.mp4", [quadrants(64, 48)] * 5, options={"movflags": "faststart"}
    ).read_bytes()
    server.length = len(server.body)
    source = open_source(server.url, QUICK, SystemClock())
    assert source.live and source.path is None
    assert f"clip {server.url}: 64x48 at 30 fps" in source.describe()
    frame = take(source, 1)[0]
    assert np.abs(corners(frame.pixels) - corners(quadrants(64, 48))).max() <= 25
    assert until(source, None) is None
    source.close()


@pytest.mark.parametrize("stalls", [False, True], ids=["stops", "stalls"])
def test_clip_that_breaks_off_is_a_clear_error(tmp_path: Path, server: Server, stalls: bool) -> None:
    whole = clip_bytes(tmp_path)
    server.body, server.length, server.stalls = whole[: len(whole) // 2], len(whole), stalls
    source = open_source(server.url, QUICK, SystemClock())
    take(source, 2)
    with pytest.raises(SourceError, match=rf"{server.url} broke off before its end \(") as caught:
        until(source, None)
    assert "\n" not in str(caught.value)
    source.close()


def test_stream_that_ends_is_opened_again(server: Server) -> None:
    server.kind = "multipart/x-mixed-replace; boundary=b"
    server.body = multipart([quadrants(64, 48)] * 3)
    source = open_source(server.url, QUICK, SystemClock())
    assert f"stream {server.url}: 64x48" in source.describe()
    take(source, 2)
    connections = server.requests
    while server.requests < connections + 2:
        take(source, 1)
    source.close()


def test_stream_that_stalls_is_reported_and_opened_again(server: Server) -> None:
    server.kind, server.stalls = "multipart/x-mixed-replace; boundary=b", True
    server.body = multipart([quadrants(64, 48)] * 30)
    source = open_source(server.url, QUICK, SystemClock())
    take(source, 1)
    assert isinstance(until(source, Stalled), Stalled)
    connections = server.requests
    while server.requests == connections:
        until(source, Stalled)
    take(source, 1)
    source.close()


def test_stream_that_cannot_be_opened(server: Server) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(SourceError, match=r"cannot be opened \(Connection refused\); check the address"):
        open_source(f"http://user:secret@127.0.0.1:{port}/x", QUICK, SystemClock())
    server.body = b"no video"
    with pytest.raises(SourceError, match="cannot be opened"):
        open_source(server.url, QUICK, SystemClock())


def test_kind_of_stream_that_this_ffmpeg_lacks() -> None:
    with pytest.raises(SourceError, match="built without srt; send the stream as rtsp|did not answer|cannot be opened"):
        open_source("srt://127.0.0.1:9", QUICK, SystemClock())


def test_address_that_is_none() -> None:
    with pytest.raises(SourceError, match=r"is no address \(Invalid IPv6 URL\); wanted one such as rtsp://"):
        open_source("http://[::1", QUICK, SystemClock())


def test_stream_that_never_answers(server: Server) -> None:
    server.stalls = True
    with pytest.raises(SourceError, match=r"did not answer within 0.3 s; check the address"):
        open_source(server.url, CaptureSettings(open_timeout_ms=300), SystemClock())


def test_passwords_are_not_shown() -> None:
    assert without_password("rtsp://me:secret@cam.local:554/a?b=c") == "rtsp://cam.local:554/a?b=c"
    assert without_password("http://host/x") == "http://host/x"


# The screen


def test_screen_without_a_display_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.name != "posix":
        pytest.skip("only X11 can be missing")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(DeviceError, match="no screen can be captured .*; start it from a desktop session"):
        open_source("screen", QUICK, SystemClock())


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A real X server of 320 x 240, on a number that it picks itself."""
    program = shutil.which("Xvfb")
    if program is None:
        pytest.skip("needs Xvfb")
    reading, writing = os.pipe()
    server = subprocess.Popen(
        [program, "-displayfd", str(writing), "-screen", "0", "320x240x24", "-nolisten", "tcp"],
        pass_fds=(writing,),
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as told:
        number = told.readline().strip()
    monkeypatch.setenv("DISPLAY", f":{number}")
    yield f":{number}"
    server.terminate()
    server.wait()


@pytest.mark.parametrize(
    ("text", "size", "described"),
    [("screen", (320, 240), "screen 0,0,320x240 at 30 fps"), ("screen:10,20,65x33", (65, 33), "screen 10,20,65x33")],
)
def test_screen_region(display: str, text: str, size: tuple[int, int], described: str) -> None:
    source = open_source(text, QUICK, SystemClock())
    assert described in source.describe()
    frames = take(source, 2)
    assert source.size == size
    assert frames[0].pixels.shape == (size[1], size[0], 3)
    assert frames[1].captured_ns > frames[0].captured_ns
    source.close()


def test_region_outside_the_screen(display: str) -> None:
    with pytest.raises(DeviceError, match="the region 300,0,65x33 is not on the screen, which is 0,0,320x240"):
        open_source("screen:300,0,65x33", QUICK, SystemClock())

"""The page, asked by a real client over the loopback interface, and by a real browser where there is one."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.clock import SystemClock
from realtime.errors import OutputError
from realtime.frames import Picture
from realtime.outputs.page import MOST_VIEWERS, PageOutput
from realtime.settings import OutputSettings
from tests.realtime.clips import corners, grey, quadrants

SIZE = (64, 48)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture
def page() -> Iterator[PageOutput]:
    made = PageOutput(SIZE, "0", OutputSettings(page_token="secret"))
    yield made
    made.close()


def port(page: PageOutput) -> int:
    return int(page.url.split(":")[2].split("/")[0])


class Client:
    """One HTTP connection, closed at the end of the test."""

    def __init__(self, page: PageOutput, path: str, **headers: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port(page), timeout=5)
        self.connection.request("GET", path, headers=headers)
        self.answer = self.connection.getresponse()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.close()
        self.connection.close()

    def part(self) -> np.ndarray:
        """The next picture of a stream, BGR."""
        length = 0
        while (line := self.answer.readline()) != b"\r\n" or not length:
            assert line, "the stream has ended"
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return cv2.imdecode(np.frombuffer(self.answer.read(length), np.uint8), cv2.IMREAD_COLOR)


def watch(page: PageOutput) -> Client:
    return Client(page, "/stream?token=secret")


def send(page: PageOutput, *values: int) -> None:
    for value in values:
        page.send(Picture(value, value, grey(*SIZE, value)))


def test_page_shows_the_stream_with_its_own_token(page: PageOutput) -> None:
    assert page.describe() == f"page http://127.0.0.1:{port(page)}/?token=secret"
    with Client(page, "/?token=secret") as client:
        assert client.answer.status == 200
        assert client.answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in client.answer.headers["Content-Security-Policy"]
        body = client.answer.read().decode()
    assert '"stream" + location.search' in body


@pytest.mark.parametrize("path", ["/", "/?token=", "/?token=Secret", "/stream", "/stream?token=secre", "/x?token=no"])
def test_without_the_token_nothing_is_shown(page: PageOutput, path: str) -> None:
    with Client(page, path) as client:
        assert client.answer.status == 403
        assert b"open the whole address that the program shows" in client.answer.read()


def test_another_host_name_is_refused(page: PageOutput) -> None:
    with Client(page, "/?token=secret", Host="evil.example") as client:
        assert client.answer.status == 403
    with Client(page, "/?token=secret", Host=f"localhost:{port(page)}") as client:
        assert client.answer.status == 200


def test_unknown_path(page: PageOutput) -> None:
    with Client(page, "/etc/passwd?token=secret") as client:
        assert client.answer.status == 404


def test_only_this_computer_is_served(page: PageOutput) -> None:
    assert page._server.server_address[0] == "127.0.0.1"


def test_tokens_differ_from_run_to_run() -> None:
    pages = [PageOutput(SIZE, "0", OutputSettings()) for _ in range(2)]
    tokens = {made.url.partition("token=")[2] for made in pages}
    for made in pages:
        made.close()
    assert len(tokens) == 2 and all(len(token) >= 16 for token in tokens)


def test_stream_shows_each_picture(page: PageOutput) -> None:
    with watch(page) as client:
        assert client.answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=picture"
        assert client.answer.headers["Cache-Control"] == "no-store"
        page.send(Picture(0, 0, quadrants(*SIZE)))
        assert np.abs(corners(client.part()) - corners(quadrants(*SIZE))).max() <= 12
        for value in (50, 150):
            send(page, value)
            assert np.abs(client.part().astype(int) - value).max() <= 2


def test_slow_viewer_gets_the_newest_and_delays_nobody(page: PageOutput) -> None:
    with watch(page) as slow, watch(page) as quick:
        rng = np.random.default_rng(0)
        for index in range(300):  # far more than the sockets between can hold
            page.send(Picture(index, index, rng.integers(0, 255, (48, 64, 3), np.uint8)))
        send(page, 200)
        while abs(int(quick.part().mean()) - 200) > 2:
            pass
        while abs(int(slow.part().mean()) - 200) > 2:
            pass
        assert len(page._newest._jpeg) < 10_000


def test_without_viewers_nothing_is_encoded(page: PageOutput) -> None:
    send(page, 1, 2, 3)
    assert page._newest._jpeg == b""


def test_too_many_viewers(page: PageOutput) -> None:
    clients = [watch(page) for _ in range(MOST_VIEWERS)]
    assert {client.answer.status for client in clients} == {200}
    with watch(page) as one_more:
        assert one_more.answer.status == 503
    for client in clients:
        client.__exit__()


def test_viewer_that_leaves_makes_room(page: PageOutput) -> None:
    for _ in range(MOST_VIEWERS + 2):
        with watch(page) as client:
            send(page, 100)
            client.part()
        value = 0
        while page._newest._viewers:  # the server notices at its next pictures that nobody listens
            send(page, value := (value + 1) % 256)


def test_closing_ends_the_streams_and_frees_the_port(page: PageOutput) -> None:
    number = port(page)
    with watch(page) as client:
        send(page, 100)
        client.part()
        page.close()
        page.close()
        assert client.answer.read() == b"\r\n--picture\r\n"
    send(page, 5)
    again = PageOutput(SIZE, str(number), OutputSettings())
    again.close()
    assert "page" not in {thread.name for thread in threading.enumerate()}


def test_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(
            OutputError, match=rf"cannot be served at 127.0.0.1:{number} \(Address already in use\); cho"
        ):
            PageOutput(SIZE, str(number), OutputSettings())


def test_page_can_be_a_source(page: PageOutput) -> None:
    from realtime.capture import open_source
    from realtime.frames import Frame
    from realtime.settings import CaptureSettings

    stopped = threading.Event()

    def play() -> None:
        while not stopped.wait(0.01):
            page.send(Picture(0, 0, quadrants(*SIZE)))

    player = threading.Thread(target=play)
    player.start()
    try:
        source = open_source(page.url.replace("/?", "/stream?"), CaptureSettings(), SystemClock())
        frame = next(item for item in iter(source.read, None) if isinstance(item, Frame))
        source.close()
    finally:
        stopped.set()
        player.join()
    assert np.abs(corners(frame.pixels) - corners(quadrants(*SIZE))).max() <= 25


def test_browser_shows_the_picture(page: PageOutput, tmp_path: Path) -> None:
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip("needs Chromium")
    stopped = threading.Event()

    def play() -> None:
        while not stopped.wait(0.03):
            page.send(Picture(0, 0, quadrants(*SIZE)))

    player = threading.Thread(target=play)
    player.start()
    shot = tmp_path / "shot.png"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=320,240"]
    options += [f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={shot}"]
    wanted = corners(quadrants(320, 240))
    try:
        for patience_ms in (2000, 10_000, 30_000):  # a busy machine may need long to start a browser
            command = [browser, *options, f"--timeout={patience_ms}", page.url]
            subprocess.run(command, check=True, timeout=120, capture_output=True)
            error = np.abs(corners(cv2.imread(str(shot))) - wanted).max()
            if error <= 25:
                break
    finally:
        stopped.set()
        player.join()
    assert error <= 25

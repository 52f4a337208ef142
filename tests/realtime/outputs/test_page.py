"""The page, asked by a real client over the loopback interface, and by a real browser where there is one."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from realtime import configuration
from realtime.clock import SystemClock
from realtime.errors import OutputError
from realtime.frames import Picture
from realtime.outputs.page import MOST_VIEWERS, PageOutput
from realtime.settings import EditingSettings, OutputSettings, Settings
from realtime.wardrobe import Wardrobe
from tests.realtime.clips import corners, grey, quadrants

SIZE = (64, 48)
JSON = {"Content-Type": "application/json"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture
def page() -> Iterator[PageOutput]:
    made = PageOutput(SIZE, "0", OutputSettings(page_token="secret"))
    yield made
    made.close()


@pytest.fixture
def changing() -> Iterator[tuple[PageOutput, list[EditingSettings]]]:
    """A page that changes what is worn, and what it asked for."""
    worn: list[EditingSettings] = []
    wardrobe = Wardrobe(Settings(), configuration.styles(), configuration.edits(), worn.append)
    made = PageOutput(SIZE, "0", OutputSettings(page_token="secret"), wardrobe)
    yield made, worn
    made.close()


def port(page: PageOutput) -> int:
    return int(page.url.split(":")[2].split("/")[0])


class Client:
    """One HTTP connection, closed at the end of the test."""

    def __init__(self, page: PageOutput, path: str, body: bytes | None = None, **headers: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port(page), timeout=5)
        self.connection.request("GET" if body is None else "POST", path, body, headers)
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


def post(
    page: PageOutput, body: bytes, path: str = "/choice?token=secret", **headers: str
) -> tuple[int, dict[str, Any]]:
    with Client(page, path, body, **{**JSON, **headers}) as client:
        content = client.answer.read()
        return client.answer.status, json.loads(content) if client.answer.status != 403 else {}


def test_what_is_worn_is_told_and_changed(changing: tuple[PageOutput, list[EditingSettings]]) -> None:
    page, worn = changing
    address = f"http://127.0.0.1:{port(page)}"
    assert page.describe() == f"page {address}/?token=secret; change what is worn: {address}/wear?token=secret"
    with Client(page, "/wear?token=secret") as client:
        assert client.answer.status == 200 and b'"choice" + location.search' in client.answer.read()
        assert "connect-src 'self'" in client.answer.headers["Content-Security-Policy"]
    with Client(page, "/choice?token=secret") as client:
        told = json.loads(client.answer.read())
    assert told["worn"] == {"style": "toon", "strength": 1.0, "edits": {}} and "princess" in told["styles"]
    status, told = post(page, b'{"style": "clay+glasses", "edits": {"smile": 0.5}}')
    assert status == 200 and told["worn"] == {"style": "clay+glasses", "strength": 1.0, "edits": {"smile": 0.5}}
    assert [(w.style, dict(w.edits)) for w in worn] == [("clay+glasses", {"smile": 0.5})]


@pytest.mark.parametrize(
    ("body", "headers", "told"),
    [
        (b'{"style": "clya"}', {}, "did you mean clay"),
        (b'{"strength": NaN}', {}, "wanted a number from 0 to 1"),
        (b"{", {}, "that is no JSON"),
        (b"\xff", {}, "that is no JSON"),
        (b"[" * 9000, {}, "that is no JSON"),
        (b" " * 10_001, {}, "of at most 10000"),
        (b"{}", {"Content-Type": "text/plain"}, "got text/plain of 2 bytes; wanted application/json"),
    ],
)
def test_what_is_no_choice_is_refused_with_the_reason(
    body: bytes, headers: dict[str, str], told: str, changing: tuple[PageOutput, list[EditingSettings]]
) -> None:
    page, worn = changing
    status, answer = post(page, body, **headers)
    assert (status, worn) == (400, []) and told in answer["error"]


def test_only_who_has_the_token_changes_anything(
    page: PageOutput, changing: tuple[PageOutput, list[EditingSettings]]
) -> None:
    other, worn = changing
    for path, headers in (("/choice", {}), ("/choice?token=x", {}), ("/choice?token=secret", {"Host": "evil.example"})):
        assert post(other, b"{}", path, **headers)[0] == 403
    assert not worn
    for path, body in (("/wear", None), ("/choice", None), ("/choice", b"{}"), ("/stream", b"{}")):
        with Client(page, f"{path}?token=secret", body, **JSON) as client:
            assert client.answer.status == (404 if path != "/stream" or body else 200), "this page changes nothing"


def browser_with(folder: Path, url: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    """What a real browser says of a page. Skips where there is none."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip("needs Chromium")
    quiet = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking")
    command = [browser, *quiet, f"--user-data-dir={folder / 'profile'}", *options, url]
    return subprocess.run(command, check=True, timeout=120, capture_output=True)


def test_browser_offers_what_there_is(changing: tuple[PageOutput, list[EditingSettings]], tmp_path: Path) -> None:
    page, _ = changing
    address = page.url.replace("/?", "/wear?")
    for patience_ms in (3000, 10_000, 30_000):
        shown = browser_with(tmp_path, address, f"--timeout={patience_ms}", "--dump-dom").stdout.decode()
        if 'data-style="princess"' in shown:
            break
    for name in configuration.edits():
        assert f'name="{name}"' in shown
    assert 'data-style="toon" aria-pressed="true"' in shown and 'data-style="clay" aria-pressed="false"' in shown


def test_browser_shows_the_picture(page: PageOutput, tmp_path: Path) -> None:
    stopped = threading.Event()

    def play() -> None:
        while not stopped.wait(0.03):
            page.send(Picture(0, 0, quadrants(*SIZE)))

    player = threading.Thread(target=play)
    player.start()
    shot = tmp_path / "shot.png"
    wanted = corners(quadrants(320, 240))
    try:
        for patience_ms in (2000, 10_000, 30_000):  # a busy machine may need long to start a browser
            options = ("--window-size=320,240", f"--screenshot={shot}", f"--timeout={patience_ms}")
            browser_with(tmp_path, page.url, *options)
            error = np.abs(corners(cv2.imread(str(shot))) - wanted).max()
            if error <= 25:
                break
    finally:
        stopped.set()
        player.join()
    assert error <= 25

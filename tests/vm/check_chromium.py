"""A web page in Debian's Chromium sees the virtual camera by getUserMedia, with moving pictures."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from rig import VIRTUAL, VIRTUAL_LABEL, WEBCAM, WEBCAM_LABEL, Player, Program, load, record, unload

CHROMIUM = shutil.which("chromium")
PAGE = Path(__file__).with_name("browser.html").read_bytes()
WAIT_S = 240
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required", "--user-data-dir=/tmp/chromium",
    "--enable-logging=stderr",
)  # fmt: skip


@pytest.fixture(autouse=True)
def devices() -> Iterator[None]:
    load("webcam", WEBCAM, WEBCAM_LABEL)
    load("v4l2loopback", VIRTUAL, VIRTUAL_LABEL)
    yield
    Player.stop_all()
    for module in ("webcam", "v4l2loopback"):
        unload(module)


class Server(HTTPServer):
    """Hands out the page and keeps what it tells."""

    def __init__(self) -> None:
        self.told: dict | None = None
        self.heard = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:  # noqa: N802
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE)

    def do_POST(self) -> None:  # noqa: N802
        self.server.told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        self.server.heard.set()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.mark.skipif(CHROMIUM is None, reason="the image has no chromium (VM_PACKAGES)")
def test_a_page_sees_the_virtual_camera_move() -> None:
    assert CHROMIUM is not None
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Player((640, 480), 15), Program("--fps", "15") as program:
        program.running()
        address = f"http://127.0.0.1:{server.server_port}/#{quote(VIRTUAL_LABEL)}"
        with Path("/tmp/chromium.log").open("w") as log:
            browser = subprocess.Popen([CHROMIUM, *FLAGS, address], stdout=log, stderr=log)
        heard = server.heard.wait(WAIT_S)
        browser.kill()
        browser.wait()
        program.stop()
    server.shutdown()
    log_end = Path("/tmp/chromium.log").read_text(errors="replace")[-3000:]
    assert heard, f"the page told nothing within {WAIT_S} s; {log_end}"
    told = server.told
    version = subprocess.run([CHROMIUM, "--version"], capture_output=True, text=True).stdout.strip()
    record("chromium", version=version, **told)
    assert "error" not in told, (told, log_end)
    assert (told["width"], told["height"]) == (640, 480)
    assert told["pictures"] > 5, "the pictures do not move"

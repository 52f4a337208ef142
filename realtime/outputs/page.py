"""A page on this computer that shows the picture: for a browser, and for OBS's browser source.

A second page changes what is worn (``realtime.wardrobe``): ``/wear`` is for people, ``/choice`` is the same as JSON.

Only programs of this computer reach it (127.0.0.1), and only with the secret token in its address: any web page that
happens to be open could otherwise show the picture, too. The picture goes out as a multipart stream of JPEGs, always
the newest: a slow browser misses pictures, it never delays them. Without a browser nothing is encoded.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, urlsplit

import cv2

from realtime.errors import AvatarLiveError, OutputError, UsageError
from realtime.frames import Picture, Pixels
from realtime.outputs.base import checked_pixels
from realtime.settings import OutputSettings
from realtime.wardrobe import Wardrobe

HOST = "127.0.0.1"
PORT = 8478
JPEG_QUALITY = 90
MOST_VIEWERS = 8
MOST_BYTES = 10_000  # of a choice
SOCKET_S = 2.0
BOUNDARY = b"picture"
SECURITY = (
    "default-src 'none'; img-src 'self'; connect-src 'self'; script-src 'self' 'unsafe-inline'; "
    "style-src 'unsafe-inline'"
)


class NewestJpeg:
    """The newest picture, encoded when somebody watches; many threads wait for the next one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._jpeg = b""
        self._number = 0
        self._viewers = 0
        self._closed = False

    def put(self, pixels: Pixels) -> None:
        """Take the place of the picture before, uint8 BGR [height, width, 3]."""
        with self._changed:
            if not self._viewers:
                return
        _, jpeg = cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
        with self._changed:
            self._jpeg, self._number = jpeg.tobytes(), self._number + 1
            self._changed.notify_all()

    def enter(self) -> bool:
        """Count a viewer in; false when there are too many, or at the end."""
        with self._changed:
            if self._closed or self._viewers >= MOST_VIEWERS:
                return False
            self._viewers += 1
            return True

    def leave(self) -> None:
        """Count a viewer out."""
        with self._changed:
            self._viewers -= 1

    def after(self, number: int) -> tuple[int, bytes] | None:
        """The newest picture that came after ``number``, with its own number; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._number > number)
            return None if self._closed else (self._number, self._jpeg)

    def close(self) -> None:
        """Let every viewer go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class PageServer(ThreadingHTTPServer):
    """The server; closing it waits for its viewers, whom ``newest.close()`` has let go, or SOCKET_S has."""

    daemon_threads = False
    block_on_close = True
    allow_reuse_address = True

    def __init__(self, port: int, token: str, newest: NewestJpeg, wardrobe: Wardrobe | None) -> None:
        self.token, self.newest, self.wardrobe = token, newest, wardrobe
        web = resources.files("realtime").joinpath("web")
        self.pages = {"/": web.joinpath("index.html").read_bytes()}
        if wardrobe is not None:
            self.pages["/wear"] = web.joinpath("wear.html").read_bytes()
        super().__init__((HOST, port), PageHandler)


class PageHandler(BaseHTTPRequestHandler):
    """``/`` is the page, ``/stream`` the pictures, ``/wear`` and ``/choice`` what is worn; all want ``?token=``."""

    server: PageServer
    timeout = SOCKET_S
    server_version = "avatar-live"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer one request."""
        path = self._asked_for()
        if path in self.server.pages:
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", self.server.pages[path])
        elif path == "/stream":
            self._send_stream()
        elif path == "/choice" and self.server.wardrobe is not None:
            self._send_json(HTTPStatus.OK, self.server.wardrobe.choice())
        elif path is not None:
            self.send_error(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """Wear something else."""
        path, wardrobe = self._asked_for(), self.server.wardrobe
        if path is None:
            return
        if path != "/choice" or wardrobe is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            wardrobe.change(self._read_json())
        except (AvatarLiveError, ValueError) as error:
            self._send_json(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        else:
            self._send_json(HTTPStatus.OK, wardrobe.choice())

    def _asked_for(self) -> str | None:
        """The path, for who may ask; others are told so."""
        address = urlsplit(self.path)
        if self._is_local() and self._has_token(address.query):
            return address.path
        self.send_error(HTTPStatus.FORBIDDEN, "open the whole address that the program shows, with its token")
        return None

    def _read_json(self) -> object:
        """What was sent. Raises UsageError."""
        kind, length = self.headers.get_content_type(), self.headers.get("Content-Length", "")
        if kind != "application/json" or not length.isdecimal() or int(length) > MOST_BYTES:
            raise UsageError(
                f"got {kind} of {length or 'unknown'} bytes; wanted application/json of at most {MOST_BYTES}"
            )
        try:
            return json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            raise UsageError(f"that is no JSON: {error}") from None

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: the terminal belongs to the status line."""

    def _is_local(self) -> bool:
        """Whether the browser asked for this computer by its own name (another name is another site's trick)."""
        port = self.server.server_address[1]
        return self.headers.get("Host") in (f"{HOST}:{port}", f"localhost:{port}")

    def _has_token(self, query: str) -> bool:
        given = parse_qs(query).get("token", [""])[0]
        return hmac.compare_digest(given.encode(), self.server.token.encode())

    def _send_json(self, status: HTTPStatus, value: Any) -> None:
        self._send(status, "application/json", json.dumps(value).encode())

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", SECURITY)
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def _send_stream(self) -> None:
        if not self.server.newest.enter():
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, "too many viewers")
            return
        try:
            self._send_pictures()
        except OSError:  # the browser went away, or stopped reading
            self.close_connection = True
        finally:
            self.server.newest.leave()

    def _send_pictures(self) -> None:
        """Each picture is followed by the next boundary at once: browsers show it only when they have seen that."""
        self.close_connection = True
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY.decode()}")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        self.wfile.write(b"--%s\r\n" % BOUNDARY)
        number = 0
        while (item := self.server.newest.after(number)) is not None:
            number, jpeg = item
            head = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
            self.wfile.write(head + jpeg + b"\r\n--%s\r\n" % BOUNDARY)


class PageOutput:
    """The page as an output.

    port: its number as text, or "" for 8478; 0 takes any that is free. wardrobe: without it nothing can be changed.
    Raises UsageError when that is no port, OutputError when it is taken.
    """

    wants_pacing = False
    wants_stop = False

    def __init__(
        self, size: tuple[int, int], port: str, settings: OutputSettings, wardrobe: Wardrobe | None = None
    ) -> None:
        self._size = size
        self._newest = NewestJpeg()
        self._token = settings.page_token or secrets.token_urlsafe(12)
        number = _port(port)
        try:
            self._server = PageServer(number, self._token, self._newest, wardrobe)
        except OSError as error:
            raise OutputError(
                f"the page cannot be served at {HOST}:{number} ({error.strerror}); "
                f"choose another port, such as --output page:{number + 1 if number < 65535 else PORT}"
            ) from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="page", daemon=True)
        self._thread.start()
        self._open = True

    @property
    def url(self) -> str:
        """The address to open, with its token."""
        return self._address("/")

    def describe(self) -> str:
        """The addresses to open: the picture, and what changes what is worn."""
        change = f"; change what is worn: {self._address('/wear')}" if self._server.wardrobe is not None else ""
        return f"page {self.url}{change}"

    def _address(self, path: str) -> str:
        return f"http://{HOST}:{self._server.server_address[1]}{path}?token={self._token}"

    def send(self, picture: Picture) -> None:
        """Show the picture to whoever watches."""
        pixels = checked_pixels(picture, self._size)
        if self._open:
            self._newest.put(pixels)

    def close(self) -> None:
        """Let the browsers go and close the port; again does nothing."""
        if self._open:
            self._open = False
            self._newest.close()
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


def _port(text: str) -> int:
    if not text:
        return PORT
    if not text.isdecimal() or int(text) > 65535:
        raise UsageError(f"{text!r} is no port; wanted a number from 0 to 65535, such as page:{PORT}")
    return int(text)

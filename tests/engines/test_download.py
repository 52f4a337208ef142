"""Downloads from a real server on this machine that drops, stalls, truncates, redirects and lies."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from engines.download import DownloadError, Wanted, fetch

CONTENT = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALF = len(CONTENT) // 2


class Server:
    """Answers by path with the behaviours below, and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.count: Counter[str] = Counter()
        self.behaviours: dict[str, Callable[[BaseHTTPRequestHandler, int], None]] = {}
        self.released = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                server.asked.append((path, self.headers["Range"]))
                server.count[path] += 1
                server.behaviours.get(path, send_whole)(self, server.count[path])

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *_: None  # clients hang up on purpose
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http.server_port}{path}"

    def close(self) -> None:
        self.released.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


def head(handler: BaseHTTPRequestHandler, status: int, **headers: object) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()


def start_of(handler: BaseHTTPRequestHandler) -> int:
    return int((handler.headers["Range"] or "bytes=0-").partition("=")[2].rstrip("-"))


def send(handler: BaseHTTPRequestHandler, content: bytes = CONTENT, upto: int | None = None, etag: str = '"1"') -> None:
    """A sound answer, ranges included, that may break off early."""
    start = start_of(handler) if handler.headers.get("If-Range", etag) == etag else 0
    if start >= len(content) > 0:
        head(handler, 416, Content_Range=f"bytes */{len(content)}", Content_Length=0)
        return
    span = {"Content_Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
    head(handler, 206 if start else 200, ETag=etag, Content_Length=len(content) - start, **span)
    handler.wfile.write(content[start:upto])


def send_whole(handler: BaseHTTPRequestHandler, _: int) -> None:
    send(handler)


def get(server: Server, target, *paths: str, **options):
    wanted = Wanted(
        [server.url(path) for path in paths], options.pop("byte_count", len(CONTENT)), options.pop("sha256", SHA256)
    )
    return fetch(wanted, target, wait=lambda seconds: None, **options)


def test_a_whole_file_is_installed_and_progress_told(server, tmp_path):
    told = []
    got = get(server, tmp_path / "new" / "f", "/f", progress=lambda done, total: told.append((done, total)))
    assert got.path.read_bytes() == CONTENT
    assert (got.byte_count, got.sha256, got.url) == (len(CONTENT), SHA256, server.url("/f"))
    assert told[0] == (0, len(CONTENT)) and told[-1] == (len(CONTENT), len(CONTENT)) and told == sorted(told)
    assert [p.name for p in got.path.parent.iterdir()] == ["f"]


def test_a_dropped_connection_is_resumed(server, tmp_path):
    server.behaviours["/f"] = lambda handler, nth: send(handler, upto=min(nth * 100_000, len(CONTENT)))
    assert get(server, tmp_path / "f", "/f").path.read_bytes() == CONTENT
    assert server.asked[:3] == [("/f", None), ("/f", "bytes=100000-"), ("/f", "bytes=200000-")]


def test_a_later_call_takes_up_what_an_earlier_one_left(server, tmp_path):
    server.behaviours["/f"] = lambda handler, nth: send(handler, upto=HALF)
    with pytest.raises(DownloadError, match=rf"ended after {HALF} of {len(CONTENT)} bytes \(2 attempts\)"):
        get(server, tmp_path / "f", "/f", attempts=2)
    assert (tmp_path / "f.part").stat().st_size == HALF
    server.behaviours.clear()
    get(server, tmp_path / "f", "/f")
    assert server.asked[-1] == ("/f", f"bytes={HALF}-")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f"]


def test_a_server_that_stalls_is_given_up_and_resumed(server, tmp_path):
    def stall(handler: BaseHTTPRequestHandler, nth: int) -> None:
        send(handler, upto=HALF if nth == 1 else None)
        if nth == 1:
            handler.wfile.flush()
            server.released.wait(20)

    server.behaviours["/f"] = stall
    assert get(server, tmp_path / "f", "/f", timeout_s=0.2).path.read_bytes() == CONTENT
    assert server.asked[1] == ("/f", f"bytes={HALF}-")


def test_a_server_that_never_answers_is_given_up(server, tmp_path):
    server.behaviours["/f"] = lambda handler, nth: server.released.wait(20)
    with pytest.raises(DownloadError, match=r"no answer .* \(2 attempts\); .*/g: the server answered 404"):
        server.behaviours["/g"] = lambda handler, nth: head(handler, 404, Content_Length=0)
        get(server, tmp_path / "f", "/f", "/g", timeout_s=0.1, attempts=2)


def test_a_changed_file_is_fetched_anew(server, tmp_path):
    other = bytes(len(CONTENT))
    server.behaviours["/f"] = lambda handler, nth: (
        send(handler, other, upto=HALF, etag='"0"') if nth == 1 else send(handler)
    )
    assert get(server, tmp_path / "f", "/f").path.read_bytes() == CONTENT
    assert server.asked[1][1] == f"bytes={HALF}-" and server.count["/f"] == 2


def test_pieces_of_two_versions_are_fetched_anew(server, tmp_path):
    (tmp_path / "f.part").write_bytes(bytes(HALF))  # another version's start, nothing known about it
    server.behaviours["/f"] = lambda handler, nth: send(handler)
    assert get(server, tmp_path / "f", "/f").path.read_bytes() == CONTENT
    assert server.asked == [("/f", f"bytes={HALF}-"), ("/f", None)]


def test_a_server_without_ranges_starts_again(server, tmp_path):
    def plain(handler: BaseHTTPRequestHandler, nth: int) -> None:
        head(handler, 200, Content_Length=len(CONTENT))
        handler.wfile.write(CONTENT[: HALF if nth == 1 else None])

    server.behaviours["/f"] = plain
    assert get(server, tmp_path / "f", "/f").path.read_bytes() == CONTENT


def test_another_part_than_asked_for_is_refused(server, tmp_path):
    def shifted(handler: BaseHTTPRequestHandler, nth: int) -> None:
        if handler.headers["Range"]:
            head(handler, 206, Content_Range=f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}", Content_Length=len(CONTENT))
            handler.wfile.write(CONTENT)
        else:
            send(handler, upto=HALF if nth == 1 else None)

    server.behaviours["/f"] = shifted
    assert get(server, tmp_path / "f", "/f").path.read_bytes() == CONTENT


def test_redirects_are_followed_up_to_a_limit(server, tmp_path):
    server.behaviours["/a"] = lambda handler, nth: head(handler, 302, Location="/b?x=1", Content_Length=0)
    server.behaviours["/b"] = lambda handler, nth: head(handler, 307, Location=server.url("/f"), Content_Length=0)
    assert get(server, tmp_path / "f", "/a").path.read_bytes() == CONTENT
    server.behaviours["/loop"] = lambda handler, nth: head(handler, 301, Location="/loop", Content_Length=0)
    with pytest.raises(DownloadError, match="more than 5 redirects"):
        get(server, tmp_path / "g", "/loop")


@pytest.mark.parametrize("address", ["http://example.org/f", "ftp://127.0.0.1/f", "file:///etc/passwd"])
def test_only_https_is_followed(server, tmp_path, address):
    server.behaviours["/a"] = lambda handler, nth: head(handler, 302, Location=address, Content_Length=0)
    with pytest.raises(DownloadError, match=f"the address '{address}' is not https"):
        get(server, tmp_path / "f", "/a")


def test_unsound_redirects_are_refused(server, tmp_path):
    server.behaviours["/a"] = lambda handler, nth: head(handler, 302, Location="https://[x/f", Content_Length=0)
    with pytest.raises(DownloadError, match="is not sound"):
        get(server, tmp_path / "f", "/a")


def test_a_lie_about_the_content_keeps_what_was_there(server, tmp_path):
    lie = bytes(len(CONTENT))
    (tmp_path / "f").write_bytes(b"mine")
    server.behaviours["/f"] = lambda handler, nth: send(handler, lie)
    got = hashlib.sha256(lie).hexdigest()
    with pytest.raises(
        DownloadError, match=f"the file is wrong: got {len(lie)} bytes with SHA-256 {got}, wanted {SHA256}"
    ):
        get(server, tmp_path / "f", "/f")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("f", b"mine")]


def test_a_mirror_helps_where_the_first_address_fails(server, tmp_path):
    server.behaviours["/wrong"] = lambda handler, nth: send(handler, bytes(len(CONTENT)))
    server.behaviours["/gone"] = lambda handler, nth: head(handler, 404, Content_Length=0)
    server.behaviours["/page"] = lambda handler, nth: head(
        handler, 200, Content_Type="text/html; charset=utf-8", Content_Length=0
    )
    got = get(server, tmp_path / "f", "/wrong", "/gone", "/page", "/f")
    assert got.url == server.url("/f") and got.path.read_bytes() == CONTENT


def test_lies_about_the_length_are_found(server, tmp_path):
    server.behaviours["/short"] = lambda handler, nth: send(handler, CONTENT[:-1])
    with pytest.raises(DownloadError, match=f"the server's file has {len(CONTENT) - 1} bytes, wanted {len(CONTENT)}"):
        get(server, tmp_path / "f", "/short")

    def endless(handler: BaseHTTPRequestHandler, nth: int) -> None:
        head(handler, 200)
        while not server.released.is_set():
            handler.wfile.write(CONTENT)

    server.behaviours["/endless"] = endless
    with pytest.raises(DownloadError, match=f"sends more than the {len(CONTENT)} bytes that it should"):
        get(server, tmp_path / "f", "/endless")
    assert list(tmp_path.iterdir()) == []


def test_errors_of_the_server_are_tried_again(server, tmp_path):
    server.behaviours["/f"] = lambda handler, nth: head(handler, 503, Content_Length=0) if nth < 4 else send(handler)
    waits = []
    wanted = Wanted([server.url("/f")], len(CONTENT), SHA256)
    fetch(wanted, tmp_path / "f", wait=waits.append)
    assert waits == [2, 4, 8]


def test_a_web_page_is_named_as_such(server, tmp_path):
    server.behaviours["/f"] = lambda handler, nth: head(handler, 200, Content_Type="text/html", Content_Length=0)
    with pytest.raises(DownloadError, match="sent a web page instead of the file"):
        get(server, tmp_path / "f", "/f", byte_count=None, sha256=None)


def test_a_file_of_unknown_size_and_hash_is_taken_as_it_comes(server, tmp_path):
    def unsized(handler: BaseHTTPRequestHandler, nth: int) -> None:
        head(handler, 200)
        handler.wfile.write(CONTENT)

    server.behaviours["/f"] = unsized
    got = get(server, tmp_path / "f", "/f", byte_count=None, sha256=None)
    assert (got.byte_count, got.sha256) == (len(CONTENT), SHA256)


def test_a_finished_part_is_installed_without_a_transfer(server, tmp_path):
    (tmp_path / "f.part").write_bytes(CONTENT)
    assert get(server, tmp_path / "f", "/f").path.read_bytes() == CONTENT
    assert server.asked == []
    (tmp_path / "g.part").write_bytes(CONTENT)
    assert get(server, tmp_path / "g", "/f", byte_count=None).path.read_bytes() == CONTENT  # the server answers 416


def test_errors_say_what_happened(tmp_path):
    with pytest.raises(DownloadError, match="there is no address to download from"):
        fetch(Wanted([]), tmp_path / "f")
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match="cannot write .*file"):
        fetch(Wanted(["https://localhost/f"]), tmp_path / "file" / "f")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/f"
        with pytest.raises(DownloadError, match=r"no answer \(Connection refused\)"):
            fetch(Wanted([url]), tmp_path / "f", attempts=1, wait=lambda seconds: None)

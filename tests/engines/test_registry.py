from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from engines.download import DownloadError
from engines.registry import Entry, ModelStore, RegistryError, default_folder, read_registry


@pytest.fixture
def site():
    """A server on this machine whose files the test sets."""
    files: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield files, f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    thread.join()
    http.server_close()


def entry(url: str, content: bytes | None = None, **changes) -> Entry:
    sha256 = None if content is None else hashlib.sha256(content).hexdigest()
    return Entry(
        **{"name": "toon", "title": "t", "file": "f.pt", "licence": "MIT", "urls": (url,), "sha256": sha256, **changes}
    )


def test_the_bundled_registry_is_sound():
    entries = read_registry()
    assert {"stylegan2-ffhq", "e4e-ffhq", "direction-age"} <= entries.keys()
    for name, bundled in entries.items():
        assert bundled.name == name and bundled.licence and bundled.page.startswith("https://")
        assert all(url.startswith("https://") for url in bundled.urls)
        assert bool(bundled.sha256) == bool(bundled.hash_from), "a hash says where it is from"


def test_bundled_hashes_are_those_of_the_published_files(golden):
    case, entries = golden("edit-directions"), read_registry()
    for name, file in (("age", "age.pt"), ("smile", "smile.pt"), ("pose", "pose.pt"), ("ganspace", "ffhq_pca.pt")):
        content = case.path(file).read_bytes()
        known = entries[f"direction-{name}"]
        assert (known.bytes, known.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_pull_list_where_verify_remove(site, tmp_path):
    files, base = site
    files["/f"] = b"weights"
    store = ModelStore(tmp_path)
    pulled = store.pull(entry(f"{base}/f", b"weights"))
    assert pulled.path == tmp_path / "toon" / "f.pt" and pulled.path.read_bytes() == b"weights"
    assert (pulled.licence, pulled.pinned, pulled.url) == ("MIT", False, f"{base}/f")
    assert [p.path for p in store.installed()] == [pulled.path] == [store.where("toon").path]
    files.clear()
    assert store.pull(entry(f"{base}/f", b"weights")).path == pulled.path  # offline for ever afterwards
    pulled.path.write_bytes(b"Weights")
    with pytest.raises(RegistryError, match="f.pt is damaged: SHA-256 .*; pull 'toon' again"):
        store.verify("toon")
    files["/f"] = b"weights"
    store.pull(entry(f"{base}/f", b"weights"))
    store.verify("toon")
    store.remove("toon")
    assert store.installed() == []
    with pytest.raises(RegistryError, match="'toon' is not in .*; there: nothing; pull it first"):
        store.where("toon")


def test_a_wrong_hash_deletes_nothing(site, tmp_path):
    files, base = site
    files["/f"] = b"weights"
    store = ModelStore(tmp_path)
    path = store.pull(entry(f"{base}/f", b"weights")).path
    path.write_bytes(b"damaged")
    files["/f"] = b"other"
    got = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(DownloadError, match=f"got 5 bytes with SHA-256 {got}.*the hash is stated by the project"):
        store.pull(entry(f"{base}/f", b"weights", hash_from="the project"))
    assert path.read_bytes() == b"damaged"


def test_without_a_stated_hash_the_first_download_is_pinned(site, tmp_path):
    files, base = site
    files["/f"] = b"first"
    store = ModelStore(tmp_path)
    assert store.pull(entry(f"{base}/f")).pinned
    store.remove("toon")
    files["/f"] = b"second"
    with pytest.raises(DownloadError, match="the hash is pinned at the first download"):
        store.pull(entry(f"{base}/f"))
    files["/f"] = b"first"
    assert store.pull(entry(f"{base}/f")).sha256 == hashlib.sha256(b"first").hexdigest()
    (tmp_path / "pins.json").write_text("[")
    store.remove("toon")
    with pytest.raises(RegistryError, match="pins.json is damaged; delete it to pin anew"):
        store.pull(entry(f"{base}/f"))


def test_files_behind_a_page_are_explained(tmp_path):
    with pytest.raises(
        RegistryError, match="by a web page only: download f.pt at https://x.org, .* models import f.pt"
    ):
        ModelStore(tmp_path).pull(entry("", urls=(), page="https://x.org"))


@pytest.mark.parametrize("name", ["..", "../x", "", "a/b"])
def test_names_stay_within_the_folder(tmp_path, name):
    with pytest.raises(RegistryError, match="is not a model's name"):
        ModelStore(tmp_path).where(name)


def test_a_damaged_record_is_named(site, tmp_path):
    files, base = site
    files["/f"] = b"weights"
    store = ModelStore(tmp_path)
    store.pull(entry(f"{base}/f", b"weights"))
    (tmp_path / "toon" / "f.pt").unlink()
    with pytest.raises(RegistryError, match="f.pt is missing; pull 'toon' again"):
        store.verify("toon")
    (tmp_path / "toon" / "download.json").write_text("{}")
    with pytest.raises(RegistryError, match="download.json is damaged; pull 'toon' again"):
        store.where("toon")
    assert store.pull(entry(f"{base}/f", b"weights")).path.is_file()


SOUND = 'title = "t"\nfile = "f"\nlicence = "MIT"\n'


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[mine]\n" + SOUND, None),
        ("[mine", "is not sound TOML"),
        ("[direction-age]\n" + SOUND, "names 'direction-age' a second time"),
        ("mine = 3", "'mine' is not an entry"),
        ('["../x"]\n' + SOUND, "'../x' is not an entry"),
        ("[mine]\n" + SOUND + "colour = 1", "mine has the unknown key 'colour'; known: bytes, file"),
        ('[mine]\ntitle = "t"\nfile = "f"', "mine lacks 'licence'"),
        ('[mine]\ntitle = "t"\nfile = "../f"\nlicence = "MIT"', "mine.file is '../f', which is not sound"),
        ("[mine]\n" + SOUND + 'sha256 = "AB"', "mine.sha256 is 'AB', which is not sound"),
        ("[mine]\n" + SOUND + "bytes = -1", "mine.bytes is '-1', which is not sound"),
        ("[mine]\n" + SOUND + 'urls = "x"', "mine.urls is 'x', which is not sound"),
    ],
)
def test_user_files_add_entries(tmp_path, text, match):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    if match is None:
        assert read_registry([file])["mine"].title == "t"
    else:
        with pytest.raises(RegistryError, match=match):
            read_registry([file])


def test_a_missing_user_file_is_named(tmp_path):
    with pytest.raises(RegistryError, match="cannot read the registry .*none.toml"):
        read_registry([tmp_path / "none.toml"])


def test_the_folder_can_be_chosen(monkeypatch):
    monkeypatch.setenv("AVATAR_LIVE_MODELS", "/somewhere")
    assert default_folder() == Path("/somewhere")
    monkeypatch.delenv("AVATAR_LIVE_MODELS")
    assert default_folder().parts[-2:] == ("avatar-live", "models")

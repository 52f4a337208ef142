"""``avatar-live models`` as a user types it: real files of public tools, a real server on this machine."""

from __future__ import annotations

import hashlib
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import pytest
from rich.console import Console
from typer.testing import CliRunner

from realtime.cli import app
from realtime.terminal_picture import terminal_picture
from tests.golden import golden

__all__ = ["golden"]
SMALL = "nv-ada-orig-32", "network-snapshot-000000.nosrc.pkl"


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder for models, wide lines."""
    monkeypatch.delenv("AVATAR_LIVE_CONFIG", raising=False)
    monkeypatch.setenv("AVATAR_LIVE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("COLUMNS", "300")
    return tmp_path / "models"


def models(*arguments: object, code: int = 0, answer: str | None = None) -> tuple[str, str]:
    """Standard output and standard error of a command that must end with ``code``."""
    result = CliRunner().invoke(app, ["models", *map(str, arguments)], input=answer)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.stdout, result.stderr


def test_a_checkpoint_is_imported_listed_verified_found_and_removed(golden, folder):
    path = golden(SMALL[0]).path(SMALL[1])
    _, said = models("import", path, "--name", "face")
    assert "imported 'face': StyleGAN2 pickle of stylegan2-ada-pytorch" in said and "32 px, 8 rows of 32" in said
    assert "licence: weights from NVIDIA's StyleGAN releases are for non-commercial use only" in said
    assert "it has no encoder; wear it on a model that has one: --model ENCODER_MODEL --blend face" in said
    sheet = folder / "face" / "contact_sheet.png"
    assert f"contact sheet: {sheet}" in said and cv2.imread(str(sheet)).shape == (256, 768, 3)
    listed, _ = models("list")
    assert "face" in listed and "nvlabs-stylegan2" in listed and "direction-age" in listed
    assert "face: whole" in models("verify")[1]
    assert models("where", "face")[0].strip() == str(folder / "face")
    assert models("where")[0].strip() == str(folder)
    assert "a model 'face' exists" in models("import", path, "--name", "face", code=1)[1]
    models("import", path, "--name", "face", "--replace")
    (folder / "face" / "generator.safetensors").write_bytes(b"damaged")
    assert "generator.safetensors is damaged: its SHA-256 is" in models("verify", "face", code=1)[1]
    models("remove", "face", code=1, answer="n\n")
    assert (folder / "face").is_dir()
    models("remove", "face", answer="y\n")
    assert "nothing called 'face' in" in models("where", "face", code=1)[1]


def test_an_encoder_with_its_generator_tells_how_to_wear_it(golden):
    _, said = models("import", golden("restyle-e4e-small-32").path("checkpoint.pt"), "--name", "me")
    assert "wear it with avatar-live --model me" in said


@pytest.mark.parametrize(
    ("file", "kind", "message"),
    [
        ("nv-sg3-stylegan3t-reject/network-snapshot-000000.nosrc.pkl", "auto", "StyleGAN3 (alias-free) network, which"),
        ("rosinality-64/checkpoint.pt", "e4e", "the file is of kind 'rosinality', not 'e4e'; leave the kind to 'auto'"),
        ("rosinality-64/checkpoint.pt", "gan", "unknown kind 'gan'; wanted auto or one of rosinality"),
        ("sefa/case.json", "auto", "neither a torch checkpoint nor a pickle; refused"),
        ("sefa/missing.pt", "auto", "missing.pt: No such file or directory; check the path"),
        ("rosinality-64/checkpoint.pt", "direction", "holds no known directions; wanted one tensor"),
    ],
)
def test_what_cannot_be_imported_is_one_line_with_the_reason(golden, folder, file, kind, message):
    case, _, name = file.partition("/")
    _, said = models("import", golden(case).path(name), "--kind", kind, code=1)
    assert message in said and len(said.strip().splitlines()) == 1
    assert not folder.exists() or not any(folder.iterdir())


def test_names_that_the_folder_itself_uses_are_refused(golden):
    path = golden(SMALL[0]).path(SMALL[1])
    assert "the name 'downloads' is taken by the program" in models("import", path, "--name", "downloads", code=1)[1]
    assert "the name 'toon' is that of a bundled style" in models("import", path, "--name", "toon", code=2)[1]
    assert "the name '../x' is unusable" in models("import", path, "--name", "../x", code=1)[1]


def test_source_in_a_file_is_shown_on_request_and_never_run(golden, tmp_path):
    path = golden("nv-ada-skip-64").path(SMALL[1])
    out, _ = models("import", path, "--show-source", "--name", "face")
    assert out.count("as the file holds it; not run") >= 1


def test_directions_become_edits(golden, folder):
    case = golden("edit-directions")
    _, said = models("import", case.path("age.pt"))
    assert "wear it with --edit age=1" in said and (folder / "directions" / "age.safetensors").is_file()
    assert "--edit pca.0=1" in models("import", case.path("ffhq_pca.pt"), "--name", "pca")[1]
    assert "--edit sefa.0=1" in models("import", golden("sefa").path("factor.pt"), "--name", "sefa")[1]
    listed, _ = models("list")
    assert "ganspace" in listed and "edits" in listed
    models("remove", "age", "--yes")
    assert "nothing called 'age' in" in models("remove", "age", "--yes", code=1)[1]
    assert "the name 'a.b' is unusable for an edit" in models("import", case.path("age.pt"), "--name", "a.b", code=1)[1]


def test_two_models_of_one_family_are_blended(golden, folder):
    path = golden(SMALL[0]).path(SMALL[1])
    models("import", path, "--name", "a")
    models("import", path, "--name", "b")
    _, said = models("blend", "a", "b", "--from", "16", "--amount", "0.5")
    assert "imported 'a-b-16'" in said and "note: blended: a + b from 16 px, amount 0.5" in said
    assert "from 64 px; wanted one of 4, 8, 16, 32" in models("blend", "a", "b", "--from", 64, "--name", "c", code=1)[1]
    assert "no imported model 'c' in" in models("blend", "a", "c", code=1)[1]


class Site:
    """A server on this machine whose files the test sets."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.files: dict[str, bytes] = {}
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = site.files.get(self.path)
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that trust nobody hang up
        scheme = "http"
        if context is not None:
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
            scheme = "https"
        self.base = f"{scheme}://localhost:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that nobody trusts, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is needed to make a certificate")
    folder = tmp_path_factory.mktemp("certificate")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    subprocess.run([*command.split(), "-keyout", "key", "-out", "cert"], cwd=folder, check=True, capture_output=True)
    return folder / "cert", folder / "key"


def registry(path: Path, url: str, content: bytes | None, file: str = "age.pt", name: str = "direction-mine") -> Path:
    """A registry of a user's own with one entry."""
    sha256 = "" if content is None else f'sha256 = "{hashlib.sha256(content).hexdigest()}"\nhash_from = "me"\n'
    text = f'[{name}]\ntitle = "t"\nfile = "{file}"\nlicence = "MIT"\npage = "p"\nurls = ["{url}"]\n{sha256}'
    path.write_text(text)
    return path


def test_pulled_verified_and_imported_by_name(golden, folder, site, tmp_path):
    content = golden("edit-directions").path("age.pt").read_bytes()
    site.files["/age.pt"] = content
    mine = registry(tmp_path / "mine.toml", f"{site.base}/age.pt", content)
    assert "direction-mine" in models("list", "--registry", mine)[0]
    out, said = models("pull", "direction-mine", "--registry", mine)
    path = folder / "downloads" / "direction-mine" / "age.pt"
    assert out.strip() == str(path) and path.read_bytes() == content
    assert f"SHA-256 {hashlib.sha256(content).hexdigest()}" in said and "licence: MIT" in said
    site.files.clear()
    models("pull", "direction-mine", "--registry", mine)  # offline for ever afterwards
    assert "direction-mine: whole" in models("verify")[1]
    assert "--edit mine=1" in models("import", "direction-mine")[1]
    models("remove", "direction-mine", "--yes")
    assert not path.exists()
    assert "no entry 'direction-ag' to pull; did you mean direction-age?" in models("pull", "direction-ag", code=2)[1]


def test_a_wrong_file_says_what_was_got_and_keeps_what_was_there(folder, site, tmp_path):
    site.files["/age.pt"] = b"right"
    mine = registry(tmp_path / "mine.toml", f"{site.base}/age.pt", b"right")
    models("pull", "direction-mine", "--registry", mine)
    path = folder / "downloads" / "direction-mine" / "age.pt"
    path.write_bytes(b"older")
    site.files["/age.pt"] = b"wrong"
    _, said = models("pull", "direction-mine", "--registry", mine, code=1)
    got = hashlib.sha256(b"wrong").hexdigest()
    assert f"got 5 bytes with SHA-256 {got}" in said and path.read_bytes() == b"older"


def test_without_a_stated_hash_the_first_file_is_pinned(folder, site, tmp_path):
    site.files["/age.pt"] = b"first"
    folder.mkdir()
    registry(folder / "registry.toml", f"{site.base}/age.pt", None)  # the folder's own registry needs no option
    assert "nobody states a hash for this file; it is pinned" in models("pull", "direction-mine")[1]
    models("remove", "direction-mine", "--yes")
    site.files["/age.pt"] = b"second"
    assert "the hash is pinned at the first download" in models("pull", "direction-mine", code=1)[1]


def test_files_behind_a_page_are_fetched_by_hand(folder):
    _, said = models("pull", "e4e-ffhq", code=1)
    assert "download e4e_ffhq_encode.pt at https://github.com/omertov/encoder4editing" in said


def test_https_only_from_whom_is_trusted(certificate, site, tmp_path, monkeypatch):
    cert, key = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    secure = Site(context)
    try:
        secure.files["/age.pt"] = b"content"
        mine = registry(tmp_path / "mine.toml", f"{secure.base}/age.pt", b"content")
        assert "certificate is not trusted" in models("pull", "direction-mine", "--registry", mine, code=1)[1]
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        models("pull", "direction-mine", "--registry", mine)
    finally:
        secure.close()
    mine = registry(tmp_path / "far.toml", "http://example.org/age.pt", b"content", name="far")
    assert "is not https" in models("pull", "far", "--registry", mine, code=1)[1]


def test_a_terminal_shows_the_contact_sheet(golden, folder):
    models("import", golden(SMALL[0]).path(SMALL[1]), "--name", "face")
    text = terminal_picture(folder / "face" / "contact_sheet.png", 60)
    lines = text.plain.rstrip("\n").split("\n")
    assert {len(line) for line in lines} == {60} and len(lines) == 10
    console = Console(force_terminal=True, width=80, color_system="truecolor")
    with console.capture() as capture:
        console.print(text)
    assert "\x1b[38;2;" in capture.get()
    assert terminal_picture(folder / "none.png", 60).plain == ""

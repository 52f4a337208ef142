from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("kernels", "engines", "realtime")


def test_a_wheel_holds_every_module_and_every_data_file_and_nothing_else(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, checkout / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        ".",
    ]
    subprocess.run(command, cwd=checkout, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("avatar_live-*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = {path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*")}
    assert packed == {name for name in files if (ROOT / name).is_file() and "__pycache__" not in name}
    assert {"realtime/styles.toml", "engines/weights/manifest.toml"} <= packed


def test_the_default_installation_has_no_torch_and_one_opencv() -> None:
    needed = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[project.optional-dependencies]")[0]
    assert '"torch' not in needed
    assert '"opencv-' not in needed, "mediapipe brings opencv-contrib-python; two OpenCV wheels overwrite each other"

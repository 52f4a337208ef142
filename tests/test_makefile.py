from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("python3", "python3.12", "python3.11", "python3.10")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in a fresh checkout where every Python is the shell script ``script``."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    programs = folder / "programs"
    programs.mkdir()
    for name in NAMES:
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("MAKEFLAGS", None)
    return subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("goal", ["demo", "test"])
def test_a_python_that_is_too_old_is_named_with_what_to_install(tmp_path: Path, goal: str) -> None:
    result = make(tmp_path, "echo 3.8", goal)
    assert result.returncode != 0
    assert "No suitable Python found. python3 is 3.8." in result.stderr
    assert "Wanted 3.10, 3.11 or 3.12." in result.stderr
    assert "sudo apt install python3 python3-venv" in result.stderr
    assert f"make PYTHON=/path/to/python3.12 {goal}" in result.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_python_that_is_too_new_is_named(tmp_path: Path) -> None:
    assert "python3 is 3.13." in make(tmp_path, "echo 3.13", "demo").stderr


def test_a_python_without_venv_says_which_package_is_missing(tmp_path: Path) -> None:
    result = make(tmp_path, 'case "$2" in *ensurepip*) exit 1;; *) echo 3.11;; esac', "demo")
    assert result.returncode != 0
    assert "python3 (3.11) has no venv: sudo apt install python3.11-venv." in result.stderr


def test_no_python_at_all(tmp_path: Path) -> None:
    result = make(tmp_path, "exit 127", "demo")
    assert "None of python3 python3.12 python3.11 python3.10 runs." in result.stderr


def test_the_named_python_is_taken(tmp_path: Path) -> None:
    result = make(tmp_path, "exit 127", "demo", "PYTHON=nowhere/python")
    assert "None of nowhere/python runs." in result.stderr


def test_a_suitable_python_makes_the_environment(tmp_path: Path) -> None:
    result = make(tmp_path, 'if [ "$1" = -m ]; then echo "made: $*"; exit 3; else echo 3.12; fi', "install")
    assert "Making .venv with python3 (3.12)" in result.stdout
    assert "made: -m venv .venv" in result.stdout


def test_the_gpus_goals_take_a_python_as_it_is(tmp_path: Path) -> None:
    result = make(tmp_path, "echo $0 $@", "gpu-check", "gpu-bench", "GPU_PYTHON=python3")
    assert result.returncode == 0, result.stderr
    ran = [line for line in result.stdout.splitlines() if line.startswith(str(tmp_path))]
    assert [line.split(" ", 1)[1] for line in ran] == [
        "-m pytest -q -W default -m gpu tests/gpu",
        "-m tools.bench_kernels",
        "-m tools.bench_generator",
        "-m tools.gpu_table",
        "-m tools.bench_live --device cuda",
    ]
    assert not (tmp_path / ".venv").exists(), "nothing is installed"

"""The rules of the layout, read off the source: who may import whom, how long things may be, what loads at start."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import engines
import kernels
import realtime
from realtime.configuration import read_toml

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("kernels", "engines", "realtime")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

ALLOWED = {
    "kernels": {"kernels"},
    "engines": {"kernels", "engines"},
    "realtime": {"engines", "realtime"},
}
STAGES = {
    "alignment", "capture", "compositing", "editing", "encoding", "generating", "outputs", "smoothing", "tracking",
}  # fmt: skip
WHO_NAMES_STAGES = {
    "realtime/pipeline.py",
    "realtime/stages.py",  # the stages of one face
    "realtime/building.py",  # and which of all
    "realtime/faces_stages.py",  # and of several
    "realtime/faces_compositing.py",  # the compositor of several faces is one of one, and more
    "realtime/calibration_frames.py",  # looks at a source without a pipeline
    "realtime/photographic_stages.py",  # and of an imported model
    "realtime/session.py",  # opens source and outputs
    "realtime/doctor.py",  # tries everything
    "realtime/demo.py",  # its actor is drawn by the generator
    "realtime/identity_studio.py",  # makes avatars of faces
    "realtime/invert.py",  # takes pose and expression of a photo
}

LINES, FUNCTION_LINES = 300, 40
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {
    "realtime/cli.py:run": "the signature is the table of all options, one a line",
}

HEAVY = ("torch", "tensorrt", "cupy", "mediapipe", "cv2", "av", "openvino")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, anywhere in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}:{node.lineno} imports relatively; wanted the full name"
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield f"{name(path)}:{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def test_packages_are_the_checkout_and_not_the_tests() -> None:
    for package in (kernels, engines, realtime):
        assert Path(package.__path__[0]) == ROOT / package.__name__, "a folder of tests shadows the package"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_run_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    ours = {module.split(".")[0] for module in imported(path)} & {*PACKAGES, "tools", "tests"}
    assert ours <= ALLOWED[package], f"{name(path)} must not import {sorted(ours - ALLOWED[package])}"


@pytest.mark.parametrize("path", [path for path in MODULES if path.parent == ROOT / "realtime"], ids=name)
def test_stages_never_import_each_other(path: Path) -> None:
    if name(path) in WHO_NAMES_STAGES:
        return
    modules = {module.split(".")[1] for module in imported(path) if module.startswith("realtime.")}
    others = (modules & STAGES) - {path.stem}
    assert not others, f"{name(path)} imports {sorted(others)}; only the pipeline names the stages"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(tree(path)), f"{name(path)} has no docstring"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_nothing_is_longer_than_it_needs_to_be(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LINES or name(path) in LONG_FILES, f"{name(path)} has {lines} lines; the budget is {LINES}"
    for function, length in functions(path):
        assert length <= FUNCTION_LINES or function in LONG_FUNCTIONS, f"{function} has {length} lines"


def test_exceptions_to_the_budget_are_still_needed() -> None:
    lengths = dict(entry for path in MODULES for entry in functions(path))
    for function in LONG_FUNCTIONS:
        assert lengths[function] > FUNCTION_LINES, f"{function} fits by now"
    for path in LONG_FILES:
        assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) > LINES, f"{path} fits by now"


def test_tests_are_no_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py")), "tests/kernels would shadow kernels"


def test_the_package_list_equals_the_folders() -> None:
    project = read_toml(ROOT / "pyproject.toml")
    folders = {path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in MODULES}
    assert sorted(folders) == sorted(project["tool"]["setuptools"]["packages"])
    assert all((ROOT / package / "__init__.py").is_file() for package in PACKAGES)


def test_starting_loads_nothing_heavy() -> None:
    code = f"""
import sys
import realtime, realtime.cli
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"

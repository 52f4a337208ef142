from __future__ import annotations

from collections.abc import Iterable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from engines.devices import GpuFacts
from realtime import doctor
from realtime.cameras import Camera, Mode
from realtime.doctor import Finding, examine
from realtime.errors import ModelError


def examined() -> tuple[bool, str]:
    text = StringIO()
    sound = examine(Console(file=text, width=200))
    return sound, text.getvalue()


CANNOT = "the CUDA engine cannot run: "


def only(monkeypatch: pytest.MonkeyPatch, look: object) -> None:
    monkeypatch.setattr(doctor, "EXAMINATIONS", {"something": look})


def test_everything_is_looked_at_and_a_fresh_installation_is_sound() -> None:
    sound, text = examined()
    for title in ("program", "cameras", "virtual cameras", "GPU", "models", "runtimes"):
        assert f"\n{title}\n" in f"\n{text}"
    assert sound, text
    assert "a portrait in" in text
    assert "SHA-256" in text
    assert text.count("toon on cuda") == 1, "a runtime that is refused says why, and says it once"


def test_what_is_missing_is_no_fault_and_what_is_broken_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, lambda: [Finding("missing", "no camera", "plug one in")])
    assert examined() == (True, "something\n  --  no camera\n        plug one in\n")
    only(monkeypatch, lambda: [Finding("missing", "no virtual camera", "make one:\n  sudo modprobe")])
    assert examined() == (True, "something\n  --  no virtual camera\n        make one:\n          sudo modprobe\n")
    only(monkeypatch, lambda: [Finding("broken", "a camera that is busy")])
    assert examined() == (False, "something\n  !!  a camera that is busy\n")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ModelError("the model is damaged; install again"), "  !!  the model is damaged; install again\n"),
        (OSError("odd"), "  !!  cannot be examined: OSError: odd\n        please report this\n"),
    ],
)
def test_an_examination_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch, error: Exception, text: str) -> None:
    def look() -> Iterable[Finding]:
        yield Finding("good", "so far")
        raise error

    only(monkeypatch, look)
    assert examined() == (False, "something\n  ok  so far\n" + text)


def nvidia_smi(folder: Path, script: str) -> None:
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "nvidia-smi").chmod(0o755)


def test_a_gpu_without_its_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nvidia_smi(tmp_path, "echo 'NVIDIA RTX, 580.1, 8192 MiB'")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(doctor, "_version", lambda package: None)
    found = list(doctor._gpu())
    assert found[0] == Finding("good", "NVIDIA RTX, 580.1, 8192 MiB")
    assert found[1] == Finding("missing", "torch is not installed", "pip install 'avatar-live[cuda]'")
    assert len(found) == 4


def test_a_driver_that_does_not_work_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nvidia_smi(tmp_path, "echo 'Driver/library version mismatch' >&2; exit 9")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (found,) = doctor._gpu()
    assert found.state == "broken"
    assert found.text == "nvidia-smi said: Driver/library version mismatch"
    assert "driver" in found.advice


def test_no_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = doctor._gpu()
    assert found == Finding("missing", "no NVIDIA driver (no nvidia-smi); the CPU does the work")


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (GpuFacts("torch is not installed; pip install 'avatar-live[cuda]'"), CANNOT + "torch is not "),
        (GpuFacts("CuPy cannot be loaded (libnvrtc.so.12)"), CANNOT + "CuPy cannot be loaded (libnv"),
        (GpuFacts(None, "NVIDIA A", (6, 1), 8 << 30), CANNOT + "NVIDIA A has compute capability 6.1; "),
        (GpuFacts(None, "NVIDIA A", (8, 9), 99 << 20, 4 << 30), CANNOT + "NVIDIA A has 99 MiB of 4096"),
        (GpuFacts(None, "NVIDIA A", (8, 9), 3 << 30, 4 << 30), "NVIDIA A, 3072 of 4096 MiB free"),
    ],
)  # fmt: skip
def test_why_the_cuda_engine_cannot_run_is_said_as_the_program_says_it(monkeypatch, facts: GpuFacts, text: str) -> None:
    monkeypatch.setattr("engines.devices.gpu_facts", lambda: facts)
    first, *others = doctor._cuda_engine()
    assert first.text.startswith(text)
    assert (first.state == "good") == text.startswith("NVIDIA")
    assert first.state == "missing" or others[0].text == "--device auto does not use it"


def test_modes_are_told_by_size_with_their_greatest_rate() -> None:
    modes = [Mode(640, 480, 30, "YUYV"), Mode(1280, 720, 10, "YUYV"), Mode(1280, 720, 30, "MJPG")]
    assert doctor.sizes(modes) == "1280x720@30 YUYV/MJPG, 640x480@30 YUYV"


def test_cameras_are_listed_as_the_source_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        Camera(0, "HD Webcam", "/dev/video0", (Mode(640, 480, 29.97, "YUYV"),)),
        Camera(2, "Cam Link", "/dev/video2", problem="permission denied; join the group video"),
        Camera(10, "OBS", "/dev/video10", virtual=True),
    ]
    monkeypatch.setattr("realtime.cameras.list_cameras", lambda: found)
    text = StringIO()
    doctor.print_cameras(Console(file=text, width=200))
    assert text.getvalue() == (
        "ok  --source 0  'HD Webcam' (/dev/video0): 640x480@29.97 YUYV\n"
        "!!  --source 2  'Cam Link' (/dev/video2)\n      permission denied; join the group video\n"
        "ok  --source 10  'OBS' (/dev/video10), fed by a program\n"
    )
    found.clear()
    doctor.print_cameras(Console(file=text, width=200))
    assert "--  no camera\n" in text.getvalue()

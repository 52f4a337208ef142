"""A webcam in, the program, a virtual camera out: all devices real. Run by tests/vm/vm.sh in the guest, by pytest."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator

import colours
import cv2
import numpy as np
import pytest
import scene
from rig import (
    RESULTS,
    VIRTUAL,
    VIRTUAL_LABEL,
    WEBCAM,
    WEBCAM_LABEL,
    Application,
    Player,
    Program,
    is_camera,
    load,
    loaded,
    percentiles,
    record,
    told,
    unload,
    until,
)  # fmt: skip

VGA, HD = (640, 480), (1280, 720)
SECONDS = 20
WARM_S = 3
KEEPS_UP_FPS = 12  # with fewer avatar pictures a second than this the guest's one processor is too slow for 1280x720


@pytest.fixture(autouse=True)
def devices(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both devices, fresh; exclusive_caps as the check's parameter asks."""
    exclusive = getattr(request, "param", 1)
    load("webcam", WEBCAM, WEBCAM_LABEL)
    load("v4l2loopback", VIRTUAL, VIRTUAL_LABEL, exclusive)
    yield
    Player.stop_all()
    for module in ("webcam", "v4l2loopback"):
        if loaded(module):
            unload(module)


def face_region(picture: np.ndarray) -> np.ndarray:
    """Where the clip's face is, from brow to chin."""
    height, width = picture.shape[:2]
    return picture[round(0.55 * height) : round(0.85 * height), width // 2 - height // 9 : width // 2 + height // 9]


def resemblance(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of the details of two pictures, -1 to 1: near 1 for the same face, however bright."""
    details = []
    for picture in (one, other):
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)
        detail = cv2.GaussianBlur(grey, (0, 0), 1.5) - cv2.GaussianBlur(grey, (0, 0), 6)
        details.append((detail - detail.mean()).ravel())
    return float(details[0] @ details[1] / np.sqrt((details[0] @ details[0]) * (details[1] @ details[1]) + 1e-9))


def assert_no_raw_face(kept: list[tuple[int, np.ndarray]], numbers: list[int | None], made: np.ndarray) -> float:
    """Every kept picture with a number differs from the webcam's; the greatest resemblance."""
    pairs = [(picture, made[numbers[at]]) for at, picture in kept if numbers[at] is not None]
    assert pairs, "no picture has a number"
    alike = [resemblance(face_region(shown), face_region(source)) for shown, source in pairs]
    assert max(alike) < 0.6, f"a picture resembles the webcam's face by {max(alike):.2f}"
    assert min(np.abs(face_region(s).astype(int) - face_region(t)).mean() for s, t in pairs) > 10
    return max(alike)


def chart_error(kept: list[tuple[int, np.ndarray]], size: tuple[int, int]) -> np.ndarray:
    """CIEDE2000 of every patch, of the mean over the kept pictures."""
    mean = np.mean([picture for _, picture in kept], axis=0)
    shown = np.stack([mean[scene.inner(rows), scene.inner(cols)].mean((0, 1)) for _, rows, cols in scene.patches(size)])
    return colours.difference(colours.lab(shown), colours.lab(scene.PATCHES_BGR))


@pytest.mark.parametrize(
    ("fourcc", "size", "fps"), [("YUYV", VGA, 30), ("MJPG", VGA, 30), ("NV12", VGA, 30), ("YUYV", HD, 30)]
)
def test_a_webcam_becomes_a_virtual_camera(fourcc: str, size: tuple[int, int], fps: int) -> None:
    name = f"{fourcc} {size[0]}x{size[1]}@{fps}"
    with Player(size, fps, fourcc) as player, Program() as program:
        program.running()
        with Application() as application:
            application.watch(WARM_S)
            seen, latency_ms = application.watch(SECONDS, latency=player)
        form = told(VIRTUAL)
        figures = program.stop()
        assert f"Width/Height      : {size[0]}/{size[1]}" in form and "'YU12'" in form, form
        assert "the webcam" not in program.said()
    cv2.imwrite(str(RESULTS / f"seen-{fourcc}-{size[0]}.png"), seen.kept[-1][1])
    steps, errors = seen.steps(), chart_error(seen.kept, size)
    beats, jitter_ms = figures["beats"], percentiles(np.abs(seen.send_intervals_ms() - 1000 / fps))
    new_fps = int((steps > 0).sum()) / SECONDS
    keeps_up = size == VGA or new_fps >= KEEPS_UP_FPS
    record(
        name,
        rate_fps=round(seen.rate_fps(), 2),
        new_pictures_fps=round(new_fps, 2),
        guest_keeps_up=keeps_up,
        latency_ms=percentiles(latency_ms),
        jitter_of_arrivals_ms=percentiles(np.abs(seen.intervals_ms() - 1000 / fps)),
        jitter_of_sends_ms=jitter_ms,
        jitter_of_beats_with_the_start_ms=beats["jitter_ms"],
        repeated=beats["repeated"] / beats["sent"],
        colour_error_mean=round(float(errors.mean()), 2),
        colour_error_worst=round(float(errors.max()), 2),
        stages_ms={stage: round(spread["mean"], 1) for stage, spread in figures["stages_ms"].items()},
        resemblance=round(assert_no_raw_face(seen.kept, seen.numbers, player.made[size]), 2),
    )
    assert seen.numbers.count(None) == 0, "a picture has no number"
    assert steps.max() < scene.LOOP / 2, "the pictures went backwards"
    assert errors.mean() < 3
    if keeps_up:
        assert abs(seen.rate_fps() / fps - 1) < 0.05
        assert jitter_ms["p95"] < 4


@pytest.mark.parametrize("source", [WEBCAM_LABEL, WEBCAM])
def test_a_webcam_is_found_by_its_label_and_its_number(source: object) -> None:
    with Player(VGA, 30), Program(source=source, output=f"virtual:{VIRTUAL_LABEL}") as program:
        program.running()
        with Application() as application:
            seen, _ = application.watch(3)
        program.stop()
        assert any(number is not None for number in seen.numbers)
        assert f"'{WEBCAM_LABEL}' (/dev/video{WEBCAM})" in program.said()


def test_a_webcam_that_vanishes_and_returns_never_ends_the_stream() -> None:
    player = Player(VGA, 30)
    with Program() as program:
        program.running()
        with Application() as application:
            application.watch(WARM_S)
            with Watcher(application) as watcher:
                for way in ("feeder killed", "module reloaded"):
                    gone_ns = player.stop()
                    held_ms = watcher.after(gone_ns, numbered=False)
                    if way == "module reloaded":
                        unload("webcam")
                        load("webcam", WEBCAM, WEBCAM_LABEL)
                    player = Player(VGA, 30)
                    back_ns = int(player.written[player.written > 0].min())
                    back_ms = watcher.after(back_ns, numbered=True)
                    times = {"holding_after_ms": round(held_ms), "avatar_after_return_ms": round(back_ms)}
                    record(f"webcam away, {way}", **times, widest_gap_ms=round(watcher.widest_ms()))
                    assert held_ms < 500 and back_ms < 2000 and watcher.widest_ms() < 500
        player.stop()
        program.stop()


def test_a_program_killed_hard_leaves_a_device_that_the_next_start_gets() -> None:
    with Player(VGA, 30), Program() as program:
        program.running()
        with Application() as application:
            application.watch(1)
            program.process.kill()
            program.process.wait()
            more, began = 0, time.monotonic()
            while application.picture() is not None:
                more += 1
                assert time.monotonic() - began < 10, "pictures still come"
            ended_s = time.monotonic() - began
        with Program() as again:
            again.running()
            with Application() as application:
                seen, _ = application.watch(2)
            again.stop()
    rate_fps = round(seen.rate_fps(), 2)
    record("killed hard", pictures_still_read=more, read_fails_after_s=round(ended_s, 2), rate_after_fps=rate_fps)
    assert any(number is not None for number in seen.numbers)


def test_a_device_in_use_is_refused_and_its_user_undisturbed() -> None:
    with Player(VGA, 30), Program() as program:
        program.running()
        command = ["avatar-live", "--source", "demo", "--output", f"virtual:/dev/video{VIRTUAL}", "--duration", "1"]
        second = subprocess.run(command, capture_output=True, text=True)
        with Application() as application:
            seen, _ = application.watch(2)
        program.stop()
    record("second instance", message=" ".join(second.stderr.split()))
    assert second.returncode == 2 and f"/dev/video{VIRTUAL}" in second.stderr, second.stderr
    assert "in use" in second.stderr and "Traceback" not in second.stderr
    assert abs(seen.rate_fps() / 30 - 1) < 0.15


def test_a_device_that_another_program_feeds_is_refused() -> None:
    with Player(VGA, 30, number=VIRTUAL):
        command = ["avatar-live", "--source", "demo", "--output", f"virtual:/dev/video{VIRTUAL}", "--duration", "1"]
        refused = subprocess.run(command, capture_output=True, text=True)
    record("another writer", message=" ".join(refused.stderr.split()))
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert f"/dev/video{VIRTUAL}" in refused.stderr and "use" in refused.stderr


@pytest.mark.parametrize("devices", [1, 0], indirect=True)
def test_with_exclusive_caps_and_without(devices: None, request: pytest.FixtureRequest) -> None:
    exclusive = request.node.callspec.params["devices"]
    before = is_camera(VIRTUAL)
    with Player(VGA, 30), Program() as program:
        program.running()
        with Application() as application:
            seen, _ = application.watch(3)
        during = told(VIRTUAL)
        program.stop()
    record(f"exclusive_caps={exclusive}", camera_before_start=before, rate_fps=round(seen.rate_fps(), 2))
    assert before == (not exclusive), "with exclusive_caps it is a camera only while it is fed"
    assert ("Video Output" in during.partition("Device Caps")[2].partition("Format")[0]) == (not exclusive)
    assert any(number is not None for number in seen.numbers)


class Watcher:
    """An application that reads on in a thread while other things happen."""

    def __init__(self, application: Application) -> None:
        self._application, self._ended = application, False
        self._seen: list[tuple[int, bool]] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def after(self, since_ns: int, numbered: bool) -> float:
        """Milliseconds from ``since_ns`` until a picture came with a number, or without one."""

        def came() -> int | None:
            return next((at_ns for at_ns, known in list(self._seen) if at_ns > since_ns and known == numbered), None)

        until(f"a picture {'with' if numbered else 'without'} a number", lambda: came() is not None)
        at_ns = came()
        assert at_ns is not None and self._thread.is_alive(), "the application lost the stream"
        return (at_ns - since_ns) * 1e-6

    def widest_ms(self) -> float:
        """The longest time between two pictures."""
        return float(np.diff([at_ns for at_ns, _ in self._seen]).max() * 1e-6)

    def _run(self) -> None:
        while not self._ended and (picture := self._application.picture()) is not None:
            self._seen.append((time.monotonic_ns(), scene.number(picture) is not None))

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._thread.join()

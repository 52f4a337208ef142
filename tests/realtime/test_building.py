"""Which device draws, and what goes out when it fails while the program runs.

The GPU is stood for by this project's own GPU code on the host (imported models) and by the CPU's networks (the bundled
model), both of which raise what CUDA's libraries raise after some frames.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from engines import bundled, cuda_bundled, cuda_imported, cuda_transfers, devices, openvino_engine
from engines.devices import DeviceChoice, GpuFacts, gpu_errors
from engines.errors import EngineError
from kernels.emulation import emulated_program, emulation_refusal
from realtime import building
from realtime.building import FallingBack, build_stages
from realtime.cli import app
from realtime.clock import FakeClock
from realtime.errors import UsageError
from realtime.frames import Frame, LatePicture, Picture
from realtime.holding import card
from realtime.photographic import check_precision
from realtime.settings import CompositingSettings, EditingSettings, GeneratingSettings, Settings, TrackingSettings
from realtime.stages import Stages
from realtime.statistics import Statistics
from realtime.two_at_once import TwoAtOnce
from tests.gpu_failures import FAILURES, ILLEGAL
from tests.realtime.bundled_rig import HostDrawer
from tests.realtime.gpu_rig import tracked
from tests.realtime.imported_model import models, tiny_models
from tests.realtime.test_faces_compositing import two

__all__ = ["models", "tiny_models", "tracked"]

GOOD = GpuFacts(None, "NVIDIA Example", (8, 9), 6 << 30, 8 << 30, 13000)
SIZE = (480, 480)
FAILS_AT = 2
ON_GPU = bundled._on_gpu


class Failing:
    """What draws on the CPU in the GPU's place: once ``left`` runs are over it raises what CUDA does.

    faces: how many each run drew.
    """

    def __init__(self, drawer):
        self._drawer, self.error, self.left, self.faces = drawer, None, 0, []

    def draw(self, wplus, motion):
        with gpu_errors():
            self.left -= 1
            if self.left < 0:
                raise self.error
            self.faces.append(len(wplus))
            return self._drawer.draw(wplus, motion)

    def prepare(self):
        pass

    def whole_frames(self, height, width, faces, fade):
        """None: portraits are put into their pictures by the processor, as in mode paste."""

    def describe(self):
        return "CUDA kernels f16 on NVIDIA Example"


@pytest.fixture(scope="module")
def card_drawing():
    """What draws a bundled model on a GPU that fails as it is told to."""
    yield Failing(bundled.load("toon", "cpu").drawer)
    bundled._loaded.cache_clear()


@pytest.fixture
def a_gpu(monkeypatch, card_drawing):
    """A computer whose GPU can be used; what draws on it fails as ``fail`` says."""
    monkeypatch.setattr(devices, "CHECKED", True)
    monkeypatch.setattr(devices, "driver_version", lambda: 13000)
    for module in (devices, bundled):
        monkeypatch.setattr(module, "gpu_facts", lambda: GOOD)
    monkeypatch.setattr(bundled, "_on_gpu", lambda rows, folder, size_px: card_drawing)

    def fail(error, at=FAILS_AT):
        card_drawing.error, card_drawing.left, card_drawing.faces = error, at, []

    return fail


def wanted(**more):
    generating = GeneratingSettings(**{"device": "auto", "precision": "auto", **more})
    return Settings(generating=generating, compositing=CompositingSettings(mode="overlay"))


def drawn(stages, frames):
    statistics = Statistics(FakeClock())
    pictures = [stages.draw(frame, statistics) for frame in frames]
    return [picture.pixels for picture in pictures]


def several(frames, count=6):
    return [Frame(k, k * 40_000_000, frames[k % len(frames)].pixels) for k in range(count)]


@pytest.mark.parametrize(
    ("name", "faces"), [("torch, memory", 1), ("torch, kept", 1), ("torch, address", 2), ("cuDNN", 1)]
)
def test_the_bundled_model_goes_on_with_the_cpu_and_forgets_nobody(a_gpu, tracked, caplog, name, faces):
    frames = several(tracked[0])
    a_gpu(FAILURES[name][0], FAILS_AT)
    settings = replace(wanted(), tracking=TrackingSettings(faces=faces))
    stages, description = build_stages(settings, SIZE)
    assert isinstance(stages, FallingBack) and "CUDA kernels" in description
    remembered = stages._stages
    with caplog.at_level(logging.WARNING):
        got = drawn(stages, frames)
    assert [record.message for record in caplog.records if record.name == building.__name__] == [
        f"{FAILURES[name][1]}{str(FAILURES[name][0]).splitlines()[0]}); {advice(name)}; the CPU goes on"
    ]
    np.testing.assert_array_equal(got[FAILS_AT], got[FAILS_AT - 1])
    for frame, pixels in zip(frames, got, strict=True):
        covered = (pixels != frame.pixels).any(axis=2)
        assert covered.mean() > 0.1, "the avatar is in every picture"
    now = stages._stages
    now = now.stages if isinstance(now, TwoAtOnce) else now
    assert now.tracker is remembered.tracker and now.compositor is remembered.compositor
    same = now is remembered if faces == 2 else now.encoder is remembered.encoder
    assert same, "people are remembered"
    stages.tracker.close()


def test_several_people_are_drawn_together_until_the_gpu_fails_and_then_by_the_cpu(a_gpu, card_drawing, media, caplog):
    (one, _), settings = two(), replace(wanted(), tracking=TrackingSettings(faces=2))
    frames, size = several([one]), one.pixels.shape[1::-1]
    a_gpu(ILLEGAL, FAILS_AT)
    stages, _ = build_stages(settings, size)
    got = drawn(stages, frames)
    assert card_drawing.faces == [2] * FAILS_AT, "one run a frame, of both faces"
    assert caplog.text.count("the CPU goes on") == 1
    np.testing.assert_array_equal(got[FAILS_AT], got[FAILS_AT - 1])
    stages.tracker.close()
    on_cpu, _ = build_stages(replace(settings, generating=GeneratingSettings(device="cpu")), size)
    for frame, pixels, alone in zip(frames, got, drawn(on_cpu, frames), strict=True):
        if frame.frame_id != FAILS_AT:
            np.testing.assert_array_equal(pixels, alone)
    on_cpu.tracker.close()


def advice(name):
    return next(advice for _, meaning, advice in devices.MEANINGS if FAILURES[name][1].startswith(meaning))


@pytest.fixture
def whole_frames(models, monkeypatch, a_gpu):
    """Whole frames of an imported model and of the bundled one, their kernels run on the host."""
    monkeypatch.setattr("realtime.photographic.check_gpu", lambda: None)
    on_host = partial(cuda_imported.load_on_gpu, device="cpu", programs=emulated_program)
    monkeypatch.setattr(cuda_imported, "load_on_gpu", on_host)
    monkeypatch.setattr(bundled, "_on_gpu", lambda rows, folder, size_px: HostDrawer())
    monkeypatch.setattr(bundled, "_loaded", bundled._loaded.__wrapped__)


@pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))
@pytest.mark.parametrize("where", ["submit", "wait", "wait at once"])
@pytest.mark.parametrize(("model", "faces"), [("tiny", 1), ("toon", 1), ("toon", 2)])
def test_whole_frames_go_on_with_the_cpu_wherever_the_card_is_lost(
    whole_frames, tracked, monkeypatch, caplog, where, model, faces
):
    frames, at = several(tracked[0]), 0 if where == "wait at once" else FAILS_AT
    generating = wanted(model=model, resolution="256" if model == "toon" else "auto")
    settings = replace(generating, tracking=TrackingSettings(faces=faces))
    stages, description = build_stages(settings, SIZE)
    assert isinstance(stages, FallingBack) and ("whole frames" if model == "tiny" else "CUDA kernels") in description
    remembered, made = stages._stages, [0]

    class Ticket(cuda_transfers.Ticket):
        """A frame on its way; that of number ``at`` and all after it are lost."""

        def __init__(self, wait, received):
            made[0] += 1
            super().__init__(self.lost if made[0] > at else wait, received)
            if made[0] > at and where == "submit":
                raise EngineError("the GPU stopped working (lost)")

        def lost(self):
            raise ILLEGAL

    monkeypatch.setattr(cuda_transfers, "Ticket", Ticket)
    statistics, got = Statistics(FakeClock()), []
    with caplog.at_level(logging.WARNING):
        waiting = None
        for frame in frames:  # as the threads do: a picture is waited for while the next frame is drawn
            picture = stages.draw(frame, statistics)
            if waiting is not None:
                got.append(waiting.pixels)
            waiting = picture
        got.append(waiting.pixels)
    assert len([r for r in caplog.records if r.message.endswith("; the CPU goes on")]) == 1
    shown = got[at - 1] if at else card(SIZE)
    np.testing.assert_array_equal(got[at], shown)
    now = getattr(stages._stages, "stages", stages._stages)
    assert isinstance(stages._stages, TwoAtOnce) or not isinstance(waiting, LatePicture), "the CPU draws in the end"
    if model == "toon":
        assert now.tracker is remembered.tracker and now.compositor is remembered.compositor
        same = now is remembered if faces == 2 else now.encoder is remembered.encoder
        assert same, "people are remembered"
    for frame, pixels in zip(frames, got, strict=True):
        assert (pixels != frame.pixels).any(axis=2).mean() > 0.05
    held = stages.compositor.holding(Frame(9, frames[-1].captured_ns + 10_000_000, frames[0].pixels)).pixels
    assert (held != frames[0].pixels).any(axis=2).mean() > 0.05, "nor is a holding picture the camera's"
    stages.tracker.close()


@pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))
@pytest.mark.parametrize(("faces", "mode", "background"), [
    (1, "overlay", "blur"), (2, "overlay", "blur"), (1, "scene", "#2e3440"), (1, "scene", "blur"), (1, "crop", "green"),
])  # fmt: skip
def test_the_gpus_whole_frames_are_the_cpus(whole_frames, tracked, media, faces, mode, background):
    frames, size = several(tracked[0], 3), SIZE
    if faces == 2:
        frames = several([two()[0]], 3)
        size = frames[0].pixels.shape[1::-1]
    drawn_by, late = [], []
    for device in ("cpu", "cuda"):
        settings = replace(
            wanted(device=device, resolution="256", at_once="1", precision="auto"),
            compositing=CompositingSettings(mode=mode, background=background),
            tracking=TrackingSettings(faces=faces, looks=2),
        )
        stages, _ = build_stages(settings, size)
        statistics = Statistics(FakeClock())
        pictures = [stages.draw(frame, statistics) for frame in frames]
        late.append(isinstance(pictures[-1], LatePicture))
        drawn_by.append([picture.pixels.astype(int) for picture in pictures])
        stages.tracker.close()
    assert late == [False, True]
    for frame, one, other in zip(frames, *drawn_by, strict=True):
        difference = np.abs(one - other).max(axis=2)
        assert difference.mean() < 0.5 and np.percentile(difference, 99) <= 4
        assert one.shape != frame.pixels.shape or np.abs(one - frame.pixels).mean() > 5


def test_mode_paste_is_put_together_by_the_processor(a_gpu, tracked):
    a_gpu(ILLEGAL, 9)
    settings = replace(wanted(device="cuda"), compositing=CompositingSettings(mode="paste"))
    stages, description = build_stages(settings, SIZE)
    assert "CUDA kernels" in description
    picture = stages.draw(tracked[0][0], Statistics(FakeClock()))
    assert not isinstance(picture, LatePicture) and (picture.pixels != tracked[0][0].pixels).mean() > 0.05
    stages.tracker.close()


class Steps:
    """Stages whose holding picture the GPU has not finished."""

    def __init__(self, error=None):
        self.error, self.closed, self.worn, self.compositor, self.tracker = error, False, [], self, self

    def draw(self, frame, statistics):
        return self.holding(frame)

    def holding(self, frame, now_ns=None):
        if self.error is not None:
            raise self.error
        return Picture(7, 7, np.full((2, 3, 3), 9, np.uint8))

    def wear(self, editing):
        self.worn.append(editing)

    def close(self):
        self.closed = True


def test_what_was_put_on_while_the_gpu_drew_is_worn_by_the_cpu_too():
    on_gpu, on_cpu = Steps(EngineError("lost")), Steps()
    stages = FallingBack(on_gpu, lambda running: on_cpu, (3, 2))
    for style in ("old", "clay"):
        stages.wear(EditingSettings(style))
    stages.holding(None)
    stages.holding(None)
    stages.wear(EditingSettings("comic"))
    assert [one.style for one in on_gpu.worn] == ["old", "clay"]
    assert [one.style for one in on_cpu.worn] == ["clay", "comic"]


def test_a_holding_picture_that_needs_a_lost_one_is_the_card_and_then_the_cpus():
    stages = FallingBack(Steps(EngineError("lost")), lambda running: Steps(), (3, 2))
    first, second = stages.holding(None, 5), stages.compositor.holding(None, 6)
    assert first.captured_ns == 5
    np.testing.assert_array_equal(first.pixels, card((3, 2)))
    assert int(second.pixels[0, 0, 0]) == 9


def test_when_the_cpu_fails_too_its_error_is_raised():
    stages = FallingBack(Steps(EngineError("lost")), lambda running: Steps(EngineError("the CPU's")), (3, 2))
    stages.holding(None)
    with pytest.raises(EngineError, match="the CPU's"):
        stages.draw(Frame(0, 0, np.zeros((2, 3, 3), np.uint8)), Statistics(FakeClock()))


def test_a_gpu_that_cannot_be_used_is_named_and_the_cpu_draws(a_gpu, monkeypatch, caplog):
    def refused(rows, folder, size_px):
        with gpu_errors():
            raise FAILURES["CuPy, memory"][0]

    monkeypatch.setattr(bundled, "_on_gpu", refused)
    monkeypatch.setattr(bundled, "_loaded", bundled._loaded.__wrapped__)
    with caplog.at_level(logging.WARNING):
        stages, description = build_stages(wanted(), SIZE)
    assert "OpenVINO" in description and not isinstance(stages, FallingBack)
    assert "the GPU is not used: the GPU's memory is full (Out of memory allocating" in caplog.text
    assert building.device_line("auto", stages).startswith("cpu; the GPU could not be used")
    stages.tracker.close()


def test_a_precision_of_the_cpu_is_not_taken_away_by_a_gpu(a_gpu):
    a_gpu(ILLEGAL)
    stages, description = build_stages(wanted(precision="f32"), SIZE)
    assert "OpenVINO" in description
    stages.tracker.close()


def avatar_live(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stderr


def pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def test_the_command_with_auto_finishes_and_with_cuda_ends_with_the_reason(a_gpu, media, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    clip = ("--source", media / "clips" / "d6.mp4", "--duration", "0.4")
    a_gpu(ILLEGAL, 5)
    code, said = avatar_live(*clip, "--device", "auto", "--output", "auto.mp4")
    assert code == 0, said
    assert "device cuda; NVIDIA Example, CUDA 13.0; should it fail, the CPU goes on" in said
    assert "the GPU stopped working (CUDA error: an illegal memory access was encountered" in caplog.text
    a_gpu(ILLEGAL, 5)
    code, said = avatar_live(*clip, "--device", "cuda", "--output", "cuda.mp4")
    last = said.strip().splitlines()[-1]
    assert code == 1 and "Traceback" not in said
    assert last.startswith("avatar-live: the GPU stopped working (CUDA error: an illegal memory access was encountered")
    assert "use --device cpu" in last
    whole, short = pictures(tmp_path / "auto.mp4"), pictures(tmp_path / "cuda.mp4")
    assert len(whole) == len(pictures(clip[1])[: len(whole)]) >= 10 and 1 <= len(short) <= 6
    for source, picture in zip(pictures(clip[1]), whole, strict=False):
        assert np.abs(source.astype(int) - picture).mean() > 3


@pytest.mark.parametrize(
    "facts",
    [
        GpuFacts("the NVIDIA driver knows CUDA 12.4 and torch 2 was built for CUDA 13.0; update the driver"),
        GpuFacts("CuPy is not installed; pip install 'avatar-live[cuda]'"),
        GpuFacts("CuPy was built for CUDA 13.0 and the driver knows CUDA 12.4; update the driver or install another"),
        GpuFacts("the GPU is not there any more, or another program keeps it (CUDA error); look at nvidia-smi"),
        replace(GOOD, free_bytes=100 << 20),
    ],
    ids=["driver", "CuPy", "another CUDA", "gone", "memory"],
)  # fmt: skip
def test_each_reason_is_said_at_the_start(a_gpu, media, monkeypatch, facts):
    monkeypatch.setenv("COLUMNS", "300")
    for module in (devices, bundled, cuda_bundled):
        monkeypatch.setattr(module, "gpu_facts", lambda: facts)
    monkeypatch.setattr(bundled, "_on_gpu", ON_GPU)
    reason = facts.problem or "NVIDIA Example has 100 MiB of 8192 MiB free and the model needs"
    clip = ("--source", media / "clips" / "d6.mp4", "--duration", "0.1", "--output", "null")
    code, said = avatar_live(*clip, "--device", "auto")
    assert code == 0 and f"device cpu; the GPU is not used: {reason}" in said
    monkeypatch.setattr(bundled, "_loaded", bundled._loaded.__wrapped__)
    code, said = avatar_live(*clip, "--device", "cuda")
    assert code == 1 and said.startswith(f"avatar-live: --device cuda cannot be used: {reason}"), said
    assert len(said.strip().splitlines()) == 1


def test_a_choice_of_automatic_is_told(monkeypatch):
    monkeypatch.setattr(building, "automatic", lambda: DeviceChoice("cpu", "there is no NVIDIA driver"))
    assert building.device_line("auto", Steps()) == "cpu; there is no NVIDIA driver"
    assert building.device_line("cuda", Steps()) == "cuda, as asked for"


@pytest.mark.parametrize(("at_once", "cores", "bf16", "kind"), [
    ("auto", 1, False, Stages), ("auto", 2, False, TwoAtOnce), ("auto", 4, False, TwoAtOnce),
    ("auto", 8, False, Stages), ("auto", 2, True, Stages), ("auto", 4, True, Stages), ("1", 2, False, Stages),
    ("2", 8, False, TwoAtOnce), ("2", 2, True, TwoAtOnce),
])  # fmt: skip
def test_few_cores_draw_two_frames_at_once_unless_told(monkeypatch, at_once, cores, bf16, kind):
    monkeypatch.setattr(devices.os, "cpu_count", lambda: cores)
    monkeypatch.setattr(openvino_engine, "has_bf16", lambda core: bf16)
    stages, _ = build_stages(wanted(device="cpu", precision="int8", at_once=at_once), SIZE)
    assert isinstance(stages, kind)
    stages.tracker.close()


def test_two_frames_at_once_are_for_a_bundled_model_on_a_cpu():
    with pytest.raises(EngineError, match="one frame at a time; wanted --at-once auto or 1"):
        build_stages(wanted(device="cuda", at_once="2"), SIZE)
    with pytest.raises(UsageError, match="one frame at a time; wanted --at-once auto or 1"):
        check_precision(GeneratingSettings(model="mine", at_once="2"))


def test_several_faces_are_drawn_one_frame_at_a_time(monkeypatch):
    monkeypatch.setattr(devices.os, "cpu_count", lambda: 2)
    settings = replace(wanted(device="cpu", precision="int8"), tracking=TrackingSettings(faces=2))
    stages, _ = build_stages(settings, SIZE)
    assert not isinstance(stages, TwoAtOnce)
    stages.tracker.close()

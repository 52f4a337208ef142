"""Whole frames by the GPU's code, its kernels run on the host, against the stages on the CPU: a real clip's frames."""

from __future__ import annotations

from dataclasses import replace

import av
import numpy as np
import pytest

from engines.cuda_imported import load_on_gpu
from engines.imported import load_imported
from engines.installed_directions import install_directions
from kernels.emulation import emulated_program, emulation_refusal
from realtime import photographic
from realtime.clock import FakeClock
from realtime.frames import Frame, LatePicture
from realtime.photographic_alignment import PhotographicAligner
from realtime.photographic_compositing import PhotographicCompositor
from realtime.photographic_gpu import FrameStages, WholeFrame, filter_settings
from realtime.settings import CompositingSettings, SmoothingSettings, TrackingSettings
from realtime.smoothing import Smoother
from realtime.stages import Stages
from realtime.statistics import Statistics
from realtime.strengths import Sweep
from realtime.tracking import Tracker
from tests.realtime.imported_model import models, tiny_models

__all__ = ["models", "tiny_models"]
pytestmark = pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))

SIZE = (480, 480)
COUNT = 3


class Recorded:
    """A tracker that answers with faces that were found before."""

    def __init__(self, faces):
        self.faces = faces

    def track(self, frame):
        return self.faces[frame.frame_id]

    def close(self):
        pass


@pytest.fixture(scope="module")
def tracked():
    """Frames of a clip, 80 ms apart, and their faces."""
    from tests.conftest import MEDIA

    if not (MEDIA / "clips" / "d6.mp4").is_file():
        pytest.skip("no clips")
    frames = []
    with av.open(str(MEDIA / "clips" / "d6.mp4")) as file:
        for number, picture in enumerate(file.decode(video=0)):
            if number % 2 == 0:
                pixels = np.ascontiguousarray(picture.to_ndarray(format="bgr24"))
                frames.append(Frame(number // 2, number * 40_000_000, pixels))
            if len(frames) == COUNT:
                break
    tracker = Tracker(TrackingSettings())
    faces = [tracker.track(frame) for frame in frames]
    tracker.close()
    assert all(face is not None for face in faces)
    return frames, faces


def edits(folder):
    np.save(folder / "older.npy", np.full([1, 32], 0.1, np.float32))
    install_directions(folder / "older.npy", folder, "older")
    return {"older": 1.0, "older.2-4": Sweep(0.0, 1.0, 0.5)}


def cpu_stages(folder, tracker, worn, smoothing, compositing, size):
    model = load_imported(folder / "tiny", precision="f32")
    return Stages(
        tracker=tracker,
        aligner=PhotographicAligner(),
        encoder=photographic.PhotographicEncoder(model),
        smoother=Smoother(smoothing, None, 256),
        editor=photographic.PhotographicEditor(worn, folder, model.centre),
        generator=photographic.PhotographicGenerator(model),
        compositor=PhotographicCompositor(compositing, size),
    )


def gpu_stages(folder, tracker, worn, smoothing, compositing, size):
    model = load_on_gpu(folder / "tiny", device="cpu", programs=emulated_program)
    worn = photographic.PhotographicEditor(worn, folder, model.centre).edits
    whole = WholeFrame(compositing, size, model, Smoother(smoothing, None, 256), smoothing, worn)
    return FrameStages(tracker, whole)


def drawn_by(build, folder, faces, frames, worn, size=SIZE, **compositing):
    smoothing = photographic.smoothing(SmoothingSettings())
    stages = build(
        folder, Recorded(faces), worn, smoothing, CompositingSettings(mode="paste", **compositing), size
    )  # fmt: skip
    statistics = Statistics(FakeClock())
    return [stages.draw(frame, statistics) for frame in frames]


def test_the_gpus_frames_are_the_cpus(models, tracked):
    frames, faces = tracked
    worn = edits(models)
    theirs, ours = (drawn_by(build, models, faces, frames, worn) for build in (cpu_stages, gpu_stages))
    plain = drawn_by(cpu_stages, models, faces, frames, {})
    for frame, wanted, got, unedited in zip(frames, theirs, ours, plain, strict=True):
        assert isinstance(got, LatePicture)
        changed = (wanted.pixels != frame.pixels).any(axis=2)
        difference = np.abs(got.pixels.astype(int) - wanted.pixels.astype(int)).max(axis=2)
        other = np.abs(unedited.pixels.astype(int) - wanted.pixels.astype(int)).max(axis=2)
        print(difference[changed].mean(), other[changed].mean(), wanted.pixels[changed].std())
        assert 0.05 < changed.mean() < 0.6
        assert difference[changed].mean() < 1.5 and np.percentile(difference[changed], 99) <= 8
        assert (got.pixels != frame.pixels).any(axis=2)[~changed].mean() < 0.01
        assert other[changed].mean() > 2 * difference[changed].mean(), "an edit left out would show"


def test_frames_of_another_size_and_faces_at_the_edge(models, tracked):
    frames, faces = tracked
    part = np.s_[150:430, 60:300]  # cuts the face: the portrait does not reach all of it within the picture
    cut = [replace(frame, pixels=np.ascontiguousarray(frame.pixels[part])) for frame in frames[:2]]
    shift = np.array([60, 150, 0], np.float32)
    moved = [replace(face, landmarks=face.landmarks - shift) for face in faces[:2]]
    theirs, ours = (
        drawn_by(build, models, moved, cut, {}, (300, 280), compare=True) for build in (cpu_stages, gpu_stages)
    )
    for wanted, got in zip(theirs, ours, strict=True):
        assert got.pixels.shape == (280, 600, 3)
        difference = np.abs(got.pixels.astype(int) - wanted.pixels.astype(int)).max(axis=2)
        print(difference.mean(), np.percentile(difference, 99), difference.max())
        assert difference.mean() < 1 and np.percentile(difference, 99) <= 8


def test_without_a_face_the_holding_picture_goes_out_and_far_outside_nothing_is_drawn(models, tracked):
    frames, faces = tracked
    away = replace(faces[0], landmarks=faces[0].landmarks + np.float32(5000))
    ours = drawn_by(gpu_stages, models, [None, away], frames[:2], {}, on_lost="card")
    theirs = drawn_by(cpu_stages, models, [None, away], frames[:2], {}, on_lost="card")
    for one, two in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one.pixels, two.pixels)


def test_the_filters_rows_are_those_of_the_smoother():
    settings = photographic.smoothing(SmoothingSettings())
    found = filter_settings(settings, 8)
    assert found.min_cutoff_hz == [1.5] * 3 + [2.5] * 3 + [1.0] * 2
    assert filter_settings(replace(settings, enabled=False), 8) is None

"""Whole frames by the GPU's code, its kernels run on the host, against the stages on the CPU: a real clip's frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kernels.emulation import emulation_refusal
from realtime import photographic
from realtime.clock import FakeClock
from realtime.errors import UsageError
from realtime.frames import LatePicture
from realtime.photographic_gpu import filter_settings
from realtime.settings import CompositingSettings, EditingSettings, SmoothingSettings
from realtime.statistics import Statistics
from tests.realtime.gpu_rig import SIZE, Recorded, cpu_stages, drawn_by, edits, gpu_stages, tracked
from tests.realtime.imported_model import models, tiny_models

__all__ = ["models", "tiny_models", "tracked"]
pytestmark = pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))


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
        assert 0.05 < changed.mean() < 0.6
        assert difference[changed].mean() < 1.5 and np.percentile(difference[changed], 99) <= 8
        assert (got.pixels != frame.pixels).any(axis=2)[~changed].mean() < 0.01
        assert other[changed].mean() > 2 * difference[changed].mean(), "an edit left out would show"


def test_edits_are_changed_while_it_runs(models, tracked):
    frames, faces = tracked
    worn = edits(models)
    smoothing, statistics = photographic.smoothing(SmoothingSettings()), Statistics(FakeClock())
    given = (Recorded(faces), {}, smoothing, CompositingSettings(mode="paste"), SIZE)
    theirs, ours = (build(models, *given) for build in (cpu_stages, gpu_stages))
    for number, now in enumerate(({}, {"older": worn["older"]})):
        for stages in (theirs, ours):
            stages.wear(EditingSettings(edits=now))
        wanted, got = (stages.draw(frames[number], statistics).pixels.astype(int) for stages in (theirs, ours))
        changed = (wanted != frames[number].pixels).any(axis=2)
        difference = np.abs(got - wanted).max(axis=2)
        assert difference[changed].mean() < 1.5 and np.percentile(difference[changed], 99) <= 8
    with pytest.raises(ValueError, match="there are 33 edits; wanted at most 32"):
        ours.compositor.wear(theirs.editor.edits * 33)
    for stages in (theirs, ours):
        with pytest.raises(UsageError, match="the style 'old' sets attributes of bundled avatars"):
            stages.wear(EditingSettings(style="old", attributes={"age": 1.0}))


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

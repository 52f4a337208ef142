"""Whole frames of several faces by the GPU's code, its kernels run on the host, against those of each face alone."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from engines import cuda_imported
from engines.cuda_imported import load_on_gpu
from kernels.emulation import emulated_program, emulation_refusal
from realtime import photographic
from realtime.building import build_stages
from realtime.clock import FakeClock
from realtime.errors import UsageError
from realtime.faces import Lost, Seen
from realtime.faces_tracking import Group
from realtime.frames import LatePicture
from realtime.photographic_group import GroupFrameStages, WholeGroup
from realtime.settings import CompositingSettings, GeneratingSettings, Settings, SmoothingSettings, TrackingSettings
from realtime.smoothing import Smoother
from realtime.statistics import Statistics
from tests.realtime.gpu_rig import Recorded, edits, gpu_stages, tracked
from tests.realtime.imported_model import models, tiny_models

__all__ = ["models", "tiny_models", "tracked"]
pytestmark = pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))

SIDE, WIDE = 160, 480 + 2 * 160  # grey beside each face, so that no crop sees the other one
SIZE = (WIDE, 480)


@pytest.fixture
def pairs(tracked):
    """Two frames with two people, and frames and faces of each person alone; the second moves differently."""
    alone = []
    for order in ((0, 1), (2, 1)):
        frames = [
            replace(
                tracked[0][k], pixels=np.pad(tracked[0][i].pixels, ((0, 0), (SIDE, SIDE), (0, 0)), constant_values=99)
            )
            for k, i in enumerate(order)
        ]
        faces = [
            replace(
                tracked[1][i], frame_id=k, captured_ns=frames[k].captured_ns, fresh=k == 0,
                landmarks=tracked[1][i].landmarks + np.array([SIDE, 0, 0], np.float32),
            )
            for k, i in enumerate(order)
        ]  # fmt: skip
        alone.append((frames, faces))
    both = [
        replace(one, pixels=np.hstack([one.pixels, two.pixels]))
        for one, two in zip(*(a[0] for a in alone), strict=True)
    ]
    return both, alone


def _group(alone, number, people=(0, 1), lost=()):
    shift = np.array([WIDE, 0, 0], np.float32)
    faces = [replace(alone[k][1][number], landmarks=alone[k][1][number].landmarks + k * shift) for k in (0, 1)]
    return Group(tuple(Seen(k, faces[k], number == 0) for k in people), tuple(lost))


def _whole(models, worn, **compositing):
    model = load_on_gpu(models / "tiny", faces=2, device="cpu", programs=emulated_program)
    smoothing = photographic.smoothing(SmoothingSettings())
    worn = photographic.PhotographicEditor(worn, models, model.centre).edits
    settings, size = CompositingSettings(mode="paste", **compositing), (2 * WIDE, 480)
    return WholeGroup(settings, size, model, lambda: Smoother(smoothing, None, 256), smoothing, worn)


def test_two_people_are_drawn_as_each_alone(models, pairs):
    both, alone = pairs
    worn, smoothing = edits(models), photographic.smoothing(SmoothingSettings())
    whole, statistics = _whole(models, worn), Statistics(FakeClock())
    single = [
        gpu_stages(models, Recorded(a[1]), worn, smoothing, CompositingSettings(mode="paste"), SIZE) for a in alone
    ]
    groups = Recorded([_group(alone, 0), _group(alone, 1, (1, 0)), Group((), ())])
    stages = GroupFrameStages(groups, whole, single[0].editor)
    for number, frame in enumerate(both):
        got = stages.draw(frame, statistics)
        wanted = np.hstack([one.draw(a[0][number], statistics).pixels for one, a in zip(single, alone, strict=True)])
        assert isinstance(got, LatePicture) and (wanted != frame.pixels).any(axis=2).mean() > 0.05
        assert np.abs(got.pixels.astype(int) - wanted.astype(int)).max() <= 3
    stages.draw(replace(both[1], frame_id=2), statistics)
    assert statistics.snapshot().frames_without_face == 1


@pytest.mark.parametrize("on_lost", ["hold", "blur"])
def test_nobody_who_is_lost_is_shown_while_the_other_goes_on(models, pairs, on_lost):
    both, alone = pairs
    whole = _whole(models, {}, on_lost=on_lost)
    first = whole.draw_group(both[0], _group(alone, 0)).pixels
    seen = both[1].pixels.copy()
    seen[:, WIDE:] = np.random.default_rng(1).integers(0, 256, seen[:, WIDE:].shape, np.uint8)
    lost = [Lost(1, (0.0, 0.0), 150.0, 40_000_000)]
    second = whole.draw_group(replace(both[1], pixels=seen), _group(alone, 1, (0,), lost)).pixels
    inside = np.s_[100:380, WIDE + SIDE + 100 : WIDE + SIDE + 380]
    noise, shown = seen[inside].astype(float), second[inside].astype(float)
    assert abs(np.corrcoef(noise.ravel(), shown.ravel())[0, 1]) < 0.1, "nothing of the camera is there"
    if on_lost == "hold":
        assert np.abs(shown - first[inside]).mean() < 12, "but what was drawn before, fading"
    x, y = alone[0][1][1].landmarks[:, :2].mean(axis=0).astype(int)
    face = np.s_[y - 20 : y + 20, x - 20 : x + 20]
    assert np.abs(second[face].astype(int) - seen[face]).mean() > 5, "the other is drawn"


def test_the_settings_make_them_on_a_gpu_that_is_named_only(models, monkeypatch):
    several = Settings(
        tracking=TrackingSettings(faces=3), compositing=CompositingSettings(mode="paste"),
        generating=GeneratingSettings(model="tiny", device="cuda"),
    )  # fmt: skip
    monkeypatch.setattr("realtime.photographic.check_gpu", lambda: None)
    monkeypatch.setattr(cuda_imported, "load_on_gpu", partial(load_on_gpu, device="cpu", programs=emulated_program))
    stages, told = build_stages(several, (64, 64))
    stages.tracker.close()
    assert isinstance(stages, GroupFrameStages) and "whole frames" in told
    first, *more = stages.compositor._engine._parts.values()
    assert [first.faces, *(part.faces for part in more)] == [1, 2, 3]
    assert all(part._generator._packed is first._generator._packed for part in more), "one set of weights"
    for changed in (
        {"generating": GeneratingSettings(model="tiny", device="auto")},
        {"compositing": CompositingSettings(mode="scene")},
    ):
        with pytest.raises(UsageError, match="'tiny' draws one face; with --faces 3 wanted .*, or --device cuda with"):
            build_stages(replace(several, **changed), (64, 64))

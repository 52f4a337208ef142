"""How often a face is looked at, where that is left open."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from engines import openvino_engine
from realtime.settings import Settings, TrackingSettings
from realtime.stages import bundled_stages
from realtime.tracking import Tracker


@pytest.mark.parametrize(
    ("cores", "amx", "wanted", "looks"),
    [(2, False, 0, 1), (2, True, 0, 2), (1, False, 0, 1), (4, False, 0, 2), (2, False, 2, 2), (8, True, 1, 1)],
)
def test_a_face_is_looked_at_twice_where_a_core_is_left(
    monkeypatch: pytest.MonkeyPatch, cores: int, amx: bool, wanted: int, looks: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(openvino_engine, "has_amx", lambda core: amx)
    asked: list[int] = []

    class Noting(Tracker):
        def __init__(self, settings: TrackingSettings) -> None:
            asked.append(settings.looks)
            super().__init__(settings)

    monkeypatch.setattr("realtime.tracking.Tracker", Noting)
    settings = Settings()
    settings = replace(settings, tracking=TrackingSettings(looks=wanted))
    settings = replace(settings, generating=replace(settings.generating, device="cpu", precision="f32"))
    stages, _ = bundled_stages(settings, (64, 64))
    stages.tracker.close()
    assert asked == [looks]

"""The parts of the measurement that do not run the program."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tools.bench_pipeline import cpu_ms_a_picture, installed_packages, looped


def test_a_clip_is_looped_there_and_back(tmp_path: Path) -> None:
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"MJPG"), 30, (64, 48))
    for level in (40, 120, 200):
        writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.release()
    assert looped(clip, 7, 30, tmp_path / "long.mp4") == (64, 48)
    reader, levels = cv2.VideoCapture(str(tmp_path / "long.mp4")), []
    while (read := reader.read())[0]:
        levels.append(read[1].mean())
    np.testing.assert_allclose(levels, [40, 120, 200, 120, 40, 120, 200], atol=6)


def test_what_is_no_video_is_said(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(SystemExit, match="cannot be read as a video"):
        looped(tmp_path / "text.mp4", 2, 30, tmp_path / "long.mp4")


def test_starting_up_does_not_count_as_processor_time_of_a_picture() -> None:
    singles = [{"cpu_s": 3.5}, {"cpu_s": 3.0}, {"cpu_s": 4.0}]
    assert cpu_ms_a_picture({"cpu_s": 8.0, "frames_out": 101}, singles) == pytest.approx(50)


def test_installed_packages_bring_their_own_and_skip_extras() -> None:
    found = installed_packages(["mediapipe>=0.10", "nosuchpackage>=1", "torch; extra == 'dev'"])
    assert {"mediapipe", "numpy", "opencv-contrib-python"} <= found.keys()
    assert "torch" not in found and "nosuchpackage" not in found
    assert found["opencv-contrib-python"] > 50_000_000

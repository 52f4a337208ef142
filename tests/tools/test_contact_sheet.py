"""A sheet of a real video file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tools.contact_sheet import sheet


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "compared.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 30, (128, 48))
    for number in range(30):
        picture = np.zeros((48, 128, 3), np.uint8)
        picture[:, :64, 2] = 240  # input: red
        picture[:, 64:, 0] = 8 * number  # output: ever more blue
        writer.write(picture)
    writer.release()
    return path


def test_pairs_in_the_order_of_time(video: Path, tmp_path: Path) -> None:
    assert sheet(video, tmp_path / "sheet.png") == 30
    picture = cv2.imread(str(tmp_path / "sheet.png"))
    assert (picture[..., 2] > 200).mean() > 0.3
    blue = picture[picture.shape[0] - 90, :, 0]
    assert blue.max() > picture[90, :, 0].max() > 0


def test_whole_frames_two_and_two(video: Path, tmp_path: Path) -> None:
    assert sheet(video, tmp_path / "sheet.png", alone=True) == 30
    assert cv2.imread(str(tmp_path / "sheet.png")) is not None


def test_what_is_no_video_is_said(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(SystemExit, match="cannot be read as a video"):
        sheet(tmp_path / "text.mp4", tmp_path / "sheet.png")

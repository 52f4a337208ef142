from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.contact_sheet import CELLS, COLUMNS, GAP_PX, HEIGHT_PX, ContactSheet
from realtime.errors import OutputError
from realtime.frames import Frame, Picture


def fill(sheet: ContactSheet, count: int, size: tuple[int, int] = (64, 48)) -> None:
    for number in range(count):
        frame = Frame(number, number, np.full((size[1], size[0], 3), number % 250, np.uint8))
        sheet.add(frame, Picture(number, number, np.full((size[1], size[0], 3), 255, np.uint8)))


@pytest.mark.parametrize("count", [1, 2, CELLS, CELLS + 1, 2 * CELLS, 240])
def test_frames_stand_beside_their_pictures_evenly_over_the_run(tmp_path: Path, count: int) -> None:
    sheet = ContactSheet(tmp_path / "sheet.png")
    fill(sheet, count)
    sheet.save()
    pixels = cv2.imread(str(tmp_path / "sheet.png"))
    cell = 2 * HEIGHT_PX * 64 // 48 + GAP_PX
    row = HEIGHT_PX + GAP_PX
    shown = min(count, CELLS)
    assert pixels.shape[1] == min(shown, COLUMNS) * cell + GAP_PX
    levels = []
    for index in range(shown):
        top, left = GAP_PX + index // COLUMNS * row + 9, GAP_PX + index % COLUMNS * cell + 9
        levels.append(int(pixels[top, left, 0]))
        assert (pixels[top, left + cell // 2] == 255).all(), "the output is on the right"
    assert levels[0] == 0
    assert levels == sorted(set(levels))
    assert levels[-1] >= 0.8 * (count - 1)


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (4000, 3)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    sheet = ContactSheet(tmp_path / "sheet.png")
    fill(sheet, 3, size)
    sheet.save()
    assert cv2.imread(str(tmp_path / "sheet.png")) is not None


def test_no_frame_no_sheet(tmp_path: Path) -> None:
    ContactSheet(tmp_path / "sheet.png").save()
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    sheet = ContactSheet(tmp_path / "none" / "sheet.png")
    fill(sheet, 1)
    with pytest.raises(OutputError, match="cannot write the contact sheet to .*No such file.*give another path"):
        sheet.save()

"""Backgrounds by their text."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.backgrounds import Background, filled
from realtime.errors import UsageError


@pytest.mark.parametrize(
    ("text", "bgr"), [("#2e3440", [0x40, 0x34, 0x2E]), ("green", [64, 177, 0]), ("#FFFFFF", [255] * 3)]
)
def test_colours(text: str, bgr: list[int]) -> None:
    picture = Background(text).picture((5, 3))
    assert picture.shape == (3, 5, 3) and picture[2, 4].tolist() == bgr


def test_a_picture_fills_the_size_and_is_cut_evenly(tmp_path: Path) -> None:
    stripes = np.zeros((60, 300, 3), np.uint8)
    stripes[:, 100:200] = 255
    cv2.imwrite(str(tmp_path / "bild ä.png"), stripes) or cv2.imencode(".png", stripes)[1].tofile(
        tmp_path / "bild ä.png"
    )
    background = Background(str(tmp_path / "bild ä.png"))
    picture = background.picture((100, 60))
    assert picture.shape == (60, 100, 3) and (picture == 255).all()
    picture[:] = 0
    assert (background.picture((100, 60)) == 255).all()
    assert background.plain((4, 4)).max() < 80


@pytest.mark.parametrize("size", [(160, 90), (1, 1), (33, 400)])
def test_filled_has_the_size(size: tuple[int, int]) -> None:
    assert filled(np.zeros((37, 51, 3), np.uint8), size).shape == (size[1], size[0], 3)


def test_wrong_backgrounds_say_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'#12345' is no colour; write six hexadecimal digits"):
        Background("#12345")
    with pytest.raises(UsageError, match=r"'#12345g' is no colour"):
        Background("#12345g")
    with pytest.raises(UsageError, match=r"'nowhere.png' is no file; wanted a colour \(#2e3440\), green, blur"):
        Background("nowhere.png")
    for name, data in (("empty.png", b""), ("text.png", b"this is no picture")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UsageError, match="is not a picture that can be read; use a PNG or JPEG file"):
            Background(str(tmp_path / name))

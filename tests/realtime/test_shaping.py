"""Sources turned, brought to a size and mirrored: the four coloured quarters of a clip must end where they belong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from realtime.capture import Source, open_source
from realtime.clock import FakeClock
from realtime.errors import UsageError
from realtime.frames import Frame
from realtime.settings import CaptureSettings
from realtime.sources.base import Stalled
from realtime.sources.shaped import ShapedSource, cropped, inner_settings
from tests.realtime.clips import corners, quadrants


class Still:
    """A live source of one picture, then a stall, then the end: what a camera that was asked for much may deliver."""

    fps, live, path = 30.0, True, None

    def __init__(self, pixels: np.ndarray) -> None:
        self._items: list[Frame | Stalled | None] = [Frame(0, 0, pixels), Stalled("slow"), None]
        self.size = (pixels.shape[1], pixels.shape[0])
        self.closed = 0

    def describe(self) -> str:
        return "a still"

    def read(self) -> Frame | Stalled | None:
        return self._items.pop(0)

    def close(self) -> None:
        self.closed += 1


def shaped(pixels: np.ndarray, **settings: object) -> Frame:
    source: Source = ShapedSource(Still(pixels), CaptureSettings(**settings))  # type: ignore[arg-type]
    frame = source.read()
    assert isinstance(frame, Frame) and frame.pixels.flags.c_contiguous
    assert (frame.pixels.shape[1], frame.pixels.shape[0]) == source.size
    return frame


@pytest.mark.parametrize(
    ("rotate", "mirror", "wanted"),
    [
        ("0", False, "abcd"),
        ("90", False, "cadb"),
        ("180", False, "dcba"),
        ("270", False, "bdac"),
        ("0", True, "badc"),
        ("90", True, "acbd"),
        ("270", True, "dbca"),
    ],
)
def test_turning_is_clockwise_and_mirroring_comes_after(rotate: str, mirror: bool, wanted: str) -> None:
    pixels = quadrants(64, 48)
    named = dict(zip("abcd", corners(pixels), strict=True))
    frame = shaped(pixels, rotate=rotate, mirror=mirror)
    assert frame.pixels.shape == ((64, 48, 3) if rotate in ("90", "270") else (48, 64, 3))
    assert (corners(frame.pixels) == [named[letter] for letter in wanted]).all()


@pytest.mark.parametrize("size", [(64, 48), (65, 47), (97, 33), (48, 64), (320, 180), (33, 97)])
@pytest.mark.parametrize("fit", ["letterbox", "crop"])
def test_every_size_comes_out_as_asked(size: tuple[int, int], fit: str) -> None:
    frame = shaped(quadrants(64, 48), width=size[0], height=size[1], fit=fit)
    assert (frame.pixels.shape[1], frame.pixels.shape[0]) == size


def test_letterbox_shows_all_of_it_between_bars_and_crop_fills() -> None:
    white = np.full((48, 64, 3), 255, np.uint8)
    boxed = shaped(white, width=128, height=48, fit="letterbox").pixels
    assert (boxed[:, 32:96] == 255).all() and not boxed[:, :32].any() and not boxed[:, 96:].any()
    striped = white.copy()
    striped[:8] = striped[-8:] = 0
    filled = shaped(striped, width=128, height=64, fit="crop").pixels
    assert (filled[1:-1] == 255).all(), "what does not fit is cut above and below alike"


def test_a_portrait_camera_fills_a_landscape_picture_upright() -> None:
    portrait = quadrants(48, 64)
    frame = shaped(portrait, width=64, height=36, fit="crop")
    assert (corners(frame.pixels) == corners(portrait)).all()


def test_cropping_keeps_proportions_and_the_same_pixels_when_nothing_is_scaled() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (40, 61, 3), dtype=np.uint8)
    assert (cropped(pixels, (41, 40)) == pixels[:, 10:51]).all()
    assert (cropped(pixels, (61, 20)) == pixels[10:30]).all()


def test_a_stall_an_end_and_closing_pass_through() -> None:
    inner = Still(quadrants(64, 48))
    source = ShapedSource(inner, CaptureSettings(width=32, height=32, fit="crop", rotate="180"))
    assert (source.fps, source.live, source.path) == (30.0, True, None)
    assert source.describe() == "a still, turned by 180 degrees, cropped to 32x32"
    source.read()
    assert isinstance(source.read(), Stalled) and source.read() is None
    source.close()
    assert inner.closed == 1


def test_a_camera_that_will_be_turned_is_asked_for_a_picture_that_lies() -> None:
    asked = inner_settings(CaptureSettings(width=720, height=1280, rotate="90", mirror=True, fit="crop"))
    assert (asked.width, asked.height, asked.rotate, asked.mirror, asked.fit) == (1280, 720, "0", False, "keep")


def test_the_demo_and_files_are_shaped_too(media: Path) -> None:
    settings = CaptureSettings(width=90, height=50, fit="letterbox", rotate="90")
    source = open_source(str(media / "clips" / "d18.mp4"), settings, FakeClock())
    frame = source.read()
    source.close()
    assert isinstance(frame, Frame) and frame.pixels.shape == (50, 90, 3)
    assert source.describe().endswith("turned by 90 degrees, fitted into 90x50")


def test_what_cannot_be_done_lists_what_can() -> None:
    with pytest.raises(UsageError, match="rotate is '45'; wanted one of 0, 90, 180, 270"):
        CaptureSettings(rotate="45")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="fit is 'stretch'; wanted one of keep, letterbox, crop"):
        CaptureSettings(fit="stretch")  # type: ignore[arg-type]

"""Modes, sizes and blending, on drawn faces whose place is known."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from realtime.compositing import Compositor, output_size, over_head
from realtime.frames import Face, Frame, Pixels, Portrait
from realtime.painting import Composition, OnCpu, draw
from realtime.settings import CompositingSettings

SIZE = 64  # of the portraits here
STEP_NS = 33_000_000


def face_at(x: float, y: float, radius: float, fresh: bool = False) -> Face:
    """Points on a disc: 10 on top, 152 below, as FaceMesh has them."""
    turn = np.arange(478) * 2.399963  # the golden angle: evenly over the disc
    reach = radius * np.sqrt(np.arange(478) / 478)
    points = np.stack([x + reach * np.cos(turn), y + reach * np.sin(turn), 0 * turn], axis=1)
    points[10], points[152] = (x, y - radius, 0), (x, y + radius, 0)
    return Face(0, 0, points.astype(np.float32), fresh)


def portrait_at(x: float, y: float, side: float, pixels: Pixels | None = None) -> Portrait:
    step = side / SIZE
    if pixels is None:
        pixels = np.zeros((SIZE, SIZE, 4), np.uint8)
        pixels[8:, 16:48] = (10, 200, 30, 255)
    left, top = x - side / 2 + step / 2 - 0.5, y - side / 2 + step / 2 - 0.5
    return Portrait(0, 0, pixels, np.array([[step, 0, left], [0, step, top]]))


def grey(width: int, height: int, level: int = 120, number: int = 0) -> Frame:
    return Frame(number, number * STEP_NS, np.full((height, width, 3), level, np.uint8))


def green(pixels: Pixels) -> np.ndarray:
    return (pixels[..., 1] > 170) & (pixels[..., 0] < 60)


@pytest.mark.parametrize(
    ("mode", "compare", "wanted"),
    [
        ("overlay", False, (160, 90)),
        ("scene", False, (160, 90)),
        ("crop", False, (90, 90)),
        ("paste", True, (320, 90)),
        ("crop", True, (250, 90)),
    ],
)
def test_every_picture_has_the_output_size(mode: str, compare: bool, wanted: tuple[int, int]) -> None:
    settings = CompositingSettings(mode=mode, compare=compare)
    assert output_size((160, 90), settings) == wanted
    compositor = Compositor(settings)
    face, portrait = face_at(80, 40, 14), portrait_at(80, 45, 60)
    pictures = [
        compositor.composite(grey(160, 90), face, portrait),
        compositor.holding(grey(160, 90, number=1)),
        compositor.composite(grey(47, 201, number=2), face_at(20, 90, 10), portrait),  # another size in mid-run
        compositor.holding(None),
        compositor.composite(grey(1, 1, number=3), face_at(0, 0, 3), portrait),
    ]
    for picture in pictures:
        assert picture.pixels.shape == (wanted[1], wanted[0], 3) and picture.pixels.dtype == np.uint8
    assert [picture.frame_id for picture in pictures] == [0, 1, 2, 2, 3]
    assert pictures[2].captured_ns == 2 * STEP_NS


def test_the_size_is_known_before_the_first_frame() -> None:
    assert Compositor(CompositingSettings(), (160, 90)).holding(None).pixels.shape == (90, 160, 3)


def test_the_frame_itself_is_never_changed() -> None:
    for mode in ("overlay", "scene", "crop", "paste"):
        frame = grey(160, 90)
        compositor = Compositor(CompositingSettings(mode=mode, on_lost="raw", background="blur"))
        compositor.composite(frame, face_at(80, 40, 14), portrait_at(80, 45, 60))
        compositor.holding(frame).pixels[:] = 7
        assert (frame.pixels == 120).all()


def test_overlay_draws_the_portrait_over_the_camera_and_fades_its_lower_end() -> None:
    output = Compositor(CompositingSettings()).composite(
        grey(320, 180), face_at(100, 80, 20), portrait_at(100, 90, 100)
    )
    seen = green(output.pixels)
    rows, columns = np.nonzero(seen)
    assert columns.min() == pytest.approx(78, abs=1) and columns.max() == pytest.approx(121, abs=1)
    assert rows.min() == pytest.approx(60, abs=1)
    middle = output.pixels[:, 100, 1].astype(int)
    assert middle[120] == 200 and middle[139] < 130
    assert (np.diff(middle[120:142]) <= 0).all()  # no edge where the bust ends
    assert (output.pixels[:, 200:] == 120).all()


def test_overlay_puts_a_drawn_heads_eyes_and_chin_where_the_persons_are() -> None:
    portrait = portrait_at(100, 90, 100)
    size, middle = portrait.edge_px, (portrait.edge_px - 1) / 2
    drawn, persons = (np.array([[middle, y * size, 1] for y in both]) for both in ((0.416, 0.737), (0.464, 0.755)))
    np.testing.assert_allclose(drawn @ over_head(portrait).T, persons @ portrait.transform.T, atol=0.5)


def test_colours_of_clear_pixels_do_not_shine_through() -> None:
    pixels = np.zeros((SIZE, SIZE, 4), np.uint8)
    pixels[..., 2] = 255  # red and clear
    pixels[16:48, 16:48] = (10, 200, 30, 255)
    canvas = np.full((200, 200, 3), 120, np.uint8)
    draw(canvas, pixels, portrait_at(100, 100, 150, pixels).transform)
    assert canvas[..., 2].max() <= 121


def test_drawing_is_exact_where_alpha_is_full_or_none_and_halves_in_between() -> None:
    pixels = np.full((SIZE, SIZE, 4), 200, np.uint8)
    for alpha, wanted in ((255, 200), (0, 100), (128, 150)):
        pixels[..., 3] = alpha
        canvas = np.full((100, 100, 3), 100, np.uint8)
        draw(canvas, pixels, portrait_at(50, 50, 64, pixels).transform)
        assert np.abs(canvas[30:70, 30:70].astype(int) - wanted).max() <= 1


class ByWhom(OnCpu):
    """Notes which threads cover heads; perhaps one fails."""

    def __init__(self, fails: bool = False) -> None:
        self.threads: list[str] = []
        self.fails = fails

    def covered(self, composition: Composition) -> Pixels:
        if composition.covered:
            self.threads.append(threading.current_thread().name.partition("_")[0])
            if self.fails:
                raise MemoryError("no room")
        return super().covered(composition)


@pytest.mark.parametrize("mode", ["overlay", "paste", "scene", "crop"])
def test_a_head_that_was_covered_ahead_makes_the_same_picture(mode: str) -> None:
    random = np.random.default_rng(3)
    painters = ByWhom(), ByWhom()
    settings = CompositingSettings(mode=mode)
    ahead, plain = (Compositor(settings, (160, 90), painter) for painter in painters)
    for number, size in enumerate([(90, 160), (90, 160), (201, 47), (90, 160)]):
        frame = Frame(number, number * STEP_NS, random.integers(0, 256, (*size, 3), np.uint8))
        kept = frame.pixels.copy()
        face, portrait = face_at(size[1] / 2, 40, 14, number == 0), portrait_at(size[1] / 2, 45, 60)
        ahead.cover_ahead(frame, face)
        np.testing.assert_array_equal(
            ahead.composite(frame, face, portrait).pixels, plain.composite(frame, face, portrait).pixels
        )
        np.testing.assert_array_equal(frame.pixels, kept)
    assert painters[0].threads == {"overlay": ["covering"] * 4, "paste": ["MainThread"] * 4}.get(mode, [])


def test_what_was_covered_ahead_is_for_that_frame_and_face_only() -> None:
    painter = ByWhom()
    compositor = Compositor(CompositingSettings(), (160, 90), painter)
    face, portrait = face_at(80, 40, 14), portrait_at(80, 45, 60)
    compositor.cover_ahead(grey(160, 90, 20), face)
    assert compositor.composite(grey(160, 90, 200), face, portrait).pixels[5, 5, 0] == 200
    frame = grey(160, 90, 20)
    compositor.cover_ahead(frame, face_at(20, 20, 5))
    compositor.composite(frame, face, portrait)
    assert painter.threads.count("MainThread") == 2


def test_a_failure_to_cover_ahead_is_told_and_shows_nothing() -> None:
    compositor = Compositor(CompositingSettings(), (160, 90), ByWhom(fails=True))
    frame, face = grey(160, 90), face_at(80, 40, 14)
    compositor.cover_ahead(frame, face)
    with pytest.raises(MemoryError, match="no room"):
        compositor.composite(frame, face, portrait_at(80, 45, 60))


@pytest.mark.parametrize(
    ("x", "y", "side"), [(-500, 50, 60), (80, 5000, 60), (0, 0, 60), (159, 89, 60), (80, 45, 3000)]
)
def test_portraits_may_lie_partly_or_wholly_outside(x: float, y: float, side: float) -> None:
    output = Compositor(CompositingSettings()).composite(
        grey(160, 90), face_at(x, y, side / 5), portrait_at(x, y, side)
    )
    assert output.pixels.shape == (90, 160, 3)


@pytest.mark.parametrize(("y", "side"), [(30, 40), (90, 60), (45, 200), (-20, 80), (75, 100), (60, 4)])
def test_the_lower_edge_of_a_bust_is_never_seen_in_a_scene(y: float, side: float) -> None:
    compositor = Compositor(CompositingSettings(mode="scene"))
    for number in range(4):  # also while the person rises and falls
        portrait = replace(portrait_at(80, y + 7 * (-1) ** number, side), captured_ns=number * STEP_NS)
        output = compositor.composite(grey(160, 90, number=number), face_at(80, y, side / 5, number == 0), portrait)
        assert green(output.pixels)[-1, 80]
        assert green(output.pixels).sum(axis=1)[-1] == green(output.pixels).sum(axis=1).max()


def test_a_scene_follows_the_person() -> None:
    compositor = Compositor(CompositingSettings(mode="scene"))

    def middle(number: int, x: float, y: float, side: float) -> tuple[float, float, float]:
        portrait = replace(portrait_at(x, y, side), captured_ns=number * STEP_NS)
        output = compositor.composite(grey(320, 180, number=number), face_at(x, y, side / 5, number == 0), portrait)
        rows, columns = np.nonzero(green(output.pixels))
        return columns.mean(), rows.min(), np.ptp(columns)

    x0, top0, width0 = middle(0, 150, 90, 180)
    x1, top1, _ = middle(1, 180, 90, 180)
    _, top2, _ = middle(2, 180, 96, 180)
    *_, width3 = middle(3, 180, 90, 220)
    assert x1 - x0 == pytest.approx(30, abs=2)
    assert top1 == pytest.approx(top0, abs=1)
    assert top2 - top1 == pytest.approx(6, abs=2)
    assert width3 / width0 == pytest.approx(220 / 180, rel=0.05)


def test_a_scene_has_its_background_and_nothing_of_the_camera() -> None:
    settings = CompositingSettings(mode="scene", background="#102030")
    outputs = [
        Compositor(settings).composite(grey(160, 90, level), face_at(80, 40, 14), portrait_at(80, 45, 60)).pixels
        for level in (0, 255)
    ]
    np.testing.assert_array_equal(*outputs)
    assert outputs[0][0, 0].tolist() == [0x30, 0x20, 0x10]


def test_crop_shows_the_whole_portrait_alone() -> None:
    compositor = Compositor(CompositingSettings(mode="crop", background="green"))
    output = compositor.composite(grey(160, 128), face_at(80, 40, 14), portrait_at(10, 10, 30))
    assert output.pixels.shape == (128, 128, 3)
    assert output.pixels[4, 4].tolist() == [64, 177, 0]
    rows, columns = np.nonzero(output.pixels[..., 2] > 25)
    assert (rows.min(), rows.max()) == pytest.approx((16, 127), abs=1)
    assert (columns.min(), columns.max()) == pytest.approx((32, 95), abs=1)


def test_paste_takes_over_the_colours_of_the_person() -> None:
    rng = np.random.default_rng(7)
    pixels = np.full((SIZE, SIZE, 4), 255, np.uint8)
    pixels[..., :3] = rng.normal((60, 60, 60), 10, (SIZE, SIZE, 3)).clip(0, 255)
    frame = Frame(0, 0, rng.normal((90, 120, 170), 10, (180, 320, 3)).clip(0, 255).astype(np.uint8))
    output = Compositor(CompositingSettings(mode="paste")).composite(
        frame, face_at(100, 90, 30), portrait_at(100, 90, 140, pixels)
    )
    inside = output.pixels[75:105, 85:115].reshape(-1, 3)
    assert np.abs(inside.mean(axis=0) - (90, 120, 170)).max() < 6
    np.testing.assert_array_equal(output.pixels[:, 230:], frame.pixels[:, 230:])


def test_hold_fades_from_the_last_avatar_into_the_backdrop() -> None:
    settings = CompositingSettings(mode="scene", background="#000000", hold_ms=100)
    compositor = Compositor(settings)
    shown = compositor.composite(grey(160, 90), face_at(80, 40, 14), portrait_at(80, 45, 60)).pixels
    levels = []
    for passed_ms in (0, 20, 50, 80, 100, 2000):
        frame = replace(grey(160, 90), captured_ns=passed_ms * 1_000_000)
        levels.append(int(compositor.holding(frame).pixels[88, 80, 1]))
    assert levels[0] == shown[88, 80, 1] and levels[-2:] == [0, 0]
    assert levels == sorted(levels, reverse=True) and levels[2] == pytest.approx(levels[0] / 2, abs=2)


def test_hold_without_a_frame_fades_by_the_time_it_is_given() -> None:
    compositor = Compositor(CompositingSettings(mode="scene", background="#000000", hold_ms=100))
    compositor.composite(grey(160, 90), face_at(80, 40, 14), portrait_at(80, 45, 60))
    assert compositor.holding(None, 50_000_000).pixels[88, 80, 1] == pytest.approx(100, abs=2)
    assert compositor.holding(None).pixels[88, 80, 1] == 0


def test_the_fade_starts_anew_after_each_loss() -> None:
    compositor = Compositor(CompositingSettings(mode="scene", background="#000000", hold_ms=100))
    face, portrait = face_at(80, 40, 14), portrait_at(80, 45, 60)
    compositor.composite(grey(160, 90), face, portrait)
    assert compositor.holding(replace(grey(160, 90), captured_ns=500_000_000)).pixels.max() == 0
    for found_ns in (600_000_000, 700_000_000):  # the avatar has faded in by the second
        compositor.composite(replace(grey(160, 90), captured_ns=found_ns), face, portrait)
    assert compositor.holding(replace(grey(160, 90), captured_ns=701_000_000)).pixels[88, 80, 1] > 190


def test_compare_puts_the_frame_beside_the_output() -> None:
    compositor = Compositor(CompositingSettings(mode="scene", background="#000000", compare=True))
    output = compositor.composite(grey(160, 90), face_at(80, 40, 14), portrait_at(80, 45, 60)).pixels
    assert (output[:, :160] == 120).all() and not (output[:, 160:] == 120).any()
    assert (compositor.holding(None).pixels[:, :160] == 0).all()


def test_overlay_moves_with_parts_of_pixels() -> None:
    middles = []
    for shift in (0.0, 0.25, 0.5, 0.75):
        compositor = Compositor(CompositingSettings(mode="overlay"))
        output = compositor.composite(grey(320, 180, 0), face_at(100, 80, 20), portrait_at(100 + shift, 90, 100)).pixels
        row = output[100, :, 1].astype(float)
        middles.append(float((row * np.arange(320)).sum() / row.sum()))
    np.testing.assert_allclose(np.diff(middles), 0.25, atol=0.1)  # OpenCV samples at 1/32 of a pixel

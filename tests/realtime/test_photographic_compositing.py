"""Faces put back: what is replaced, what stays, and that nothing of the person's face is left."""

from __future__ import annotations

import numpy as np
import pytest

from realtime.frames import Face, Frame, Portrait
from realtime.photographic_compositing import PhotographicCompositor, cut_patch, membrane
from realtime.settings import CompositingSettings
from tests.realtime.faces import head_points, seen

SIZE = (640, 480)
TURN = np.array([[2.0, 0.0, 64.0], [0.0, 2.0, -16.0]])  # portrait of 256 px over all of the face


def compositor(**settings: object) -> PhotographicCompositor:
    return PhotographicCompositor(CompositingSettings(**{"mode": "paste", **settings}), SIZE)


def landmarks() -> np.ndarray:
    """A face in the middle, every point within an oval of 90 x 120 px."""
    points = seen(head_points())
    points[:, :2] = np.clip(points[:, :2] - (320, 240), (-90, -120), (90, 120)) + (320, 240)
    points[10, :2], points[152, :2] = (320, 120), (320, 360)
    return points.astype(np.float32)


def frame(number: int = 0, value: int | None = None) -> Frame:
    pixels = np.random.default_rng(number).integers(60, 200, (SIZE[1], SIZE[0], 3), np.uint8)
    return Frame(number, number * 33_000_000, pixels if value is None else np.full_like(pixels, value))


def portrait(pixels: np.ndarray, transform: np.ndarray = TURN, number: int = 0) -> Portrait:
    opaque = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    return Portrait(number, number * 33_000_000, opaque, transform)


def face(number: int = 0, fresh: bool = True) -> Face:
    return Face(number, number * 33_000_000, landmarks(), fresh)


def grey(value: int) -> np.ndarray:
    return np.full((256, 256, 3), value, np.uint8)


def test_nothing_of_the_face_is_left_and_all_around_it_stays():
    patch = cut_patch(grey(0), TURN, landmarks()[:, :2].astype(np.float64), frame().pixels)
    mask = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    patch.of(mask)[:] = patch.mask
    for x, y in landmarks()[:, :2].round().astype(int):
        assert mask[y, x] == 255
    noise = frame().pixels
    result = compositor().composite(frame(), face(), portrait(grey(120))).pixels
    inside = mask == 255
    texture = [np.corrcoef(noise[inside][:, c], result[inside][:, c])[0, 1] for c in range(3)]
    assert np.abs(texture).max() < 0.05, "no grain of the person's face shines through"
    np.testing.assert_array_equal(result[mask == 0], noise[mask == 0])
    assert 0.1 < (mask == 255).mean() < 0.35 and 0 < ((mask > 0) & (mask < 255)).mean() < 0.1


def test_the_frame_itself_is_not_drawn_on():
    given = frame()
    before = given.pixels.copy()
    compositor().composite(given, face(), portrait(grey(0)))
    np.testing.assert_array_equal(given.pixels, before)


def test_colours_become_the_persons():
    person = frame(value=150)
    person.pixels[..., 0] = 90
    ramp = np.broadcast_to(np.linspace(20, 60, 256)[:, None], (256, 256)).astype(np.uint8)
    result = compositor().composite(person, face(), portrait(np.dstack([ramp] * 3))).pixels
    np.testing.assert_allclose(result[200:280, 280:360].mean(axis=(0, 1)), [90, 150, 150], atol=8)


def test_colours_are_averaged_in_time_and_a_new_face_starts_anew():
    ours = compositor()
    ours.composite(frame(0, 60), face(0), portrait(grey(100)))
    second = ours.composite(frame(1, 160), face(1, fresh=False), portrait(grey(100), number=1)).pixels[240, 320, 0]
    third = ours.composite(frame(2, 160), face(2, fresh=True), portrait(grey(100), number=2)).pixels[240, 320, 0]
    assert 60 <= second < 90 and third > 150


def test_the_edge_is_seamless_and_the_middle_is_not_tinted():
    mask = np.zeros((48, 48), np.float32)
    mask[10:38, 10:38] = 100
    mask[14:34, 14:34] = 255
    difference = np.full((48, 48, 3), 30.0, np.float32)
    added = membrane(difference, mask)
    assert added[12, 24].min() > 25 and added[24, 24].max() < 3
    assert np.abs(membrane(difference, np.zeros((48, 48), np.float32))).max() == 0
    result = compositor().composite(frame(value=140), face(), portrait(grey(140))).pixels
    assert np.abs(result.astype(int) - 140).max() <= 2, "the same picture put back is not seen"


def test_a_portrait_that_does_not_reach_is_drawn_over_a_covered_head():
    aside = np.array([[0.2, 0.0, 320.0], [0.0, 0.2, 240.0]])
    noise = frame()
    result = compositor().composite(noise, face(), portrait(grey(120), aside)).pixels
    middle = np.s_[180:300, 260:380]
    variance, shared = np.cov(noise.pixels[middle].ravel(), result[middle].ravel())[0]
    assert abs(shared) < 0.01 * variance, "nothing of the picture is left"


def test_a_face_outside_of_the_picture_changes_nothing_within():
    away = landmarks() + np.array([2000, 0, 0], np.float32)
    far = TURN + np.array([[0, 0, 2000.0], [0, 0, 0]])
    given = frame()
    result = compositor().composite(given, Face(0, 0, away, True), portrait(grey(0), far)).pixels
    np.testing.assert_array_equal(result, given.pixels)


@pytest.mark.parametrize("on_lost", ["hold", "card", "blur"])
def test_without_a_face_there_is_the_holding_picture(on_lost):
    ours, given = compositor(on_lost=on_lost, hold_ms=100), frame(9)
    ours.composite(frame(0), face(), portrait(grey(120)))
    lost = ours.composite(given, None, None)
    assert lost.frame_id == 9 and lost.pixels.shape == (480, 640, 3)
    assert np.abs(np.corrcoef(given.pixels.ravel(), lost.pixels.ravel())[0, 1]) < 0.2
    assert ours.holding(None, 10**10).frame_id == 9


def test_raw_shows_the_camera_only_when_asked_for():
    np.testing.assert_array_equal(compositor(on_lost="raw").holding(frame()).pixels, frame().pixels)


def test_compare_and_other_sizes_of_frames():
    wide = compositor(compare=True).composite(frame(), face(), portrait(grey(0))).pixels
    assert wide.shape == (480, 1280, 3)
    np.testing.assert_array_equal(wide[:, :640], frame().pixels)
    small = Frame(0, 0, frame().pixels[::2, ::2].copy())
    half = Face(0, 0, landmarks() / 2, True)
    step = TURN / 2
    assert compositor().composite(small, half, portrait(grey(0), step)).pixels.shape == (480, 640, 3)

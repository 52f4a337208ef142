"""No pixel of the person's face leaves: every mode, every state, every way to hold, on real faces.

Two proofs. *Independence*: when every pixel of the head is replaced by noise, the output stays the same to the last
bit, so nothing of the head can be in it. *Detail*: where colours may pass (blurred backdrops, colour match), the fine
detail of the source, block by block, has no part in the output: the regression of the output's high-pass blocks on the
source's is near 0 (it is 1 for the raw picture), and FaceMesh finds no face.

The portrait is the hardest one: clear everywhere, so that all that lies beneath it is seen.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.alignment import Aligner
from realtime.compositing import Compositor
from realtime.covering import blurred, cover_head, head_region
from realtime.frames import Face, Frame, Pixels, Portrait
from realtime.holding import card
from realtime.settings import AlignmentSettings, CompositingSettings, TrackingSettings
from realtime.tracking import Tracker

CLIPS = Path(__file__).parents[2] / "../shared/media/clips"
pytestmark = pytest.mark.skipif(not CLIPS.is_dir(), reason="the test faces in ../shared/media are not there")

FRAMES = [("s18", 40), ("d6", 100), ("d3", 75), ("d13", 60), ("d9", 200)]
SOME = FRAMES[:3]  # a small face, an open mouth, long hair
MODES = ["overlay", "paste", "scene", "crop"]
SECOND_NS = 1_000_000_000
BLOCK = 8


@cache
def seen(clip: str, number: int) -> tuple[Frame, Face, Portrait]:
    """A frame of a clip, its face, and the portrait that is clear everywhere."""
    reader = cv2.VideoCapture(str(CLIPS / f"{clip}.mp4"))
    reader.set(cv2.CAP_PROP_POS_FRAMES, number)
    frame = Frame(number, SECOND_NS, reader.read()[1])
    tracker = Tracker(TrackingSettings())
    face = tracker.track(frame)
    tracker.close()
    assert face is not None
    crop = Aligner(AlignmentSettings()).align(frame, face)
    return frame, face, Portrait(number, SECOND_NS, np.zeros((256, 256, 4), np.uint8), crop.transform)


def head_mask(shape: tuple[int, ...], face: Face) -> np.ndarray:
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, np.round(head_region(face.landmarks)).astype(np.int32), (255,))
    return mask > 0


def with_noise_for_a_head(frame: Frame, face: Face) -> Frame:
    pixels = frame.pixels.copy()
    inside = head_mask(pixels.shape, face)
    pixels[inside] = np.random.default_rng(6).integers(0, 255, (int(inside.sum()), 3), np.uint8)
    return replace(frame, pixels=pixels)


def detail_left(source: Pixels, output: Pixels, face: Face) -> np.ndarray:
    """How much of the source's detail each 8x8 block inside the face's outline still has: 1 all, 0 none."""
    assert source.shape == output.shape
    outline = cv2.convexHull(np.round(face.landmarks[:, :2]).astype(np.int32))
    inside = cv2.fillConvexPoly(np.zeros(source.shape[:2], np.uint8), outline, (1,)).astype(bool)
    fine = [cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32) for picture in (source, output)]
    fine = [picture - cv2.GaussianBlur(picture, (0, 0), 3) for picture in fine]
    height, width = (side // BLOCK * BLOCK for side in inside.shape)

    def blocks(picture: np.ndarray) -> np.ndarray:
        cells = picture[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK)
        return cells.swapaxes(1, 2).reshape(-1, BLOCK * BLOCK)

    whole = blocks(inside).all(axis=1)
    theirs, ours = (blocks(picture)[whole] for picture in fine)
    energy = (theirs**2).sum(axis=1)
    textured = energy > 64 * 4  # an RMS of two levels: flat skin has no detail to leak
    assert textured.sum() > 10
    return (theirs * ours).sum(axis=1)[textured] / energy[textured]


def assert_no_detail(source: Pixels, output: Pixels, face: Face) -> None:
    left = detail_left(source, output, face)
    assert np.abs(left).max() < 0.25 and abs(left.mean()) < 0.01


def assert_nothing_of(frame: Frame, face: Face, output: Pixels) -> None:
    """The output is the card, or it has no detail of the frame's face."""
    assert not has_face(output)
    same = output.shape == frame.pixels.shape
    if same and not np.array_equal(output, card((output.shape[1], output.shape[0]))):
        assert_no_detail(frame.pixels, output, face)


@cache
def searcher() -> Tracker:
    return Tracker(TrackingSettings(max_faces=1))


def has_face(pixels: Pixels) -> bool:
    searcher().reset()
    return searcher().track(Frame(0, 0, np.ascontiguousarray(pixels))) is not None


@pytest.mark.parametrize(("clip", "number"), FRAMES)
def test_the_measure_sees_a_raw_face(clip: str, number: int) -> None:
    frame, face, _ = seen(clip, number)
    assert detail_left(frame.pixels, frame.pixels, face).min() == pytest.approx(1)
    assert np.median(detail_left(frame.pixels, cv2.GaussianBlur(frame.pixels, (0, 0), 1.5), face)) > 0.15
    assert has_face(frame.pixels)


@pytest.mark.parametrize(("clip", "number"), FRAMES)
def test_a_covered_head_has_left_no_trace(clip: str, number: int) -> None:
    frame, face, _ = seen(clip, number)
    covered, noise = frame.pixels.copy(), with_noise_for_a_head(frame, face).pixels
    cover_head(covered, face.landmarks)
    cover_head(noise, face.landmarks)
    np.testing.assert_array_equal(covered, noise)
    assert_no_detail(frame.pixels, covered, face)
    assert not has_face(covered)


def test_the_covered_region_holds_every_landmark() -> None:
    for clip, number in FRAMES:
        _, face, _ = seen(clip, number)
        outline = head_region(face.landmarks)
        for x, y in face.landmarks[:, :2]:
            assert cv2.pointPolygonTest(outline, (float(x), float(y)), True) > -0.5


@pytest.mark.parametrize(("clip", "number"), SOME)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("background", ["#2e3440", "blur"])
def test_beneath_a_clear_portrait_there_is_no_face(clip: str, number: int, mode: str, background: str) -> None:
    frame, face, clear = seen(clip, number)
    settings = CompositingSettings(mode=mode, background=background)
    half = replace(clear, pixels=np.full((256, 256, 4), 127, np.uint8))
    for portrait in (clear, half):
        output = Compositor(settings).composite(frame, face, portrait).pixels
        noisy = with_noise_for_a_head(frame, face)
        if mode != "paste" or portrait is clear:  # a pasted portrait takes over the mean colours of the face
            np.testing.assert_array_equal(output, Compositor(settings).composite(noisy, face, portrait).pixels)
        assert_nothing_of(frame, face, output)


@pytest.mark.parametrize("mode", ["overlay", "paste"])
def test_a_face_cut_off_by_the_edge_is_covered_too(mode: str) -> None:
    frame, face, portrait = seen("d6", 100)
    middle = int(face.landmarks[:, 0].mean())
    part = replace(frame, pixels=np.ascontiguousarray(frame.pixels[:, middle:]))
    moved = replace(face, landmarks=face.landmarks - np.array([middle, 0, 0], np.float32))
    output = Compositor(CompositingSettings(mode=mode)).composite(part, moved, portrait).pixels
    assert_no_detail(part.pixels, output, moved)


@pytest.mark.parametrize("mode", ["overlay", "paste"])
def test_a_frame_that_is_all_face_is_covered(mode: str) -> None:
    frame, face, portrait = seen("d3", 75)
    low = (face.landmarks[:, :2].min(axis=0) + 20).astype(int)
    high = (face.landmarks[:, :2].max(axis=0) - 20).astype(int)
    part = replace(frame, pixels=np.ascontiguousarray(frame.pixels[low[1] : high[1], low[0] : high[0]]))
    moved = replace(face, landmarks=face.landmarks - np.array([*low, 0], np.float32))
    output = Compositor(CompositingSettings(mode=mode)).composite(part, moved, portrait).pixels
    assert_nothing_of(part, moved, output)


@pytest.mark.parametrize(("clip", "number"), SOME)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("on_lost", ["hold", "card", "blur"])
def test_before_the_first_face_there_is_no_face(clip: str, number: int, mode: str, on_lost: str) -> None:
    frame, face, portrait = seen(clip, number)
    for background in ("#2e3440", "blur"):
        for waiting in ((None, None), (face, None), (None, portrait)):
            compositor = Compositor(CompositingSettings(mode=mode, on_lost=on_lost, background=background))
            output = compositor.composite(frame, *waiting).pixels
            assert_nothing_of(frame, face, output)


@pytest.mark.parametrize(("clip", "number"), SOME)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("on_lost", ["hold", "card", "blur"])
def test_when_the_face_is_lost_there_is_no_face(clip: str, number: int, mode: str, on_lost: str) -> None:
    frame, face, portrait = seen(clip, number)
    compositor = Compositor(CompositingSettings(mode=mode, on_lost=on_lost, background="blur"))
    compositor.composite(frame, face, portrait)
    for later_ms in (0, 33, 350, 699, 700, 5000):  # tracking failed although the face is there, as it was
        lost = replace(frame, captured_ns=frame.captured_ns + later_ms * 1_000_000)
        output = compositor.holding(lost).pixels
        assert_nothing_of(frame, face, output)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("on_lost", ["hold", "card", "blur", "raw"])
def test_without_a_frame_there_is_no_face(mode: str, on_lost: str) -> None:
    frame, face, portrait = seen("d6", 100)
    compositor = Compositor(CompositingSettings(mode=mode, on_lost=on_lost))
    assert_nothing_of(frame, face, compositor.holding(None).pixels)
    compositor.composite(frame, face, portrait)
    for now_ns in (None, frame.captured_ns + 1_000_000, frame.captured_ns + SECOND_NS):
        output = compositor.holding(None, now_ns).pixels
        assert_nothing_of(frame, face, output)


@pytest.mark.parametrize("mode", MODES)
def test_only_raw_shows_the_camera(mode: str) -> None:
    frame, face, portrait = seen("d6", 100)
    compositor = Compositor(CompositingSettings(mode=mode, on_lost="raw"))
    np.testing.assert_array_equal(compositor.holding(frame).pixels, frame.pixels)
    assert_nothing_of(frame, face, compositor.composite(frame, face, portrait).pixels)


def test_compare_shows_the_camera_in_its_own_half_only() -> None:
    frame, face, portrait = seen("d6", 100)
    output = Compositor(CompositingSettings(compare=True)).composite(frame, face, portrait).pixels
    width = frame.pixels.shape[1]
    np.testing.assert_array_equal(output[:, :width], frame.pixels)
    assert_no_detail(frame.pixels, np.ascontiguousarray(output[:, width:]), face)


def test_a_frame_of_another_size_is_covered_at_its_new_place() -> None:
    frame, face, portrait = seen("s18", 40)
    other = seen("d6", 100)
    compositor = Compositor(CompositingSettings())
    compositor.composite(frame, face, portrait)
    output = compositor.composite(*other).pixels
    assert output.shape == frame.pixels.shape
    assert not has_face(output)


@pytest.mark.parametrize(("clip", "number"), FRAMES)
def test_blurred_beyond_recognition(clip: str, number: int) -> None:
    frame, face, _ = seen(clip, number)
    output = blurred(frame.pixels, frame.pixels.shape[1::-1])
    assert_no_detail(frame.pixels, output, face)
    assert not has_face(output)
    low, high = face.landmarks[:, :2].min(axis=0), face.landmarks[:, :2].max(axis=0)
    left, top, right, bottom = (int(value) for value in np.clip([*low, *high], 0, None))
    assert not has_face(cv2.resize(output[top:bottom, left:right], (300, 400)))

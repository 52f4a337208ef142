"""The bundled model's pictures put together by the GPU's code, its kernels run on the host, against the processor's.

Privacy is looked for as for the processor: with noise for every pixel of a head the picture is the same to the last
bit.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from engines.errors import EngineError
from kernels.emulation import emulation_refusal
from realtime.compositing import Compositor, output_size
from realtime.covering import covers, head_region
from realtime.faces import Lost
from realtime.faces_compositing import GroupCompositor, Shown
from realtime.frames import Frame, LatePicture, Portrait
from realtime.painting import Composition, Layer, OnCpu
from realtime.painting_gpu import placed
from realtime.settings import CompositingSettings
from tests.conftest import MEDIA
from tests.realtime.bundled_rig import coded, painter
from tests.realtime.test_compositing import face_at, grey
from tests.realtime.test_faces_compositing import blurred_inside, two
from tests.realtime.test_privacy import assert_no_detail, has_face, seen, with_noise_for_a_head

pytestmark = pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))
needs_clips = pytest.mark.skipif(not (MEDIA / "clips").is_dir(), reason="no clips")
EDGE = 64


def soft_portrait(x, y, side, edge=EDGE, seed=3, turn=0.0, captured_ns=0):
    """A blurred blob of colours that is clear around."""
    noise = np.random.default_rng(seed).integers(0, 256, (edge, edge, 4), np.uint8)
    pixels = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), edge / 25), None, 0, 255, cv2.NORM_MINMAX)
    pixels[:2] = pixels[-2:] = 0
    step = side / edge
    way = np.array([[step, -turn, x - side / 2], [turn, step, y - side / 2]])
    return Portrait(0, captured_ns, np.asarray(pixels, np.uint8), way)


def both(settings, size, faces=1, edge=EDGE):
    """A compositor for the processor, one for the GPU, and the portraits of the latter."""
    portraits, make = [], Compositor if faces == 1 else GroupCompositor
    drawn_on = output_size(size, replace(settings, compare=False))
    return make(settings, size), make(settings, size, painter(portraits, drawn_on, faces, edge)), portraits


def noise(width, height, number=0, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Frame(number, number * 33_000_000, cv2.GaussianBlur(pixels, (0, 0), 2))


def near(got, wanted):
    """Within two levels but for steep edges: the processor places portraits to 1/32 or 0.03 of a pixel."""
    difference = np.abs(got.astype(int) - wanted)
    assert got.shape == wanted.shape and difference.mean() < 0.5
    assert difference.max() <= 6 and (difference <= 2).mean() > 0.995, (difference.max(), (difference > 2).mean())


@pytest.mark.parametrize("mode", ["overlay", "scene", "crop"])
@pytest.mark.parametrize("background", ["#2e3440", "blur"])
def test_pictures_are_those_of_the_processor(mode, background):
    settings = CompositingSettings(mode=mode, background=background, compare=mode == "overlay")
    on_cpu, on_gpu, portraits = both(settings, (161, 90))
    for number, (x, y, side, turn) in enumerate([(80, 45, 70, 0.0), (20, 80, 64, 0.13), (81, 40, 300, 0.0)]):
        frame, face = noise(161, 90, number, number), face_at(x, y - 4, side / 4, number == 0)
        if number == 1:
            frame = noise(57, 201, 1)  # of another size in mid-run
        portrait = soft_portrait(x, y, side, turn=turn, captured_ns=frame.captured_ns)
        got = on_gpu.composite(frame, face, coded(portraits, portrait))
        assert settings.compare or isinstance(got, LatePicture)
        near(got.pixels, on_cpu.composite(frame, face, portrait).pixels)
        lost = replace(frame, captured_ns=frame.captured_ns + 100_000_000)
        near(on_gpu.holding(lost).pixels, on_cpu.holding(lost).pixels)


@pytest.mark.parametrize(("scale", "level"), [(0.3, 1), (0.5, 1), (0.51, 0), (1.7, 0)])
def test_a_finer_portrait_is_halved_as_the_processor_does(scale, level):
    on_cpu, on_gpu, portraits = both(CompositingSettings(), (150, 140), edge=512)
    portrait = soft_portrait(75, 70, 512 * scale, 512)
    assert placed(Layer(portrait, portrait.transform)).level == level
    frame, face = noise(150, 140), face_at(75, 70, 25)
    got = on_gpu.composite(frame, face, coded(portraits, portrait)).pixels
    near(got, on_cpu.composite(frame, face, portrait).pixels)


def test_several_people_come_go_and_return():
    """With one lost their portrait goes on and fades; then everyone is back."""
    on_cpu, on_gpu, portraits = both(CompositingSettings(hold_ms=200), (160, 90), faces=3)
    places = [(40, 40, 50), (95, 50, 64), (60, 44, 30)]
    turns = [((0, 1, 2), ()), ((0, 2), (1,)), ((2,), (0, 1)), ((0, 1, 2), ()), ((1, 0), ())]
    for number, (there, gone) in enumerate(turns):
        frame = replace(noise(160, 90, number, number), captured_ns=number * 60_000_000)
        people, codes = [], []
        for person in there:
            x, y, side = places[person]
            face = face_at(x + number, y, side / 4, number == 0)
            portrait = soft_portrait(x + number, y, side, seed=person, captured_ns=frame.captured_ns)
            people.append(Shown(person, face, portrait))
            codes.append(Shown(person, face, coded(portraits, portrait)))
        lost = [Lost(person, (3.0, 1.0), 20.0, 50_000_000 * number) for person in gone]
        wanted = on_cpu.composite_group(frame, people, lost).pixels
        near(on_gpu.composite_group(frame, codes, lost).pixels, wanted)


CROWD = {  # x, y, radius of heads in a picture of 61 x 47
    "in the middle": [(30, 22, 9)],
    "partly outside": [(1, 44, 13)],
    "mostly outside": [(-12, 20, 16)],
    "tiny": [(40, 11, 1.2)],
    "huge": [(28, 25, 60)],
    "several that touch": [(20, 20, 8), (33, 24, 10), (55, 40, 12)],
    "one within the other": [(30, 24, 14), (32, 22, 5)],
}


@pytest.mark.parametrize("name", CROWD)
@pytest.mark.parametrize("size", [(61, 47), (61, 46), (64, 48)], ids=str)
@pytest.mark.parametrize("mode", ["overlay", "scene"])
def test_no_pixel_of_any_head_is_left(name, size, mode):
    """The portraits are clear, so that all beneath them is seen; the last bit is compared."""
    heads, outputs = CROWD[name], {"cpu": [], "gpu": []}
    faces = [replace(face_at(*head), captured_ns=0) for head in heads]
    inside = np.zeros(size[::-1], np.uint8)
    for face in faces:
        cv2.fillConvexPoly(inside, np.round(head_region(face.landmarks)).astype(np.int32), (255,))
    assert inside.any()
    clear = np.zeros((EDGE, EDGE, 4), np.uint8)
    alone_and_everywhere = len(heads) == 1 and (inside > 0).all()
    for other in (0, 1, 2):
        frame = noise(*size)
        random = np.random.default_rng(other).integers(0, 256, frame.pixels.shape, np.uint8)
        frame.pixels[inside > 0] = random[inside > 0] if other < 2 else 255
        on_cpu, on_gpu, portraits = both(CompositingSettings(mode=mode, background="blur"), size, len(heads))
        drawn = [replace(soft_portrait(*head[:2], 4 * head[2]), pixels=clear) for head in heads]
        codes = [coded(portraits, portrait) for portrait in drawn]
        for where, compositor, given in (("cpu", on_cpu, drawn), ("gpu", on_gpu, codes)):
            if len(heads) == 1:
                picture = compositor.composite(frame, faces[0], given[0])
            else:
                pairs = enumerate(zip(faces, given, strict=True))
                picture = compositor.composite_group(frame, [Shown(k, *pair) for k, pair in pairs], [])
            outputs[where].append(picture.pixels)
    for seen_there in outputs.values():
        if alone_and_everywhere:  # one colour, their mean, is all that is left
            assert all(np.ptp(one, axis=(0, 1)).max() <= 1 for one in seen_there)
        else:
            assert all(np.array_equal(one, seen_there[0]) for one in seen_there)
            assert (seen_there[0] != frame.pixels).any()


@needs_clips
@pytest.mark.parametrize(("clip", "number"), [("d6", 100), ("d3", 75)])
def test_under_a_clear_portrait_there_is_no_real_face(clip, number):
    frame, face, clear = seen(clip, number)
    outputs = []
    for shown in (frame, with_noise_for_a_head(frame, face)):
        _, on_gpu, portraits = both(CompositingSettings(), frame.pixels.shape[1::-1], edge=256)
        outputs.append(on_gpu.composite(shown, face, coded(portraits, clear)).pixels)
    np.testing.assert_array_equal(*outputs)
    assert_no_detail(frame.pixels, outputs[0], face)
    assert not has_face(outputs[0])


@needs_clips
@pytest.mark.parametrize("waited_ms", [0, 350, 60_000])
def test_somebody_lost_is_not_shown(waited_ms):
    frame, faces = two()
    gone, outputs = next(iter(faces)), []
    for first in (True, False):
        _, on_gpu, portraits = both(CompositingSettings(), (720, 400), 2)
        clear = soft_portrait(100, 100, 64)
        clear.pixels[:] = 0

        def shown(but, portraits=portraits, clear=clear):
            return [Shown(p, face, coded(portraits, clear)) for p, face in faces.items() if p != but]

        on_gpu.composite_group(frame, shown(None), [])
        later = Frame(1, waited_ms * 1_000_000, frame.pixels)
        if not first:
            later = replace(later, pixels=blurred_inside(later.pixels, faces[gone]))
        lost = [Lost(gone, (0.0, 0.0), 150.0, waited_ms * 1_000_000)]
        outputs.append(on_gpu.composite_group(later, shown(gone), lost).pixels.astype(int))
    assert np.abs(outputs[0] - outputs[1]).max() <= 3


def test_a_background_is_sent_once_and_the_camera_each_time():
    for mode, wanted in (("scene", [False, True, True]), ("overlay", [False] * 3)):
        _, on_gpu, portraits = both(CompositingSettings(mode=mode), (80, 60))
        sent, engine = [], on_gpu._painter._engine
        engine._check = lambda canvas, *given, sent=sent: sent.append(canvas is None)
        frame = grey(80, 60)  # the very same array each time
        for _ in range(3):
            portrait = soft_portrait(40, 30, 40)
            on_gpu.composite(frame, face_at(40, 28, 10), coded(portraits, portrait))
        assert sent == wanted


def test_portraits_that_are_drawn_are_painted_by_the_processor():
    """As they come once a GPU failed; who is only coded then is left out."""
    frame, portrait, portraits = noise(80, 60), soft_portrait(30, 30, 40), []
    layers = [Layer(one, portrait.transform) for one in (portrait, coded(portraits, soft_portrait(50, 30, 40)))]
    got = painter(portraits, (80, 60)).paint(frame, Composition(frame.pixels, layers=layers))
    wanted = OnCpu().paint(frame, Composition(frame.pixels, layers=layers[:1]))
    np.testing.assert_array_equal(got.pixels, wanted.pixels)
    assert not np.array_equal(got.pixels, frame.pixels)


def test_a_portrait_without_a_size_is_not_drawn():
    assert placed(Layer(soft_portrait(5, 5, 0), np.zeros((2, 3)))).opacity == 0


def test_a_picture_that_the_gpu_lost_is_none_to_the_holding_picture():
    """The frame after it raises, so that whoever runs the stages learns of it."""

    def lost():
        raise EngineError("the GPU stopped working (lost)")

    compositor = Compositor(CompositingSettings(mode="scene", background="#102030"), (80, 60))
    compositor._painter.paint = lambda frame, composition: LatePicture(frame.frame_id, frame.captured_ns, lost)
    compositor.composite(noise(80, 60), face_at(40, 28, 10), soft_portrait(40, 30, 40))
    held = compositor.holding(noise(80, 60, 1)).pixels
    assert (held == (0x30, 0x20, 0x10)).all()


def test_covers_fit_the_room_that_the_engine_has():
    for width, height in ((61, 47), (64, 48), (3, 2), (1, 1), (400, 7)):
        for one in covers(noise(width, height).pixels, [face_at(width / 2, height / 2, 200).landmarks]):
            assert one.mask.size <= max(1, height // 4) * max(1, width // 4) and max(one.colours.shape) <= 32

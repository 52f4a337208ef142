"""The bundled model's whole frame over static buffers, its kernels run on the host, with tiny portraits."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from engines import cuda_overlay
from engines.bundled import load
from engines.cuda_overlay import Head, OverlayEngine, Place
from engines.motion import MOTION
from kernels.emulation import emulated_program, emulation_refusal
from kernels.overlay_heads import COLOURS, overlay_heads
from realtime.editing import Editor
from realtime.frames import Latent
from tests.engines.test_cuda_bundled import MadeHere, network, person, tiny_drawer
from tests.engines.test_cuda_bundled import _people as people
from tests.gpu_on_host import imagine_a_gpu
from tests.recorded_graphs import recording

__all__ = ["network", "person"]
pytestmark = pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))

SIZE = (37, 53)  # height and width of the pictures here
EDGE = 16  # of the portraits
FRAMES = np.random.default_rng(0).integers(0, 256, (4, *SIZE, 3), np.uint8)
FADE = np.linspace(1, 0.2, EDGE * EDGE, dtype=np.float32).reshape(EDGE, EDGE)
INTO = (0.5, 0.05, -3.0, -0.05, 0.5, -2.0)
PLACES = [Place(INTO, 0, True), Place((0.9, 0, -20.0, 0, 0.9, -9.0)), Place(INTO, 1, True, 0.4)]


def cover(box=(3, 2, 41, 30), seed=0):
    random = np.random.default_rng(seed)
    mask = np.full((max(1, box[3] // 4), max(1, box[2] // 4)), 255, np.uint8)
    mask[0] = 60
    return SimpleNamespace(box=box, mask=mask, colours=random.integers(0, 256, (20, 32, 3), np.uint8))


def heads(person, count):
    return [Head(*codes, place) for *codes, place in zip(*people(person, count), PLACES[:count], strict=True)]


def wanted(drawer, canvas, given, covers):
    """The drawing and the kernel by themselves."""
    drawing = drawer.drawing(len(given))
    drawing.engine.wplus.copy_(torch.from_numpy(np.stack([one.wplus for one in given])))
    drawing.motion.copy_(torch.from_numpy(np.stack([one.motion for one in given])))
    rows = torch.tensor([one.place.numbers() for one in given])
    room = torch.zeros(len(given), COLOURS + 300, dtype=torch.uint8)
    for k, one in enumerate(covers):
        rows[k, 9:] = torch.tensor([*one.box, *one.mask.shape[::-1], *one.colours.shape[1::-1]])
        room[k, : one.colours.size] = torch.from_numpy(one.colours.reshape(-1))
        room[k, COLOURS : COLOURS + one.mask.size] = torch.from_numpy(one.mask.reshape(-1))
    given = (torch.from_numpy(canvas), drawing.premultiplied(), torch.from_numpy(FADE), rows, room)
    return overlay_heads(*given, impl="emulated").numpy()


@pytest.fixture(scope="module")
def drawer(network):
    return tiny_drawer(network)


def test_people_come_and_go_and_change_without_a_capture(person, network, drawer, monkeypatch):
    """Graphs of all numbers of faces are captured at the start; what they do is what single launches do."""
    mode, graphs, pictures = imagine_a_gpu(monkeypatch), [], []
    monkeypatch.setattr(cuda_overlay, "captured", recording(monkeypatch, graphs))
    turns = [(1, [cover()]), (3, [cover(seed=1), cover((0, 0, 9, 5))]), (2, []), (1, [cover((50, 30, 3, 7))])]
    plain = [wanted(drawer, frame, heads(person, n), covers) for frame, (n, covers) in zip(FRAMES, turns, strict=True)]
    with mode:
        engine = tiny_drawer(network).whole_frames(*SIZE, 3, FADE)
        assert len(graphs) == 3
        for frame, (count, covers), right in zip(FRAMES, turns, plain, strict=True):
            pictures.append(engine.submit(frame, heads(person, count), covers).result())
            assert np.abs(pictures[-1].astype(int) - right).max() <= 1 and (pictures[-1] != frame).any()
    assert len(graphs) == 3, "one for each number of faces, and no more"


def test_edits_change_what_is_drawn(person, drawer):
    engine, editor = OverlayEngine(drawer.drawing, *SIZE, 1, FADE), Editor(load("toon").directions, {})
    (wplus,), (motion,) = people(person, 1)
    seen = []
    for edits in ({}, {"age": 1.5, "smile": 1.0}, {}):
        editor.wear(edits)
        code = editor.edit(Latent(0, 0, wplus, motion, np.eye(2, 3), True))
        seen.append(engine.submit(FRAMES[0], [Head(code.wplus, code.motion, PLACES[1])]).result())
    assert np.array_equal(seen[0], seen[2]) and np.abs(seen[1].astype(int) - seen[0]).max() > 2


def test_a_canvas_that_stays_is_sent_once(person, drawer):
    engine = OverlayEngine(drawer.drawing, *SIZE, 2, FADE)
    with pytest.raises(ValueError, match="there is no canvas yet; wanted one with the first frame"):
        engine.submit(None, heads(person, 1))
    first = engine.submit(FRAMES[0], heads(person, 2)).result()
    engine.submit(FRAMES[1], heads(person, 1))
    engine.submit(FRAMES[0], heads(person, 1))
    tickets = [engine.submit(None, heads(person, 2)) for _ in range(3)]
    assert all(np.array_equal(ticket.result(), first) for ticket in tickets), "what was drawn before is not in it"


def test_a_cover_of_before_is_gone(person, drawer):
    engine = OverlayEngine(drawer.drawing, *SIZE, 1, FADE)
    bare = engine.submit(FRAMES[0], heads(person, 1)).result()
    covered = engine.submit(FRAMES[0], heads(person, 1), [cover()]).result()
    assert not np.array_equal(covered, bare)
    assert np.array_equal(engine.submit(FRAMES[0], heads(person, 1)).result(), bare)


def test_under_a_cover_nothing_of_the_frame_is_left(person, drawer):
    engine = OverlayEngine(drawer.drawing, *SIZE, 2, FADE)
    boxes = [(0, 0, 53, 37), (7, 30, 46, 7)]
    covers = [SimpleNamespace(box=b, mask=np.full((9, 13), 255, np.uint8), colours=cover().colours) for b in boxes]
    seen = [engine.submit(frame, heads(person, 2), covers).result() for frame in (*FRAMES, 255 - FRAMES[0])]
    assert all(np.array_equal(one, seen[0]) for one in seen)


def test_what_does_not_fit_is_refused(person, drawer):
    engine = OverlayEngine(drawer.drawing, *SIZE, 2, FADE)
    one = heads(person, 1)
    large = SimpleNamespace(box=(0, 0, 53, 37), mask=np.zeros((37, 53), np.uint8), colours=cover().colours)
    for given, message in [
        ((FRAMES[0, :8], one), r"the canvas has shape \[8, 53, 3\]; wanted \[37, 53, 3\]"),
        ((FRAMES[0], []), "there are 0 heads, 0 covers; wanted 1 to 2, no more covers"),
        ((FRAMES[0], heads(person, 3)), "there are 3 heads, 0 covers; wanted 1 to 2"),
        ((FRAMES[0], one, [cover(), cover()]), "there are 1 heads, 2 covers"),
        ((FRAMES[0], one, [cover((20, 2, 41, 30))]), r"the cover of \(20, 2, 41, 30\) with .* does not fit a canvas"),
        ((FRAMES[0], one, [large]), r"with mask \[37, 53\], colours \[20, 32, 3\] does not fit a canvas of \[37, 53\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            engine.submit(*given)


def test_a_row_holds_all_of_a_code(drawer):
    engine = OverlayEngine(drawer.drawing, *SIZE, 1, FADE)
    assert engine._codes == 17 + len(MOTION) and engine._programs is emulated_program


def test_a_second_run_copies_nothing_from_the_host(drawer):
    """A captured graph cannot hold a copy from the host."""
    launches = OverlayEngine(drawer.drawing, *SIZE, 2, FADE)._launches(2)
    launches()  # makes the constants
    with MadeHere() as again:
        launches()
    assert again.count == 0

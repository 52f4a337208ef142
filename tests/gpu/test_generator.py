"""The whole generator and whole frames on a GPU."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from engines.cuda_engine import CudaGenerator
from engines.cuda_frame import FrameEngine, Moment, Place
from engines.cuda_graphs import captured
from engines.installed_directions import RowEdit
from tests.compare import check_close
from tools.gpu import configuration, random_generator

pytestmark = pytest.mark.gpu

CROP = np.array([[2.0, 0, 300.0], [0, 2.0, 90.0]])
PLACE = Place((0.5, 0, -150.0, 0, 0.5, -45.0), (380, 160, 360, 420), 20.0, 4, 0, 256, 1.0)
OUTLINE = np.array([[440.0, 220.0], [680.0, 220.0], [680.0, 520.0], [440.0, 520.0]])
MOMENT = Moment(CROP, PLACE, OUTLINE)
FRAME = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)


BATCHES = [(32, True, batch) for batch in (2, 4, 8, 16, 64)]  # sharing one set of weights


@pytest.mark.parametrize(
    ("resolution", "half", "batch"), [(64, True, 3), (256, False, 1), (1024, False, 1), (1024, True, 2), *BATCHES]
)
def test_the_picture_is_as_good_as_plain_half_precision(resolution, half, batch):
    generator = random_generator(configuration(resolution, half), "cuda")
    wplus = torch.randn(batch, generator.config.rows, 512, generator=torch.Generator().manual_seed(1)).cuda()
    plain = copy.deepcopy(generator).half().synthesis(wplus.half())
    exact = torch.cat([copy.deepcopy(generator).double().synthesis(w[None].double()) for w in wplus])
    check_close(CudaGenerator(generator, batch).run(wplus), plain, exact, f"{resolution} px", floor=1e-3)


@pytest.mark.parametrize(("resolution", "batch"), [(32, 16), (1024, 1)])
def test_a_generators_graph_gives_the_same_bits_as_single_launches(resolution, batch):
    generator = CudaGenerator(random_generator(configuration(resolution), "cuda"), batch)
    replay = captured(generator.run)
    for seed in (1, 2):
        draw = torch.Generator().manual_seed(seed)
        generator.wplus.copy_(torch.randn(tuple(generator.wplus.shape), generator=draw))
        replay()
        replayed = generator.picture.clone()
        assert torch.equal(generator.run(), replayed)


def generator_of_the_engine():
    return random_generator(configuration(256), "cuda")


@pytest.fixture(scope="module")
def engine():
    return CudaGenerator(generator_of_the_engine())


def _codes(engine, count):
    return np.random.default_rng(2).standard_normal((count, engine.config.rows, 512)).astype(np.float32)


def test_a_replayed_graph_gives_the_same_bytes_as_single_launches(engine):
    results = []
    for graph in (True, False):
        frames = FrameEngine(engine, 720, 1280, graph=graph)
        tickets = [frames.submit(FRAME, MOMENT, wplus) for wplus in _codes(engine, 3)]  # two on their way, one more
        results += [ticket.result() for ticket in tickets]
    for one, two in zip(results[:3], results[3:], strict=True):
        assert np.array_equal(one, two)
    assert not np.array_equal(results[0], results[1]), "another code draws another picture"


def test_an_edit_needs_no_new_capture(engine):
    (wplus,) = _codes(engine, 1)
    step = np.full_like(wplus, 0.25)
    edits = [RowEdit(lambda w, s: w, step, scale) for scale in (2.0, 4.0)]  # what a CPU would do is not asked
    edited, plain = FrameEngine(engine, 720, 1280, edits=edits[:1]), FrameEngine(engine, 720, 1280)
    graph = edited._graphs["frame", 1]
    for worn, strengths, added in [
        (edits[:1], [1.0], 0.5), (edits[:1], [0.0], 0.0), (edits, [1.0, -1.0], -0.5), ([], [], 0.0),
        (edits[1:], [1.0], 1.0),
    ]:  # fmt: skip
        edited.wear(worn)
        got = edited.submit(FRAME, Moment(CROP, PLACE, OUTLINE, strengths=strengths), wplus).result()
        assert edited._graphs["frame", 1] is graph
        wanted = plain.submit(FRAME, MOMENT, wplus + np.float32(added)).result()
        assert np.abs(got.astype(int) - wanted.astype(int)).max() <= 1


def _several(people):
    """Faces side by side."""
    moments = []
    for person in people:
        left = 320 * person
        place = Place((0.5, 0, -(150.0 + left) / 2, 0, 0.5, -45.0), (left, 160, 320, 420), 20.0, 4, 0, 256, 1.0)
        moments.append(Moment(CROP, place, OUTLINE + [left - 380.0, 0.0], person=person))
    return moments


def test_several_faces_and_streams_are_drawn_as_each_alone(engine):
    codes = _codes(engine, 3)
    more = [(CudaGenerator(generator_of_the_engine(), batch, sharing=engine), None) for batch in (2, 3)]
    alone, together = FrameEngine(engine, 720, 1280), FrameEngine(engine, 720, 1280, more=more)
    single = FrameEngine(engine, 720, 1280, more=more, graph=False)
    for people in ((0, 1, 2), (2, 0), (1,)):
        moments, wanted = _several(people), FRAME
        for moment, person in zip(moments, people, strict=True):
            own = replace(moment, person=0)
            wanted = alone.submit(FRAME, own, codes[person], canvas=wanted).result()
        got = together.submit(FRAME, moments, codes[list(people)]).result()
        assert np.array_equal(got, single.submit(FRAME, moments, codes[list(people)]).result())
        assert np.abs(got.astype(int) - wanted.astype(int)).max() <= 2
    streams = FrameEngine(more[1][0], 720, 1280, streams=3)
    frames, moments = [FRAME, 255 - FRAME, FRAME[::-1]], [MOMENT, None, MOMENT]
    got = streams.submit_streams(frames, moments, codes).result()
    for frame, moment, code, picture in zip(frames, moments, codes, got, strict=True):
        wanted = frame if moment is None else alone.submit(frame, moment, code).result()
        assert np.abs(picture.astype(int) - wanted.astype(int)).max() <= 2


def test_ten_thousand_frames_take_no_more_memory(engine):
    frames = FrameEngine(engine, 720, 1280)
    (wplus,) = _codes(engine, 1)
    free: list[int] = []
    held: list[int] = []
    for number in range(10_000):
        frames.submit(FRAME, MOMENT, wplus).result()
        if number in (100, 9_999):
            free.append(torch.cuda.mem_get_info()[0])
            held.append(torch.cuda.memory_allocated())
    assert held[1] == held[0], f"torch holds {held[1] - held[0]} bytes more"
    assert free[0] - free[1] <= 1 << 20, f"{free[0] - free[1]} bytes were not given back"

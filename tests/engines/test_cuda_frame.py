"""A frame's whole way over the static buffers, with the kernels run on the host and no graph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from engines import cuda_frame
from engines.cuda_codes import MOST_EDITS, CodeEdits, CodeFilter, FilterSettings
from engines.cuda_engine import CudaGenerator
from engines.cuda_frame import FrameEngine, Moment, Place
from engines.installed_directions import RowEdit, find_edit, install_directions
from engines.stylegan2 import Generator
from engines.stylegan2_config import GeneratorConfig
from kernels.align_crop import align_crop
from kernels.emulation import emulated_program, emulation_refusal
from kernels.paste_face import level_pixels, paste_face, write_levels
from kernels.upfirdn2d import setup_filter
from realtime.smoothing import OneEuro
from tests.golden import golden
from tests.gpu_on_host import imagine_a_gpu
from tests.recorded_graphs import recording

__all__ = ["golden"]
pytestmark = pytest.mark.skipif(emulation_refusal() is not None, reason=str(emulation_refusal()))

FRAME = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
CROP = np.array([[1.6, 0, 1.0], [0, 1.6, 2.0]])
OUTLINE = np.array([[10.0, 6.0], [22.0, 6.0], [22.0, 18.0], [10.0, 18.0]])
PLACE = Place((0.5, 0, -4.0, 0, 0.5, -2.0), (4, 2, 24, 20), 2.0, 4, 0, 8, 1.0)
MOMENT = Moment(CROP, PLACE, OUTLINE)
WPLUS = np.random.default_rng(1).standard_normal((4, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def network():
    generator = Generator(GeneratorConfig(8, 8, 8, 0, {4: 8, 8: 8}, "skip")).eval().requires_grad_(False)
    random = torch.Generator().manual_seed(2)
    for tensor in [*generator.parameters(), *generator.buffers()]:
        tensor.copy_(torch.randn(tensor.shape, generator=random) * 0.3)
    generator.synthesis.filter.copy_(setup_filter([1, 3, 3, 1]))
    return generator


@pytest.fixture(scope="module")
def generator(network):
    return CudaGenerator(network, programs=emulated_program)


def _wanted(generator, wplus, canvas=FRAME):
    levels = torch.zeros(level_pixels(8), 4)
    write_levels(levels, generator.run(torch.as_tensor(wplus)[None])[0])
    given = (torch.tensor(PLACE.numbers()), torch.from_numpy(OUTLINE).float(), torch.zeros(2, 3))
    return paste_face(torch.from_numpy(canvas), levels, *given)[0].numpy()


def _near(got, wanted):
    return int(np.abs(got.astype(int) - wanted.astype(int)).max()) <= 1


def test_a_frame_is_drawn_on_itself_or_on_another_canvas(generator):
    engine = FrameEngine(generator, 24, 32)
    first = engine.submit(FRAME, MOMENT, WPLUS).result()
    assert _near(first, _wanted(generator, WPLUS)) and (first != FRAME).any()
    canvas = 255 - FRAME
    assert _near(engine.submit(FRAME, MOMENT, WPLUS, canvas).result(), _wanted(generator, WPLUS, canvas))


def test_with_an_encoder_the_frame_itself_gives_the_code(generator):
    seen = []

    def encoder(crop, last):
        seen.append((crop.clone(), last.clone()))
        return last + torch.from_numpy(WPLUS)[None] / 3

    start = np.full((4, 8), 0.25, np.float32)
    engine = FrameEngine(generator, 24, 32, encoder, crop_px=16, start=start, first_steps=3)
    got = engine.submit(FRAME, MOMENT).result()
    assert len(seen) == 3, "a new face is encoded three times"
    assert _near(got, _wanted(generator, start + WPLUS))
    wanted = align_crop(torch.from_numpy(FRAME), torch.from_numpy(CROP).float(), 16)
    torch.testing.assert_close(seen[0][0][0], wanted, atol=1e-3, rtol=0)
    assert float(seen[0][1].mean()) == 0.25
    engine.submit(FRAME, Moment(CROP, PLACE, OUTLINE, 0.03, False, False))
    assert len(seen) == 4, "a known one goes on from its last code"
    torch.testing.assert_close(seen[3][1][0], torch.from_numpy(start + WPLUS))


def _edit(seed, reads=False):
    draw = np.random.default_rng(seed)
    step, probe, mean = (draw.standard_normal(shape).astype(np.float32) / 2 for shape in ((4, 8), 8, 8))

    def run(wplus, strength):
        return wplus + (strength * 2 - ((wplus[0] - mean) @ probe if reads else 0)) * step

    return RowEdit(run, step, 2.0, probe, mean) if reads else RowEdit(run, step, 2.0)


def _mean_of_crop(crops, last):
    return last / 2 + (1 + crops.mean(dim=[1, 2, 3]))[:, None, None] * torch.from_numpy(WPLUS)


def _moved(person, number, **more):
    """Where somebody is in a frame; the second is to the right of the first and covers a part of them."""
    shift = np.array([5.0 * person + number, person])
    into = (0.5, 0, -4.0 - shift[0] / 2, 0, 0.5, -2.0 - shift[1] / 2)
    box = (4 + int(shift[0]), 2 + person, 14, 20)
    place = Place(into, box, 2.0, 4, 0, 8, 1.0 if number == 0 else 0.25)
    crop = CROP + np.array([[0, 0, shift[0]], [0, 0, shift[1]]])
    return Moment(crop, place, OUTLINE + shift, 0.04 if number else 0.0, number == 0, number == 0, **more)


OPTIONS = {
    "crop_px": 8, "first_steps": 2, "start": np.full((4, 8), 0.25, np.float32),
    "filter_settings": FilterSettings([1.5] * 4, [0.5] * 4, 1.0), "edits": [_edit(1)],
}  # fmt: skip
NOISE = [np.random.default_rng(k).integers(0, 256, FRAME.shape, np.uint8) for k in range(4)]


def test_several_faces_of_a_frame_are_a_batch_and_everyone_keeps_their_memory(network, generator, monkeypatch):
    two = CudaGenerator(network, 2, programs=emulated_program, sharing=generator)
    assert two._packed is generator._packed and two._table is generator._table, "one set of weights"
    alone = [FrameEngine(generator, 24, 32, _mean_of_crop, **OPTIONS) for _ in range(2)]
    mode, graphs = imagine_a_gpu(monkeypatch), []
    monkeypatch.setattr(cuda_frame, "captured", recording(monkeypatch, graphs))
    drawn, seen = [], [0, 0]
    for number, people in enumerate([(0, 1), (1,), (1, 0), (0,)]):
        canvas, moments = NOISE[number], []
        for person in people:
            moment = _moved(person, seen[person], strengths=[0.2 + person])
            canvas = alone[person].submit(NOISE[number], moment, canvas=canvas).result()
            moments.append(replace(moment, person=person))
            seen[person] += 1
        drawn.append((moments, canvas))
    with mode:
        engine = FrameEngine(generator, 24, 32, _mean_of_crop, more=[(two, _mean_of_crop)], **OPTIONS)
        for number, (moments, wanted) in enumerate(drawn):
            assert _near(engine.submit(NOISE[number], moments).result(), wanted), f"frame {number}"
        with pytest.raises(ValueError, match="there are 3 faces; wanted 1, 2"):
            engine.submit(FRAME, [*moments, *moments, *moments])
        with pytest.raises(ValueError, match=r"the faces are those of \[0, 0\]; wanted different people"):
            engine.submit(FRAME, [*moments, *moments])
    assert len(graphs) == 4, "two for each number of faces, and no more"


def test_several_streams_go_through_one_engine(network, generator, monkeypatch):
    three = CudaGenerator(network, 3, programs=emulated_program, sharing=generator)
    alone = [FrameEngine(generator, 24, 32, _mean_of_crop, **OPTIONS) for _ in range(3)]
    mode, graphs = imagine_a_gpu(monkeypatch), []
    monkeypatch.setattr(cuda_frame, "captured", recording(monkeypatch, graphs))
    turns = []
    for number, absent in enumerate((None, 1)):
        frames = [NOISE[(number + k) % 4] for k in range(3)]
        moments = [None if k == absent else _moved(k, number, strengths=[0.5 * k]) for k in range(3)]
        pairs = zip(alone, frames, moments, strict=True)
        wanted = [f if m is None else engine.submit(f, m).result() for engine, f, m in pairs]
        turns.append((frames, moments, wanted))
    with mode:
        engine = FrameEngine(three, 24, 32, _mean_of_crop, streams=3, **OPTIONS)
        for frames, moments, wanted in turns:
            got = engine.submit_streams(frames, moments).result()
            assert got.shape == (3, 24, 32, 3) and _near(got, np.stack(wanted))
    assert len(graphs) == 2
    with pytest.raises(ValueError, match="there are 2 frames, 3 moments; wanted 3 of each"):
        engine.submit_streams(frames[:2], moments)
    with pytest.raises(ValueError, match="2 streams want one generator of that batch; it has 3"):
        FrameEngine(three, 24, 32, streams=2)


def test_results_last_and_a_third_frame_does_not_wait_for_whoever_has_not_asked(generator):
    engine = FrameEngine(generator, 24, 32)
    outside = Moment(CROP, Place(PLACE.into, (0, 0, 2, 2), 2.0, 4, 0, 8, 1.0), OUTLINE + 100)  # nothing is drawn
    tickets = [engine.submit(np.full_like(FRAME, shade), outside, WPLUS) for shade in (10, 20, 30, 40)]
    assert [int(ticket.result()[0, 0, 0]) for ticket in tickets] == [10, 20, 30, 40]
    assert tickets[0].result() is tickets[0].result()


def test_what_does_not_fit_is_refused(generator):
    engine = FrameEngine(generator, 24, 32)
    cases = [
        ((FRAME[:8, :8], MOMENT), r"the frame has shape \[8, 8, 3\]; wanted \[24, 32, 3\]"),
        ((FRAME, MOMENT, WPLUS, FRAME[:8]), r"the canvas has shape \[8, 32, 3\]; wanted \[24, 32, 3\]"),
        ((FRAME, Moment(CROP, PLACE, OUTLINE[:2])), "the moment has 2 corners, 0 strengths; wanted 3 to 478, 0"),
        (
            (FRAME, Moment(CROP, Place(PLACE.into, (20, 2, 24, 20), 2.0, 4, 0, 8, 1.0), OUTLINE)),
            r"the box \(20, 2, 24, 20\) leaves a canvas of \[24, 32\]",
        ),
    ]
    for given, message in cases:
        with pytest.raises(ValueError, match=message):
            engine.submit(*given)


def test_codes_are_smoothed_as_on_the_cpu():
    cutoffs, betas = [1.5, 2.5, 1.0], [2.0, 3.0, 0.5]
    theirs = OneEuro(np.array(cutoffs)[:, None], np.array(betas)[:, None], 1.0)
    ours = CodeFilter(FilterSettings(cutoffs, betas, 1.0), torch.zeros(1, 3, 4))
    random, now_ns = np.random.default_rng(3), 0
    value = random.standard_normal((3, 4))
    for number in range(12):
        step_ns = 0 if number == 5 else int(random.integers(5, 60)) * 1_000_000
        now_ns += step_ns
        value = value + random.standard_normal((3, 4)) * 0.3
        wanted = theirs.filter(value, now_ns)
        steps = torch.tensor(step_ns * 1e-9), torch.tensor(float(number == 0))
        got = ours.run(torch.from_numpy(value).float()[None], *steps)
        np.testing.assert_allclose(got[0].numpy(), wanted, atol=2e-5)
    with pytest.raises(ValueError, match="the filter has 2 cut-offs, 3 betas; wanted 3, one a row"):
        CodeFilter(FilterSettings(cutoffs[:2], betas, 1.0), torch.zeros(1, 3, 4))


def test_edits_are_those_of_the_cpu(golden, tmp_path):
    random = np.random.default_rng(4)
    case = golden("edit-directions")
    install_directions(case.path("age.pt"), tmp_path, "age")
    install_directions(case.path("ffhq_pca.pt"), tmp_path, "pca")
    wide = find_edit_width(tmp_path)
    centre, wplus = (random.standard_normal((6, wide)).astype(np.float32) for _ in range(2))
    edits = [find_edit(tmp_path, name, centre) for name in ("age", "pca.1.2-5", "pca.0", "age.0-3")]
    strengths = [0.5, -1.0, 0.0, 1.5]
    ours = CodeEdits(edits, 6, wide, torch.device("cpu"), emulated_program)
    for order in ([0, 1, 2, 3], [3, 1], [], [1]):  # fewer, none, others: what was worn before leaves no trace
        worn, amounts = [edits[k] for k in order], [strengths[k] for k in order]
        wanted = wplus
        for edit, strength in zip(worn, amounts, strict=True):
            wanted = edit(wanted, strength) if strength else wanted
        ours.wear(worn)
        got = torch.from_numpy(wplus.copy())[None]
        ours.run(got, torch.tensor([[*amounts, 1.0]]))
        assert len(ours) == len(order)
        np.testing.assert_allclose(got[0].numpy(), wanted, atol=1e-4)
    with pytest.raises(ValueError, match=r"an edit has shape \[6, \d+\]; wanted \[5, 8\]"):
        CodeEdits(edits, 5, 8, torch.device("cpu"))
    with pytest.raises(ValueError, match=f"there are {MOST_EDITS + 1} edits; wanted at most {MOST_EDITS}"):
        ours.wear(edits[:1] * (MOST_EDITS + 1))


def test_edits_change_at_run_time_and_nothing_is_captured_anew(generator, monkeypatch):
    mode, graphs = imagine_a_gpu(monkeypatch), []
    monkeypatch.setattr(cuda_frame, "captured", recording(monkeypatch, graphs))
    one, two, three = _edit(1), _edit(2, reads=True), _edit(3)
    worn_in_turn = [([], []), ([one], [0.5]), ([one, two], [0.5, -1.0]), ([three, two], [1.0, 0.3]), ([], [])]
    with mode:
        engine = FrameEngine(generator, 24, 32)
        for worn, strengths in worn_in_turn:
            engine.wear(worn)
            got = engine.submit(FRAME, Moment(CROP, PLACE, OUTLINE, strengths=strengths), WPLUS).result()
            wanted = WPLUS
            for edit, strength in zip(worn, strengths, strict=True):
                wanted = edit(wanted, strength)
            np.testing.assert_allclose(generator.wplus[0].numpy(), wanted, atol=1e-5)
            assert _near(got, _wanted(generator, wanted)), f"{len(worn)} edits"
    assert graphs == [engine._graphs["frame", 1]], "one capture, and its graph is still the one that runs"


def find_edit_width(folder):
    from engines.installed_directions import read_installed

    return read_installed(folder / "age.safetensors")[0].vector.shape[1]

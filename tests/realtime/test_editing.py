"""Edits add directions times strengths, know their names and keep motion in its limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engines.bundled import Direction, Gauge
from engines.motion import LIMITS, MOTION
from realtime.editing import Editor, within
from realtime.errors import UsageError
from realtime.frames import Latent
from realtime.strengths import Sweep

RNG = np.random.default_rng(0)
SMILE = np.zeros(len(MOTION), np.float32)
SMILE[MOTION.index("corner_l")] = 0.75
DIRECTIONS = {
    "age": Direction(RNG.normal(size=(10, 256)).astype(np.float32), np.zeros(len(MOTION), np.float32)),
    "smile": Direction(np.zeros((10, 256), np.float32), SMILE),
}


def latent(motion: np.ndarray | None = None) -> Latent:
    still = np.zeros(len(MOTION), np.float32) if motion is None else motion
    return Latent(3, 4, RNG.normal(size=(10, 256)).astype(np.float32), still, np.eye(2, 3), True)


@pytest.mark.parametrize("strength", [0.5, -1.25])
def test_strength_times_direction_is_added(strength: float) -> None:
    before = latent()
    after = Editor(DIRECTIONS, {"age": strength}).edit(before)
    np.testing.assert_allclose(after.wplus, before.wplus + strength * DIRECTIONS["age"].wplus, rtol=1e-5, atol=1e-6)
    assert after.wplus.dtype == after.motion.dtype == np.float32
    assert (after.frame_id, after.captured_ns, after.fresh) == (3, 4, True) and after.transform is before.transform


def test_edits_add_up_and_leave_their_input_alone() -> None:
    before = latent()
    kept = before.wplus.copy(), before.motion.copy()
    after = Editor(DIRECTIONS, {"age": 1.0, "smile": -0.4}).edit(before)
    np.testing.assert_allclose(after.wplus, before.wplus + DIRECTIONS["age"].wplus, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(after.motion, before.motion - 0.4 * SMILE, atol=1e-6)
    np.testing.assert_array_equal(before.wplus, kept[0])
    np.testing.assert_array_equal(before.motion, kept[1])


@pytest.mark.parametrize("edits", [{}, {"age": 0.0}])
def test_without_edits_a_code_passes_as_it_is(edits: dict[str, float]) -> None:
    before = latent()
    assert Editor(DIRECTIONS, edits).edit(before) is before


def test_a_sweep_takes_its_strength_from_the_time_of_capture_and_joins_constant_edits() -> None:
    editor = Editor(DIRECTIONS, {"age": Sweep(0, 1, 10), "smile": 0.4})
    for seconds, strength in ((0, 0.0), (2.5, 0.5), (5, 1.0), (7.5, 0.5), (10, 0.0)):
        before = replace(latent(), captured_ns=round(seconds * 1e9))
        after = editor.edit(before)
        np.testing.assert_allclose(after.wplus, before.wplus + strength * DIRECTIONS["age"].wplus, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(after.motion, before.motion + 0.4 * SMILE, atol=1e-6)
        assert after.wplus.dtype == after.motion.dtype == np.float32


def test_motion_is_clipped_to_its_limits() -> None:
    high = np.array([LIMITS[name][1] for name in MOTION], np.float32)
    after = Editor(DIRECTIONS, {"smile": 5.0}).edit(latent(high))
    np.testing.assert_array_equal(after.motion, high)


def test_a_code_without_motion_stays_without() -> None:
    direction = Direction(np.ones((10, 256), np.float32), np.zeros(0, np.float32))
    after = Editor({"age": direction}, {"age": 1.0}).edit(latent(np.zeros(0, np.float32)))
    assert after.motion.shape == (0,)


def test_an_unknown_edit_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no edit 'smil' for this model; known are age, smile; did you mean smile\?"):
        Editor(DIRECTIONS, {"smil": 1.0})
    with pytest.raises(UsageError, match="no edit 'wings' for this model; known are age, smile$"):
        Editor(DIRECTIONS, {"wings": 0.0})


def test_other_edits_are_worn_from_the_next_frame_on_and_unknown_ones_change_nothing() -> None:
    editor, before = Editor(DIRECTIONS, {"age": 1.0}), latent()
    for edits in ({"smile": 0.4}, {"smile": Sweep(0.4, 0.4, 10), "age": -1.0}, {}):
        editor.wear(edits)
        after, wanted = editor.edit(before), Editor(DIRECTIONS, edits).edit(before)
        np.testing.assert_array_equal(after.wplus, wanted.wplus)
        np.testing.assert_array_equal(after.motion, wanted.motion)
    editor.wear({"age": 1.0})
    with pytest.raises(UsageError, match="no edit 'agee'"):
        editor.wear({"agee": 1.0})
    np.testing.assert_allclose(editor.edit(before).wplus, before.wplus + DIRECTIONS["age"].wplus, atol=1e-6)


# Along the first axis: 0 at the low end, 1 at the high one; trained people are between -0.5 and 1.2.
AXIS = np.eye(256, dtype=np.float32)[0]
GAUGED = Direction(
    np.repeat(2 * AXIS[None], 10, 0), np.zeros(len(MOTION), np.float32), Gauge(AXIS / 2, 0.25, least=-0.5, most=1.2)
)


@pytest.mark.parametrize(
    ("place", "strength", "wanted"),
    [
        (0.0, 1.0, 1.0),
        (0.5, 1.0, 1.2),  # as far as people go
        (1.2, 0.3, 1.2),
        (1.5, 1.0, 1.5),  # further already: left alone
        (0.9, 2.0, 2.2),  # twice was asked for
        (0.0, -0.3, -0.3),
        (0.0, -1.0, -0.5),
        (-0.7, -1.0, -0.7),
        (0.2, -1.5, -1.0),
        (-0.7, 0.5, -0.2),
    ],
)
def test_edits_end_where_trained_people_do(place: float, strength: float, wanted: float) -> None:
    before = latent()
    before = replace(before, wplus=np.repeat(AXIS[None] * np.float32(2 * (place - 0.25)), 10, 0))
    after = Editor({"age": GAUGED}, {"age": strength}).edit(before)
    np.testing.assert_allclose(after.wplus @ GAUGED.gauge.weights + GAUGED.gauge.offset, wanted, atol=1e-5)


def test_how_far_somebody_is_is_read_off_the_layers_that_change() -> None:
    colours = np.zeros((10, 256), np.float32)
    colours[5:] = 2 * AXIS
    direction = replace(GAUGED, wplus=colours)
    wplus = np.zeros((10, 256), np.float32)
    wplus[:5] = 5 * AXIS  # the others are much further
    assert within(direction, 1.0, wplus) == pytest.approx(0.95)
    wplus[5:] = 1.5 * AXIS
    assert within(direction, 1.0, wplus) == pytest.approx(0.2)

"""The actor's script: smooth, within what the model was trained on, with blinks that close."""

from __future__ import annotations

import numpy as np
import pytest

from engines.motion import LIMITS, MOTION
from realtime.performance import BLINKS_S, KEYS, SECONDS, WINK_S, motion_at

LIDS = [MOTION.index("eye_l"), MOTION.index("eye_r")]


def script(fps: int) -> np.ndarray:
    return np.stack([motion_at(i / fps) for i in range(round(SECONDS * fps) + 1)])


def test_nothing_but_lids_jumps_between_two_frames() -> None:
    steps = np.abs(np.diff(script(30), axis=0))  # the last frame is the first of the next round
    steps[:, LIDS] = 0
    frame, number = np.unravel_index(steps.argmax(), steps.shape)
    assert steps.max() <= 0.35, f"{MOTION[number]} jumps by {steps.max():.2f} at {frame / 30:.2f} s"


def test_it_stays_within_the_limits() -> None:
    low, high = (np.array([LIMITS[name][side] for name in MOTION], np.float32) for side in (0, 1))
    codes = script(100)
    assert codes.dtype == np.float32 and (codes >= low).all() and (codes <= high).all()


@pytest.mark.parametrize("at", BLINKS_S)
def test_blinks_close_both_eyes(at: float) -> None:
    assert motion_at(at)[LIDS].max() == 0
    assert motion_at(at - 0.1)[LIDS].min() == 1


def test_every_blink_is_seen_at_30_fps() -> None:
    lids = script(30)[:, LIDS].max(axis=1)
    for at in BLINKS_S:
        assert lids[round((at - 0.1) * 30) : round((at + 0.2) * 30)].min() < 0.35


def test_a_wink_closes_one_eye() -> None:
    left, right = motion_at(WINK_S)[LIDS]
    assert (left, right) == (0, 1)


def test_it_starts_again_and_is_the_same_every_time() -> None:
    np.testing.assert_allclose(motion_at(SECONDS + 2.5), motion_at(2.5), atol=1e-5)
    np.testing.assert_array_equal(motion_at(7.7), motion_at(7.7))


def test_the_whole_face_takes_part() -> None:
    spans = np.ptp(script(30), axis=0)
    for name in ("yaw", "pitch", "roll", "jaw_open", "mouth_wide", "corner_l", "eye_l", "eye_r", "brow_l", "gaze_x"):
        assert spans[MOTION.index(name)] > 0.2, f"{name} hardly moves"
    assert set(KEYS) <= set(MOTION)

"""The encoder: identity averaged and then fixed, motion from every frame, reset like new."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch

from engines import spatial_code
from engines.attributes import ATTRIBUTES
from engines.bundled import LAYERS, load
from engines.errors import EngineError
from engines.motion import AT_REST, LIMITS, MOTION
from realtime import encoding
from realtime.alignment import rotation_of
from realtime.dressing import dressed
from realtime.encoding import Encoder, pose
from realtime.frames import Crop, Face, Latent
from realtime.identity_cues import look
from realtime.settings import EncodingSettings
from realtime.traits import to_attributes
from tests.realtime.faces import head_points, seen

STILL = np.array([AT_REST[name] for name in MOTION[3:]], np.float32)
PLACE = np.array([[2.0, 0, 64], [0, 2.0, 0]])


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (0.5, -0.3, 0.2), (-0.9, 0.5, -0.6), (0.2, 0.4, 0.6)])
def test_pose_is_what_the_generator_turns_by(angles: tuple[float, float, float]) -> None:
    turn = spatial_code.rotation(*(torch.tensor([angle], dtype=torch.float64) for angle in angles))[0].numpy()
    level = rotation_of(0, np.radians(5.0), 0)  # a drawn head that looks straight ahead is tracked as looking down
    np.testing.assert_allclose(pose(turn @ level, STILL), angles, atol=1e-6)
    np.testing.assert_allclose(rotation_of(*angles), turn, atol=1e-12)


def test_pose_is_kept_within_what_was_trained() -> None:
    np.testing.assert_allclose(pose(rotation_of(1.4, 0.9, -1.2), STILL), [LIMITS["yaw"][1], 0.6, -0.6], rtol=1e-6)


def test_a_mouth_that_is_pushed_aside_turns_no_head() -> None:
    aside, crooked = STILL.copy(), STILL.copy()
    aside[MOTION.index("mouth_shift") - 3] = 0.5
    crooked[[MOTION.index("corner_l") - 3, MOTION.index("corner_r") - 3]] = -0.4, 0.4
    straight = pose(rotation_of(0.2, 0.1, 0.05), STILL)
    np.testing.assert_allclose(
        np.degrees(straight - pose(rotation_of(0.2, 0.1, 0.05), aside)), [0.75, 0, 1.0], atol=1e-4
    )
    turned = np.degrees(straight - pose(rotation_of(0.2, 0.1, 0.05), crooked))
    assert turned[0] == turned[1] == 0 < turned[2]


def moment(frame: int, yaw: float = 0.0, fresh: bool = False, look: int = 0, **figures: float) -> tuple[Face, Crop]:
    """A face and a picture of it; ``look`` picks one of several pictures."""
    rotation = rotation_of(yaw, 0.0, 0.0)
    coarse = np.random.default_rng(look).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    face = Face(frame, frame * 33_000_000, seen(head_points(**figures), rotation), fresh)
    return face, Crop(frame, frame * 33_000_000, coarse.repeat(32, 0).repeat(32, 1), PLACE, rotation)


def encoder(frames: int = 3) -> Encoder:
    return Encoder(load("toon"), EncodingSettings(identity_frames=frames))


def same(a: Latent, b: Latent) -> bool:
    return bool(np.array_equal(a.wplus, b.wplus) and np.array_equal(a.motion, b.motion))


def test_a_code_carries_its_frame_and_place() -> None:
    face, crop = moment(5, fresh=True)
    latent = encoder().encode(face, crop)
    assert (latent.frame_id, latent.captured_ns, latent.fresh) == (5, face.captured_ns, True)
    assert latent.transform is crop.transform
    assert latent.wplus.shape == (LAYERS, 256) and latent.wplus.dtype == np.float32
    assert latent.motion.shape == (len(MOTION),) and latent.motion.dtype == np.float32


def test_identity_is_fixed_after_enough_frames() -> None:
    stage = encoder(3)
    codes = [stage.encode(*moment(i, look=i)).wplus for i in range(7)]
    assert not np.array_equal(codes[1], codes[2]) and not np.array_equal(codes[2], codes[3])
    for later in codes[4:]:
        np.testing.assert_array_equal(later, codes[3])


def test_after_the_first_frames_only_every_third_one_is_looked_at() -> None:
    stage = encoder(7)
    codes = [stage.encode(*moment(i, look=i)).wplus for i in range(16)]
    changed = [i for i in range(1, 16) if not np.array_equal(codes[i], codes[i - 1])]
    assert changed == [2, 3, 4, 7, 10, 13], "seven looks, each but the first worn from the next frame on, then none"


def test_a_look_that_fails_is_told_with_the_next_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = encoder(3)
    stage.encode(*moment(0))

    def fail(*_: object) -> None:
        raise EngineError("the encoder is gone")

    monkeypatch.setattr(encoding, "look", fail)
    stage.encode(*moment(1))
    with pytest.raises(EngineError, match="the encoder is gone"):
        stage.encode(*moment(2))


def test_a_look_under_way_does_not_outlive_a_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    going = threading.Event()

    def held(*arguments: Any) -> Any:
        assert going.wait(10)
        return look(*arguments)

    used, new = encoder(3), encoder(3)
    used.encode(*moment(0, look=5))
    with monkeypatch.context() as patch:
        patch.setattr(encoding, "look", held)
        used.encode(*moment(1, look=6))
        used.reset()
        going.set()
    for i in range(5):
        assert same(used.encode(*moment(i, look=7 + i)), new.encode(*moment(i, look=7 + i)))


def test_codes_that_were_given_out_stay_as_they_were() -> None:
    stage = encoder(3)
    first = stage.encode(*moment(0, look=1))
    kept = first.wplus.copy()
    stage.encode(*moment(1, look=2))
    np.testing.assert_array_equal(first.wplus, kept)


def test_a_turned_head_counts_less() -> None:
    frontal = encoder(1).encode(*moment(0, look=1)).wplus
    both = []
    for yaw in (0.0, 0.9):
        stage = encoder(2)
        stage.encode(*moment(0, look=1))
        stage.encode(*moment(1, yaw=yaw, look=2))
        both.append(np.linalg.norm(stage.encode(*moment(2)).wplus - frontal))
    assert both[1] < both[0]


def test_motion_is_read_from_every_frame() -> None:
    stage = encoder(1)
    rest, turned = stage.encode(*moment(0)), stage.encode(*moment(1, yaw=0.5, gap=0.2))
    levelled = {**AT_REST, "pitch": -np.radians(5.0)}
    np.testing.assert_allclose(rest.motion, list(levelled.values()), atol=0.02)
    assert turned.motion[0] == pytest.approx(0.5, abs=0.01) and turned.motion[MOTION.index("jaw_open")] > 0.4


def test_reset_is_like_new() -> None:
    used = encoder(2)
    for i in range(4):
        used.encode(*moment(i, look=i, lid_l=0.5, gap=0.1))
    used.reset()
    new = encoder(2)
    for i in range(3):
        assert same(used.encode(*moment(i, look=7 + i)), new.encode(*moment(i, look=7 + i)))


def test_what_inversion_found_is_added_to_every_layer_of_the_avatar() -> None:
    worn, offset = (
        to_attributes({"hair": "bob"}),
        np.random.default_rng(0).normal(size=(LAYERS, 256)).astype(np.float32),
    )
    plain, found = (Encoder(load("toon"), EncodingSettings(), worn, extra) for extra in (None, offset))
    for i in range(2):
        np.testing.assert_allclose(
            found.encode(*moment(i, look=i)).wplus - plain.encode(*moment(i, look=i)).wplus, offset, atol=1e-5
        )
    found.reset()
    np.testing.assert_allclose(found.encode(*moment(0)).wplus - plain.encode(*moment(0)).wplus, offset, atol=1e-5)


def test_an_avatar_that_is_worn_stays_whoever_is_seen() -> None:
    worn = to_attributes({"hair": "bob", "age": 0.8})
    stage = Encoder(load("toon"), EncodingSettings(), worn)
    codes = [stage.encode(*moment(i, look=i, gap=0.2 * (i % 2))) for i in range(3)]
    stage.reset()
    codes.append(stage.encode(*moment(0, look=9)))
    for code in codes[1:]:
        np.testing.assert_array_equal(code.wplus, codes[0].wplus)
    assert not np.array_equal(codes[0].motion, codes[1].motion), "motion follows the face"
    assert not np.array_equal(codes[0].wplus, encoder(1).encode(*moment(0)).wplus)


def test_another_style_dresses_the_same_person_and_taking_it_off_undresses_them() -> None:
    model = load("toon")
    style = dressed(model, {"glasses_round": 1.0}, 1.0)
    plain, changing = encoder(2), encoder(2)
    for number in range(4):
        changing.dress(style if number == 2 else model)
        code, wanted = changing.encode(*moment(number)), plain.encode(*moment(number))
        assert same(code, wanted) is (number != 2)
    person = {name: 0.5 for name in ATTRIBUTES}
    worn = Encoder(model, EncodingSettings(), person)
    worn.dress(style)
    assert same(worn.encode(*moment(0)), Encoder(style, EncodingSettings(), person).encode(*moment(0)))

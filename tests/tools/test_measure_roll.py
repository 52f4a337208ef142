"""Following a picture's roll without FaceMesh, on pictures that are turned by known angles."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engines.motion import MOTION
from tools.measure_roll import RENEWED, FlowRoll, judged, quick, upper_face


def test_a_picture_that_turns_is_followed_beyond_the_first_reference() -> None:
    random = np.random.default_rng(1)
    texture = cv2.GaussianBlur(random.integers(0, 256, (240, 320, 3), dtype=np.uint8), (0, 0), 3)
    texture = cv2.normalize(texture, np.zeros_like(texture), 0, 255, cv2.NORM_MINMAX)
    mask, flow = np.full((240, 320), 255, np.uint8), FlowRoll()
    told = 4 * np.sin(np.arange(RENEWED + 30) / 12)  # degrees
    turns = [cv2.getRotationMatrix2D((150, 130), angle, 1.0) for angle in told]
    turned = [cv2.warpAffine(texture, turn, (320, 240), borderMode=cv2.BORDER_REFLECT) for turn in turns]
    seen = np.degrees([flow.look(np.asarray(one, np.uint8), mask) for one in turned])
    np.testing.assert_allclose(seen, told - told[0], atol=0.15)
    assert np.isnan(flow.look(np.zeros((240, 320, 3), np.uint8), mask))


def test_what_the_mouth_adds_is_found() -> None:
    random = np.random.default_rng(2)
    motions = random.normal(0, 0.2, (300, len(MOTION)))
    shift, left, right = (motions[:, MOTION.index(name)] for name in ("mouth_shift", "corner_l", "corner_r"))
    head = random.normal(0, 0.02, 300)
    mesh = head + np.radians(2.0) * shift + np.radians(1.0) * (right - left)
    rolls = np.column_stack([mesh, head])
    rolls[5, 1] = np.nan
    found = judged(rolls, motions)
    assert found["frames"] == 299
    assert found["per_shift"] == pytest.approx(2.0, abs=0.1) and found["per_corners"] == pytest.approx(1.0, abs=0.1)
    slow = np.linspace(0, 5, 400)[:, None]
    assert np.abs(quick(slow)[60:-60]).max() < 1e-9


def test_lids_and_brows_are_left_out() -> None:
    points = np.random.default_rng(3).uniform(80, 160, (478, 2))
    points[10], points[168] = (120, 60), (120, 120)
    points[[33, 160, 158, 133, 153, 144]] = [(90, 100), (95, 96), (105, 96), (110, 100), (105, 104), (95, 104)]
    mask = upper_face(points, (240, 240))
    assert mask[100, 100] == 0 and mask[70, 120] == 255 and mask[230, 120] == 0

"""The motion code's names, groups and limits belong together."""

from __future__ import annotations

import pytest

from engines.motion import AT_REST, BROWS, EYES, LIMITS, MOTION, MOUTH, POSE, columns


def test_groups_hold_every_number_once() -> None:
    assert sorted((*POSE, *EYES, *MOUTH, *BROWS)) == sorted(MOTION)
    assert MOTION[:3] == POSE


def test_a_face_at_rest_is_within_the_limits() -> None:
    assert tuple(AT_REST) == MOTION and set(LIMITS) == set(MOTION)
    assert all(LIMITS[name][0] <= value <= LIMITS[name][1] for name, value in AT_REST.items())


def test_columns() -> None:
    assert [MOTION[i] for i in columns(EYES)] == list(EYES)
    with pytest.raises(ValueError, match="wings|not in tuple"):
        columns(("wings",))

"""Who is who by place: numbers stay while people move, cross, hide, leave and come back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from realtime.faces import People, Seen, _least
from realtime.frames import Face

STEP_NS = 33_333_333
SIZE = (1280, 720)
POINTS = np.random.default_rng(0).uniform(-0.5, 0.5, (478, 3)).astype(np.float32)
POINTS[:2, :2] = [[-0.5, -0.5], [0.5, 0.5]]


def face(x: float, y: float = 360, size: float = 200) -> Face:
    return Face(0, 0, (POINTS * size + [x, y, 0]).astype(np.float32), False)


def people(seen: list[Seen]) -> dict[int, int]:
    """Where each person is: number to x."""
    return {one.person: round(float(one.face.landmarks[:2, 0].mean())) for one in seen}


def test_numbers_follow_the_faces_in_whatever_order_they_come() -> None:
    crowd, random = People(4), np.random.default_rng(1)
    xs = np.array([200.0, 500.0, 800.0, 1100.0])
    known = people(crowd.see([face(x) for x in xs], 0, SIZE))
    for number in range(1, 60):
        xs = xs + random.normal(0, 6, 4)
        seen = crowd.see([face(xs[i]) for i in random.permutation(4)], number * STEP_NS, SIZE)
        assert not any(one.face.fresh or one.another for one in seen)
        now = people(seen)
        assert all(abs(now[person] - known[person]) < 60 for person in known)
        known = now


@pytest.mark.parametrize("hidden_px", [0, 120, 260])
@pytest.mark.parametrize("frames", [30, 90])
@pytest.mark.parametrize("other_size", [200, 260])
def test_people_who_cross_keep_their_numbers(hidden_px: int, frames: int, other_size: int) -> None:
    """One walks right behind one who walks left, and is not seen while they are nearer than ``hidden_px``."""
    crowd, random = People(2), np.random.default_rng(frames)
    start = people(crowd.see([face(300), face(900, size=other_size)], 0, SIZE))
    behind = next(person for person, x in start.items() if x == 300)
    for number in range(1, frames):
        right, left = 300 + 600 * number / (frames - 1), 900 - 600 * number / (frames - 1)
        faces = [face(left + random.normal(0, 2), size=other_size)]
        if abs(right - left) >= max(hidden_px, 100):
            faces.insert(int(random.integers(2)), face(right + random.normal(0, 2)))
        seen = crowd.see(faces, number * STEP_NS, SIZE)
        assert not any(one.another for one in seen)
        assert abs(people(seen)[1 - behind] - left) < 20, "the one in front"
        if len(faces) == 2:
            assert abs(people(seen)[behind] - right) < 20, "the one behind"


def test_two_who_stand_still_and_flicker_are_not_swapped() -> None:
    crowd = People(2)
    first = people(crowd.see([face(400), face(640)], 0, SIZE))
    for number in range(1, 40):
        shown = [face(400)] if number % 3 == 1 else [face(640)] if number % 3 == 2 else [face(640), face(400)]
        seen = crowd.see(shown, number * STEP_NS, SIZE)
        assert people(seen).items() <= first.items()


def test_who_is_not_seen_is_lost_and_comes_back_fresh() -> None:
    crowd = People(2)
    crowd.see([face(300), face(900)], 0, SIZE)
    crowd.see([face(900)], STEP_NS, SIZE)
    (lost,) = crowd.lost(STEP_NS)
    assert (lost.waited_ns, lost.shift, round(lost.size)) == (STEP_NS, (0.0, 0.0), 200)
    back = crowd.see([face(310), face(900)], 30 * STEP_NS, SIZE)
    assert {one.person: one.face.fresh for one in back} == {lost.person: True, 1 - lost.person: False}
    assert not any(one.another for one in back) and not crowd.lost(30 * STEP_NS)


def test_time_behind_somebody_does_not_count_as_waiting() -> None:
    crowd = People(2)
    crowd.see([face(560, size=180), face(700, size=300)], 0, SIZE)
    for number in range(1, 31):
        crowd.see([face(650, size=300)], number * STEP_NS, SIZE)
    (hidden,) = crowd.lost(30 * STEP_NS)
    assert hidden.waited_ns < 2 * STEP_NS
    for number in range(31, 61):
        crowd.see([face(650 + 20 * (number - 30), size=300)], number * STEP_NS, SIZE)
    (lost,) = crowd.lost(60 * STEP_NS)
    assert lost.waited_ns > 12 * STEP_NS, "nobody stands before them any more"


def test_nobody_is_hidden_for_ever_or_by_a_face_further_away() -> None:
    for other_size, waits_s in ((300, 3), (90, 0)):
        crowd = People(2)
        crowd.see([face(560, size=180), face(700, size=other_size)], 0, SIZE)
        for number in range(1, 151):
            crowd.see([face(620, size=other_size)], number * STEP_NS, SIZE)
        (lost,) = crowd.lost(150 * STEP_NS)
        assert lost.waited_ns * 1e-9 == pytest.approx(5 - waits_s, abs=0.2)


def test_who_walks_out_of_the_picture_is_not_lost() -> None:
    crowd = People(2)
    for number in range(30):
        crowd.see([face(500), face(max(1000 + 10 * number, 0))], number * STEP_NS, SIZE)
    assert not crowd.lost(29 * STEP_NS)
    crowd.see([face(500)], 30 * STEP_NS, SIZE)
    assert not crowd.lost(30 * STEP_NS)
    back = crowd.see([face(500), face(1200)], 90 * STEP_NS, SIZE)
    assert not any(one.another for one in back), "they come back as who they were"


def test_somebody_lost_in_the_middle_is_lost_until_back_or_forgotten() -> None:
    for forget_ns, still in ((0, True), (5_000_000_000, False)):
        crowd = People(2, forget_ns)
        crowd.see([face(500), face(900)], 0, SIZE)
        for number in range(1, 400):
            crowd.see([face(500)], number * STEP_NS, SIZE)
        assert bool(crowd.lost(399 * STEP_NS)) == still


def test_somebody_new_gets_a_free_number_and_then_that_of_who_is_away_longest() -> None:
    crowd = People(2)
    (one,) = crowd.see([face(200)], 0, SIZE)
    assert one.another and one.face.fresh
    both = {one.person: one for one in crowd.see([face(200), face(1000)], STEP_NS, SIZE)}
    assert both[1].another and not both[0].another
    far = crowd.see([face(200), face(640, 100, 60)], 2 * STEP_NS, SIZE)
    new = next(one for one in far if one.another)
    assert new.person == 1 and new.face.fresh, "a face that cannot have moved so far is somebody else"


def test_no_more_than_most_and_none_twice() -> None:
    crowd = People(2)
    seen = crowd.see([face(200), face(208), face(600, size=240), face(1000, size=100)], 0, SIZE)
    assert sorted(people(seen).values()) in ([200, 600], [208, 600])


def test_reset_equals_new_people() -> None:
    used, new = People(3), People(3)
    used.see([face(200), face(900)], 0, SIZE)
    used.reset()
    for crowd in (used, new):
        assert people(crowd.see([face(900), face(200)], 5, SIZE)) == people(new.see([face(900), face(200)], 5, SIZE))
    assert not used.lost(5)


def test_times_that_stand_still_and_frames_without_anyone() -> None:
    crowd = People(2)
    assert crowd.see([], 0, SIZE) == [] and crowd.lost(0) == []
    for _ in range(3):
        assert people(crowd.see([face(300), face(700)], 7, SIZE)).keys() == {0, 1}


def test_the_assignment_is_the_least_of_all() -> None:
    random = np.random.default_rng(2)
    for rows, columns in itertools.product(range(1, 5), repeat=2):
        distances = random.uniform(0, 3, (rows, columns))
        pairs = _least(distances)
        assert len(pairs) == min(rows, columns)
        wide = distances if rows <= columns else distances.T
        orders = itertools.permutations(range(wide.shape[1]), len(wide))
        tried = [sum(wide[row, order[row]] for row in range(len(wide))) for order in orders]
        assert sum(distances[pair] for pair in pairs) == pytest.approx(min(tried))
    assert _least(np.zeros((0, 3))) == [] and _least(np.zeros((2, 0))) == []

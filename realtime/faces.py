"""Who is who among several faces, by place: every face keeps its number while people move, cross and come back.

A person is expected where the last place and velocity lead. Faces are given to people so that the sum of distances is
least (all assignments are tried: with four faces there are 24), a distance being that of the centres in face sizes plus
the difference of log sizes. Someone who is hidden goes on being expected and costs a little more than someone who was
seen a moment ago, so that the person in front keeps their number while two people cross.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt

from realtime.frames import Face, Floats

Values = npt.NDArray[np.float64]

GATE, GATE_A_SECOND = 1.0, 3.0  # face sizes within which a face can be the same person; wider the longer they are lost
SIZE_COUNTS = 0.7  # what a log size ratio of 1 counts, in face sizes
LOST_COUNTS = 0.35  # what it counts that someone was not seen in the last frame
VELOCITY_S, COAST_S = 0.15, 1.0  # memory of the velocity; how long it is trusted for someone who is not seen
HIDES, NEARER, HIDDEN_NS = 0.9, 0.7, 3_000_000_000  # within so many sizes a face of such size may hide another so long
LEAVING, LEAVING_A_SECOND = 0.45, 0.25  # nearer than so many sizes to the edge and moving out so fast: left the picture
SAME = 0.35  # two finds nearer than this many sizes are one face
FAR = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A face that is there. person: its number, from 0. another: true where this number is given to somebody new."""

    person: int
    face: Face
    another: bool


@dataclass(frozen=True, slots=True, eq=False)
class Lost:
    """Someone who was in the picture, did not leave it, and is not seen.

    shift: how far they are expected to have moved since they were seen, frame pixels x and y.
    size: of their face, in pixels.
    waited_ns: since when, without the time in which a nearer face may have hidden them.
    """

    person: int
    shift: tuple[float, float]
    size: float
    waited_ns: int


class _Person:
    """What is known of one person's place: x, y in pixels and log size."""

    def __init__(self, number: int, place: Values, now_ns: int) -> None:
        self.number, self.place, self.seen_ns = number, place, now_ns
        self.velocity = np.zeros(3)
        self.present, self.left = True, False
        self.hidden_ns = 0

    @property
    def size(self) -> float:
        return float(math.exp(self.place[2]))

    def expected(self, now_ns: int) -> Values:
        passed_s = min((now_ns - self.seen_ns) * 1e-9, COAST_S)
        return np.asarray(self.place + self.velocity * passed_s * (1.0, 1.0, 0.0))

    def distance(self, place: Values, now_ns: int) -> float:
        """From where they are expected, in face sizes; FAR beyond what they can have moved."""
        away = place - self.expected(now_ns)
        moved = float(math.hypot(away[0], away[1])) / math.exp((place[2] + self.place[2]) / 2)
        if moved > GATE + (0.0 if self.present else GATE_A_SECOND * (now_ns - self.seen_ns) * 1e-9):
            return FAR + moved
        return moved + SIZE_COUNTS * abs(float(away[2])) + (0.0 if self.present else LOST_COUNTS)

    def see(self, place: Values, now_ns: int, jumped: bool) -> None:
        passed_s = (now_ns - self.seen_ns) * 1e-9
        if jumped or not self.present:
            self.velocity = np.zeros(3) if jumped else self.velocity
        elif passed_s > 0:
            speed = (place - self.place) / passed_s
            self.velocity += passed_s / (passed_s + VELOCITY_S) * (speed - self.velocity)
        self.place, self.seen_ns = place, now_ns
        self.present, self.left, self.hidden_ns = True, False, 0


class People:
    """Gives numbers to the faces of one frame after the other.

    most: how many people are told apart. forget_ns: how long someone counts as lost; 0: until they are back.
    """

    def __init__(self, most: int, forget_ns: int = 0) -> None:
        self._most, self._forget_ns = most, forget_ns
        self.reset()

    def reset(self) -> None:
        """Forget everyone."""
        self._people: list[_Person] = []
        self._last_ns = 0

    def see(self, faces: Sequence[Face], now_ns: int, size: tuple[int, int]) -> list[Seen]:
        """The faces of a frame of ``size`` (width, height) with their people, in the faces' order.

        A face is ``fresh`` where the person was not seen a frame ago or cannot have moved so far.
        """
        faces = _distinct(faces)[: self._most]
        places = [_place(face) for face in faces]
        given = self._assigned(places, now_ns)
        seen = []
        for index, face in enumerate(faces):
            person, fresh, another = given[index]
            person.see(places[index], now_ns, jumped=another)
            seen.append(Seen(person.number, Face(face.frame_id, face.captured_ns, face.landmarks, fresh), another))
        self._miss({one.person for one in seen}, now_ns, size)
        return seen

    def lost(self, now_ns: int) -> list[Lost]:
        """Those who should be in the picture and are not seen."""
        result = []
        for person in self._people:
            waited_ns = now_ns - person.seen_ns - person.hidden_ns
            if person.present or person.left or 0 < self._forget_ns < waited_ns:
                continue
            shift = person.expected(now_ns) - person.place
            result.append(Lost(person.number, (float(shift[0]), float(shift[1])), person.size, max(waited_ns, 0)))
        return result

    def _assigned(self, places: list[Values], now_ns: int) -> dict[int, tuple[_Person, bool, bool]]:
        """The person of every place, whether they come fresh, and whether they are somebody new."""
        given: dict[int, tuple[_Person, bool, bool]] = {}
        for place, index in _least(np.array([[p.distance(at, now_ns) for p in self._people] for at in places])):
            person = self._people[index]
            given[place] = (person, not person.present, False)
        for place in range(len(places)):
            if place in given:
                continue
            taken = {person.number for person, _, _ in given.values()}
            given[place] = (self._newcomer(places[place], taken, now_ns), True, True)
        return given

    def _newcomer(self, place: Values, taken: set[int], now_ns: int) -> _Person:
        """Somebody new, in a free number or in that of who has been away longest."""
        if len(self._people) < self._most:
            self._people.append(_Person(len(self._people), place, now_ns))
            return self._people[-1]
        return min((p for p in self._people if p.number not in taken), key=lambda p: (p.present, p.seen_ns))

    def _miss(self, seen: set[int], now_ns: int, size: tuple[int, int]) -> None:
        """Note who is not seen, who may be hidden, and who left."""
        for person in self._people:
            if person.number in seen:
                continue
            person.present = False
            place = person.expected(now_ns)
            person.left = person.left or _is_leaving(place, person, size)
            for other in self._people:
                near = math.hypot(*(place - other.place)[:2]) < HIDES * other.size
                if other.number in seen and near and other.size > NEARER * person.size:
                    hidden_ns = person.hidden_ns + now_ns - max(self._last_ns, person.seen_ns)
                    person.hidden_ns = min(hidden_ns, HIDDEN_NS)
                    break
        self._last_ns = now_ns


def _place(face: Face) -> Values:
    """Centre x and y of a face's box and the log of its larger side."""
    low, high = face.landmarks[:, :2].min(axis=0), face.landmarks[:, :2].max(axis=0)
    return np.array([*(low + high) / 2, math.log(max(float((high - low).max()), 1.0))])


def _distinct(faces: Sequence[Face]) -> list[Face]:
    """The faces, largest first, without those that were found twice."""
    result: list[Face] = []
    for face in sorted(faces, key=lambda face: -_place(face)[2]):
        at = _place(face)
        if all(math.hypot(*(at - _place(other))[:2]) > SAME * math.exp(_place(other)[2]) for other in result):
            result.append(face)
    return result


def _least(distances: Floats | Values) -> list[tuple[int, int]]:
    """Pairs of rows and columns of the least sum, without those that are FAR. distances: [rows, columns]."""
    if distances.size == 0:
        return []
    if distances.shape[0] > distances.shape[1]:
        return [(row, column) for column, row in _least(distances.T)]
    rows = range(distances.shape[0])
    best = min(
        permutations(range(distances.shape[1]), distances.shape[0]),
        key=lambda columns: sum(float(distances[row, columns[row]]) for row in rows),
    )
    return [(row, best[row]) for row in rows if distances[row, best[row]] < FAR]


def _is_leaving(place: Values, person: _Person, size: tuple[int, int]) -> bool:
    """Whether someone who was lost here was on the way out of the picture."""
    for axis in (0, 1):
        outward = person.velocity[axis] / person.size
        low, high = place[axis] / person.size, (size[axis] - place[axis]) / person.size
        if (low < LEAVING and outward < -LEAVING_A_SECOND) or (high < LEAVING and outward > LEAVING_A_SECOND):
            return True
    return False

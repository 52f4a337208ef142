"""The detail maps lie where the face world draws what they stand for."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from engines.detail_maps import MAPS
from engines.motion import MOTION
from engines.spatial_code import COORDINATES, head_map
from tools.face_world import draw, names, points
from tools.face_world.sampling import plain

SIZE = 128
POSE = {"yaw": 0.35, "pitch": -0.12, "roll": 0.15}


def maps_and_picture(**changes: float) -> tuple[np.ndarray, np.ndarray]:
    """The maps [58, 128, 128] and the drawn head's brightness [128, 128] in 0..1."""
    row = plain(**changes)[None]
    rest = torch.from_numpy(np.array(points(row)[1]))
    motion = torch.from_numpy(row[:, [names().index(name) for name in MOTION]])
    maps = head_map(rest, motion, SIZE)[0, COORDINATES:].numpy()
    assert maps.shape == (MAPS, SIZE, SIZE)
    return maps, draw(row, SIZE)[0, ..., :3].mean(-1) / 255


@pytest.mark.parametrize(("kind", "row"), [("glasses_round", 18), ("glasses_square", 19)])
def test_rims_lie_on_the_drawn_glasses(kind: str, row: int) -> None:
    raised = POSE | {"brow_l": 0.8, "brow_r": 0.8}  # no brow is under the rims
    maps, with_glasses = maps_and_picture(**{kind: 1.0}, **raised)
    drawn = np.abs(with_glasses - maps_and_picture(**raised)[1]) > 0.25
    rim = maps[row] > 0.6
    assert rim.sum() > 60 and drawn[rim].mean() > 0.8


def test_the_arms_of_glasses_stay_on_the_head_while_it_turns() -> None:
    turns = np.linspace(-0.4, 0.4, 161)
    rows = np.stack([plain(yaw=yaw) for yaw in turns])
    rest = torch.from_numpy(np.array(points(rows)[1]))
    motion = torch.from_numpy(rows[:, [names().index(name) for name in MOTION]])
    arms = np.concatenate(
        [head_map(rest[i : i + 23], motion[i : i + 23], 64)[:, COORDINATES + 21] for i in range(0, 161, 23)]
    )
    head = draw(np.stack([plain(yaw=yaw) for yaw in (-0.4, 0.0, 0.4)]), 64)[..., 3].max(0) > 0
    beside = ~(np.roll(head, 4, 1) | head | np.roll(head, -4, 1))
    assert arms.max() > 0.6 and np.abs(arms[:, beside]).max() < 0.2


@pytest.mark.parametrize("gaze", [-0.7, 0.0, 0.7])
def test_pupils_are_dark_and_lie_in_the_opened_eye(gaze: float) -> None:
    maps, picture = maps_and_picture(gaze_x=gaze, gaze_y=0.3, **POSE)
    pupil, seen = maps[24] > 0.7, maps[22] > 0.7
    assert pupil.sum() >= 8 and picture[pupil].mean() < 0.35 and picture[seen & ~(maps[23] > 0.1)].mean() > 0.6


def test_a_closed_eye_shows_no_eyeball() -> None:
    assert maps_and_picture(eye_l=0.0, eye_r=0.0)[0][22].max() < 0.6


def test_brows_and_open_mouth_are_where_they_are_drawn() -> None:
    still, moved = ({"brow_l": b, "brow_r": b, "jaw_open": j, **POSE} for b, j in ((0.0, 0.0), (0.9, 0.8)))
    maps, picture = maps_and_picture(**moved)
    before = maps_and_picture(**still)[1]
    assert picture[maps[28] > 0.7].mean() < before[maps[28] > 0.7].mean() - 0.15, "dark where the brows went"
    changed = np.abs(picture - before)
    assert changed[maps[31] > 0.7].mean() > 5 * changed.mean(), "teeth and tongue between the lips"


def overlap(told: np.ndarray, drawn: np.ndarray) -> float:
    """What two masks have in common, of what is in either."""
    return float((told & drawn).sum() / (told | drawn).sum())


FACES = [{}, {"yaw": 0.4, "pitch": -0.1}, {"yaw": -0.45, "roll": 0.2}, {"face_length": 1.08, "jaw_width": 0.9}]
DARK = {"hair_short": 0.0, "hair_bald": 1.0, "skin_r": 0.08, "skin_g": 0.2, "skin_b": 0.3, "cloth_r": 0.02}


def drawn_in(*, red: bool = False, **changes: float) -> np.ndarray:
    """Where a head of dark blue skin is drawn white, or red: bool [128, 128]."""
    rgb = draw(plain(**DARK, **changes)[None], SIZE)[0, ..., :3].astype(int)
    here: np.ndarray = rgb[..., 0] > rgb[..., 2] + 10 if red else rgb.min(-1) > 120
    return here


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    "mouth",
    [
        {"jaw_open": 0.8, "lip_upper": 0.6},
        {"jaw_open": 0.4, "corner_l": 0.8, "corner_r": 0.2, "lip_upper": 0.8},
        {"jaw_open": 0.8, "mouth_wide": 0.7, "lip_upper": 0.3},
    ],
)
def test_lips_and_teeth_lie_where_they_are_drawn(mouth: dict[str, float], face: dict[str, float]) -> None:
    red = {"lip_r": 0.8, "lip_g": 0.02, "lip_b": 0.05, "make_up": 0.0}
    maps = maps_and_picture(**mouth, **face)[0]
    around = cv2.dilate((maps[29:32].max(0) > 0.5).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    inside = maps[31] > 0.5
    lips = drawn_in(red=True, **red, **mouth, **face) & around & ~inside
    teeth = drawn_in(**mouth, **face) & around
    assert lips.sum() > 60 and overlap((maps[29:31].max(0) > 0.5) & ~inside, lips) > 0.45
    assert teeth.sum() > 30 and overlap(maps[43] > 0.5, teeth) > 0.4


@pytest.mark.parametrize("face", FACES)
def test_pursed_lips_are_round_and_hide_the_teeth(face: dict[str, float]) -> None:
    red = {"lip_r": 0.8, "lip_g": 0.02, "lip_b": 0.05, "make_up": 0.0}
    dull, pursed = {"lip_r": 0.1, "lip_g": 0.02, "lip_b": 0.02}, {"jaw_open": 0.8, "mouth_wide": -0.8}
    maps = maps_and_picture(**pursed, **face)[0]
    around = cv2.dilate((maps[29:32].max(0) > 0.5).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    lips = drawn_in(red=True, **red, **pursed, **face) & around & ~(maps[31] > 0.5)
    assert lips.sum() > 30 and overlap((maps[29:31].max(0) > 0.5) & ~(maps[31] > 0.5), lips) > 0.4
    assert (maps[43] > 0.5).sum() < 6 and (drawn_in(**dull, **pursed, **face) & around).sum() < 10


@pytest.mark.parametrize("face", [*FACES, {"brow_l": 1.0, "brow_r": -0.5, "furrow": 0.6}])
def test_brows_lie_where_they_are_drawn(face: dict[str, float]) -> None:
    maps = maps_and_picture(**face)[0]
    high = (maps[[22, 26, 27]].max(0) < 0.1) & (np.arange(SIZE) < 60)[:, None]
    brows = drawn_in(red=True, hair_r=0.9, hair_g=0.05, hair_b=0.02, brow_thickness=1.3, **face) & high
    assert brows.sum() > 60 and overlap((maps[28] > 0.5) & high, brows) > 0.6


@pytest.mark.parametrize("face", FACES)
def test_beards_grow_where_they_are_drawn(face: dict[str, float]) -> None:
    """Their region, and the pattern of their fluff, which a shift of three pixels takes away."""
    maps = maps_and_picture(**face)[0]
    low = (np.arange(SIZE) > 62)[:, None]
    bearded = {"beard": 1.0, "hair_r": 0.9, "hair_g": 0.10, "hair_b": 0.05, **face}
    beard = drawn_in(red=True, **bearded) & ~drawn_in(red=True, **(bearded | {"beard": 0.0})) & low
    assert beard.sum() > 300 and overlap((maps[16] > 0.5) & low, beard) > 0.70
    picture = draw(plain(**DARK, **bearded)[None], 256)[0, ..., 0].astype(np.float32)
    fine = cv2.resize(picture - cv2.GaussianBlur(picture, (0, 0), 6), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    inside = cv2.erode(beard.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert explained(fine, maps[8:10], inside) > 2 * explained(fine, np.roll(maps[8:10], 3, 2), inside)


def explained(fine: np.ndarray, maps: np.ndarray, where: np.ndarray) -> float:
    """How much of ``fine`` the maps explain, each with a weight that may change linearly over the picture (R2)."""
    y, x = (axis / SIZE - 0.4 for axis in np.nonzero(where))
    rows = np.stack([np.ones_like(x), *(m[where] * w for m in maps for w in (np.ones_like(x), x, y))], 1)
    left = fine[where] - rows @ np.linalg.lstsq(rows, fine[where], rcond=None)[0]
    return float(1 - left.var() / fine[where].var())


def worn(**styles: float) -> dict[str, float]:
    """The parameters of hair of one style or between two."""
    return {"hair_short": 0.0, **{f"hair_{style}": amount for style, amount in styles.items()}}


@pytest.mark.parametrize(
    "hair", [worn(short=1), worn(long=1), worn(bun=1), worn(short=0.7, bob=0.3), worn(wavy=0.6, bun=0.4)]
)
@pytest.mark.parametrize("pose", [{}, POSE, {"yaw": -0.5}])
def test_strands_follow_the_drawn_hair(hair: dict[str, float], pose: dict[str, float]) -> None:
    """Combed back, parted and swept hair and hair between them alike; the same maps upside down explain less by far.

    Beside the strands there are the bands in which they shine, and locks of which no two are alike.
    """
    bright = {"hair_r": 0.6, "hair_g": 0.4, "hair_b": 0.2, "light_x": 0.0, "light_y": 0.3}
    maps, picture = maps_and_picture(**hair, **bright, **pose)
    fine = picture - cv2.GaussianBlur(picture, (0, 0), 2.5)
    hair = (maps[15] > 0.5) & (np.arange(SIZE) < 50)[:, None]
    inside = cv2.erode(hair.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0  # its edge is thick
    strands = maps[[0, 2, 4, 6]]  # on the cap
    turned = np.concatenate([strands[:, 59::-1], strands[:, 60:]], 1)
    assert inside.sum() > 240
    as_drawn, upside_down = (explained(fine, maps, inside) for maps in (strands, turned))
    assert as_drawn > 0.15 and as_drawn > 1.7 * upside_down and upside_down < 0.3


def test_strands_stick_to_the_turned_head() -> None:
    maps = [maps_and_picture(yaw=yaw)[0] for yaw in (0.0, 0.02)]
    shifts = [
        np.abs(np.roll(maps[0][0, 20:50, 40:90], s, 1)[:, 4:-4] - maps[1][0, 20:50, 40:90][:, 4:-4]).mean()
        for s in (-1, 0, 1)
    ]
    assert shifts[2] < shifts[0], "yaw takes the pattern to the picture's right"


@pytest.mark.parametrize(
    ("hair", "beside"),
    [
        (worn(short=1), True),
        (worn(bob=1) | {"fringe": 1.0}, True),
        (worn(bob=1) | {"fringe": 0.5}, True),
        (worn(long=1), False),
        (worn(bun=1), False),
        (worn(short=0.6, long=0.4), False),
        (worn(buzz=1), True),
        (worn(quiff=1), True),
        (worn(side_part=1), True),
        (worn(curly=1), True),
        (worn(afro=1), True),
    ],
)
def test_the_hairs_edge_and_outline_lie_where_they_are_drawn(hair: dict[str, float], beside: bool) -> None:
    """``beside`` the head too, where hair is the cap alone."""
    pink = {"hair_r": 0.9, "hair_g": 0.05, "hair_b": 0.4, "skin_r": 0.1, "skin_g": 0.3, "skin_b": 0.1}
    rows = np.stack([plain(**hair, **pink, **POSE), plain(hair_short=0.0, hair_bald=1.0, **POSE)])
    picture, bald = draw(rows, SIZE).astype(int)
    drawn = (picture[..., 0] > picture[..., 1] + 30) & (picture[..., 3] > 128)
    maps = maps_and_picture(**hair, **POSE)[0]
    told = maps[15] > 0.5
    above = (beside | (bald[..., 3] > 128)) & (maps[28] < 0.1)  # brows are pink too
    above[55:] = False  # what hangs down is another surface
    assert told.sum() > 600
    soft = "hair_buzz" in hair  # single hairs beyond its edge are pink, too
    assert (told & drawn & above).sum() / ((told | drawn) & above).sum() > (0.78 if soft else 0.85)


def test_nobody_bald_has_hair_on_the_maps() -> None:
    assert maps_and_picture(hair_short=0.0, hair_bald=1.0)[0][15].max() == 0.0


@pytest.mark.parametrize("style", ["curly", "afro"])
def test_curls_explain_how_drawn_curls_look(style: str) -> None:
    bright = {"hair_r": 0.6, "hair_g": 0.4, "hair_b": 0.2}
    maps, picture = maps_and_picture(**{"hair_short": 0.0, f"hair_{style}": 1.0, **bright, **POSE})
    inside = np.zeros((SIZE, SIZE), bool)
    inside[22:40] = cv2.erode((maps[15] > 0.9).astype(np.uint8), np.ones((9, 9), np.uint8))[22:40] > 0

    def rows(pattern: np.ndarray) -> list[np.ndarray]:
        return [part[inside] for part in (pattern, *np.gradient(pattern))]

    places = np.stack(np.nonzero(inside)) / SIZE
    smooth = [np.ones(inside.sum()), *places, *places**2, places[0] * places[1]]
    left_over = []
    for pair in (maps[10:12], maps[10:12, :, ::-1]):  # as they are, and mirrored: as many numbers, in the wrong place
        for features in (np.stack(smooth, 1), np.stack(smooth + rows(pair[0]) + rows(pair[1]), 1)):
            left = picture[inside] - features @ np.linalg.lstsq(features, picture[inside], rcond=None)[0]
            left_over.append(left.var())
    assert left_over[1] < 0.85 * left_over[0] and left_over[1] < 0.92 * left_over[3]


@pytest.mark.parametrize(
    "pose",
    [
        {},
        {"yaw": 0.4, "pitch": 0.1, "roll": 0.1},
        {"jaw_open": 0.6, "corner_l": 0.5, "corner_r": 0.5},
        {"brow_l": 0.8, "brow_r": -0.4, "furrow": 0.5, "face_length": 1.06, "brow_height": 0.8},
    ],
)
def test_lines_of_age_lie_where_they_are_drawn(pose: dict[str, float]) -> None:
    """Forehead, eyes and mouth each: the map is dark where the drawn face is, and is not when it is moved."""
    row = plain(age=1.0, hair_short=0.0, hair_buzz=1.0, light_x=0.0, **pose)[None]
    rest = torch.from_numpy(np.array(points(row)[1]))
    motion = torch.from_numpy(row[:, [names().index(name) for name in MOTION]])
    lines = head_map(rest, motion, 256)[0, COORDINATES + 44].numpy()
    green = draw(row, 256)[0, ..., 1].astype(float)
    dark = cv2.GaussianBlur(green, (0, 0), 4) - green
    for band in (slice(40, 97), slice(97, 130), slice(130, 170)):
        here = np.zeros(lines.shape, bool)
        here[band] = cv2.dilate((lines[band] > 0.15).astype(np.uint8), np.ones((7, 7))) > 0
        alike = [np.corrcoef(dark[here], np.roll(lines, moved, 0)[here])[0, 1] for moved in (0, 4, -4)]
        assert here.sum() > 100
        assert alike[0] > 0.3 and alike[0] > max(alike[1:]) + 0.2, (band, alike)


def test_jowls_lie_within_the_old_head_and_beyond_the_young_one() -> None:
    broad = {"hair_short": 0.0, "hair_bald": 1.0, "jaw_width": 0.95}
    young, old = draw(np.stack([plain(**broad, age=age) for age in (0.4, 1.0)]), SIZE)[..., 3] > 128
    maps = maps_and_picture(**broad, age=1.0)[0]
    jowls = maps[45] > 0.05
    assert jowls.sum() > 60 and old[jowls].mean() > 0.98
    added = old & ~young & (np.arange(SIZE) < 92)[:, None] & (np.arange(SIZE) > 76)[:, None]
    near = cv2.dilate(jowls.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    assert added.sum() > 20 and near[added].mean() > 0.7


GREEN_HAIR = {"hair_r": 0.02, "hair_g": 0.9, "hair_b": 0.02, "skin_r": 0.5, "skin_g": 0.1, "skin_b": 0.1}
GREEN_HAIR |= {"cloth_r": 0.5, "cloth_g": 0.05, "cloth_b": 0.05, "brow_thickness": 0.0, "iris_g": 0.02}


def hanging_hair(hair: dict[str, float], pose: dict[str, float], rows: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Where maps tell of hair and where hair is drawn, below the eyes: bool [128, 128] each."""
    row = plain(**hair, **GREEN_HAIR, **pose)[None]
    picture = draw(row, SIZE)[0].astype(int)
    drawn = (picture[..., 1] > picture[..., [0, 2]].max(-1) + 30) & (picture[..., 3] > 128)
    told = maps_and_picture(**hair, **pose)[0][rows].max(0) > 0.5
    below = (np.arange(SIZE) > 62)[:, None]
    return told & below, drawn & below


TURNS = [{}, {"yaw": 0.4}, {"yaw": -0.6, "pitch": 0.15}, {"roll": 0.3, "pitch": -0.2}]


@pytest.mark.parametrize("pose", TURNS)
@pytest.mark.parametrize("hair", [worn(bob=1), worn(long=1), worn(wavy=1), worn(bob=0.5, long=0.5)])
def test_hanging_hair_ends_where_it_is_drawn(hair: dict[str, float], pose: dict[str, float]) -> None:
    told, drawn = hanging_hair(hair, pose, [15, 46, 47])
    head = draw(plain(hair_short=0.0, hair_bald=1.0, **pose)[None], SIZE)[0, ..., 3] > 128
    told, drawn = told & ~head, drawn & ~head  # neck and shoulders stand before its inside
    assert drawn.sum() > 60 and (told & drawn).sum() / (told | drawn).sum() > 0.70
    lowest = [int(np.flatnonzero(here.any(1))[-1]) for here in (told, drawn)]
    assert abs(lowest[0] - lowest[1]) <= 3


def test_hair_that_hangs_is_lit_outside_and_in_shade_inside() -> None:
    maps, picture = maps_and_picture(**worn(long=1), **GREEN_HAIR)
    outside, inside = (maps[46] > 0.9), (maps[47] > 0.9) & (maps[46] < 0.1)
    rows = (np.arange(SIZE) > 70) & (np.arange(SIZE) < 95)
    outside, inside = outside & rows[:, None], inside & rows[:, None]
    inside[:, 48:80] = False  # the neck
    assert outside.sum() > 100 and inside.sum() > 60
    assert picture[outside].mean() > 1.15 * picture[inside].mean()


@pytest.mark.parametrize("pose", TURNS)
def test_braids_lie_where_they_are_drawn(pose: dict[str, float]) -> None:
    told, drawn = hanging_hair(worn(braids=1), pose, [48])
    assert drawn.sum() > 150
    assert (told & drawn).sum() / (told | drawn).sum() > 0.6


@pytest.mark.parametrize("style", ["short", "bun", "curly", "bald"])
def test_nothing_hangs_on_the_maps_of_other_hair(style: str) -> None:
    assert maps_and_picture(**worn(**{style: 1}))[0][46:48].max() == 0.0


@pytest.mark.parametrize("pose", [{}, {"yaw": 0.4}, {"yaw": -0.5, "pitch": 0.15}, {"domain_natural": 1.0, "yaw": 0.3}])
def test_freckles_lie_where_they_are_drawn(pose: dict[str, float]) -> None:
    without, freckled = (draw(plain(freckles=amount, **pose)[None], 256)[0, ..., 1].astype(float) for amount in (0, 1))
    darker = cv2.resize(without - freckled, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    told = maps_and_picture(**pose)[0][50]
    here = told > 0.05
    alike = [np.corrcoef(darker[here], np.roll(told, aside, 1)[here])[0, 1] for aside in (0, 4, -4)]
    assert here.sum() > 300 and alike[0] > 0.8 and max(alike[1:]) < 0.2


@pytest.mark.parametrize("pose", [{}, {"yaw": 0.4}, {"yaw": -0.5, "pitch": 0.15}])
def test_earrings_lie_where_they_are_drawn(pose: dict[str, float]) -> None:
    """They hang beside the head; a turned head hides the far one."""
    bare, hung = draw(np.stack([plain(earrings=amount, **pose) for amount in (0, 1)]), 256).astype(int)
    drawn = (np.abs(hung - bare).max(-1) > 30).astype(np.float32)
    maps = maps_and_picture(**pose)[0][51:56]
    told = maps[:4].reshape(2, 2, SIZE, SIZE).transpose(2, 0, 3, 1).reshape(256, 256)  # of sub-pixels
    told += maps[4].repeat(2, 0).repeat(2, 1)
    alike = [np.minimum(drawn, moved).sum() / np.maximum(drawn, moved).sum() for moved in (told, np.roll(told, 6, 1))]
    assert drawn.sum() > 120 and alike[0] > 0.5 and alike[0] > 1.5 * alike[1]


def test_hair_that_hangs_covers_earrings() -> None:
    covered, bare = (maps_and_picture(**worn(**{kind: 1}))[0][51:56].sum() for kind in ("long", "bun"))
    assert covered < 0.1 * bare and bare > 60


@pytest.mark.parametrize("face", FACES)
def test_the_jaw_and_the_nose_lie_where_they_are_drawn(face: dict[str, float]) -> None:
    maps = maps_and_picture(**face)[0]
    head = draw(plain(**DARK, **face)[None], SIZE)[0, ..., 3] > 128
    jaw = maps[56] > 0.1
    assert jaw.sum() > 900 and head[jaw].mean() > 0.97
    tip = points(plain(**face)[None])[0][0, 34, :2]
    y, x = np.average(np.indices((SIZE, SIZE)).reshape(2, -1), axis=1, weights=np.maximum(maps[57].ravel() - 0.05, 0))
    assert np.hypot(x - (tip[0] + 1) * SIZE / 2, y - (1 - tip[1]) * SIZE / 2) < 3

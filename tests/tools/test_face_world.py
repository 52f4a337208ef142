"""Drawn heads: every parameter is seen, points are where the generator's projection puts them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.attributes import ATTRIBUTES
from engines.motion import MOTION
from engines.spatial_code import project

pytestmark = pytest.mark.usefixtures("face_world")

NOSE, CHIN, CROWN = 34, 38, 39  # points of head.h
# Amounts that show only together with something else.
TOGETHER = {
    "hair_short": {"hair_short": 0.0, "hair_bob": 1.0},
    "hair_bald": {"hair_short": 0.0},
    "forehead": {"hair_short": 0.0},
    "tongue": {"jaw_open": 1.0},
    "light_warmth": {"light_warmth": -1.0},
    "glasses_frame": {"glasses_square": 1.0},
    **{f"frame_{c}": {"glasses_square": 1.0} for c in "rgb"},
    **{f"gear_{c}": {"hat_beanie": 1.0} for c in "rgb"},
}
UNDRAWN = ("hair_bald",)  # no other hair is bald


@pytest.fixture(scope="module")
def sampling(face_world):
    from tools.face_world import sampling

    return sampling


@pytest.fixture(scope="module")
def plain_picture(face_world, sampling) -> np.ndarray:
    return face_world.draw(sampling.plain(), 64)[0]


def test_names_are_those_of_the_models(face_world) -> None:
    names, domains = face_world.names(), tuple(f"domain_{name}" for name in ("clay", "comic", "natural"))
    persons = tuple(name for name in ATTRIBUTES if name not in domains)  # weights without domains are toon
    assert names == (*persons, *domains, *MOTION)
    assert [face_world.names()[face_world.index(name)] for name in MOTION] == list(MOTION)
    with pytest.raises(ValueError, match="the face world has no parameter 'wings'; it has face_length, .*gaze_y"):
        face_world.index("wings")


def test_drawing_leaves_small_numbers_alone(face_world) -> None:
    face_world.library()
    assert np.float32(2.0**-127) * np.float32(1) > 0, "denormals are flushed to zero in the whole process"


def test_drawing_is_deterministic_and_heads_do_not_mix(face_world, sampling, plain_picture: np.ndarray) -> None:
    pictures = face_world.draw(np.stack([sampling.plain(yaw=0.4), sampling.plain()]), 64)
    np.testing.assert_array_equal(pictures[1], plain_picture)
    assert (pictures[0] != plain_picture).any()


def test_alpha_is_a_head_with_shoulders(plain_picture: np.ndarray) -> None:
    alpha = plain_picture[..., 3]
    assert plain_picture.shape == (64, 64, 4) and plain_picture.dtype == np.uint8
    assert (alpha[20:41, 25:39] == 255).all() and (alpha[-1, 20:44] == 255).all()
    assert (alpha[:4] == 0).all() and (alpha[:20, :10] == 0).all() and (alpha[:20, -10:] == 0).all()
    assert ((alpha > 0) & (alpha < 255)).sum() > 20, "edges are soft"


# Worn or not, or seen only when changed a lot.
WHOLE = ("collar", "hair_short", "hat_beanie", "hat_cap", "headphones", "earrings", "freckles")


@pytest.mark.parametrize("half", [slice(0, 40), slice(40, None)], ids=["shape", "rest"])
def test_every_parameter_is_seen(face_world, sampling, half: slice) -> None:
    names = [name for name in face_world.names()[half] if name not in UNDRAWN]
    pairs = []
    for name in names:
        base = sampling.PLAIN | TOGETHER.get(name, {})
        now = base.get(name, 0.0)
        step = 2.0 if name == "light_warmth" else 1.0 if name in WHOLE or "glasses" in name else 0.3
        pairs += [sampling.plain(**base), sampling.plain(**{**base, name: now + step})]
    pictures = face_world.draw(np.stack(pairs), 32).astype(int)
    for name, before, after in zip(names, pictures[::2], pictures[1::2], strict=True):
        assert np.abs(after - before).max() > 7, f"{name} changes nothing"


def test_points_are_projected_as_the_generator_does(face_world, sampling) -> None:
    random = np.random.default_rng(1)
    rows = np.stack([sampling.perform(sampling.person(random), random) for _ in range(20)])
    posed, at_rest = face_world.points(rows)
    motion = torch.from_numpy(rows[:, [face_world.index(name) for name in MOTION]])
    np.testing.assert_allclose(project(torch.from_numpy(at_rest), motion).numpy(), posed, atol=1e-4)


def nose_and_crown(face_world, sampling, **motion: float) -> np.ndarray:
    return face_world.points(sampling.plain(**motion))[0][0, [NOSE, CROWN], :2]


def test_turns_go_the_way_they_are_said_to(face_world, sampling) -> None:
    rest = nose_and_crown(face_world, sampling)
    assert (nose_and_crown(face_world, sampling, yaw=0.4) - rest)[0, 0] > 0.1, "yaw: to the picture's right"
    assert (nose_and_crown(face_world, sampling, pitch=0.3) - rest)[0, 1] < -0.1, "pitch: down"
    assert (nose_and_crown(face_world, sampling, roll=0.3) - rest)[1, 0] < -0.1, "roll: counter-clockwise"


def test_the_picture_turns_with_the_points(face_world, sampling) -> None:
    left, right = (face_world.draw(sampling.plain(roll=roll), 64)[0, :24, :, 3] for roll in (0.4, -0.4))
    columns = np.arange(64)
    assert (left * columns).sum() / left.sum() < (right * columns).sum() / right.sum() - 3


def test_a_mirrored_head_has_mirrored_points(face_world, sampling) -> None:
    one = face_world.points(sampling.plain(yaw=0.3, roll=0.2, corner_l=0.8, eye_r=0.2, gaze_x=0.5))[0][0]
    other = face_world.points(sampling.plain(yaw=-0.3, roll=-0.2, corner_r=0.8, eye_l=0.2, gaze_x=-0.5))[0][0]
    order = [*range(17, 34), *range(17), *range(34, 41), 42, 41, 43]
    np.testing.assert_allclose(other[order] * (-1, 1, 1), one, atol=1e-5)


def test_a_jaw_opens_downwards(face_world, sampling) -> None:
    shut, opened = (face_world.points(sampling.plain(jaw_open=jaw))[0][0] for jaw in (0.0, 1.0))
    assert opened[CHIN, 1] < shut[CHIN, 1] - 0.05 and opened[NOSE, 1] == pytest.approx(shut[NOSE, 1])


@pytest.mark.parametrize("size", [63, 0, -4])
def test_a_wrong_size_is_told(face_world, sampling, size: int) -> None:
    with pytest.raises(ValueError, match=f"a size of {size} was asked for; wanted a multiple of 4"):
        face_world.draw(sampling.plain(), size)


@pytest.mark.parametrize("shape", [(3,), (2, 5), (1, 1, 90)])
def test_a_wrong_shape_is_told(face_world, shape: tuple[int, ...]) -> None:
    for function in (lambda rows: face_world.draw(rows, 8), face_world.points):
        with pytest.raises(ValueError, match=rf"parameters have shape .*; wanted \[n, {len(face_world.names())}\]"):
            function(np.zeros(shape, np.float32))


def test_people_are_the_same_for_the_same_seed_and_make_sense(face_world, sampling) -> None:
    people = [np.stack([sampling.person(np.random.default_rng(seed)) for seed in range(200)]) for _ in range(2)]
    np.testing.assert_array_equal(*people)
    styles = people[0][:, [face_world.index(f"hair_{style}") for style in sampling.HAIR_STYLES]]
    np.testing.assert_allclose(styles.sum(1), 1, rtol=1e-6)
    assert (styles.sum(0) > 0).sum() > 8
    assert 0.1 < (people[0][:, face_world.index("glasses_round")] > 0).mean() < 0.3
    moving = [face_world.index(name) for name in MOTION]
    np.testing.assert_array_equal(people[0][:, moving], np.tile(sampling.plain()[moving], (200, 1)))


def test_a_performance_moves_but_leaves_the_person(face_world, sampling) -> None:
    random = np.random.default_rng(2)
    head = sampling.person(random)
    kept = head.copy()
    row = sampling.perform(head, random)
    persons = [face_world.index(name) for name in ATTRIBUTES]
    np.testing.assert_array_equal(row[persons], head[persons])
    np.testing.assert_array_equal(head, kept)
    assert (np.delete(row, persons) != np.delete(head, persons)).sum() > 8


def test_an_unknown_change_is_told(sampling) -> None:
    with pytest.raises(ValueError, match="no parameter 'wings'"):
        sampling.plain(wings=1.0)


@pytest.mark.parametrize("domain", ["clay", "comic", "natural"])
def test_domains_blend_into_toon(face_world, sampling, plain_picture: np.ndarray, domain: str) -> None:
    rows = np.stack([sampling.plain(**{f"domain_{domain}": amount}) for amount in (0.0, 0.1, 1.0)])
    none, little, full = face_world.draw(rows, 64).astype(int)
    np.testing.assert_array_equal(none, plain_picture)
    assert 0 < np.abs(little - none).mean() < 0.6 * np.abs(full - none).mean()


@pytest.mark.parametrize("domain", ["toon", "clay", "comic", "natural"])
def test_points_sit_on_the_eyes_in_every_domain(face_world, sampling, domain: str) -> None:
    green = {"iris_r": 0.01, "iris_g": 0.9, "iris_b": 0.01}
    for motion in ({}, {"gaze_x": 0.6}, {"yaw": 0.4, "roll": 0.2}):
        style = {} if domain == "toon" else {f"domain_{domain}": 1.0}
        row = sampling.plain(**green, **style, **motion)
        red, greenness, blue, alpha = np.moveaxis(face_world.draw(row, 128)[0].astype(int), -1, 0)
        y, x = np.nonzero((alpha == 255) & (greenness > red + 60) & (greenness > blue + 60))
        sides = (x < x.mean(), x >= x.mean())
        seen = np.array([[(part[side] + 0.5).mean() / 64 - 1 for part in (x, y)] for side in sides])
        points = face_world.points(row)[0][0, [5, 22], :2] * (1, -1)
        np.testing.assert_allclose(seen, points, atol=0.045)


def test_domains_are_drawn_by_their_shares(sampling, face_world) -> None:
    people = np.stack([sampling.person(np.random.default_rng(seed)) for seed in range(600)])
    amounts = {name: people[:, face_world.index(f"domain_{name}")] for name in ("natural", "comic", "clay")}
    for name, amount in amounts.items():
        assert abs((amount > 0).mean() - sampling.DOMAINS[name]) < 0.06
    styled = sum(amounts.values())
    assert styled.max() == 1 and 0.06 < (styled[styled > 0] < 1).mean() < 0.2


def test_a_domain_can_be_asked_for(sampling, face_world) -> None:
    toon, clay = (sampling.person(np.random.default_rng(3), domain) for domain in ("toon", "clay"))
    column = face_world.index("domain_clay")
    assert (toon[column], clay[column]) == (0, 1)
    np.testing.assert_array_equal(np.delete(toon, column), np.delete(clay, column))
    with pytest.raises(ValueError, match="no domain 'oil'; known are toon, natural, comic, clay"):
        sampling.person(np.random.default_rng(3), "oil")


def hair_of(face_world, sampling, style: str, fringe: float = 0.0) -> np.ndarray:
    """Where the hair of a plain head is, [256, 256]; the brows are out of the way."""
    green = {"hair_r": 0.02, "hair_g": 0.9, "hair_b": 0.02, "brow_height": -3.0, "light_x": 0.0}
    head = face_world.draw(sampling.plain(**{"hair_short": 0.0, style: 1.0, "fringe": fringe, **green}), 256)[0]
    return (head[..., 1] > head[..., 0].astype(int) + 20) & (head[..., 3] > 128)


def test_hair_falls_as_its_style_does(face_world, sampling) -> None:
    """Parted hair frames the forehead, a fringe covers it, combed hair leaves it free."""
    parted, fringe, combed = (
        hair_of(face_world, sampling, *style)[72, 87:170:10]  # across the forehead, from temple to temple
        for style in (("hair_long",), ("hair_long", 1.0), ("hair_ponytail",))
    )
    assert parted[0] and parted[-1] and not parted[2:6].any()
    assert fringe.all()
    assert not combed.any()


def test_swept_hair_ends_in_tufts(face_world, sampling) -> None:
    def rough(style: str) -> float:
        """By how many pixels the hair's edge over the forehead leaves a parabola."""
        hair, across = hair_of(face_world, sampling, style), np.arange(100, 157)
        edge = np.array([np.flatnonzero(hair[:90, x])[-1] for x in across])  # above the brows
        return float(np.std(edge - np.polyval(np.polyfit(across, edge, 2), across)))

    assert rough("hair_short") > 2 * rough("hair_bun")


def test_some_hair_is_between_two_styles_and_some_fringes_are_not_whole(face_world, sampling) -> None:
    people = np.stack([sampling.person(np.random.default_rng(seed)) for seed in range(600)])
    styles = people[:, [face_world.index(f"hair_{style}") for style in sampling.HAIR_STYLES]]
    fringes = people[:, face_world.index("fringe")]
    mixed = (styles > 0).sum(1) == 2
    assert 0.10 < mixed.mean() < 0.20 and (styles[mixed].max(1) >= 0.5).all()
    assert not (styles[mixed][:, [sampling.HAIR_STYLES.index(style) for style in sampling.UNMIXED]] > 0).any()
    assert 0.25 < ((fringes > 0) & (fringes < 1)).sum() / (fringes > 0).sum() < 0.55


def test_hair_between_two_lengths_is_of_a_length_between(face_world, sampling) -> None:
    green = {"hair_r": 0.02, "hair_g": 0.9, "hair_b": 0.02, "hair_short": 0.0}
    rows = [sampling.plain(**green, hair_bob=1 - amount, hair_long=amount) for amount in (0.0, 0.5, 1.0)]
    heads = face_world.draw(np.stack(rows), 128).astype(int)
    lowest = [int(np.flatnonzero((h[..., 1] > h[..., [0, 2]].max(-1) + 20).any(1))[-1]) for h in heads]
    assert lowest[0] + 5 < lowest[1] < lowest[2] - 5


@pytest.mark.parametrize("domain", ["toon", "clay", "comic", "natural"])
@pytest.mark.parametrize("femininity", [0.0, 1.0])
def test_old_faces_look_old(face_world, sampling, domain: str, femininity: float) -> None:
    """Lined foreheads and broad jaws under the same bald head, more with every year."""
    style = {} if domain == "toon" else {f"domain_{domain}": 1.0}
    bald = {"hair_short": 0.0, "hair_bald": 1.0, "femininity": femininity, "light_x": 0.0, **style}
    heads = face_world.draw(np.stack([sampling.plain(**bald, age=age) for age in (0.4, 0.7, 1.0)]), 256).astype(float)
    forehead = [head[66:84, 122:135, 1] for head in heads]
    lines = [float(np.abs(np.diff(part, 2, axis=0)).mean()) for part in forehead]
    jaws = [int((head[172, :, 3] > 128).sum()) for head in heads]
    least = 6.5 if domain == "clay" else 9  # levels of green, second differences
    assert lines[0] < 1 < least < lines[1] < lines[2]
    assert jaws[0] < jaws[1] < jaws[2] and jaws[2] > jaws[0] + 5


def test_points_of_old_lids_lie_where_they_are_drawn(face_world, sampling) -> None:
    """The hood over an old eye hangs lower outside than inside, in the picture and in the points."""
    old, young = (face_world.points(sampling.plain(age=age, eye_tilt=0.0))[1][0] for age in (1.0, 0.35))
    inner, outer = 3, 4  # of the upper lid, left eye (head.h)
    assert (young[inner] - young[outer])[1] < 0.005 < 0.01 < (old[inner] - old[outer])[1]


@pytest.mark.parametrize("femininity", [0.0, 1.0])
def test_children_have_low_eyes_high_chins_and_narrow_shoulders(face_world, sampling, femininity: float) -> None:
    rows = np.stack([sampling.plain(age=age, femininity=femininity) for age in (0.0, 0.15, 0.3)])
    eyes, chins = face_world.points(rows)[1][:, [5, CHIN], 1].T
    assert eyes[0] + 0.03 < eyes[1] < eyes[2] - 0.03
    assert chins[0] - 0.03 > chins[1] > chins[2] + 0.03
    shoulders = (face_world.draw(rows, 128)[:, 124, :, 3] > 128).sum(1)
    assert shoulders[0] + 4 < shoulders[1] < shoulders[2] - 4


def test_men_and_women_differ_in_shape_and_children_do_not(face_world, sampling) -> None:
    people = np.stack([sampling.person(np.random.default_rng(seed)) for seed in range(1500)])
    feminine, age = (people[:, face_world.index(name)] for name in ("femininity", "age"))
    for name, more in sampling.MANLY.items():
        value = people[:, face_world.index(name)]
        men, women = (value[(age > 0.3) & (sex == (feminine < 0.5))].mean() for sex in (True, False))
        assert more * 0.8 < (men - women) < more * 2.4 if more > 0 else more * 2.4 < (men - women) < more * 0.8, name
    jaw = people[:, face_world.index("jaw_width")]
    assert abs(jaw[(age < 0.1) & (feminine < 0.5)].mean() - jaw[(age < 0.1) & (feminine > 0.5)].mean()) < 0.03


def test_a_mans_jaw_has_angles(face_world, sampling) -> None:
    """Between cheek and chin his face is broader, beside the same cheeks, and the mouth that opens takes it along."""
    as_wide = ((0.0, 1 / 1.10), (1.0, 1 / 0.95))  # head.h: the whole of his jaw is broader too
    rows = [
        sampling.plain(hair_short=0.0, hair_bald=1.0, femininity=sex, jaw_width=width, jaw_open=jaw)
        for jaw in (0, 1)
        for sex, width in as_wide
    ]
    wide = (face_world.draw(np.stack(rows), 256)[..., 3] > 128).sum(2)
    more = wide[::2] - wide[1::2]
    assert np.abs(more[:, 120:150]).max() <= 4
    assert (more[0, 164:174] >= 6).all() and (more[1, 172:180] >= 12).all()

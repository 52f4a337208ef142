"""What one frame tells: colours where they are, edges of glasses, proportions that turn with the head."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engines.attributes import PERSONAL
from realtime import identity_cues as cues
from realtime.alignment import rotation_of
from realtime.frames import Crop, Face
from tests.realtime.faces import head_points, seen

SIZE = 256
NETWORK = np.zeros(len(PERSONAL), np.float32)
SKIN, HAIR, ROOM = (130, 160, 210), (20, 30, 50), (180, 120, 60)  # BGR


def face_of(rotation: np.ndarray | None = None) -> Face:
    """A face in the middle of the picture, with a plausible outline where the cues look."""
    points = head_points()
    outline = {10: (0, 0.62, 0.2), 152: (0, -1.2, 0.1), 234: (-0.76, -0.2, -0.6), 454: (0.76, -0.2, -0.6)}
    for index, place in outline.items():
        points[index] = place
    for index in cues.SKIN:
        points[index] = (np.clip(points[index, 0], -0.4, 0.4), np.clip(points[index, 1], -0.3, 0.4), 0.2)
    for number, index in enumerate(cues.HAIRLINE):
        points[index] = (-0.42 + 0.14 * number, 0.58, 0.15)
    return Face(0, 0, seen(points, rotation, scale=60.0, place=(128, 118, 0)), True)


def crop_of(pixels: np.ndarray, rotation: np.ndarray | None = None) -> Crop:
    return Crop(0, 0, pixels, np.array([[1.0, 0, 0], [0, 1.0, 0]]), np.eye(3) if rotation is None else rotation)


def scene(long_hair: bool = False, room: tuple[int, int, int] = ROOM) -> np.ndarray:
    """A head drawn with plain colours: hair above and, if long, beside; the face before it."""
    picture = np.full((SIZE, SIZE, 3), room, np.uint8)
    cv2.ellipse(picture, (128, 100), (62, 75), 0, 180, 360, HAIR, -1)
    if long_hair:
        cv2.rectangle(picture, (55, 95), (201, 210), HAIR, -1)
    cv2.ellipse(picture, (128, 125), (46, 72), 0, 0, 360, SKIN, -1)
    cv2.ellipse(picture, (128, 76), (62, 42), 0, 180, 360, HAIR, -1)
    return picture


def lab(bgr: tuple[int, int, int]) -> np.ndarray:
    return cues.to_lab(np.array([bgr], np.uint8))[0]


def test_lab_is_that_of_the_standard() -> None:
    np.testing.assert_allclose(lab((255, 255, 255)), (100, 0, 0), atol=0.1)
    np.testing.assert_allclose(lab((0, 0, 255)), (53.24, 80.09, 67.20), atol=0.3)
    colours = np.random.default_rng(0).integers(0, 256, (50, 3), dtype=np.uint8)
    assert np.abs(cues.to_bgr(cues.to_lab(colours)).astype(int) - colours).max() <= 1


def test_colours_are_those_of_their_places() -> None:
    evidence = cues.look(face_of(), crop_of(scene()), NETWORK)
    np.testing.assert_allclose(evidence.colours["skin"], lab(SKIN), atol=1)
    np.testing.assert_allclose(evidence.colours["hair"], lab(HAIR), atol=1)
    assert evidence.weight == pytest.approx(1.0) and evidence.bare < 0.5


def test_a_bare_head_takes_its_hair_colour_from_the_brows() -> None:
    picture = np.full((SIZE, SIZE, 3), SKIN, np.uint8)
    face = face_of()
    for x, y in face.landmarks[list(cues.BROWS), :2]:
        cv2.circle(picture, (round(float(x)), round(float(y))), 3, HAIR, -1)
    evidence = cues.look(face, crop_of(picture), NETWORK)
    assert evidence.bare > 0.9
    np.testing.assert_allclose(evidence.colours["hair"], lab(HAIR), atol=2)


def test_hair_is_as_dark_as_its_shade_and_as_brown_as_it_is_without_what_shines() -> None:
    picture, shade, lit, shine = scene(), (26, 28, 30), (40, 62, 104), (225, 225, 225)
    hair = (picture == HAIR).all(axis=2)
    columns = np.broadcast_to(np.arange(SIZE) % 20, hair.shape)
    for first, colour in ((0, shade), (10, lit), (17, shine)):
        picture[hair & (columns >= first)] = colour
    evidence = cues.look(face_of(), crop_of(picture), NETWORK).colours["hair"]
    assert evidence[0] == pytest.approx(lab(shade)[0], abs=1.5)
    assert 0.3 * lab(lit)[2] < evidence[2] < 0.8 * lab(lit)[2], "brown in the light, nearly grey in the shade"


def test_hair_in_bands_of_light_and_shade_has_one_colour() -> None:
    """A little more light than shade, or the other way round, changes it a little."""
    seen = []
    for shade in (8, 12):
        picture = scene()
        banded = (picture == HAIR).all(-1) & (np.arange(SIZE) % 20 < shade)
        picture[banded] = (60, 80, 110)
        seen.append(cues.look(face_of(), crop_of(picture), NETWORK).colours["hair"])
    assert np.linalg.norm(seen[0] - seen[1]) < 0.4 * np.linalg.norm(lab(HAIR) - lab((60, 80, 110)))


def test_hair_beside_the_jaw_is_seen_unless_the_room_has_its_colour() -> None:
    short, long = (cues.look(face_of(), crop_of(scene(hangs)), NETWORK).beside_jaw for hangs in (False, True))
    assert short < 0.1 and long > 0.6
    assert np.isnan(cues.look(face_of(), crop_of(scene(True, HAIR)), NETWORK).beside_jaw)


def test_clothes_are_unknown_where_there_are_none() -> None:
    dressed = scene()
    dressed[215:] = (40, 90, 200)
    evidence = cues.look(face_of(), crop_of(dressed), NETWORK)
    np.testing.assert_allclose(evidence.colours["clothes"], lab((40, 90, 200)), atol=1)
    bare = scene()
    bare[200:] = SKIN
    assert np.isnan(cues.look(face_of(), crop_of(bare), NETWORK).colours["clothes"]).all()


def test_only_glasses_have_an_edge_across_the_bridge() -> None:
    plain = cues.look(face_of(), crop_of(scene()), NETWORK)
    worn = scene()
    cv2.line(worn, (112, 118), (144, 118), (40, 40, 40), 2)
    glasses = cues.look(face_of(), crop_of(worn), NETWORK)
    assert plain.eyes.shape == cues.EYES_SHAPE and plain.eyes.dtype == np.float32
    assert cues.bridge_edge(plain.eyes) < 0.5 < 2 < cues.bridge_edge(glasses.eyes)


def test_proportions_do_not_depend_on_pose_and_size() -> None:
    turn = rotation_of(0.4, -0.2, 0.3)
    straight = cues.proportions(face_of(), crop_of(scene()))
    turned = cues.proportions(face_of(turn), crop_of(scene(), turn))
    np.testing.assert_allclose(straight, turned, atol=1e-4)
    assert straight.shape == (len(cues.FIGURES),) and np.isfinite(straight).all()


def test_a_turned_head_weighs_less() -> None:
    turn = rotation_of(0.7, 0.0, 0.0)
    assert cues.look(face_of(turn), crop_of(scene(), turn), NETWORK).weight < 0.2


def test_a_fringe_is_hair_down_the_forehead() -> None:
    face = face_of()
    for (top, bottom), x in zip(cues.FOREHEAD, (128, 116, 140), strict=True):
        face.landmarks[top, :2], face.landmarks[bottom, :2] = (x, 82), (x, 100)
    assert cues.look(face, crop_of(scene()), NETWORK).fringe == 0.0
    hanging = scene()
    cv2.rectangle(hanging, (90, 70), (166, 104), HAIR, -1)
    assert cues.look(face, crop_of(hanging), NETWORK).fringe == 1.0


def test_a_face_that_came_out_wrong_is_no_error() -> None:
    points = np.zeros((478, 3), np.float32)
    evidence = cues.look(Face(0, 0, points, True), crop_of(scene()), NETWORK)
    assert np.isfinite(evidence.colours["skin"]).all() and np.isfinite(evidence.figures).all()


@pytest.mark.parametrize(("part", "name"), [(cues.UPPER_LIP, "upper_lip"), (cues.CHIN, "chin")])
def test_a_moustache_and_a_goatee_are_darker_than_skin(part: tuple[int, ...], name: str) -> None:
    face = face_of()
    for number, index in enumerate(part):
        face.landmarks[index, :2] = 120 + 4 * number, 150 if name == "upper_lip" else 180
    picture = scene()
    cv2.ellipse(picture, (128, 160), (30, 40), 0, 0, 360, SKIN, -1)
    shaven = cues.look(face, crop_of(picture), NETWORK)
    for index in part:
        cv2.circle(picture, [int(at) for at in face.landmarks[index, :2]], 4, HAIR, -1)
    worn = cues.look(face, crop_of(picture), NETWORK)
    assert getattr(shaven, name) == pytest.approx(1.0, abs=0.02) and getattr(worn, name) < 0.5

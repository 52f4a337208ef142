"""What is laid over a head before a room whose colours are known."""

from __future__ import annotations

import cv2
import numpy as np

from realtime.covering import cover_head, head_region

WIDTH, HEIGHT = 640, 360
SKIN = (60, 80, 220)  # BGR, nothing like the room


def face() -> np.ndarray:
    """Landmarks of an oval face in the middle, float32 [478, 3]."""
    turns = np.linspace(0, 2 * np.pi, 478, endpoint=False)
    points = np.stack([320 + 55 * np.cos(turns), 170 + 75 * np.sin(turns), 0 * turns], 1)
    points[10, :2], points[152, :2] = (320, 95), (320, 245)
    return points.astype(np.float32)


def lamp_lit_wall() -> np.ndarray:
    """A wall that is bright on the left and darker with every pixel, uint8 [360, 640, 3]."""
    fall = 110 * np.exp(-np.linspace(0, 3, WIDTH)) + 90
    return np.repeat(np.tile(fall, (HEIGHT, 1))[..., None], 3, 2).astype(np.uint8)


def with_a_head(wall: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The wall with a head before it, and where the head is."""
    where = np.zeros(wall.shape[:2], np.uint8)
    cv2.fillConvexPoly(where, np.rint(head_region(face())).astype(np.int32), (1,))
    return np.where(where[..., None] > 0, np.array(SKIN, np.uint8), wall), where > 0


def test_a_covered_head_has_the_colours_of_the_wall_and_no_rim() -> None:
    wall = lamp_lit_wall()
    picture, head = with_a_head(wall)
    cover_head(picture, face())
    off = np.abs(picture.astype(int) - wall).max(-1)
    inner = cv2.erode(head.astype(np.uint8), np.ones((25, 25), np.uint8)) > 0
    assert off[~head].max() <= 7, "the soft edge shows the wall"
    assert off[head & ~inner].mean() < 4, "a rim would stand out"
    assert off[head].max() < 12, "nothing of the head, nothing that is not there"

"""Finding the face and following it: :class:`Frame` to :class:`Face` or None.

The tracker is MediaPipe FaceMesh with irises (Grishchenko et al., "Attention Mesh", 2020; Kartynnik et al.,
"Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", 2019), whose models the wheel carries.

Two graphs share the work. The *search* graph looks at every picture anew and may see several faces; one of them is
chosen (the one nearest the last known place, else the largest). The *follow* graph is then shown only the surroundings
of that face once, and from there on follows it from picture to picture without any detection, which costs half as
much.

``import mediapipe`` runs its tasks, its drawing tools and with them matplotlib, jax and sound: about a second.
FaceMesh needs none of it, so the parent package is set up without running its ``__init__`` (0.1 s).
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np

from realtime.frames import Face, Floats, Frame, Pixels
from realtime.settings import TrackingSettings

POINTS = 478  # 468 of the face, 5 of each iris
MAX_SIDE_PX = 1280  # larger pictures are shrunk: the models see 192x192 of the face in any case
MIN_SIDE_PX = 16  # in smaller pictures there is nothing to find
SEED_MARGIN = 0.6  # how much around a chosen face the follow graph is shown, in face sizes
JUMP = 1.0  # a face that moves further than this many of its sizes between two frames is another one

_GRAPH = "mediapipe/modules/face_landmark/face_landmark_front_cpu.binarypb"
_DETECTION = "facedetectionshortrangecpu__facedetectionshortrange__facedetection__TensorsToDetectionsCalculator"
_HARMLESS = (
    b"inference_feedback_manager.cc",
    b"landmark_projection_calculator.cc",
    b"TensorFlow Lite XNNPACK delegate",
    b"All log messages before absl::InitializeLog",
)


def _solution_base() -> Any:
    """MediaPipe's class that runs a graph, with the message types of the FaceMesh graph registered."""
    if "mediapipe" not in sys.modules:
        spec = importlib.util.find_spec("mediapipe")
        if spec is None:
            raise ModuleNotFoundError("no module named 'mediapipe'; install it with: pip install 'mediapipe<0.10.30'")
        sys.modules["mediapipe"] = importlib.util.module_from_spec(spec)
    # A graph can only be read once the options of every calculator in it are known to protobuf.
    from mediapipe.calculators.core import gate_calculator_pb2, split_vector_calculator_pb2  # noqa: F401
    from mediapipe.calculators.tensor import (  # noqa: F401
        image_to_tensor_calculator_pb2,
        inference_calculator_pb2,
        tensors_to_classification_calculator_pb2,
        tensors_to_landmarks_calculator_pb2,
    )
    from mediapipe.calculators.tflite import ssd_anchors_calculator_pb2  # noqa: F401
    from mediapipe.calculators.util import (  # noqa: F401
        association_calculator_pb2,
        detections_to_rects_calculator_pb2,
        landmarks_refinement_calculator_pb2,
        non_max_suppression_calculator_pb2,
        rect_transformation_calculator_pb2,
    )
    from mediapipe.python.solution_base import SolutionBase

    return SolutionBase


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep MediaPipe's start-up chatter, written by its C++ straight to file descriptor 2, off the user's terminal.

    Whatever is not known to be harmless is passed on when the block ends, however it ends.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with tempfile.TemporaryFile() as caught:
            os.dup2(caught.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(kept, 2)
                caught.seek(0)
                for line in caught:
                    if not any(harmless in line for harmless in _HARMLESS):
                        os.write(2, line)
    finally:
        os.close(kept)


class _Mesh:
    """One FaceMesh graph."""

    def __init__(self, settings: TrackingSettings, faces: int, follow: bool) -> None:
        self._solution = _solution_base()(
            binary_graph_path=_GRAPH,
            side_inputs={"num_faces": faces, "with_attention": True, "use_prev_landmarks": follow},
            calculator_params={
                f"{_DETECTION}.min_score_thresh": settings.min_detection_confidence,
                "facelandmarkcpu__ThresholdingCalculator.threshold": settings.min_tracking_confidence,
            },
            outputs=["multi_face_landmarks"],
        )
        self._start()

    def faces(self, rgb: Pixels) -> list[Floats]:
        """Sound faces in ``rgb`` (uint8 [H, W, 3]): each float32 [478, 3] in its pixels."""
        height, width = rgb.shape[:2]
        found = self._solution.process({"image": rgb}).multi_face_landmarks or []
        scale = np.array([width, height, width], np.float32)
        faces = [np.array([(p.x, p.y, p.z) for p in face.landmark], np.float32) * scale for face in found]
        return [face for face in faces if is_sound(face, width, height)]

    def reset(self) -> None:
        self._solution.reset()
        self._start()

    def _start(self) -> None:
        """Wait until every calculator is open, by a picture without a face."""
        self.faces(np.zeros((MIN_SIDE_PX, MIN_SIDE_PX, 3), np.uint8))

    def close(self) -> None:
        self._solution.close()


class Tracker:
    """Follows one face. The same frames always give the same faces."""

    def __init__(self, settings: TrackingSettings) -> None:
        self._settings = settings
        with _without_chatter():
            self._follow = _Mesh(settings, faces=1, follow=True)
            self._search = _Mesh(settings, settings.max_faces, follow=False) if settings.max_faces > 1 else None
        self._settled = False  # a face has been through the graphs: they have said what they had to say
        self._forget()

    def track(self, frame: Frame) -> Face | None:
        """The face in ``frame``, in its pixels, or None. Frames of any size are taken."""
        if min(frame.pixels.shape[:2]) < MIN_SIDE_PX:
            return self._result(frame, None)
        rgb, shrink = _shrunk_rgb(frame.pixels)
        if self._settled:
            points = self._points(rgb, shrink, frame.captured_ns)
        else:
            with _without_chatter():
                points = self._points(rgb, shrink, frame.captured_ns)
        if points is None:
            return self._result(frame, None)
        self._settled = True
        # Pixel centres: MediaPipe's 0 is the picture's left edge, ours is the middle of the first pixel.
        points[:, :2] = points[:, :2] * shrink - 0.5
        points[:, 2] *= shrink
        return self._result(frame, points)

    def reset(self) -> None:
        """Forget the face: equal to a new tracker."""
        with _without_chatter():
            self._follow.reset()
            if self._search is not None:
                self._search.reset()
        self._forget()

    def close(self) -> None:
        """Free the graphs."""
        self._follow.close()
        if self._search is not None:
            self._search.close()

    def _forget(self) -> None:
        self._following = False
        self._lost = True
        self._place: Floats | None = None  # centre x, y and size of the last face, in frame pixels
        self._place_ns = 0

    def _points(self, rgb: Pixels, shrink: float, now_ns: int) -> Floats | None:
        """The followed face, or else the one that a search chooses, in pixels of ``rgb``."""
        if self._search is None or self._following:
            followed = self._follow.faces(rgb)
            if followed or self._search is None:
                return followed[0] if followed else None
        faces = self._search.faces(rgb)
        if not faces:
            return None
        remembered = self._place is not None and now_ns - self._place_ns <= self._settings.max_lost_ms * 1_000_000
        chosen = choose(faces, None if self._place is None or not remembered else (self._place + 0.5) / shrink)
        seeded = self._follow.faces(_surroundings(rgb, chosen))
        self._following = bool(seeded)
        return seeded[0] if seeded else chosen

    def _result(self, frame: Frame, points: Floats | None) -> Face | None:
        if points is None:
            self._following = False
            self._lost = True
            return None
        place = place_of(points)
        jumped = self._place is None or float(np.hypot(*(place - self._place)[:2])) > JUMP * float(place[2])
        fresh = self._lost or jumped
        self._lost, self._place, self._place_ns = False, place, frame.captured_ns
        return Face(frame.frame_id, frame.captured_ns, points, fresh)


def place_of(points: Floats) -> Floats:
    """Where a face is: float32 [3], centre x and y of its points' box and the larger side of it, in their pixels."""
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    return np.array([*(low + high) / 2, (high - low).max()], np.float32)


def choose(faces: list[Floats], near: Floats | None) -> Floats:
    """The face nearest the place ``near`` (:func:`place_of`), or the largest one when that is None."""
    if near is None:
        return max(faces, key=lambda points: float(place_of(points)[2]))
    return min(faces, key=lambda points: float(np.hypot(*(place_of(points) - near)[:2])))


def is_sound(points: Floats, width: int, height: int) -> bool:
    """True for points that can be a face in a ``width`` x ``height`` picture: finite, of some area, not far outside."""
    if points.shape != (POINTS, 3) or not np.isfinite(points).all():
        return False
    extent = np.ptp(points[:, :2], axis=0)
    x, y, size = (float(value) for value in place_of(points))
    inside = -0.5 * size <= x <= width + 0.5 * size and -0.5 * size <= y <= height + 0.5 * size
    return inside and float(extent.min()) >= 2.0 and size <= 4 * max(width, height)


def _shrunk_rgb(bgr: Pixels) -> tuple[Pixels, float]:
    """``bgr`` as RGB, shrunk to at most MAX_SIDE_PX, and by how much."""
    height, width = bgr.shape[:2]
    shrink = max(1.0, max(height, width) / MAX_SIDE_PX)
    if shrink > 1.0:
        size = (max(1, round(width / shrink)), max(1, round(height / shrink)))
        flags = cv2.INTER_AREA if shrink >= 2 else cv2.INTER_LINEAR
        bgr = np.asarray(cv2.resize(bgr, size, interpolation=flags), np.uint8)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8), shrink


def _surroundings(rgb: Pixels, points: Floats) -> Pixels:
    """``rgb`` with everything grey but the surroundings of one face."""
    x, y, size = (float(value) for value in place_of(points))
    reach = size * (0.5 + SEED_MARGIN)
    left, top = max(0, int(x - reach)), max(0, int(y - reach))
    part = np.s_[top : max(top, int(y + reach)), left : max(left, int(x + reach))]
    shown = np.full_like(rgb, 128)
    shown[part] = rgb[part]
    return shown

"""FaceMesh as a graph alone: what every tracker runs, without the rest of MediaPipe.

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

from realtime.frames import Floats, Pixels
from realtime.settings import TrackingSettings

POINTS = 478  # 468 of the face, 5 of each iris
MAX_SIDE_PX = 1280  # larger pictures are shrunk: the models see 192x192 of the face in any case
MIN_SIDE_PX = 16  # in smaller pictures there is nothing to find
SEED_MARGIN = 0.6  # how much around a chosen face a following graph is shown, in face sizes

_GRAPH = "mediapipe/modules/face_landmark/face_landmark_front_cpu.binarypb"
_DETECTION = "facedetectionshortrangecpu__facedetectionshortrange__facedetection__TensorsToDetectionsCalculator"
# One point of a list: field 1 of 15 bytes, which are field 1, 2 and 3 of four bytes each (0).
_WRITTEN = np.array([0x0A, 15, 0x0D, 0, 0, 0, 0, 0x15, 0, 0, 0, 0, 0x1D, 0, 0, 0, 0], np.uint8)
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
def without_chatter() -> Iterator[None]:
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


class Mesh:
    """One FaceMesh graph.

    faces: how many it looks for. follow: whether it follows faces from picture to picture and detects only while it has
        fewer than that; without it every picture is looked at anew.
    """

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
        faces = [coordinates(face) * scale for face in found]
        return [face for face in faces if is_sound(face, width, height)]

    def reset(self) -> None:
        """Forget what was followed."""
        self._solution.reset()
        self._start()

    def _start(self) -> None:
        """Wait until every calculator is open, by a picture without a face."""
        self.faces(np.zeros((MIN_SIDE_PX, MIN_SIDE_PX, 3), np.uint8))

    def close(self) -> None:
        """Free the graph."""
        self._solution.close()


def coordinates(face: Any) -> Floats:
    """The points of a ``NormalizedLandmarkList``: float32 [N, 3], parts of the picture's width, height and width.

    Read from its bytes where every point is written as FaceMesh writes it: its length, then x, y and z, each after its
    key (Protocol Buffers, "Encoding"). One by one, 1,434 numbers take 1.7 ms.
    """
    written = np.frombuffer(face.SerializeToString(), np.uint8)
    if len(written) % len(_WRITTEN) == 0:
        rows = written.reshape(-1, len(_WRITTEN))
        if (rows[:, _WRITTEN > 0] == _WRITTEN[_WRITTEN > 0]).all():
            return np.asarray(rows[:, _WRITTEN == 0].copy().view("<f4"), np.float32)
    return np.array([(p.x, p.y, p.z) for p in face.landmark], np.float32).reshape(-1, 3)


def place_of(points: Floats) -> Floats:
    """Where a face is: float32 [3], centre x and y of its points' box and the larger side of it, in their pixels."""
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    return np.array([*(low + high) / 2, (high - low).max()], np.float32)


def is_sound(points: Floats, width: int, height: int) -> bool:
    """True for points that can be a face in a ``width`` x ``height`` picture: finite, of some area, not far outside."""
    if points.shape != (POINTS, 3) or not np.isfinite(points).all():
        return False
    extent = np.ptp(points[:, :2], axis=0)
    x, y, size = (float(value) for value in place_of(points))
    inside = -0.5 * size <= x <= width + 0.5 * size and -0.5 * size <= y <= height + 0.5 * size
    return inside and float(extent.min()) >= 2.0 and size <= 4 * max(width, height)


def shrunk_rgb(bgr: Pixels) -> tuple[Pixels, float]:
    """``bgr`` as RGB, shrunk to at most MAX_SIDE_PX, and by how much."""
    height, width = bgr.shape[:2]
    shrink = max(1.0, max(height, width) / MAX_SIDE_PX)
    if shrink > 1.0:
        size = (max(1, round(width / shrink)), max(1, round(height / shrink)))
        flags = cv2.INTER_AREA if shrink >= 2 else cv2.INTER_LINEAR
        bgr = np.asarray(cv2.resize(bgr, size, interpolation=flags), np.uint8)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8), shrink


def surroundings(rgb: Pixels, points: Floats) -> Pixels:
    """``rgb`` with everything grey but the surroundings of one face."""
    x, y, size = (float(value) for value in place_of(points))
    reach = size * (0.5 + SEED_MARGIN)
    left, top = max(0, int(x - reach)), max(0, int(y - reach))
    part = np.s_[top : max(top, int(y + reach)), left : max(left, int(x + reach))]
    shown = np.full_like(rgb, 128)
    shown[part] = rgb[part]
    return shown

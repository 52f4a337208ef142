"""A real clip's frames and faces, and both ways to draw them: the stages on the CPU and the GPU's whole frames."""

from __future__ import annotations

import av
import numpy as np
import pytest

from engines.cuda_imported import load_on_gpu
from engines.imported import load_imported
from engines.installed_directions import install_directions
from kernels.emulation import emulated_program
from realtime import photographic
from realtime.clock import FakeClock
from realtime.frames import Frame
from realtime.photographic_alignment import PhotographicAligner
from realtime.photographic_compositing import PhotographicCompositor
from realtime.photographic_gpu import FrameStages, WholeFrame
from realtime.settings import CompositingSettings, SmoothingSettings, TrackingSettings
from realtime.smoothing import Smoother
from realtime.stages import Stages
from realtime.statistics import Statistics
from realtime.strengths import Sweep
from realtime.tracking import Tracker
from tests.conftest import MEDIA

SIZE = (480, 480)
COUNT = 3


class Recorded:
    """A tracker that answers with faces that were found before."""

    def __init__(self, faces):
        self.faces = faces

    def track(self, frame):
        return self.faces[frame.frame_id]

    def close(self):
        pass


@pytest.fixture(scope="module")
def tracked():
    """Frames of a clip, 80 ms apart, and their faces."""
    if not (MEDIA / "clips" / "d6.mp4").is_file():
        pytest.skip("no clips")
    frames = []
    with av.open(str(MEDIA / "clips" / "d6.mp4")) as file:
        for number, picture in enumerate(file.decode(video=0)):
            if number % 2 == 0:
                pixels = np.ascontiguousarray(picture.to_ndarray(format="bgr24"))
                frames.append(Frame(number // 2, number * 40_000_000, pixels))
            if len(frames) == COUNT:
                break
    tracker = Tracker(TrackingSettings())
    faces = [tracker.track(frame) for frame in frames]
    tracker.close()
    assert all(face is not None for face in faces)
    return frames, faces


def edits(folder):
    np.save(folder / "older.npy", np.full([1, 32], 0.1, np.float32))
    install_directions(folder / "older.npy", folder, "older")
    return {"older": 1.0, "older.2-4": Sweep(0.0, 1.0, 0.5)}


def cpu_stages(folder, tracker, worn, smoothing, compositing, size):
    model = load_imported(folder / "tiny", precision="f32")
    return Stages(
        tracker=tracker,
        aligner=PhotographicAligner(),
        encoder=photographic.PhotographicEncoder(model),
        smoother=Smoother(smoothing, None, 256),
        editor=photographic.PhotographicEditor(worn, folder, model.centre),
        generator=photographic.PhotographicGenerator(model),
        compositor=PhotographicCompositor(compositing, size),
        dresses=photographic.check_style,
    )


def gpu_stages(folder, tracker, worn, smoothing, compositing, size, device="cpu", programs=emulated_program):
    model = load_on_gpu(folder / "tiny", device=device, programs=programs)
    editor = photographic.PhotographicEditor(worn, folder, model.centre)
    whole = WholeFrame(compositing, size, model, Smoother(smoothing, None, 256), smoothing, editor.edits)
    return FrameStages(tracker, whole, editor)


def drawn_by(build, folder, faces, frames, worn, size=SIZE, **compositing):
    smoothing = photographic.smoothing(SmoothingSettings())
    stages = build(
        folder, Recorded(faces), worn, smoothing, CompositingSettings(mode="paste", **compositing), size
    )  # fmt: skip
    statistics = Statistics(FakeClock())
    return [stages.draw(frame, statistics) for frame in frames]

"""The bundled model's whole frames on the host: the GPU's code with its kernels run by the emulation.

The portraits come from the processor's networks, or are given: what is compared then is how they are put into frames.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch

from engines import bundled
from engines.bundled import LAYERS
from engines.cuda_overlay import OverlayEngine
from engines.motion import MOTION
from engines.portrait import DIM
from kernels.emulation import emulated_program
from realtime.frames import CodedPortrait
from realtime.painting import fade
from realtime.painting_gpu import OnGpu


class HostDrawing:
    """``engines.cuda_bundled.Drawing`` of so many faces. draw: W+ and motion of one to RGBA float32 [S, S, 4]."""

    def __init__(self, draw, count):
        self.engine = SimpleNamespace(wplus=torch.zeros(count, LAYERS, DIM), programs=emulated_program, batch=count)
        self.motion, self._draw = torch.zeros(count, len(MOTION)), draw

    def premultiplied(self):
        pairs = zip(self.engine.wplus.numpy(), self.motion.numpy(), strict=True)
        return torch.from_numpy(np.ascontiguousarray(np.stack([self._draw(*pair) for pair in pairs])))


class HostDrawer:
    """``engines.cuda_bundled.CudaDrawer``; faces: how many each frame drew."""

    def __init__(self):
        self._networks, self.faces = bundled.load("toon", "cpu").drawer, []

    def drawing(self, count):
        def draw(wplus, motion):
            codes = self._networks.motion_code.infer(wplus[:1], motion[None])
            (rgba,) = self._networks.synthesis.infer(wplus[None], *codes)
            return rgba[0].transpose(1, 2, 0).copy()  # the network writes over it

        return HostDrawing(draw, count)

    def whole_frames(self, height, width, faces, fading):
        return OverlayEngine(self.drawing, height, width, faces, fading)

    def prepare(self):
        pass

    def describe(self):
        return "CUDA kernels f16 on NVIDIA Example"


def coded(portraits, like):
    """A portrait with pixels as a code that :func:`painter` draws the same from."""
    portraits.append(like.pixels)
    wplus = np.full((LAYERS, DIM), len(portraits) - 1, np.float32)
    return CodedPortrait(
        like.frame_id, like.captured_ns, wplus, np.zeros(len(MOTION), np.float32), like.edge_px, like.transform
    )


def painter(portraits, size, faces=1, edge=64):
    """Paints frames of width and height ``size`` with given portraits, uint8 BGRA [edge, edge, 4]."""

    def draw(wplus, motion):
        straight = portraits[int(wplus[0, 0])].astype(np.float32) / 255
        return np.concatenate([straight[..., 2::-1] * straight[..., 3:], straight[..., 3:]], 2)

    engine = OverlayEngine(lambda count: HostDrawing(draw, count), size[1], size[0], faces, fade(edge))
    return OnGpu(engine)

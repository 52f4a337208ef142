"""Writes a clip of the demo's actor, for the webcam of the checks: python3 actor.py CLIP."""

from __future__ import annotations

import sys

import cv2

from realtime.capture import open_source
from realtime.clock import FakeClock
from realtime.frames import Frame
from realtime.settings import CaptureSettings

SIDE, FRAMES = 480, 60

source = open_source("demo", CaptureSettings(width=SIDE, height=SIDE), FakeClock())
writer = cv2.VideoWriter(sys.argv[1], cv2.VideoWriter.fourcc(*"mp4v"), 30, (SIDE, SIDE))
for _ in range(FRAMES):
    frame = source.read()
    assert isinstance(frame, Frame)
    writer.write(frame.pixels)
writer.release()

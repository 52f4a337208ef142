"""Evenly spaced frames of a video on one picture: ``python -m tools.contact_sheet VIDEO SHEET.png [--alone]``

VIDEO is one made with ``avatar-live --compare``: input in the left half, output in the right. With ``--alone`` the
whole frames are shown, two and two.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from realtime.contact_sheet import ContactSheet
from realtime.frames import Frame, Picture


def sheet(video: Path, path: Path, alone: bool = False) -> int:
    """Write the sheet of a video; how many frames the video had. Raises SystemExit for what is no video."""
    reader, made, count = cv2.VideoCapture(str(video)), ContactSheet(path), 0
    left = None
    while True:
        there, pixels = reader.read()
        if not there:
            break
        count += 1
        picture = np.asarray(pixels, np.uint8)
        if not alone:
            left, picture = np.hsplit(picture[:, : picture.shape[1] // 2 * 2], 2)
        if left is not None:
            made.add(Frame(count, 0, left), Picture(count, 0, picture))
        left = picture if alone and left is None else None
    if count == 0:
        raise SystemExit(f"{video} cannot be read as a video")
    made.save()
    return count


def main() -> None:
    """Make one sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("sheet", type=Path)
    parser.add_argument("--alone", action="store_true", help="the video shows no input")
    arguments = parser.parse_args()
    count = sheet(arguments.video, arguments.sheet, arguments.alone)
    print(f"{arguments.sheet}: from {count} frames")


if __name__ == "__main__":
    main()

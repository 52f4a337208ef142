"""Where avatars are made: a face is watched, its avatar is drawn, and the drawn colours are brought to the person's.

The drawn colour of skin depends on light and shade as the generator paints them, so it is not computed but looked at:
the avatar is drawn, its face is measured like the person's, and the attributes are corrected by what is missing
(``realtime.colour_matching``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from engines.attributes import ATTRIBUTES, PERSONAL
from engines.bundled import LAYERS, BundledModel, load
from engines.motion import AT_REST
from realtime.alignment import Aligner
from realtime.capture import Stalled, open_source
from realtime.clock import SystemClock
from realtime.colour_matching import brought_together
from realtime.errors import SourceError
from realtime.frames import Crop, Face, Floats, Frame, Picture, Pixels
from realtime.identity import DARKEST, IdentityEstimator, as_hair, as_skin
from realtime.identity_cues import Look, at_rest, look
from realtime.settings import Settings
from realtime.tracking import Tracker

PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
MATCHED = {"skin": "skin", "lips": "lip", "hair": "hair"}  # the attribute's first part by the colour's name
ROUNDS, _PATIENCE_S = 6, 20.0
_SETTLED = 2  # looks at a photo after which the tracker has the square that it looks at from where the face was found
_WEIGHS = {"skin": 2.0, "lips": 0.7, "hair": 1.0}  # where not everything can be as wanted
VIEW_PX, PAPER, _RENEW_S = 512, 150, 0.03

Array = npt.NDArray[np.float64]
Attributes = dict[str, float]


@dataclass(slots=True)
class Watched:
    """What was seen of a person: the evidence, and the clearest picture of the face, uint8 BGR [256, 256, 3]."""

    identity: IdentityEstimator
    picture: Pixels
    frames: int
    best: float = -1.0


class Studio:
    """Tracker, aligner and model for making avatars. Close it when done."""

    def __init__(self, settings: Settings) -> None:
        wanted = settings.generating
        # At one resolution everywhere, so that what is estimated does not depend on the device.
        self.model: BundledModel = load(wanted.model, wanted.device, precision=wanted.precision, resolution="256")
        self._settings = settings
        self._aligner = Aligner(settings.alignment)
        self._tracker = Tracker(settings.tracking)

    def close(self) -> None:
        """Free the tracker."""
        self._tracker.close()

    def find(self, frame: Frame) -> tuple[Face, Crop] | None:
        """The face in a frame and its crop, or None without one."""
        face = self._tracker.track(frame)
        return None if face is None else (face, self._aligner.align(frame, face))

    def settle(self, photo: Frame) -> None:
        """Look at a photo until the tracker has moved its square from what was detected to where the face is."""
        for _ in range(_SETTLED):
            self._tracker.track(photo)

    def look(self, frame: Frame) -> tuple[Look, Pixels] | None:
        """The evidence of one frame and its crop's pixels, or None without a face."""
        found = self.find(frame)
        if found is None:
            return None
        face, crop = found
        (network,) = self.model.encoder.infer(crop.pixels[None])
        return look(face, crop, network[0]), crop.pixels

    def watch(self, sources: list[str], seconds: float) -> Watched:
        """Watch one person in photos, clips or a camera; of clips and cameras the first ``seconds`` with a face.

        Raises SourceError when there is no face, and what opening a source raises.
        """
        watched = Watched(IdentityEstimator(), np.zeros((0, 0, 3), np.uint8), 0)
        for source in sources:
            self._tracker.reset()
            for frame in self._frames(source, seconds):
                watched.frames += 1
                seen = self.look(frame)
                if seen is None:
                    continue
                evidence, pixels = seen
                watched.identity.add(evidence)
                worth = evidence.weight * at_rest(evidence.figures)
                if worth > watched.best:
                    watched.picture, watched.best = pixels, worth
        if not len(watched.identity):
            raise SourceError(
                f"no face was found in {watched.frames} frames of {', '.join(sources)}; look at the camera in even "
                "light, or give a photo that shows the whole face"
            )
        return watched

    def _frames(self, source: str, seconds: float) -> Iterator[Frame]:
        if Path(source).suffix.lower() in PHOTOS:
            photo = Frame(0, 0, read_photo(Path(source)))
            self.settle(photo)
            yield photo
            return
        clock = SystemClock()
        opened = open_source(source, self._settings.capture, clock)
        started_ns, first_ns = clock.now_ns(), None
        try:
            while True:
                frame = opened.read()
                if frame is None:
                    return
                if isinstance(frame, Stalled):
                    if clock.now_ns() - started_ns > (seconds + _PATIENCE_S) * 1e9:
                        return
                    continue
                first_ns = frame.captured_ns if first_ns is None else first_ns
                if frame.captured_ns - first_ns > seconds * 1e9:
                    return
                yield frame
        finally:
            opened.close()

    def draw(self, attributes: Attributes, offset: Floats | None = None) -> Pixels:
        """The avatar at rest, looking straight ahead: uint8 BGRA [256, 256, 4], straight alpha.

        offset: what inversion adds to the code, float32 [layers, dim].
        """
        person = np.array([[attributes[name] for name in ATTRIBUTES]], np.float32)
        (w,) = self.model.mapping.infer(person)
        motion = np.array([list(AT_REST.values())], np.float32)
        wplus = np.repeat(w, LAYERS, axis=0) + (np.float32(0) if offset is None else offset)
        return self.model.drawer.draw(wplus[None], motion)[0]

    def seen(self, attributes: Attributes) -> Look | None:
        """The drawn avatar, measured as a person is; None when its face is not found."""
        shown = self._shown(attributes)
        face = self._face(shown)
        return None if face is None else self._measured(shown, face)

    def _shown(self, attributes: Attributes) -> Frame:
        return Frame(0, 0, on_paper(self.draw(attributes), VIEW_PX))

    def _face(self, shown: Frame) -> Face | None:
        self._tracker.reset()
        return self._tracker.track(shown)

    def _measured(self, shown: Frame, face: Face) -> Look:
        """An avatar whose face is there, as a person is measured; the network is not asked."""
        return look(face, self._aligner.align(shown, face), np.zeros(len(PERSONAL), np.float32))

    def matched(self, attributes: Attributes, wanted: dict[str, Array]) -> Attributes:
        """The same person with skin, lips and hair corrected until they look as ``wanted`` (Lab by name).

        The attributes as they were when the avatar's face is not found.
        """
        face = self._face(self._shown(attributes))
        if face is None:
            return attributes
        hat = attributes["hat_beanie"] or attributes["hat_cap"]  # then that is what is seen above the forehead
        parts = MATCHED | ({"hair": "gear"} if hat else {})
        names = [f"{part}_{channel}" for part in parts.values() for channel in "rgb"]

        def person(said: Array) -> Attributes:
            return {**attributes, **{name: float(value) for name, value in zip(names, said, strict=True)}}

        def seen(said: Array) -> Array:
            colours = self._measured(self._shown(person(said)), face).colours
            return np.concatenate([_WEIGHS[name] * colours[name] for name in parts])

        said = np.array([attributes[name] for name in names])
        true = {**wanted, "skin": as_skin(wanted["skin"]), "hair": wanted["hair"] if hat else as_hair(wanted["hair"])}
        goal = np.concatenate([_WEIGHS[name] * true[name] for name in parts])
        return person(brought_together(seen, said, goal, (DARKEST, 1.0), ROUNDS))


def read_photo(path: Path) -> Pixels:
    """A photo, upright: uint8 BGR. Raises SourceError when it cannot be read."""
    try:
        data = np.frombuffer(path.expanduser().read_bytes(), np.uint8)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}; give the path of a photo") from None
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if pixels is None:
        raise SourceError(f"{path} is no picture that can be read; wanted one of {', '.join(PHOTOS)}")
    return np.asarray(pixels, np.uint8)


def on_paper(portrait: Pixels, size: int) -> Pixels:
    """A portrait (BGRA) on plain grey, uint8 BGR [size, size, 3]."""
    alpha = portrait[:, :, 3:].astype(np.float32) / 255
    flat = np.clip(np.rint(portrait[:, :, :3] * alpha + PAPER * (1 - alpha)), 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(flat, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)


def beside(person: Pixels, portrait: Pixels, size: int = VIEW_PX) -> Pixels:
    """The person's face on the left, the avatar on the right: uint8 BGR [size, 2 * size, 3]. It shows the person."""
    left = cv2.resize(person, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.hstack([np.asarray(left, np.uint8), on_paper(portrait, size)])


def show_until_closed(pixels: Pixels) -> None:
    """Show a picture, uint8 BGR, in a window until Esc, q or the close button. Raises OutputError without a desktop."""
    from realtime.outputs.window import WindowOutput

    height, width = pixels.shape[:2]
    with closing(WindowOutput((width, height))) as window:
        while not window.wants_stop:
            window.send(Picture(0, 0, pixels))
            time.sleep(_RENEW_S)

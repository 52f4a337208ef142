"""Several avatars in one picture: those further away first, so that the nearer one is in front.

Privacy: all heads are covered before anything is drawn, and what fills one head depends on no pixel of another. While
someone who was in the picture is lost, no newer frame of the camera is shown: behind the avatars stands the last
picture in which everyone was covered, and over ``hold_ms`` it fades into one blurred beyond recognition. ``on_lost``
says what else: ``blur`` and ``card`` blur at once, ``raw`` shows the camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from realtime.compositing import Compositor, Size, _chained, _Framing, _pasted, over_head
from realtime.covering import BACKDROP_BLOCKS, blurred
from realtime.errors import UsageError
from realtime.faces import Lost
from realtime.frames import AnyPortrait, Face, Frame, Picture, Pixels, Transform
from realtime.holding import RETURN_NS, finished
from realtime.painting import Composition, Layer, OnCpu, Paints
from realtime.settings import CompositingSettings

SEEN_FADED = 0.1  # a fade that went further than this is not undone in one frame


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A person's face and portrait of this frame."""

    person: int
    face: Face
    portrait: AnyPortrait


class GroupCompositor(Compositor):
    """Puts the portraits of several people into pictures; without anyone it is the compositor of one face.

    Raises UsageError for mode crop, which shows one face alone, and as :class:`realtime.compositing.Compositor`.
    """

    def __init__(self, settings: CompositingSettings, size: Size | None = None, painter: Paints | None = None) -> None:
        if settings.mode == "crop":
            raise UsageError("mode crop shows one face alone; with several faces take overlay or scene, or --faces 1")
        super().__init__(settings, size, painter)
        self._framings: dict[int, _Framing] = {}
        self._last: dict[int, Layer] = {}  # the portrait of each person when they were seen last
        self._everyone: Composition | None = None  # the last in which everyone was covered, before anyone was drawn
        self._away: Picture | None = None  # the last without somebody

    def composite_group(self, frame: Frame, shown: Sequence[Shown], lost: Sequence[Lost]) -> Picture:
        """The avatars in their picture; the holding picture where nobody is seen."""
        if not shown:
            return self.holding(frame)
        self._see(frame)
        empty, to_canvas = self._canvas(frame)
        people = [_on_canvas(one, to_canvas) for one in shown]
        layers = {one.person: self._layer(one, empty.canvas) for one in people}
        self._last = {**{one.person: self._last[one.person] for one in lost if one.person in self._last}, **layers}
        behind = self._behind(empty, [one.face for one in people], lost, frame)
        expected = [one for one in lost if one.person in self._last and self._gone(one) < 1]
        held = [self._held(one, float(to_canvas[0, 0])) for one in expected]
        ordered = sorted([*layers.values(), *held], key=lambda layer: layer.size)
        picture = self._returned(self._painter.paint(frame, replace(behind, layers=ordered)), lost)
        return self._compared(frame, self._holding.remember(picture))

    def _layer(self, one: Shown, canvas: Pixels) -> Layer:
        """A person's portrait as the mode draws it; ``canvas`` still shows the camera."""
        portrait, mode = one.portrait, self._settings.mode
        size = float(np.ptp(one.face.landmarks[:, 1]))
        if mode == "scene":
            framing = self._framings.setdefault(one.person, _Framing())
            place = framing.place(portrait, one.face.fresh, self._own_size()[1])
            return Layer(portrait, place, size=size)
        if mode == "paste":
            portrait = _pasted(portrait, canvas, one.face)
        over = mode == "overlay"
        return Layer(portrait, over_head(portrait) if over else portrait.transform, fades=over, size=size)

    def _behind(self, empty: Composition, faces: list[Face], lost: Sequence[Lost], frame: Frame) -> Composition:
        """What stands behind the portraits."""
        if not self._camera_behind():
            return empty
        if lost and self._settings.on_lost != "raw":
            return Composition(self._kept(lost, frame), own=True)
        self._everyone = Composition(empty.canvas, covered=faces)  # covered once more should somebody be lost
        if self._settings.mode == "scene":
            self._everyone = Composition(blurred(OnCpu().covered(self._everyone), self._own_size(), BACKDROP_BLOCKS))
        return self._everyone

    def _kept(self, lost: Sequence[Lost], frame: Frame) -> Pixels:
        """The last picture in which everyone was covered, on its way to one beyond recognition."""
        gone = max(self._gone(one) for one in lost)
        if self._everyone is None or gone >= 1:
            return blurred(frame.pixels, self._own_size())
        covered = OnCpu().covered(self._everyone)
        self._everyone = Composition(covered)
        if gone <= 0:
            return covered.copy()
        backdrop = blurred(frame.pixels, self._own_size())
        return np.asarray(cv2.addWeighted(covered, 1 - gone, backdrop, gone, 0), np.uint8)

    def _held(self, one: Lost, scale: float) -> Layer:
        """The last portrait of someone lost, where they are expected, fading."""
        last = self._last[one.person]
        moved = last.transform + [[0, 0, one.shift[0] * scale], [0, 0, one.shift[1] * scale]]
        return replace(last, transform=moved, opacity=1 - self._gone(one))

    def _returned(self, picture: Picture, lost: Sequence[Lost]) -> Picture:
        """The picture, for a moment blended with the one from before everyone was back."""
        if lost:
            faded = any(self._gone(one) > SEEN_FADED for one in lost) and self._settings.on_lost != "raw"
            self._away = picture if faded else None
            return picture
        if self._away is None:
            return picture
        here = (picture.captured_ns - self._away.captured_ns) / RETURN_NS
        before = finished(self._away) if 0 <= here < 1 else None
        if before is None:
            self._away = None
            return picture
        here = here * here * (3 - 2 * here)
        blended = np.asarray(cv2.addWeighted(picture.pixels, here, before, 1 - here, 0), np.uint8)
        return Picture(picture.frame_id, picture.captured_ns, blended)

    def _gone(self, one: Lost) -> float:
        """How far someone lost has faded, 0 to 1."""
        if self._settings.on_lost != "hold":
            return 1.0
        part = min(one.waited_ns / max(self._settings.hold_ms * 1e6, 1.0), 1.0)
        return part * part * (3 - 2 * part)


def _on_canvas(one: Shown, to_canvas: Transform) -> Shown:
    """A person in the canvas's pixels."""
    landmarks = one.face.landmarks * np.float32(to_canvas[0, 0])
    landmarks[:, :2] += to_canvas[:, 2].astype(np.float32)
    portrait = replace(one.portrait, transform=_chained(to_canvas, one.portrait.transform))
    return Shown(one.person, replace(one.face, landmarks=landmarks), portrait)

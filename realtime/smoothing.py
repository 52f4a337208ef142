"""Latent -> Latent, still when the face is still and without lag when it moves.

The One-Euro filter (Casiez, Roussel, Vogel: "1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input in
Interactive Systems", CHI 2012, algorithm 1) over W+, the motion code and the crop transform, each number by itself,
driven by capture times. A cut in the picture, a long gap and another face start it anew.

What moves together is filtered together: the head's place, size and angles share one cut-off, and so do the mouth's
numbers, the eyes' and the brows' (docs/decisions/0045). Its speed is how fast the drawn face's points move.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from realtime.frames import Latent, Transform
from realtime.settings import SmoothingSettings

Values = npt.NDArray[np.float64]

MOTION_GROUPS = ("pose", "mouth", "eyes")  # what no group names is "expression"
BODIES = ("head", "mouth", "eyes", "expression")  # what shares a cut-off
CROP_REACH = (1.0, 1.0, 0.25, 0.25)  # crop sides that a head's points move per unit of x, y, log scale and angle
SMALL_JUMP = 0.1  # in crop sides: however short the time, less than this is never a cut
SMALL_TURN = 0.5  # nor is less than this, in radians


class OneEuro:
    """The filter for an array of numbers, each by itself or together with others.

    min_cutoff_hz, beta, still: float64, broadcast against the values. beta has the unit 1/value: the cut-off is
        ``min_cutoff_hz + beta * max(|speed| - still, 0)`` with speed in values per second. With ``still`` 0 it is the
        published filter; a tracker's noise is a speed too: what is slower than ``still`` does not raise the cut-off.
    together: which body each number is of, int [N], and its reach, float64 [N]: numbers of one body share the speed
        ``sqrt(sum((reach * speed)^2))``. None: each number has its own.
    """

    def __init__(
        self,
        min_cutoff_hz: Values,
        beta: Values,
        derivative_cutoff_hz: float,
        still: Values | float = 0.0,
        together: tuple[npt.NDArray[np.intp], Values] | None = None,
    ) -> None:
        self._min_cutoff_hz = min_cutoff_hz
        self._beta = beta
        self._still = still
        self._derivative_cutoff_hz = derivative_cutoff_hz
        self._together = together
        self.reset()

    def reset(self) -> None:
        """Forget everything; the next value passes as it is."""
        self._filtered: Values | None = None
        self._speed: Values | float = 0.0
        self._time_ns = 0

    def filter(self, values: Values, time_ns: int) -> Values:
        """The filtered values at ``time_ns``. A time that does not move on gives the values of before once more."""
        if self._filtered is None:
            self._filtered = np.array(values, np.float64)
        elif time_ns > self._time_ns:
            step_s = (time_ns - self._time_ns) * 1e-9
            speed = (values - self._filtered) / step_s
            self._speed += _weight(self._derivative_cutoff_hz, step_s) * (speed - self._speed)
            moving = np.maximum(self._moving(self._speed) - self._still, 0.0)
            cutoff_hz = self._min_cutoff_hz + self._beta * moving
            self._filtered = self._filtered + _weight(cutoff_hz, step_s) * (values - self._filtered)
        self._time_ns = max(time_ns, self._time_ns)
        return self._filtered

    def _moving(self, speed: Values | float) -> Values:
        """How fast each number, or what it is a part of, moves."""
        if self._together is None:
            return np.asarray(np.abs(speed), np.float64)
        body, reach = self._together
        return np.asarray(np.sqrt(np.bincount(body, (speed * reach) ** 2))[body], np.float64)


def _weight(cutoff_hz: Values | float, step_s: float) -> Values | float:
    """How much of a new value a low-pass takes: ``1 / (1 + tau / step)`` with ``tau = 1 / (2 pi cutoff)``."""
    turns = 2 * math.pi * cutoff_hz * step_s
    return turns / (turns + 1)


class Smoother:
    """Smooths latents in the order of their capture times.

    groups: which entries of the motion code are ``pose`` (angles in radians), ``mouth`` and ``eyes``; the others are
        the rest of the expression.
    crop_px: side of the crop that the transform maps to the frame.
    reach: how far an entry of the motion code moves the drawn points, in crop sides per unit; None: 1 each.
    """

    def __init__(
        self,
        settings: SmoothingSettings,
        groups: Mapping[str, Sequence[int]] | None = None,
        crop_px: int = 256,
        reach: Sequence[float] | None = None,
    ) -> None:
        self._settings = settings
        self._groups = dict(groups or {})
        if unknown := sorted(self._groups.keys() - set(MOTION_GROUPS)):
            raise ValueError(f"unknown motion groups {unknown}; known: {', '.join(MOTION_GROUPS)}")
        self._centre_px = (crop_px - 1) / 2
        self._crop_px = crop_px
        self._reach = None if reach is None else tuple(reach)
        self.reset()

    def reset(self) -> None:
        """Forget everything, as a new Smoother."""
        self._filters: tuple[OneEuro, OneEuro] | None = None
        self._unit_px = 1.0
        self._last_ns = 0
        self._last_pose = np.zeros(4)
        self._last_turn = np.zeros(0, np.float32)

    def smooth(self, latent: Latent) -> Latent:
        """The latent with ``wplus``, ``motion`` and ``transform`` filtered; ``fresh`` is true where it started anew."""
        if not self._settings.enabled:
            return latent
        if self._filters is None or latent.fresh or self._is_cut(latent):
            self.reset()
            self._unit_px = float(math.hypot(*latent.transform[:, 0])) * self._crop_px or 1.0
            self._filters = self._new_filters(latent)
            latent = replace(latent, fresh=True)
        pose = self._pose(latent.transform)
        self._last_ns, self._last_pose, self._last_turn = latent.captured_ns, pose, self._turn(latent)
        wplus, moves = self._filters
        moved = moves.filter(np.concatenate([latent.motion.astype(np.float64), pose]), latent.captured_ns)
        return replace(
            latent,
            wplus=wplus.filter(latent.wplus.astype(np.float64), latent.captured_ns).astype(np.float32),
            motion=moved[: -len(pose)].astype(np.float32),
            transform=self._transform(moved[-len(pose) :]),
        )

    def _is_cut(self, latent: Latent) -> bool:
        """Whether no head could have moved like this since the last frame."""
        step_ns = latent.captured_ns - self._last_ns
        if not 0 <= step_ns <= self._settings.cut_gap_ms * 1_000_000:
            return True
        jump = np.abs(self._pose(latent.transform) - self._last_pose).max()
        turn = np.abs(self._turn(latent) - self._last_turn).max(initial=0.0)
        return bool(
            jump > max(self._settings.cut_speed * step_ns * 1e-9, SMALL_JUMP)
            or turn > max(self._settings.cut_turn * step_ns * 1e-9, SMALL_TURN)
        )

    def _turn(self, latent: Latent) -> npt.NDArray[np.float32]:
        """The head's angles, in radians."""
        return latent.motion[np.asarray(self._groups.get("pose", ()), np.intp)]

    def _new_filters(self, latent: Latent) -> tuple[OneEuro, OneEuro]:
        layers, entries = len(latent.wplus), latent.motion.size
        by_layer = np.array(["coarse", "middle", "fine"])[np.arange(layers) * 3 // max(layers, 1)]
        by_entry = np.array(["expression"] * entries + ["head"] * len(CROP_REACH), dtype="<U10")
        for name, named in self._groups.items():
            by_entry[np.asarray(named, np.intp)] = "head" if name == "pose" else name
        reach = np.array([*(self._reach or (1.0,) * entries), *CROP_REACH])
        bodies = np.array([BODIES.index(str(name)) for name in by_entry], np.intp)
        return self._filter(by_layer[:, None]), self._filter(by_entry, (bodies, reach))

    def _filter(
        self, names: npt.NDArray[np.str_], together: tuple[npt.NDArray[np.intp], Values] | None = None
    ) -> OneEuro:
        """A filter with the cut-offs of the group named at every place."""
        settings = self._settings

        def numbers(kind: str) -> Values:
            values = [getattr(settings, f"{name}_{kind}", 0.0) for name in names.ravel()]
            return np.array(values, np.float64).reshape(names.shape)

        derivative_hz = settings.derivative_cutoff_hz
        return OneEuro(numbers("min_cutoff_hz"), numbers("beta"), derivative_hz, numbers("still"), together)

    def _pose(self, transform: Transform) -> Values:
        """Centre (in crop sides of the first frame), log scale and angle (continuing the last one) of a similarity."""
        (a, _, x), (b, _, y) = transform.tolist()
        centre = self._centre_px
        centre_x = a * centre - b * centre + x
        centre_y = b * centre + a * centre + y
        angle = math.atan2(b, a)
        angle += 2 * math.pi * round((self._last_pose[3] - angle) / (2 * math.pi))
        return np.array([centre_x / self._unit_px, centre_y / self._unit_px, math.log(math.hypot(a, b)), angle])

    def _transform(self, pose: Values) -> Transform:
        """The similarity of such a pose."""
        x, y, log_scale, angle = pose.tolist()
        a, b = math.exp(log_scale) * math.cos(angle), math.exp(log_scale) * math.sin(angle)
        centre = self._centre_px
        return np.array(
            [
                [a, -b, x * self._unit_px - (a * centre - b * centre)],
                [b, a, y * self._unit_px - (b * centre + a * centre)],
            ]
        )

"""What colours to say so that others are seen: a generator's colours brought to a person's.

How skin, lips and hair look depends on light and shade as the generator paints them, and each on what the others are
said to be: in the heads for training lips have the skin's hue, so said lips that are less red make skin greener. So
all are corrected together, by the Levenberg-Marquardt method (Marquardt 1963, "An Algorithm for Least-Squares
Estimation of Nonlinear Parameters") with Broyden's updates (1965, "A Class of Methods for Solving Nonlinear
Simultaneous Equations"), and as little as does it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_STEP, _FURTHEST = 0.15, 0.6  # of the logarithm of what is said: for the derivatives, and in one round
_KEPT = 3.0  # a colour said e times as light weighs like this distance in Lab


def brought_together(
    seen: Callable[[Array], Array], said: Array, wanted: Array, limits: tuple[float, float], rounds: int
) -> Array:
    """The colours to say, float64 [n], within ``limits``, so that what is seen comes near ``wanted``.

    seen: what is seen of what is said, float64 [m] in Lab or in weighted Lab; it is called 1 + n + rounds times at
    most. said: linear colours to begin with, float64 [n], above 0. wanted: as ``seen`` [m].
    """
    lowest, highest = np.log(limits)
    start = place = np.log(said).clip(lowest, highest)
    shown = seen(np.exp(place))
    slopes = np.stack([(seen(np.exp(place + step)) - shown) / _STEP for step in np.eye(len(place)) * _STEP], axis=1)
    best, least = place, _cost(shown - wanted, place - start)
    for _ in range(rounds):
        normal = slopes.T @ slopes + _KEPT**2 * np.eye(len(place))
        step = np.linalg.solve(normal, slopes.T @ (wanted - shown) - _KEPT**2 * (place - start))
        step = (place + step.clip(-_FURTHEST, _FURTHEST)).clip(lowest, highest) - place
        if not (length := float(step @ step)):
            break
        reached = seen(np.exp(place + step))
        slopes += np.outer(reached - shown - slopes @ step, step) / length
        place, shown = place + step, reached
        if (cost := _cost(shown - wanted, place - start)) < least:
            best, least = place, cost
    return np.asarray(np.exp(best))


def _cost(off: Array, moved: Array) -> float:
    return float(off @ off + _KEPT**2 * moved @ moved)

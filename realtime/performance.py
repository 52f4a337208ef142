"""The bundled actor's script: twelve seconds of turns, speech, blinks and smiles as a motion code over time."""

from __future__ import annotations

import numpy as np

from engines.motion import AT_REST, LIMITS, MOTION, brows
from realtime.frames import Floats

SECONDS = 12.0
BLINKS_S = (0.9, 2.6, 4.05, 4.35, 6.9, 8.6, 10.9)
WINK_S = 9.7
SPEECH_S = ((1.0, 3.4), (5.0, 7.4))
# time in seconds, value; in between a smooth step
KEYS: dict[str, tuple[tuple[float, float], ...]] = {
    "yaw": (
        (0, 0), (0.6, 0), (1.6, -0.30), (2.6, -0.22), (3.6, 0.34), (4.6, 0.30), (5.4, 0), (7.8, 0.12),
        (8.4, -0.42), (9.2, 0), (12, 0),
    ),
    "pitch": (
        (0, 0), (1.2, 0.06), (2.0, -0.10), (3.0, 0.05), (4.8, 0.16), (5.6, -0.04), (7.6, -0.14), (8.8, 0.08),
        (10.2, 0), (12, 0),
    ),
    "roll": ((0, 0), (2.0, 0.10), (3.6, -0.14), (5.2, 0), (7.0, 0.08), (9.6, -0.16), (10.6, 0), (12, 0)),
    "corner_l": (
        (0, 0.1), (0.8, 0.3), (1.2, 0.05), (3.4, 0.1), (4.0, 0.9), (5.0, 0.2), (7.4, 0), (8.0, -0.6), (8.8, 0),
        (9.4, 0.9), (11, 1.0), (12, 0.4),
    ),
    "corner_r": (
        (0, 0.1), (0.8, 0.3), (1.2, 0.05), (3.4, 0.1), (4.0, 0.9), (5.0, 0.2), (7.4, 0), (8.0, -0.6), (8.8, 0),
        (9.4, 0.5), (10.6, 1.0), (12, 0.4),
    ),
    "mouth_wide": ((0, 0), (3.4, 0), (4.0, 0.6), (5.0, 0), (7.5, 0), (7.8, -0.7), (8.4, 0), (10.4, 0.7), (12, 0.2)),
    "jaw_open": ((0, 0), (3.8, 0), (4.2, 0.25), (4.7, 0), (10.2, 0), (10.7, 0.5), (11.3, 0.2), (12, 0)),
    "squint_l": ((0, 0), (3.8, 0), (4.2, 0.6), (5, 0), (9.2, 0), (10, 0.6), (11.4, 0.5), (12, 0)),
    "squint_r": ((0, 0), (3.8, 0), (4.2, 0.6), (5, 0), (9.2, 0), (10, 0.5), (11.4, 0.5), (12, 0)),
    "brow_l": ((0, 0), (1.8, 0.4), (2.6, 0), (5.2, 0.7), (6.0, 0.1), (7.7, -0.6), (8.6, 0), (10.4, 0.5), (12, 0.1)),
    "brow_r": (
        (0, 0), (1.8, 0.4), (2.6, 0), (5.2, 0.7), (6.0, 0.1), (7.7, -0.6), (8.6, 0.8), (9.3, 0), (10.4, 0.5),
        (12, 0.1),
    ),
    "gaze_x": (
        (0, 0), (0.7, 0), (0.9, -0.4), (1.6, 0.25), (2.6, 0.1), (3.0, 0.5), (3.8, -0.25), (5.0, 0), (8.0, 0),
        (8.2, -0.5), (9.0, 0), (12, 0),
    ),
    "gaze_y": ((0, 0), (4.7, 0), (4.9, -0.5), (5.4, 0), (7.5, 0), (7.7, 0.4), (8.1, 0), (12, 0)),
}  # fmt: skip


def motion_at(seconds: float) -> Floats:
    """The motion code, float32 [motion], at a time of the script (it starts again after the end)."""
    t = seconds % SECONDS
    values = {**AT_REST, **{name: _smooth(keys, t) for name, keys in KEYS.items()}}
    values |= {name: float(brows(values[name])) for name in ("brow_l", "brow_r")}
    talk = max(_window(t, *span) for span in SPEECH_S)
    syllable = 0.5 - 0.5 * np.cos(2 * np.pi * 4.1 * t + 1.3 * np.sin(2 * np.pi * 0.9 * t))
    values["jaw_open"] += talk * 0.42 * syllable * (0.55 + 0.45 * np.sin(2 * np.pi * 0.63 * t) ** 2)
    values["mouth_wide"] += talk * 0.45 * np.sin(2 * np.pi * 1.7 * t + 0.6)
    values["lip_upper"] += talk * 0.25 * syllable
    lids = 1.0 - max(_blink(t - b) for b in BLINKS_S)
    values["eye_l"], values["eye_r"] = min(lids, 1.0 - _blink((t - WINK_S) / 1.8)), lids
    code = [np.clip(values[name], *LIMITS[name]) for name in MOTION]
    return np.array(code, np.float32)


def _smooth(keys: tuple[tuple[float, float], ...], t: float) -> float:
    times, heights = zip(*keys, strict=True)
    i = min(max(int(np.searchsorted(times, t, "right")) - 1, 0), len(keys) - 2)
    part = (t - times[i]) / (times[i + 1] - times[i])
    return float(heights[i] + (heights[i + 1] - heights[i]) * part * part * (3 - 2 * part))


def _window(t: float, start: float, end: float) -> float:
    return float(np.clip(min(t - start, end - t) / 0.25, 0, 1))


def _blink(t: float) -> float:
    """How far closed a lid is ``t`` seconds after the middle of a blink: 60 ms down, 40 ms shut, 120 ms up."""
    return float(np.clip(1 - (-t - 0.02) / 0.06 if t < 0 else 1 - (t - 0.02) / 0.12, 0, 1))

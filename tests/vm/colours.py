"""CIEDE2000, the difference of two colours as people see it (Sharma, Wu and Dalal, 2005)."""

from __future__ import annotations

import numpy as np

_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])


def lab(bgr: np.ndarray) -> np.ndarray:
    """sRGB, uint8 or float 0 to 255, BGR [N, 3], as CIE L*a*b* under D65 [N, 3]."""
    rgb = np.asarray(bgr, np.float64)[:, ::-1] / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    part = linear @ _XYZ.T / _WHITE
    f = np.where(part > 216 / 24389, np.cbrt(part), (24389 / 27 * part + 16) / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


def difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """CIEDE2000 of L*a*b* colours [N, 3]: [N]. The steps and names of Sharma, Wu and Dalal."""
    (l1, a1, b1), (l2, a2, b2) = np.asarray(one, float).T, np.asarray(other, float).T
    c_mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 0.5 * (1 - np.sqrt(c_mean**7 / (c_mean**7 + 25.0**7)))
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    grey = c1 * c2 == 0
    dh = np.where(grey, 0, (h2 - h1 + 180) % 360 - 180)
    h_mean = np.where(grey, h1 + h2, (h1 + dh / 2) % 360)
    dl, dc, d_hue = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(np.radians(dh / 2))
    l_mean, c_mean = (l1 + l2) / 2, (c1 + c2) / 2
    t = (
        1
        - 0.17 * np.cos(np.radians(h_mean - 30))
        + 0.24 * np.cos(np.radians(2 * h_mean))
        + 0.32 * np.cos(np.radians(3 * h_mean + 6))
        - 0.20 * np.cos(np.radians(4 * h_mean - 63))
    )
    turn = 30 * np.exp(-(((h_mean - 275) / 25) ** 2))
    s_l = 1 + 0.015 * (l_mean - 50) ** 2 / np.sqrt(20 + (l_mean - 50) ** 2)
    s_c, s_h = 1 + 0.045 * c_mean, 1 + 0.015 * c_mean * t
    r_t = -np.sin(np.radians(2 * turn)) * 2 * np.sqrt(c_mean**7 / (c_mean**7 + 25.0**7))
    parts = (dl / s_l, dc / s_c, d_hue / s_h)
    return np.sqrt(parts[0] ** 2 + parts[1] ** 2 + parts[2] ** 2 + r_t * parts[1] * parts[2])

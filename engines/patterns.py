"""Solid patterns of hair, the same as in ``tools/face_world/textures.h``. Torch only."""

from __future__ import annotations

from torch import Tensor

from engines.rays import cosine, sine


def gyroids(x: Tensor, y: Tensor, z: Tensor, frequencies: Tensor) -> Tensor:
    """Schoen's minimal surface as a solid pattern, -1..1, at one frequency [K, 1] a row of x, y, z [N, K, pixels]."""
    x, y, z = x * frequencies, y * frequencies, z * frequencies
    return (sine(x) * cosine(y) + sine(y) * cosine(z) + sine(z) * cosine(x)) / 1.5


def on_sphere(x: Tensor, y: Tensor, z: Tensor, height: float, radius: float) -> tuple[Tensor, Tensor, Tensor]:
    """Places [N, 1, pixels] as directions from inside the head: see ``on_sphere`` in textures.h."""
    y, z = y - height, z + 0.10
    scale = radius * (x * x + y * y + z * z + 1e-6).rsqrt()
    return x * scale, y * scale, z * scale

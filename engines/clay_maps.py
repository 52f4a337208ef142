"""Maps of the fingerprints in modelling clay, by ``clay_relief`` in ``tools/face_world/world.h``.

Everybody has them on the maps: the generator scales them by W+. Torch only; run time uses the exported ONNX file.
"""

from __future__ import annotations

from torch import Tensor

from engines.age_maps import FACE, MUZZLE
from engines.rays import Rays, cosine, sine, step

_RIDGES = 105.0  # radians of a print for one head unit away from its middle


def prints(rays: Rays) -> list[Tensor]:
    """How steep the prints on a face are, across and upwards, each [N, 1, pixels]: what is lit is the slope."""
    distance, _ = rays.ellipsoids(*(rays.way.new_tensor([FACE[i], MUZZLE[i]]) for i in (0, 1)))
    x, y, z = rays.at(distance.amin(1, keepdim=True))
    patch = step((sine(5 * x + 2 * z + 0.7) * sine(4.3 * y + 1) + 0.1) / 0.6)
    aside, up, bend = x - 0.3, 0.6 * (y + 0.1), 6 * y + 3 * x
    far = (aside.square() + up * (y + 0.1) + 0.02).sqrt()
    steep = patch * cosine(_RIDGES * (far + 0.06 * sine(bend)))
    turn = 0.18 * cosine(bend)
    return [steep * (aside / far + turn), steep * (up / far + 2 * turn)]

"""The bundled model's pictures: straight alpha from premultiplied colours."""

from __future__ import annotations

import numpy as np

from engines.pictures import straight


def premultiplied(bgra: np.ndarray) -> np.ndarray:
    """Straight BGRA bytes [h, w, 4] -> premultiplied RGBA float32 [4, h, w]."""
    planes = bgra.astype(np.float32).transpose(2, 0, 1)[[2, 1, 0, 3]] / 255
    planes[:3] *= planes[3]
    return planes


def test_premultiplication_is_undone() -> None:
    bgra = np.random.default_rng(0).integers(0, 256, (32, 20, 4), dtype=np.uint8)
    bgra[..., 3] = np.maximum(bgra[..., 3], 2)
    got = straight(premultiplied(bgra))
    assert got.dtype == np.uint8 and got.shape == bgra.shape
    assert np.abs(got.astype(int) - bgra).max() <= 1


def test_nothing_where_alpha_is_nothing() -> None:
    rgba = np.zeros((4, 6, 6), np.float32)
    rgba[0] = 1e-6
    rgba[1, 0] = 5.0
    got = straight(rgba)
    assert (got[..., 3] == 0).all() and np.isfinite(got).all()


def test_values_beyond_the_range_are_clipped_and_the_input_stays() -> None:
    rgba = np.full((4, 3, 3), 1.3, np.float32)
    rgba[2] = -0.4
    before = rgba.copy()
    got = straight(rgba)
    assert (got == (0, 255, 255, 255)).all()
    np.testing.assert_array_equal(rgba, before)

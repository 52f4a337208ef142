"""What is said is changed until what is seen is wanted: entangled, bounded, and no more than it takes."""

from __future__ import annotations

import numpy as np

from realtime.colour_matching import brought_together

LIMITS = (0.003, 1.0)


def painter(entangled: float) -> tuple[list[np.ndarray], object]:
    """A generator of two colours that shows each mixed with the other's: Lab-like values [6] of linear ones [6]."""
    asked: list[np.ndarray] = []
    mixing = np.eye(6) + entangled * np.roll(np.eye(6), 3, axis=1)

    def seen(said: np.ndarray) -> np.ndarray:
        asked.append(said)
        return np.asarray(116 * np.cbrt(mixing @ said / (1 + entangled)))

    return asked, seen


def test_entangled_colours_come_together() -> None:
    _, seen = painter(0.8)
    truth = np.array([0.6, 0.3, 0.2, 0.5, 0.15, 0.12])
    begun = np.array([0.8, 0.45, 0.2, 0.3, 0.2, 0.12])
    said = brought_together(seen, begun, seen(truth), LIMITS, 6)
    before, after = (np.linalg.norm(seen(one) - seen(truth)) for one in (begun, said))
    assert before > 10 and after < 2.5


def test_as_often_as_is_told_is_looked() -> None:
    asked, seen = painter(0.3)
    wanted = seen(np.full(6, 0.4))
    asked.clear()
    brought_together(seen, np.full(6, 0.2), wanted, LIMITS, 4)
    assert len(asked) == 1 + 6 + 4


def test_what_cannot_be_seen_is_come_near_within_the_limits() -> None:
    _, seen = painter(0.5)
    begun = np.full(6, 0.5)
    said = brought_together(seen, begun, np.full(6, 200.0), LIMITS, 6)
    assert (said <= 1.0).all() and (said >= 0.003).all() and (seen(said) > seen(begun)).all()
    assert np.isfinite(brought_together(seen, np.full(6, 1e-5), seen(begun), LIMITS, 6)).all()


def test_what_is_seen_already_stays() -> None:
    _, seen = painter(0.5)
    begun = np.array([0.6, 0.3, 0.2, 0.5, 0.15, 0.12])
    np.testing.assert_allclose(brought_together(seen, begun, seen(begun), LIMITS, 6), begun)


def test_a_part_that_does_not_matter_is_left_alone() -> None:
    said = brought_together(lambda x: 50 * np.log(x[:3]), np.full(4, 0.3), 50 * np.log(np.full(3, 0.5)), LIMITS, 6)
    assert np.isclose(said[3], 0.3) and np.allclose(said[:3], 0.5, rtol=0.02)

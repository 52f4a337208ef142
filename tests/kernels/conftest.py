"""What the tests of operations share."""

from __future__ import annotations

from tests.golden import golden

__all__ = ["golden"]

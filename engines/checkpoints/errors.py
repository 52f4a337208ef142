"""The error of a foreign file that cannot be read or is refused."""

from __future__ import annotations

from engines.errors import ModelError


class CheckpointError(ModelError):
    """A foreign checkpoint is damaged, hostile, or of a kind that is not supported; the message says which."""

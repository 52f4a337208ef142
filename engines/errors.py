"""Errors of models and runtimes, and the base of every error that a user can meet (tree: ``realtime/errors.py``)."""

from __future__ import annotations


class AvatarLiveError(Exception):
    """Base of every error whose message is meant for the user: what was got, what was wanted, what to do next."""

    exit_code = 1


class ModelError(AvatarLiveError):
    """Weights are missing, damaged or of another kind."""


class EngineError(AvatarLiveError):
    """A runtime or device cannot run the model."""

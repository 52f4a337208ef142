"""The errors that a user can meet.

    AvatarLiveError                 exit code 1
    +-- UsageError                  2   an unknown name, a value out of range, a broken preset
    +-- DeviceError                 2   a camera or virtual camera that is missing or busy
    +-- SourceError                 1   a video or stream that cannot be read
    +-- OutputError                 1   a file that cannot be written, a disk that is full
    +-- ModelError                  1   weights that are missing or damaged
    +-- EngineError                 1   a runtime or a device that cannot run the model

A message says what was got, what was wanted and what to do next, in one line where it can.
"""

from __future__ import annotations

from engines.errors import AvatarLiveError, EngineError, ModelError

__all__ = ["AvatarLiveError", "DeviceError", "EngineError", "ModelError", "OutputError", "SourceError", "UsageError"]


class UsageError(AvatarLiveError):
    """The command or a preset asks for something that does not exist."""

    exit_code = 2


class DeviceError(AvatarLiveError):
    """A camera or virtual camera is missing, busy or not permitted."""

    exit_code = 2


class SourceError(AvatarLiveError):
    """A video or stream cannot be read."""


class OutputError(AvatarLiveError):
    """An output cannot be written."""

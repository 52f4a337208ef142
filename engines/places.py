"""Where a user's data lie on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

FOLDER_VARIABLE = "AVATAR_LIVE_MODELS"


def data_folder(kind: str, variable: str) -> Path:
    """Where one kind of a user's data lies: as the environment's variable says, or in the system's folder."""
    if given := os.environ.get(variable):
        return Path(given).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "avatar-live" / kind


def default_folder() -> Path:
    """Where models lie: $AVATAR_LIVE_MODELS, or the system's folder for a program's data."""
    return data_folder("models", FOLDER_VARIABLE)

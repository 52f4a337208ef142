"""Where compiled and measured things are kept, and how they are named. Needs no torch."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """The user's cache folder of the platform, or ``AVATAR_LIVE_CACHE``."""
    if given := os.environ.get("AVATAR_LIVE_CACHE"):
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", tempfile.gettempdir())) / "avatar-live" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "avatar-live"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "avatar-live"


def digest(*texts: str) -> str:
    """A name for what was made from these texts: the first 16 characters of their SHA-256."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]

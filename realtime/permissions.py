"""Why a camera may not be used, and what to do about it: for each system and for the boxes programs run in."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

if sys.platform != "win32":
    import grp
    import pwd

FLATPAK_INFO = Path("/.flatpak-info")

SILENT = {
    "Darwin": (
        "allow the program that you started this from (Terminal, iTerm, ...) under System Settings > Privacy & "
        "Security > Camera, quit it and open it again"
    ),
    "Windows": (
        "switch on 'Let desktop apps access your camera' under Settings > Privacy & security > Camera; if another "
        "program uses the camera, close that"
    ),
}


def denied(path: Path, environment: Mapping[str, str] = os.environ, flatpak: Path = FLATPAK_INFO) -> str:
    """What to do on Linux when ``path`` may not be opened."""
    if "SNAP_NAME" in environment:
        return f"this runs inside a snap: sudo snap connect {environment['SNAP_NAME']}:camera"
    if "FLATPAK_ID" in environment or flatpak.exists():
        name = environment.get("FLATPAK_ID", "the.program.ID")
        return f"this runs inside a Flatpak: flatpak override --user --device=all {name}, then start it again"
    group = group_of(path)
    if group is None:
        return f"give yourself the device: sudo setfacl -m u:$USER:rw {path}"
    if group[1] in os.getgroups():
        return f"you are in its group {group[0]}, which may not use it: sudo chmod g+rw {path}"
    if enlisted(group[0]):
        return f"you were added to the group {group[0]} after you logged in: log out and in again"
    return f"join the group {group[0]} (sudo usermod -aG {group[0]} $USER), then log in again"


def group_of(path: Path) -> tuple[str, int] | None:
    """Name and number of the group that a device belongs to; None when that is root's or has no name."""
    try:
        number = path.stat().st_gid
        return (grp.getgrgid(number).gr_name, number) if number else None
    except (OSError, KeyError):
        return None


def enlisted(group: str) -> bool:
    """Whether the user's next login will be in ``group``: its list names them already."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name in grp.getgrnam(group).gr_mem
    except KeyError:
        return False


def silent(system: str | None = None) -> str:
    """What to do when a camera is there and does not open: where systems refuse without saying so."""
    return SILENT.get(system or platform.system(), "if another program uses it, close that")

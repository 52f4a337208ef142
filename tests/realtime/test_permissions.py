"""What users are told when a camera may not be used: the command that helps them, and no other."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from realtime import permissions
from realtime.permissions import denied, silent

linux = pytest.mark.skipif(platform.system() != "Linux", reason="groups of devices are Linux's")


@linux
def test_outside_the_group_it_names_the_group_of_the_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(permissions, "group_of", lambda path: ("video", 44))
    monkeypatch.setattr(os, "getgroups", lambda: [1000])
    monkeypatch.setattr(permissions, "enlisted", lambda group: False)
    assert denied(tmp_path, {}) == "join the group video (sudo usermod -aG video $USER), then log in again"
    monkeypatch.setattr(permissions, "enlisted", lambda group: True)
    assert denied(tmp_path, {}) == "you were added to the group video after you logged in: log out and in again"
    monkeypatch.setattr(os, "getgroups", lambda: [1000, 44])
    assert "you are in its group video, which may not use it: sudo chmod g+rw" in denied(tmp_path, {})


@linux
def test_a_device_of_roots_own_group_is_given_to_the_user(tmp_path: Path) -> None:
    path = tmp_path / "video0"
    path.touch()
    assert permissions.group_of(path) is None and permissions.group_of(tmp_path / "none") is None
    assert denied(path, {}) == f"give yourself the device: sudo setfacl -m u:$USER:rw {path}"


@linux
def test_who_is_in_a_group_is_read_from_the_system() -> None:
    import grp

    assert not permissions.enlisted("no such group")
    assert not permissions.enlisted(next(group.gr_name for group in grp.getgrall() if not group.gr_mem))


def test_inside_a_box_the_box_must_let_it_through(tmp_path: Path) -> None:
    assert denied(tmp_path, {"SNAP_NAME": "avatar"}) == "this runs inside a snap: sudo snap connect avatar:camera"
    assert "flatpak override --user --device=all org.some.App" in denied(tmp_path, {"FLATPAK_ID": "org.some.App"})
    info = tmp_path / "info"
    info.touch()
    assert denied(tmp_path, {}, info).startswith("this runs inside a Flatpak: ")


@pytest.mark.parametrize(
    ("system", "words"),
    [
        ("Darwin", "System Settings > Privacy & Security > Camera"),
        ("Windows", "Let desktop apps access your camera"),
        ("Linux", "if another program uses it, close that"),
    ],
)
def test_systems_that_refuse_in_silence(system: str, words: str) -> None:
    assert words in silent(system)

"""``avatar-live avatar``: create, list, show, edit, delete, random.

Tables go to standard output, everything else to standard error.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from realtime.command import console, guarded
from realtime.errors import OutputError, UsageError
from realtime.traits import TRAITS, Value, assignment, from_attributes, in_portrait_light, over, usual

if TYPE_CHECKING:
    from realtime.avatars import Avatar, AvatarStore
    from realtime.frames import Pixels
    from realtime.identity_studio import Studio

LISTED = ("hair", "glasses", "beard", "hat", "headphones", "age")

avatars = typer.Typer(no_args_is_help=True, help="Avatars of your own: make one from your face, change it, keep it.")

Name = Annotated[str, typer.Argument(help="What to call it: a to z, 0 to 9, - and _.")]
Folder = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Where avatars lie. \\[$AVATAR_LIVE_AVATARS or the user's data]")
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="TRAIT=VALUE", help="hair=bob, hair-colour=#6a3, age=0.7, ...")
]
Replace = Annotated[bool, typer.Option("--replace", help="Make an avatar of that name anew.")]
Drawn = Annotated[Path | None, typer.Option("--picture", metavar="FILE.png", help="Draw the avatar to a file.")]


@avatars.command()
def create(
    name: Name,
    source: Annotated[
        list[str] | None, typer.Option(help="Photos, a clip, or a camera; may be repeated. \\[camera 0]")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, max=120, help="How long a clip or camera is watched.")] = 5.0,
    changes: Set = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Write you beside the avatar: shows your face.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show you beside the avatar in a window.")] = False,
    replace: Replace = False,
    folder: Folder = None,
) -> None:
    """Make an avatar of a face. Its file holds traits and no picture."""
    with guarded():
        store, given = _store(folder), _assignments(changes)
        path = store.path(name)
        if path.exists() and not replace:
            raise UsageError(f"there is an avatar {name!r} already; give another name, or --replace to make it anew")
        with closing(_studio()) as studio:
            watched = studio.watch(source or ["0"], seconds)
            identity = watched.identity
            seen = {colour: identity.colour(colour) for colour in ("skin", "lips", "hair")}
            attributes = studio.matched(in_portrait_light(identity.estimate()), seen)
            avatar = _avatar(name, over(from_attributes(attributes), given))
            store.save(avatar, replace=replace)
            _say(f"looked at {len(identity)} of {watched.frames} frames with a face; estimated:")
            Console().print(_table(avatar))
            if picture is not None or show:
                _present(studio, avatar, watched.picture, picture, show)
        _say(f"saved as {path}; wear it with: avatar-live --avatar {name}")


@avatars.command("list")
def list_(folder: Folder = None) -> None:
    """List the avatars there are."""
    with guarded():
        store = _store(folder)
        table = Table("avatar", *LISTED, box=None, header_style="dim")
        for name in store.names():
            try:
                traits = {**{trait: usual(trait) for trait in TRAITS}, **store.load(name).traits}
            except UsageError as error:
                _say(str(error))
                continue
            table.add_row(name, *(str(traits[trait]) for trait in LISTED))
        if not table.row_count:
            _say(f"no avatars in {store.folder}; make one with: avatar-live avatar create NAME")
            return
        Console().print(table)


@avatars.command()
def show(name: Name, picture: Drawn = None, folder: Folder = None) -> None:
    """Show an avatar's traits."""
    with guarded():
        _shown(_store(folder).load(name), picture)


@avatars.command()
def edit(
    name: Name,
    changes: Set = None,
    drop_code: Annotated[
        bool, typer.Option("--drop-code", help="Forget what [b]invert[/] found; keep the traits.")
    ] = False,
    picture: Drawn = None,
    folder: Folder = None,
) -> None:
    """Change traits of an avatar."""
    with guarded():
        store, given = _store(folder), _assignments(changes)
        if not given and not drop_code:
            raise UsageError("nothing to change; wanted --set TRAIT=VALUE, for example --set hair=bob")
        avatar = store.load(name).changed(given)
        avatar = _avatar(name, avatar.traits) if drop_code else avatar
        store.save(avatar)
        _shown(avatar, picture)


@avatars.command()
def delete(name: Name, folder: Folder = None) -> None:
    """Delete an avatar."""
    with guarded():
        _store(folder).delete(name)
        _say(f"deleted {name}")


@avatars.command("random")
def random_(
    name: Annotated[str | None, typer.Argument(help="What to call it. \\[random-SEED]")] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same person.")] = 0,
    changes: Set = None,
    picture: Drawn = None,
    replace: Replace = False,
    folder: Folder = None,
) -> None:
    """Make somebody up."""
    with guarded():
        from realtime.avatars_random import random_traits

        called = f"random-{seed}" if name is None else name
        avatar = _avatar(called, over(random_traits(seed), _assignments(changes)))
        path = _store(folder).save(avatar, replace=replace)
        _shown(avatar, picture)
        _say(f"saved as {path}; wear it with: avatar-live --avatar {called}")


def _store(folder: Path | None) -> AvatarStore:
    from realtime.avatars import AvatarStore, default_folder

    return AvatarStore(default_folder() if folder is None else folder.expanduser())


def _avatar(name: str, traits: Mapping[str, Value]) -> Avatar:
    from realtime.avatars import Avatar

    return Avatar(name, traits)


def _assignments(texts: list[str] | None) -> dict[str, Value]:
    return dict(assignment(text) for text in texts or ())


def _studio() -> Studio:
    from realtime.identity_studio import Studio
    from realtime.settings import Settings

    return Studio(Settings())


def _table(avatar: Avatar) -> Table:
    table = Table(avatar.name, "", "", box=None, header_style="bold")
    for trait in TRAITS:
        value = avatar.traits.get(trait, usual(trait))
        swatch = f"[{value}]██[/]" if isinstance(value, str) and value.startswith("#") else ""
        table.add_row(trait, str(value), swatch)
    return table


def _shown(avatar: Avatar, picture: Path | None) -> None:
    Console().print(_table(avatar))
    if avatar.code is not None:
        _say("with the code that avatar-live invert found; --set moves it, edit --drop-code forgets it")
    if picture is not None:
        from realtime.identity_studio import VIEW_PX, on_paper

        with closing(_studio()) as studio:
            write_png(picture, on_paper(studio.draw(avatar.attributes(), avatar.offset()), VIEW_PX))


def _present(studio: Studio, avatar: Avatar, person: Pixels, picture: Path | None, show: bool) -> None:
    """The person beside the avatar, to a file or in a window."""
    from realtime.identity_studio import beside, show_until_closed

    pair = beside(person, studio.draw(avatar.attributes()))
    if picture is not None:
        write_png(picture, pair)
    if show:
        show_until_closed(pair)


def write_png(path: Path, pixels: Pixels) -> None:
    """Write a picture as PNG. Raises OutputError."""
    import cv2

    done, encoded = cv2.imencode(".png", pixels)
    try:
        if not done:
            raise OSError("OpenCV could not encode it")
        path.expanduser().write_bytes(encoded.tobytes())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}; give another path") from None
    _say(f"wrote {path}")


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)

"""The command line: ``avatar-live``, ``avatar-live styles``, ``avatar-live doctor``; others in modules of their own."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from realtime import __version__, cli_avatar, cli_calibrate, cli_invert, cli_models, configuration
from realtime.command import FAULT, console, guarded
from realtime.errors import UsageError

__all__ = ["FAULT", "app", "guarded", "main"]
CONFIG = "AVATAR_LIVE_CONFIG"
NO_SETTINGS = (CONFIG, "AVATAR_LIVE_MODELS", "AVATAR_LIVE_AVATARS", "AVATAR_LIVE_CACHE")  # variables that name places

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
app.add_typer(cli_models.models, name="models")
app.command()(cli_calibrate.calibrate)
app.add_typer(cli_avatar.avatars, name="avatar")
app.command()(cli_invert.invert)

Config = Annotated[
    Path | None, typer.Option(metavar="FILE", envvar=CONFIG, help="Settings and styles of your own, in TOML.")
]


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    style: Annotated[
        str | None, typer.Option(metavar="NAME[+NAME]", help="The look: see [b]avatar-live styles[/].")
    ] = None,
    strength: Annotated[float | None, typer.Option(help="How much of the style, 0 to 1. \\[1]")] = None,
    model: Annotated[str | None, typer.Option(help="A bundled or imported model: see [b]models list[/].")] = None,
    blend: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Looks of a second imported model, by the style's strength.")
    ] = None,
    blend_from: Annotated[int | None, typer.Option(metavar="PX", help="First resolution of its looks. \\[32]")] = None,
    faces: Annotated[int | None, typer.Option(help="How many people get an avatar each, 1 to 4. \\[1]")] = None,
    avatar: Annotated[str | None, typer.Option(metavar="NAME", help="Wear it: see [b]avatar list[/].")] = None,
    source: Annotated[str, typer.Option(help="Camera number or name, video file, address, screen, or demo.")] = "0",
    output: Annotated[
        list[str] | None, typer.Option(help="virtual, FILE.mp4, window, page or null; may be repeated. \\[virtual]")
    ] = None,
    edit: Annotated[
        list[str] | None, typer.Option(metavar="NAME=STRENGTH", help="age=0.8, smile=0..1/10s, ...; may be repeated.")
    ] = None,
    mode: Annotated[str | None, typer.Option(help="overlay, scene, crop or paste.")] = None,
    background: Annotated[str | None, typer.Option(help="For scene: #rrggbb, green, blur or a picture.")] = None,
    on_lost: Annotated[str | None, typer.Option(help="Without a face: hold, card, blur; raw shows the camera.")] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Input beside output: shows the camera.")] = False,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Asked of the camera, and what comes out. \\[the camera's]")
    ] = None,
    fit: Annotated[str | None, typer.Option(help="Other shapes into it: letterbox or crop. \\[letterbox]")] = None,
    rotate: Annotated[str | None, typer.Option(metavar="DEGREES", help="Turn clockwise: 90, 180 or 270.")] = None,
    fps: Annotated[float | None, typer.Option(help="For camera and virtual camera. \\[the camera's]")] = None,
    mirror: Annotated[bool, typer.Option("--mirror", help="Flip left and right.")] = False,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    precision: Annotated[str | None, typer.Option(help="On a CPU: auto, f32, int8 or bf16.")] = None,
    resolution: Annotated[
        str | None,
        typer.Option(metavar="PX", help="Of the portraits: 256, 512 or auto, which is 512 on a GPU. \\[auto]"),
    ] = None,
    at_once: Annotated[
        str | None, typer.Option(help="Frames drawn at once on a CPU: 1 (least delay), 2 (most frames) or auto.")
    ] = None,
    duration: Annotated[float | None, typer.Option(metavar="SECONDS", help="Stop after this long.")] = None,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Play files at their own pace, dropping frames.")
    ] = False,
    stats: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write all figures.")] = None,
    contact_sheet: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Write frames beside their pictures: shows the camera.")
    ] = None,
    config: Config = None,
    list_cameras: Annotated[bool, typer.Option("--list-cameras", help="Show the cameras and their modes.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """A webcam goes in, an avatar comes out of a virtual camera."""
    if context.invoked_subcommand is not None:
        return
    if version:
        typer.echo(f"avatar-live {__version__}")
        return
    if list_cameras:
        from realtime.doctor import print_cameras

        with guarded():
            print_cameras(Console())
        return
    with guarded():
        from realtime import session

        flags: dict[str, Any] = {
            "editing.style": style or model,  # every model is a style by its own name
            "generating.model": model,
            "generating.blend": blend,
            "generating.blend_from": blend_from,
            "editing.strength": strength,
            "tracking.faces": faces,
            "encoding.avatar": avatar,
            "editing.edits": dict(configuration.edit(text) for text in edit) if edit else None,
            "compositing.mode": mode,
            "compositing.background": background,
            "compositing.on_lost": on_lost,
            "compositing.compare": compare or None,
            "capture.fps": fps,
            "output.fps": fps,
            "capture.rotate": rotate,
            "capture.mirror": mirror or None,
            "generating.device": device,
            "generating.precision": precision,
            "generating.resolution": resolution,
            "generating.at_once": at_once,
            "pipeline.duration_s": duration,
            "pipeline.pace": "newest" if realtime else None,
            **_size(size, fit),
        }
        settings = configuration.load(flags, _environment(), config)
        request = session.Request(source, output or ["virtual"], settings, stats, contact_sheet, config)
        session.run(request, console)


@app.command()
def styles(config: Config = None) -> None:
    """List the styles, and what can be edited."""
    with guarded():
        from realtime.dressing import sets

        known = configuration.styles(configuration.read_toml(config) if config else None, str(config))
        table = Table("style", "model", "mode", "sets", "", box=None, header_style="dim")
        for style in known.values():
            table.add_row(f"[b]{style.name}[/]", style.model, style.mode or "", sets(style), style.description)
        editable = Table("edit", "", box=None, header_style="dim")
        for name, meaning in configuration.edits().items():
            editable.add_row(f"[b]{name}[/]", meaning)
        out = Console()
        out.print(table, "", editable, "", "avatar-live --style toon --edit age=0.8 --edit smile=0.5", sep="\n")


@app.command()
def doctor() -> None:
    """Look at cameras, virtual cameras, GPU, runtimes and models, and say what to do about each problem."""
    with guarded():
        from realtime.doctor import examine

        if not examine(Console()):
            raise typer.Exit(1)


def _size(text: str | None, fit: str | None) -> dict[str, Any]:
    if text is None:
        return {"capture.fit": fit}
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None:
        raise UsageError(f"--size is {text!r}; wanted WIDTHxHEIGHT in pixels, for example 1280x720")
    return {"capture.width": int(found[1]), "capture.height": int(found[2]), "capture.fit": fit or "letterbox"}


def _environment() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if name not in NO_SETTINGS}


def main() -> None:
    """The console script."""
    logging.basicConfig(level=logging.WARNING, format="avatar-live: %(message)s")
    app()

"""``avatar-live models``: import, list, pull, verify, remove, where, blend.

Paths and tables go to standard output, everything else to standard error.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from realtime.command import console, guarded
from realtime.errors import ModelError, UsageError

if TYPE_CHECKING:
    from engines.checkpoints import ImportReport
    from engines.models_folder import ModelsFolder

DIRECTION_BYTES = 64 << 20  # no published file of directions is larger
STEM = "direction-"  # entries of the registry whose files are directions

models = typer.Typer(no_args_is_help=True, help="Bring your own StyleGAN: import, pull, blend and keep models.")

Name = Annotated[str | None, typer.Option(help="What to call it; made from the file's name if not given.")]
Replace = Annotated[bool, typer.Option("--replace", help="Replace a model of that name.")]
Registries = Annotated[
    list[Path] | None, typer.Option("--registry", metavar="FILE.toml", help="Entries of your own; may be repeated.")
]


def say(text: str, style: str | None = None) -> None:
    """One line on standard error."""
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


@models.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A checkpoint, a file of directions, or what models pull fetched.")],
    name: Name = None,
    kind: Annotated[str, typer.Option(help="auto tells it by structure; else the kind the file must be.")] = "auto",
    unit: Annotated[float | None, typer.Option(help="For directions: what a strength of 1 stands for.")] = None,
    replace: Replace = False,
    show_source: Annotated[
        bool, typer.Option("--show-source", help="Print source text that the file brings along; it is never run.")
    ] = False,
) -> None:
    """Import a checkpoint or directions as data: no code in the file is ever run."""
    with guarded():
        from engines.models_folder import models_folder

        folder = models_folder()
        path = _pulled_or_path(folder, file)
        if kind in ("auto", "direction") and _import_directions(folder, path, name or _stem(file), unit, kind):
            return
        from engines.checkpoints import import_checkpoint
        from engines.checkpoints.importing import model_name

        name = name or model_name(path)
        claim(folder, name, replace)
        with console.status(f"reading {path.name}"):
            report = import_checkpoint(path, kind=kind, out_dir=folder.root, name=name, replace=replace)
        _tell(report)
        if show_source:
            for title, text in report.embedded_source.items():
                typer.echo(f"# ---- {title}, as the file holds it; not run\n{text}")


def claim(folder: ModelsFolder, name: str, replace: bool) -> None:
    """Raise UsageError or ModelError unless a model of this name may be made; bundled styles would hide it."""
    from realtime.configuration import styles
    from realtime.imported_styles import imported_styles

    if name in styles().keys() - imported_styles()["styles"].keys():
        raise UsageError(f"the name {name!r} is that of a bundled style; choose another")
    folder.new_model(name, replace)


def _pulled_or_path(folder: ModelsFolder, file: Path) -> Path:
    """The file, or what was pulled under that name."""
    if file.exists() or len(file.parts) != 1:
        return file
    try:
        return folder.store.verify(str(file)).path
    except ModelError:
        return file


def _stem(file: Path) -> str:
    return file.stem.removeprefix(STEM).replace(".", "-")


def _import_directions(folder: ModelsFolder, path: Path, name: str, unit: float | None, kind: str) -> bool:
    """Import a file of directions; False when it is none and may be something else."""
    from engines.checkpoints.errors import CheckpointError
    from engines.direction_files import read_directions
    from engines.installed_directions import install_directions

    if kind == "auto":
        try:
            if not path.is_file() or path.stat().st_size > DIRECTION_BYTES:
                return False
            read_directions(path)
        except CheckpointError:
            return False  # what it is instead, or what is wrong with it, the importer of models says
    target, found = install_directions(path, folder.directions, name, unit)
    example = {"direction": name, "ganspace": f"{name}.0", "sefa": f"{name}.0"}[found]
    say(f"imported {found} {name!r} to {target}\nwear it with --edit {example}=1")
    return True


def _tell(report: ImportReport) -> None:
    """What was imported, what to know about it and what to do next."""
    say(
        f"imported {report.name!r}: {report.description}; {report.resolution} px, {report.rows} rows of "
        f"{report.w_dim}, {report.architecture}, {report.parameters / 1e6:.1f} million parameters"
    )
    for note in report.notes:
        say(f"note: {note}")
    if report.embedded_source:
        say(f"note: the file brings source text of {len(report.embedded_source)} classes; it was not run")
    say(f"licence: {report.licence}", "yellow")
    say(f"contact sheet: {report.contact_sheet}")
    if console.is_terminal:
        from realtime.terminal_picture import terminal_picture

        console.print(terminal_picture(report.contact_sheet, console.width))
    wears = any(file.role == "encoder" for file in report.files)
    other = f"it has no encoder; wear it on a model that has one: --model ENCODER_MODEL --blend {report.name}"
    say(f"wear it with avatar-live --model {report.name}" if wears else other)


@models.command("list")
def list_(registry: Registries = None) -> None:
    """What is imported, what was pulled, and what can be pulled."""
    with guarded():
        from engines.installed_directions import list_directions
        from engines.models_folder import models_folder

        folder = models_folder()
        out = Console()
        imported = Table("imported", "kind", "px", "from", box=None, header_style="dim")
        for row in folder.models():
            imported.add_row(row["name"], row["kind"], str(row.get("resolution", "")), row["source"]["name"])
        for name, kind in list_directions(folder.directions).items():
            imported.add_row(name, kind, "", "edits")
        pulled = {item.name for item in folder.store.installed()}
        offered = Table("to pull", "MB", "", "", "", box=None, header_style="dim")
        for name, entry in folder.entries(registry or ()).items():
            size = f"{entry.bytes / 1e6:.2f}" if entry.bytes else "?"
            state = "pulled" if name in pulled else "" if entry.urls else "from its page, by hand"
            commercial = "non-commercial" if "non-commercial" in entry.licence else ""
            offered.add_row(name, size, commercial, "" if entry.sha256 else "no stated hash", state)
        out.print(imported, "", offered, "", f"in {folder.root}", sep="\n", highlight=False, soft_wrap=True)


@models.command()
def pull(name: Annotated[str, typer.Argument(help="See models list.")], registry: Registries = None) -> None:
    """Download a public file, verified before it is installed; once there it is never fetched again."""
    with guarded():
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

        from engines.models_folder import among, models_folder

        folder = models_folder()
        entries = folder.entries(registry or ())
        if name not in entries:
            raise UsageError(f"no entry {name!r} to pull; {among(name, entries)}")
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
            task = bars.add_task(name)
            done = folder.store.pull(
                entries[name], progress=lambda got, total: bars.update(task, completed=got, total=total)
            )
        say(f"{name}: {done.byte_count} bytes, SHA-256 {done.sha256}")
        if done.pinned:
            say("nobody states a hash for this file; it is pinned: from now on only this one is accepted")
        say(f"licence: {done.licence}", "yellow")
        typer.echo(done.path)
        say(f"next: avatar-live models import {name}")


@models.command()
def verify(names: Annotated[list[str] | None, typer.Argument(help="All, if none is given.")] = None) -> None:
    """Compare files with their hashes."""
    with guarded():
        from engines.checkpoints import verify_model
        from engines.models_folder import models_folder

        folder = models_folder()
        imported = [row["name"] for row in folder.models()]
        pulled = [item.name for item in folder.store.installed()]
        for name in names or sorted({*imported, *pulled}):
            if name not in pulled:
                folder.model(name)
            if name in imported:
                verify_model(folder.model(name))
            if name in pulled:
                folder.store.verify(name)
            say(f"{name}: whole")


@models.command()
def remove(name: str, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Delete an imported model, directions or a pulled file (its pinned hash stays)."""
    with guarded():
        from engines.models_folder import models_folder

        folder = models_folder()
        places = _places(folder, name)
        if not yes:
            typer.confirm(f"delete {', '.join(str(place) for place in places)}?", abort=True)
        for place in places:
            if place.parent == folder.root:
                folder.remove_model(name)
            elif place.parent == folder.directions:
                place.unlink()
            else:
                folder.store.remove(name)
            say(f"removed {place}")


@models.command()
def where(name: Annotated[str | None, typer.Argument(help="The models' folder, if not given.")] = None) -> None:
    """Print where a model, directions or a pulled file lie."""
    with guarded():
        from engines.models_folder import models_folder

        folder = models_folder()
        for place in [folder.root] if name is None else _places(folder, name):
            typer.echo(place)


def _places(folder: ModelsFolder, name: str) -> list[Path]:
    """Everything of a name: imported model, directions, pulled file. Raises ModelError when there is nothing."""
    from engines.installed_directions import list_directions
    from engines.models_folder import among

    imported = [str(row["name"]) for row in folder.models()]
    directions = list(list_directions(folder.directions))
    pulled = {item.name: item.path for item in folder.store.installed()}
    places = [folder.root / name] if name in imported else []
    places += [folder.directions / f"{name}.safetensors"] if name in directions else []
    places += [pulled[name]] if name in pulled else []
    if not places:
        raise ModelError(f"nothing called {name!r} in {folder.root}; {among(name, {*imported, *directions, *pulled})}")
    return places


@models.command()
def blend(
    a: Annotated[str, typer.Argument(help="Gives shapes, mapping and encoder.")],
    b: Annotated[str, typer.Argument(help="Gives looks; of the same family.")],
    from_px: Annotated[int, typer.Option("--from", metavar="PX", help="The first resolution taken from B.")] = 32,
    amount: Annotated[float, typer.Option(help="0 keeps A, 1 takes B.")] = 1.0,
    name: Name = None,
    replace: Replace = False,
) -> None:
    """Make a model of two of one family: shapes of A, from a resolution on the looks of B."""
    with guarded():
        from engines.blending import blend_models
        from engines.models_folder import models_folder

        folder = models_folder()
        name = name or f"{a}-{b}-{from_px}"[:64]
        claim(folder, name, replace)
        report = blend_models(
            folder.model(a), folder.model(b), from_px=from_px, amount=amount, out_dir=folder.root, name=name,
            replace=replace,
        )  # fmt: skip
        _tell(report)

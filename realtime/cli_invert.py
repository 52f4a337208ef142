"""``avatar-live invert photo.jpg``: the code of a photo, how like it is and how editable it stays.

The table goes to standard output, everything else to standard error.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from realtime.command import console, guarded
from realtime.errors import EngineError, UsageError

if TYPE_CHECKING:
    from realtime.invert import Problem, Result

REPORT_EVERY = 20  # steps
TO_LOOK_AT, TO_WEAR = 0.5, 1.0  # editability where none is given


def invert(
    photo: Annotated[Path, typer.Argument(help="A photo of one face.")],
    model: Annotated[str, typer.Option(help="The bundled model, or an imported one: see [b]models list[/].")] = "toon",
    editability: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="0: as like as it gets; 1: as editable as it gets. \\[0.5; 1 with --save]"),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, max=5000, help="How many steps to refine the encoder's code.")] = 120,
    tune: Annotated[
        int, typer.Option(min=0, max=2000, metavar="STEPS", help="Then fine-tune the generator around it.")
    ] = 0,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE.pt", help="The bundled model's weights for torch. \\[the checkout's]")
    ] = None,
    save: Annotated[str | None, typer.Option(metavar="NAME", help="Keep it as an avatar to wear.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Make an avatar of that name anew.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE.safetensors", help="Write the code.")] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Write photo, start and result: shows the photo.")
    ] = None,
) -> None:
    """Find the code of a photo by the encoder, refined by optimisation. Needs torch."""
    with guarded():
        _need_torch()
        from realtime import invert as inverting

        if save is not None:
            _savable(save, model, replace)
        problem = _problem(photo, model, checkpoint)
        weight = _editability(editability, save)
        result = inverting.solve(problem, weight, steps, tune, _told)
        Console().print(_table(result, weight))
        if save is not None:
            _save(save, problem, result, replace)
        if out is not None:
            inverting.write_code(out, result.found.wplus)
            _say(f"wrote {out}")
        if picture is not None:
            _write_picture(picture, problem, result)


def _editability(given: float | None, save: str | None) -> float:
    """What is worn must stay a drawn head in every pose: all of it, unless another was asked for."""
    if given is not None:
        return given
    return TO_LOOK_AT if save is None else TO_WEAR


def _need_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise EngineError(
            "inversion optimises with torch, which is not installed; install it with: pip install torch. "
            "(avatar-live avatar create estimates a person without it)"
        )


def _savable(name: str, model: str, replace: bool) -> None:
    """Raises UsageError for what could not be kept, before a minute of work."""
    from engines.bundled import MODELS
    from realtime.avatars import AvatarStore, default_folder

    if model not in MODELS:
        raise UsageError(
            f"--save keeps avatars of the bundled model and {model!r} is imported; "
            f"wanted --out FILE.safetensors, or: avatar-live calibrate NAME --generator {model}"
        )
    if AvatarStore(default_folder()).path(name).exists() and not replace:
        raise UsageError(f"there is an avatar {name!r} already; give another name, or --replace to make it anew")


def _save(name: str, problem: Problem, result: Result, replace: bool) -> None:
    from engines.bundled import load
    from realtime.avatars import AvatarStore, default_folder
    from realtime.invert import avatar_of
    from realtime.settings import Settings

    settings = Settings().generating
    avatar = avatar_of(name, problem, result.found.wplus, load(settings.model, settings.device))
    path = AvatarStore(default_folder()).save(avatar, replace=replace)
    _say(f"saved as {path}; wear it with: avatar-live --avatar {name}")


def _problem(photo: Path, model: str, checkpoint: Path | None) -> Problem:
    from engines.bundled import MODELS
    from realtime.invert import bundled_problem, imported_problem
    from realtime.settings import Settings

    if model in MODELS:
        return bundled_problem(photo, Settings(), checkpoint)
    from engines.models_folder import models_folder

    return imported_problem(photo, Settings(), models_folder().model(model))


def _table(result: Result, editability: float) -> Table:
    found = result.found
    table = Table(f"editability {editability:g}", "encoder", "refined", box=None, header_style="bold")
    table.add_row("error, of 255", f"{255 * found.start_error:.1f}", f"{255 * found.error:.1f}")
    table.add_row("distance to the centre of W", f"{found.start_distance:.2f}", f"{found.distance:.2f}")
    for name, effect in result.effects.items():
        table.add_row(f"effect of {name}", "100 %", f"{100 * effect:.0f} %")
    if result.tuned is not None:
        table.add_row("error after tuning, of 255", "", f"{255 * result.tuned:.1f}")
    return table


def _told(part: str) -> Callable[[int, float], None]:
    def step(number: int, difference: float) -> None:
        if number % REPORT_EVERY == 0:
            _say(f"{part}: step {number}, difference {difference:.4f}")

    return step


def _write_picture(path: Path, problem: Problem, result: Result) -> None:
    import numpy as np

    from realtime.cli_avatar import write_png

    shown = [problem.photo(), problem.picture(problem.start), problem.picture(result.found.wplus)]
    write_png(path, np.hstack(shown))


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)

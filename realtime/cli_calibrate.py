"""``avatar-live calibrate``: an imported generator learns your face from a minute of your own frames."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from realtime.cli_models import claim
from realtime.command import console, guarded
from realtime.errors import EngineError, ModelError, UsageError

if TYPE_CHECKING:
    from engines.calibration import Tuner
    from engines.calibration_model import Calibrated
    from engines.installed_directions import Edit
    from engines.models_folder import ModelsFolder

STATE, FRAMES, ABOUT = "state.safetensors", "frames.npz", "about.json"
FACTORS = 3  # of the generator's own strongest directions that stand in for edits where none are installed


def calibrate(
    name: Annotated[str, typer.Argument(help="What to call the calibrated model.")],
    generator: Annotated[str, typer.Option(help="The imported model, with an encoder, to learn on.")],
    source: Annotated[str, typer.Option(help="A clip of yourself, or a camera.")] = "0",
    seconds: Annotated[float, typer.Option(min=1.0, help="How long to look.")] = 60.0,
    frames: Annotated[int, typer.Option(min=20, help="Frames to keep of it.")] = 120,
    steps: Annotated[int, typer.Option(min=1, help="Steps at most; it stops early when nothing is gained.")] = 600,
    rank: Annotated[int, typer.Option(min=1, max=64, help="Of each convolution's change.")] = 8,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    restart: Annotated[bool, typer.Option("--restart", help="Forget what an earlier run left.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a model of that name.")] = False,
) -> None:
    """Teach an imported generator your own face (pivotal tuning). Ctrl-C keeps what was done; run it again to go on."""
    with guarded():
        from engines.models_folder import models_folder

        folder = models_folder()
        base = folder.model(generator)
        claim(folder, name, replace)
        where = _device(device)
        work = folder.root / f".{name}-calibration"
        about = {"generator": generator, "source": source, "seconds": seconds, "frames": frames}
        _begin(work, about, restart)
        tuner = _tuner(base, work, about, steps, rank, where)
        try:
            _tune(tuner, work)
        except KeyboardInterrupt:
            tuner.save(work / STATE)
            say(f"\nstopped after {tuner.progress.step} steps; the same command goes on, --restart begins anew")
            raise
        done = _install(tuner, folder, base, name)
        shutil.rmtree(work)
        _tell(done, name)


def say(text: str) -> None:
    """Lines on standard error."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _device(asked: str) -> str:
    """The device to compute on. Raises ModelError without torch, EngineError for a device that is not there."""
    if asked not in ("auto", "cpu", "cuda"):
        raise UsageError(f"device is {asked!r}; wanted one of auto, cpu, cuda")
    try:
        import torch
    except ModuleNotFoundError:
        raise ModelError(
            "calibration needs torch, which is not installed; pip install torch, then run it again"
        ) from None
    there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise EngineError("torch sees no CUDA device; wanted --device auto or --device cpu")
    return "cuda" if there and asked != "cpu" else "cpu"


def _begin(work: Path, about: dict[str, Any], restart: bool) -> None:
    """Make the run's folder, or find it as an earlier run of the same kind left it."""
    if restart:
        shutil.rmtree(work, ignore_errors=True)
    path = work / ABOUT
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != about:
        raise UsageError(f"an earlier run with other options was broken off ({work}); repeat its options or --restart")
    work.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(about), encoding="utf-8")


def _tuner(base: Path, work: Path, about: dict[str, Any], steps: int, rank: int, device: str) -> Tuner:
    """The tuner with its frames, taken up where an earlier run ended."""
    from engines.calibration import Options, Tuner
    from engines.checkpoints import load_model
    from engines.imported import load_imported
    from realtime.calibration_frames import LARGEST_PX, coded, collect, load_frames, save_frames

    model, networks = load_imported(base), load_model(base)
    generator, encoder = networks.network("generator"), networks.network("encoder")
    if generator is None or encoder is None:
        raise ModelError(f"the model {base.name!r} has no encoder; calibrate one of e4e, pSp or ReStyle")
    if not (work / FRAMES).is_file():
        with console.status("looking") as status:
            size = min(model.resolution, LARGEST_PX)
            pictures, inputs = collect(
                about["source"], about["seconds"], about["frames"], size,
                lambda seen: status.update(f"looking: {seen} of {about['frames']} faces"),
            )  # fmt: skip
            save_frames(work / FRAMES, coded(model, pictures, inputs))
    tuner = Tuner(generator, encoder, load_frames(work / FRAMES), Options(rank=rank, steps=steps), device)
    if tuner.resume(work / STATE):
        say(f"going on after {tuner.progress.step} steps")
    return tuner


def _tune(tuner: Tuner, work: Path) -> None:
    """Tune with a bar that tells what is left."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[error]}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("", total=tuner.options.steps, completed=tuner.progress.step, error="")
        tuner.run(
            lambda now: bars.update(task, completed=now.step, error=f"error of watched frames {now.best:.4f}"),
            work / STATE,
        )


def _install(tuner: Tuner, folder: ModelsFolder, base: Path, name: str) -> Calibrated:
    from engines.calibration_check import check_edits
    from engines.calibration_model import install_calibration

    return install_calibration(tuner, check_edits(tuner, _edits(tuner, folder)), base, name)


def _edits(tuner: Tuner, folder: ModelsFolder) -> dict[str, Edit]:
    """The installed directions that fit the generator; where there are none, its own strongest ones (SeFa)."""
    from engines.direction_files import LatentDirection
    from engines.installed_directions import find_edit, list_directions
    from engines.sefa import factorize_generator

    found: dict[str, Edit] = {}
    for edit, kind in list_directions(folder.directions).items():
        text = edit if kind == "direction" else f"{edit}.0"
        try:
            found[text] = find_edit(folder.directions, text, tuner.frames.pivots[0])
        except ModelError:
            continue  # of another generator
    if found:
        return found
    factors = factorize_generator({key: value.cpu().numpy() for key, value in tuner.generator.state_dict().items()})

    def own(number: int) -> Edit:
        direction = LatentDirection(factors.directions[number][None])
        return lambda wplus, strength: direction.apply(wplus, 3 * strength)

    return {f"the generator's own direction {k}": own(k) for k in range(FACTORS)}


def _tell(done: Calibrated, name: str) -> None:
    """What was gained, and whether edits still work."""
    before, after = done.before, done.after
    say(
        f"calibrated {name!r} in {done.steps} steps, {done.parameters / 1e6:.2f} million parameters\n"
        f"frames that took no part: {before.pixels:.1f} -> {after.pixels:.1f} grey levels (root mean square), "
        f"{before.features:.3f} -> {after.features:.3f} in features"
    )
    for edit in done.edits:
        verdict = "works as before" if edit.works else "has changed: look at it before you use it"
        say(f"edit {edit.name}: {verdict} (alike {edit.alike:.2f}, size {edit.size:.2f})")
    say(f"contact sheet, with your own frames on it: {done.contact_sheet}\nwear it with avatar-live --model {name}")

"""A photo brought into a generator's codes: what to reconstruct, where to start, and which edits to try."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines import inversion
from engines.attributes import ATTRIBUTES
from engines.bundled import BundledModel, manifest
from engines.errors import ModelError
from engines.ffhq_alignment import align_face, anchors_from_478, quad_from_anchors
from engines.inversion import Inverted, Invertible, Progress, Region
from engines.inversion_generators import LARGEST_PX, load_bundled, load_imported
from realtime.avatar_codes import coded, weights_of
from realtime.avatars import Avatar
from realtime.encoding import pose
from realtime.errors import SourceError
from realtime.expression import MotionReader
from realtime.frames import Crop, Face, Frame, Pixels
from realtime.identity import IdentityEstimator
from realtime.identity_cues import in_crop, look
from realtime.identity_studio import Studio, read_photo
from realtime.settings import Settings
from realtime.traits import from_attributes, to_attributes

EDITS = ("age", "hair", "glasses")  # of the bundled model
SAMPLES, SEED = 4000, 0
COMPONENT_STEP = 2.0  # standard deviations along a principal component, where a model has no edits of its own
_SAME = 0.02  # relative distance up to which codes are of the same weights: exported ones are rounded
_MARGIN = 0.06  # of the crop, around the points of the face


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """One photo to invert.

    target: [1, 3, S, S], mask: [1, 1, S, S], both 0..1. start: W+ [rows, dim]. edits: what strength 1 adds, by name.
    person: the attributes that ``start`` is the code of; None for imported models.
    """

    generator: Invertible
    region: Region
    target: Tensor
    mask: Tensor
    start: Tensor
    edits: dict[str, Tensor]
    person: dict[str, float] | None = None

    def picture(self, wplus: Tensor) -> Pixels:
        """What a code draws, uint8 BGR [S, S, 3]."""
        with torch.no_grad():
            return _bytes(self.generator.draw(wplus[None]))

    def photo(self) -> Pixels:
        """The photo as it is to be reconstructed, uint8 BGR [S, S, 3]."""
        return _bytes(self.target)


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """An inversion, and what can be said of it.

    effects: how much of each edit's usual effect it keeps. tuned: the error after fine-tuning, None without it.
    """

    found: Inverted
    effects: dict[str, float]
    tuned: float | None


def bundled_problem(photo: Path, settings: Settings, checkpoint: Path | None) -> Problem:
    """A photo for the bundled model: the face alone counts, since the rest of the crop is not drawn.

    Raises SourceError without a face, ModelError without weights for torch.
    """
    pixels = read_photo(photo)
    with closing(Studio(settings)) as studio:
        face, crop = _one_face(photo, pixels, studio)
        estimator = IdentityEstimator()
        estimator.add(look(face, crop, studio.model.encoder.infer(crop.pixels[None])[0][0]))
        expression = MotionReader().read(face.landmarks, crop.rotation)
        motion = np.concatenate([pose(crop.rotation, expression), expression])
        generator = load_bundled(torch.from_numpy(motion), checkpoint)
        seen = {name: estimator.colour(name) for name in ("skin", "lips", "hair")}
        person = studio.matched(estimator.estimate(), seen)
        start = generator.start(person)
        directions = studio.model.directions
    edits = {name: torch.from_numpy(directions[name].wplus) for name in EDITS if name in directions}
    region = inversion.region_of(generator.samples(SAMPLES, SEED))
    return Problem(generator, region, _tensor(crop.pixels), _face_mask(face, crop), start, edits, person)


def imported_problem(photo: Path, settings: Settings, folder: Path) -> Problem:
    """A photo for an imported model: all of the aligned square counts.

    Raises SourceError without a face, ModelError and CheckpointError for models that cannot be run.
    """
    from engines.imported import load_imported as load_runnable

    pixels = read_photo(photo)
    generator = load_imported(folder)
    samples = generator.samples(SAMPLES, SEED)
    size = min(generator.generator.config.resolution, LARGEST_PX)
    with closing(Studio(settings)) as studio:
        face, _ = _one_face(photo, pixels, studio)
    quad = quad_from_anchors(anchors_from_478(face.landmarks))
    runnable = load_runnable(folder)
    start = generator.centre()
    if runnable.encoder is not None:
        start = torch.from_numpy(runnable.encode(align_face(pixels, quad, 256).pixels))
    target = _tensor(align_face(pixels, quad, size).pixels)
    return Problem(
        generator, inversion.region_of(samples), target, torch.ones(1, 1, size, size), start,
        components(samples, generator.rows),
    )  # fmt: skip


def components(samples: Tensor, rows: int) -> dict[str, Tensor]:
    """The three strongest principal components of W as edits [rows, dim] (Härkönen et al. 2020, "GANSpace")."""
    centred = samples - samples.mean(0)
    _, values, vectors = torch.linalg.svd(centred, full_matrices=False)
    spread = values / (len(samples) - 1) ** 0.5
    steps = COMPONENT_STEP * spread[:3, None] * vectors[:3]
    return {f"component {k + 1}": step.expand(rows, -1).clone() for k, step in enumerate(steps)}


def solve(problem: Problem, editability: float, steps: int, tuning: int, progress: Callable[[str], Progress]) -> Result:
    """Invert, tune if ``tuning`` steps are wanted, and try the edits. ``progress`` gives a listener for each part."""
    found = inversion.invert(
        problem.generator, problem.target, problem.mask, problem.start, problem.region,
        editability=editability, steps=steps, progress=progress("inverting"),
    )  # fmt: skip
    tuned = None
    if tuning:
        tuned = inversion.tune(
            problem.generator, found.wplus, problem.target, problem.mask, steps=tuning, progress=progress("tuning")
        )
    draw = problem.generator.draw
    usual = problem.start.mean(0, keepdim=True).expand_as(problem.start)
    effects = {
        name: inversion.edit_effect(draw, found.wplus, usual, direction) for name, direction in problem.edits.items()
    }
    return Result(found, effects, tuned)


def avatar_of(name: str, problem: Problem, wplus: Tensor, model: BundledModel) -> Avatar:
    """An avatar to wear: the traits that the code was started from, and the offset from their code to ``wplus``.

    Raises ModelError when the weights that were inverted are not those that ``model`` runs.
    """
    if problem.person is None:
        raise ModelError("the photo was inverted for an imported model; avatars are of the bundled one")
    started = _code(problem.person, model)
    if float(np.linalg.norm(started - problem.start[0].numpy())) > _SAME * float(np.linalg.norm(started)):
        raise ModelError(
            "the training weights that the photo was inverted with are not those of the installed model, which is to "
            "draw the avatar; give --checkpoint with the ones it was exported from"
        )
    traits = from_attributes(problem.person)
    offset = wplus.numpy() - _code(to_attributes(traits), model)
    return Avatar(name, traits, coded(offset, weights_of(manifest())))


def _code(attributes: dict[str, float], model: BundledModel) -> npt.NDArray[np.float32]:
    """W of a person by the installed mapping network, float32 [dim]."""
    person = np.array([[attributes[name] for name in ATTRIBUTES]], np.float32)
    return np.array(model.mapping.infer(person)[0][0], np.float32)


def _one_face(photo: Path, pixels: Pixels, studio: Studio) -> tuple[Face, Crop]:
    shown = Frame(0, 0, pixels)
    studio.settle(shown)
    found = studio.find(shown)
    if found is None:
        raise SourceError(f"no face was found in {photo}; give a photo that shows the whole face")
    return found


def _face_mask(face: Face, crop: Crop) -> Tensor:
    """1 within the points of the face and a margin, 0 outside, soft between: float32 [1, 1, S, S]."""
    size = crop.pixels.shape[0]
    hull = cv2.convexHull(in_crop(face, crop)[:, :2].astype(np.float32))
    mask = np.zeros((size, size), np.float32)
    cv2.fillConvexPoly(mask, np.rint(hull).astype(np.int32), (1.0,))
    margin = max(1, round(_MARGIN * size))
    grown = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1,) * 2))
    return torch.from_numpy(cv2.GaussianBlur(grown, (0, 0), margin / 3))[None, None]


def _tensor(bgr: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(bgr[:, :, ::-1])).permute(2, 0, 1)[None].float() / 255


def _bytes(picture: Tensor) -> Pixels:
    rgb = (picture[0].permute(1, 2, 0) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    return np.ascontiguousarray(rgb[:, :, ::-1])


def write_code(path: Path, wplus: Tensor) -> None:
    """Write a code as safetensors: ``wplus`` float32 [rows, dim]. Raises ModelError when it cannot be written."""
    from safetensors.numpy import save

    try:
        path.expanduser().write_bytes(save({"wplus": np.ascontiguousarray(wplus.numpy(), np.float32)}))
    except OSError as error:
        raise ModelError(f"cannot write {path}: {error.strerror or error}; give another path") from None

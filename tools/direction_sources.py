"""Codes to find directions in: of the bundled model with exact labels, of imported generators with measured ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from engines.attributes import ATTRIBUTES, PERSONAL
from engines.bundled import BundledModel
from engines.checkpoints.installed import load_model, verify_model
from engines.checkpoints.networks import GENERATOR, mapped
from engines.imported import load_imported
from engines.portrait import Mapping as MappingNetwork
from engines.sefa import modulation_weights
from realtime.alignment import Aligner
from realtime.expression import FIGURES, figures
from realtime.frames import Frame
from realtime.settings import AlignmentSettings, TrackingSettings
from realtime.tracking import Tracker

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A generator's codes and what reads them.

    codes: float32 [n, dim] of W. labels: by name, float32 [n]. layers: modulation weights [styles, dim] of every layer.
    rows: the row of W+ that each of these layers reads. row_count: how many rows W+ has.
    """

    codes: Floats
    labels: Mapping[str, Floats]
    layers: list[Floats]
    rows: list[int]
    row_count: int

    def labelled(self, rule: str) -> npt.NDArray[np.bool_]:
        """Which codes a rule such as ``age>0.6`` or ``glasses_round<0.5`` takes. Raises SystemExit."""
        found = re.fullmatch(r"\s*(\w+)\s*([<>])\s*(-?[\d.]+)\s*", rule)
        if found is None or found[1] not in self.labels:
            known = ", ".join(self.labels) or "none; draw labelled codes first, with --method label"
            raise SystemExit(f"the rule {rule!r} is not understood; wanted NAME>NUMBER or NAME<NUMBER, names: {known}")
        values = self.labels[found[1]]
        return np.asarray(values > float(found[3]) if found[2] == ">" else values < float(found[3]))


def load_mapping(checkpoint: Path) -> MappingNetwork:
    """The mapping network of a training checkpoint (its moving average), without the rest of the model."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)["average"]
    prefix = "module.mapping."
    tensors = {name.removeprefix(prefix): value for name, value in saved.items() if name.startswith(prefix)}
    mapping = MappingNetwork(len(tensors["mean"]))
    mapping.load_state_dict(tensors)
    return mapping.eval()


def bundled_source(checkpoint: Path, people: Floats) -> Source:
    """Codes of people [n, attributes] by the bundled model's mapping network; labels are their attributes."""
    with torch.no_grad():
        codes = load_mapping(checkpoint)(torch.from_numpy(people)).numpy()
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)["average"]
    found = {name: re.fullmatch(r"module\.generator\.(convs|rgb)\.(\d+)\.affine\.weight", name) for name in saved}
    layers = sorted((match[1] != "convs", int(match[2]), name) for name, match in found.items() if match)
    weights = [saved[name].float().numpy() for _, _, name in layers]
    labels = dict(zip(ATTRIBUTES, people.T, strict=False))
    return Source(codes, labels, weights, list(range(len(weights))), len(weights))


def imported_source(folder: Path, count: int, seed: int, labels: Path | None = None) -> Source:
    """Random codes of an imported generator, or those of a file that ``label`` wrote, with their labels.

    Raises CheckpointError for a damaged model, SystemExit for one without a mapping network.
    """
    verify_model(folder)
    network = load_model(folder).network(GENERATOR)
    if network is None:
        raise SystemExit(f"{folder} has no generator")
    convs, _ = modulation_weights(network.tensors)
    layers = [weight / np.float32(np.sqrt(weight.shape[1])) for weight in convs]
    if labels is not None:
        with np.load(labels) as stored:
            content = {name: stored[name] for name in stored.files}
        codes = content.pop("codes")
    else:
        if "mapping.layers.0.weight" not in network.tensors:
            raise SystemExit(f"the generator in {folder} has no mapping network, so W cannot be sampled")
        z_dim = network.tensors["mapping.layers.0.weight"].shape[1]
        z = np.random.default_rng(seed).normal(size=(count, z_dim)).astype(np.float32)
        codes, content = np.asarray(mapped(network.tensors, z), np.float32), {}
    return Source(codes, content, layers, list(range(len(layers))), len(layers) + 1)


def label_imported(folder: Path, count: int, seed: int, model: BundledModel, out: Path) -> int:
    """Draw random codes of an imported generator, measure their pictures, write codes and labels; how many had a face.

    Raises SystemExit where there is a face in fewer than eight.
    """
    codes = imported_source(folder, count, seed).codes
    drawing = load_imported(folder)
    rows = len(drawing.centre)
    pictures = (drawing.draw(np.repeat(code[None], rows, axis=0)) for code in codes)
    kept, table = measured(pictures, model)
    if len(kept) < 8:
        raise SystemExit(f"FaceMesh finds a face in {len(kept)} of {count} pictures; wanted a generator of faces")
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(out, codes=codes[kept], **{name: table[:, i] for i, name in enumerate((*PERSONAL, *FIGURES))})
    return len(kept)


def measured(pictures: Iterable[npt.NDArray[np.uint8]], model: BundledModel) -> tuple[list[int], Floats]:
    """What the bundled encoder and FaceMesh see in pictures (BGR): attributes, then the figures of the expression.

    Returns the numbers of the pictures with a face, and [faces, attributes + figures].
    """
    tracker, aligner = Tracker(TrackingSettings(max_faces=1)), Aligner(AlignmentSettings())
    kept, rows = [], []
    for number, pixels in enumerate(pictures):
        tracker.reset()
        frame = Frame(number, 0, np.ascontiguousarray(pixels))
        face = tracker.track(frame)
        if face is None:
            continue
        crop = aligner.align(frame, face)
        seen = model.encoder.infer(crop.pixels[None])[0][0]
        rows.append(np.concatenate([seen, figures(face.landmarks, crop.rotation)]))
        kept.append(number)
    tracker.close()
    return kept, np.array(rows, np.float32).reshape(len(kept), len(PERSONAL) + len(FIGURES))

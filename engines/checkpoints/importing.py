"""Import a foreign checkpoint: read it as data, convert it, check that it draws, and install it as safetensors.

An imported model is a folder: ``generator.safetensors``, for inversion projects ``encoder.safetensors``, ``model.json``
(its manifest row) and ``contact_sheet.png``. It is installed by one rename, so that it is there wholly or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from engines.checkpoints import inversion, nvlabs, tensorflow_legacy
from engines.checkpoints.containers import read_file
from engines.checkpoints.errors import CheckpointError
from engines.checkpoints.identification import KINDS, ROSINALITY, convert
from engines.checkpoints.networks import GENERATOR, Converted
from engines.stylegan2_config import config_from_tensors

MANIFEST = "model.json"
CONTACT_SHEET = "contact_sheet.png"
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
NVIDIA_LICENCE = (
    "weights from NVIDIA's StyleGAN releases are for non-commercial use only (NVIDIA Source Code License; FFHQ is "
    "CC BY-NC-SA 4.0); so are weights converted or fine-tuned from them, as nearly all public face models are"
)
LICENCES = {
    nvlabs.KIND: NVIDIA_LICENCE,
    tensorflow_legacy.KIND: NVIDIA_LICENCE,
    ROSINALITY: f"the file does not state its licence; {NVIDIA_LICENCE}",
    **{
        kind: f"the projects' code is MIT, the weights carry their generator's licence: {NVIDIA_LICENCE}"
        for kind in inversion.KINDS.values()
    },
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model came from: a file's name, bytes and SHA-256, and the source text in it by class name."""

    name: str
    byte_count: int
    sha256: str
    embedded_source: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class InstalledFile:
    """A file of an imported model: its role ("generator", "encoder"), name, bytes and SHA-256."""

    role: str
    name: str
    byte_count: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ForwardCheck:
    """That the generator draws: the pictures' mean, standard deviation and range (nominally -1 to 1)."""

    pictures: int
    mean: float
    std: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What was imported.

    folder: the installed model.
    kind, description: of the source, see ``identification.KINDS``.
    resolution, rows, w_dim, architecture, parameters: of the generator.
    source_name, source_bytes, source_sha256: of the imported file.
    licence: a note that the user must read.
    notes: what was assumed, computed or left out.
    check: the forward check.
    embedded_source: source text that the file brought along, by class name; inert.
    """

    name: str
    folder: Path
    kind: str
    description: str
    resolution: int
    rows: int
    w_dim: int
    architecture: str
    parameters: int
    files: tuple[InstalledFile, ...]
    source_name: str
    source_bytes: int
    source_sha256: str
    licence: str
    check: ForwardCheck
    notes: tuple[str, ...] = ()
    embedded_source: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def contact_sheet(self) -> Path:
        """The picture of the forward check."""
        return self.folder / CONTACT_SHEET

    def manifest_row(self) -> dict[str, Any]:
        """The row that ``model.json`` keeps."""
        return {
            "name": self.name,
            "kind": self.kind,
            "resolution": self.resolution,
            "rows": self.rows,
            "w_dim": self.w_dim,
            "architecture": self.architecture,
            "parameters": self.parameters,
            "files": [
                {"role": file.role, "name": file.name, "bytes": file.byte_count, "sha256": file.sha256}
                for file in self.files
            ],
            "source": {"name": self.source_name, "bytes": self.source_bytes, "sha256": self.source_sha256},
            "licence": self.licence,
            "notes": list(self.notes),
        }


def import_checkpoint(
    path: str | os.PathLike[str],
    *,
    kind: str = "auto",
    out_dir: str | os.PathLike[str],
    name: str | None = None,
    replace: bool = False,
) -> ImportReport:
    """Import a checkpoint and install it as a folder under ``out_dir``. No code of the file is ever run.

    path: the foreign file.
    kind: "auto" tells it by structure; or a name of ``identification.KINDS``, which the file must then be.
    name: the model's name; None makes it from the file's.
    replace: whether a model of that name may be replaced.

    Raises CheckpointError (a ModelError) for a file that is damaged, hostile, unsupported or not what ``kind`` says,
    for a name that is taken or unusable, and for a folder that cannot be written.
    """
    path, out_dir = Path(path), Path(out_dir)
    name = model_name(path) if name is None else name
    check_name(out_dir, name, replace)
    contents = read_file(path)
    source = Source(path.name, contents.byte_count, contents.sha256, contents.sources())
    converted = convert(contents.root, kind)
    del contents  # as large as the file, and what was converted is there once more
    return install(converted, source, out_dir, name)


def check_name(out_dir: Path, name: str, replace: bool) -> None:
    """Raise CheckpointError for an unusable name and for one that is taken."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise CheckpointError(f"the name {name!r} is unusable; wanted letters, digits, '.', '_' and '-', at most 64")
    if (out_dir / name).exists() and not replace:
        raise CheckpointError(f"a model {name!r} exists in {out_dir}; choose another name or remove it first")


def install(converted: Converted, source: Source, out_dir: Path, name: str) -> ImportReport:
    """Write networks as a model's folder, check that they draw, and put the folder into place by one rename.

    Raises CheckpointError for networks that do not draw and for a folder that cannot be written.
    """
    folder = out_dir / name
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=out_dir))
        try:
            report = _write(work, folder, name, source, converted)
            put_in_place(work, folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise CheckpointError(f"cannot write the model to {folder}: {error.strerror}; choose another folder") from None
    return report


def model_name(path: Path) -> str:
    """A usable name made from a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")[:64] or "model"


def _write(work: Path, folder: Path, name: str, source: Source, converted: Converted) -> ImportReport:
    """Write the model's files to ``work`` and describe them as lying in ``folder``."""
    generator = converted.network(GENERATOR)
    assert generator is not None  # every kind has one
    files = []
    for network in converted.networks:
        target = work / f"{network.role}.safetensors"
        metadata = {"role": network.role, "settings": json.dumps(network.settings)}
        # the writer takes memory as it lies
        laid_out = {key: np.ascontiguousarray(v).reshape(np.shape(v)) for key, v in network.tensors.items()}
        save_file(laid_out, target, metadata)
        files.append(InstalledFile(network.role, target.name, target.stat().st_size, file_sha256(target)))
    check = _check(work, converted)
    config = config_from_tensors({tensor: values.shape for tensor, values in generator.tensors.items()})
    report = ImportReport(
        name=name,
        folder=folder,
        kind=converted.kind,
        description=KINDS[converted.kind],
        resolution=config.resolution,
        rows=config.rows,
        w_dim=config.w_dim,
        architecture=config.architecture,
        parameters=sum(tensor.size for network in converted.networks for tensor in network.tensors.values()),
        files=tuple(files),
        source_name=source.name,
        source_bytes=source.byte_count,
        source_sha256=source.sha256,
        licence=LICENCES[converted.kind],
        notes=converted.notes,
        check=check,
        embedded_source=source.embedded_source,
    )
    (work / MANIFEST).write_text(json.dumps(report.manifest_row(), indent=2) + "\n", encoding="utf-8")
    return report


def _check(work: Path, converted: Converted) -> ForwardCheck:
    """Draw with the networks and write the contact sheet."""
    from engines.checkpoints.forward_check import draw_samples  # only here: reading and converting need no runtime

    rows = draw_samples(converted)
    values = np.stack([picture for row in rows for picture in row])
    if not np.isfinite(values).all() or float(values.std()) == 0.0:
        raise CheckpointError("the generator draws no picture (NaN or one flat colour); the weights are damaged")
    write_contact_sheet(work / CONTACT_SHEET, rows)
    return ForwardCheck(
        len(values), float(values.mean()), float(values.std()), float(values.min()), float(values.max())
    )


def write_contact_sheet(path: Path, rows: list[npt.NDArray[np.float32]]) -> None:
    """Write rows of pictures [N, 3, S, S] (RGB, -1 to 1) as one PNG."""
    import cv2  # only here: importing needs no pictures but this one

    lines = [np.concatenate(list(row), axis=2) for row in rows]
    rgb = np.concatenate(lines, axis=1).transpose(1, 2, 0)  # [H W 3]
    pixels = (rgb[:, :, ::-1] * 127.5 + 128).clip(0, 255).astype(np.uint8)
    done, png = cv2.imencode(".png", pixels)
    if not done:
        raise CheckpointError(f"cannot encode the contact sheet {path.name}")
    path.write_bytes(png.tobytes())


def put_in_place(work: Path, folder: Path) -> None:
    """Put the finished folder into place by renaming; an old one is moved away first and removed last."""
    old = None
    if folder.exists():
        old = folder.with_name(f".{folder.name}-replaced-{os.getpid()}")
        os.replace(folder, old)
    try:
        os.replace(work, folder)
    except OSError:
        if old is not None:
            os.replace(old, folder)
        raise
    folder.chmod(0o755)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()

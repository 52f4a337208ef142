"""Published edit directions, as their files are: InterFaceGAN-type vectors, GANSpace bases and SeFa factors.

Files are read as data, like checkpoints: torch files by ``engines.checkpoints.containers``, numpy files here.

Sources: Shen et al. 2020, "Interpreting the Latent Space of GANs for Semantic Face Editing" (InterFaceGAN); Härkönen et
al. 2020, "GANSpace: Discovering Interpretable GAN Controls"; Shen & Zhou 2021 (SeFa), see ``engines.sefa``.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.checkpoints.containers import read_content
from engines.checkpoints.errors import CheckpointError
from engines.checkpoints.tensors import NumpyArray, Tensor, float32_array

Floats = npt.NDArray[np.float32]
NUMPY_MAGIC = b"\x93NUMPY"


@dataclass(frozen=True, slots=True, eq=False)
class LatentDirection:
    """A direction in W or W+.

    vector: float32 [1, w_dim] for all rows alike, or [rows, w_dim].
    """

    vector: Floats

    def apply(self, wplus: Floats, strength: float, rows: Sequence[int] | None = None) -> Floats:
        """W+ [..., rows, w_dim] plus strength times the direction, on the given rows (None: all of them)."""
        if self.vector.shape[0] not in (1, wplus.shape[-2]) or self.vector.shape[1] != wplus.shape[-1]:
            raise ValueError(
                f"a direction of shape {list(self.vector.shape)} does not fit W+ {list(wplus.shape)}; "
                "it belongs to another generator"
            )
        step = np.float32(strength) * np.broadcast_to(self.vector, wplus.shape[-2:])
        if rows is not None:
            chosen = np.zeros([wplus.shape[-2], 1], np.float32)
            chosen[list(rows)] = 1
            step = step * chosen
        return wplus + step


@dataclass(frozen=True, slots=True, eq=False)
class PrincipalComponents:
    """A GANSpace basis: principal components of W.

    components: float32 [n, w_dim], of length 1.
    mean: float32 [w_dim].
    std: float32 [n], the spread of W along each component.
    """

    components: Floats
    mean: Floats
    std: Floats

    def coordinate(self, wplus: Floats, component: int) -> Floats:
        """Where row 0 of W+ [..., rows, w_dim] lies along a component, in standard deviations: [...]."""
        along = (wplus[..., 0, :] - self.mean) @ self.components[component]
        return np.asarray(along / self.std[component], np.float32)

    def apply(self, wplus: Floats, component: int, strength: float, first: int, last: int) -> Floats:
        """Move rows first to last - 1 of W+ [..., rows, w_dim] so that row 0 would lie at ``strength`` on a component.

        The strength is the target's absolute coordinate, not an offset, and is measured on row 0 alone. Raises
        ValueError for an unknown component or another w_dim.
        """
        if not 0 <= component < len(self.components) or wplus.shape[-1] != len(self.mean):
            raise ValueError(
                f"component {component} of W+ {list(wplus.shape)}; "
                f"wanted one of 0 to {len(self.components) - 1} and w_dim {len(self.mean)}"
            )
        missing = np.float32(strength) - self.coordinate(wplus, component)
        delta = missing[..., None] * self.components[component] * self.std[component]  # [..., w_dim]
        edited = wplus.copy()
        edited[..., first:last, :] += delta[..., None, :]
        return edited


DirectionFile = LatentDirection | PrincipalComponents | list[LatentDirection]


def read_directions(path: Path) -> DirectionFile:
    """What a published file holds: one direction, a GANSpace basis, or SeFa's directions from strong to weak.

    Raises CheckpointError for damaged, hostile and other files.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}; check the path") from None
    if content.startswith(NUMPY_MAGIC):
        return one_direction(read_numpy(content), path.name)
    root, _ = read_content(content)
    if isinstance(root, (Tensor, NumpyArray)):
        return one_direction(root, path.name)
    if isinstance(root, dict) and {"comp", "mean", "std"} <= root.keys():
        return principal_components(root)
    if isinstance(root, dict) and "eigvec" in root:
        columns = float32_array(root["eigvec"], "eigvec")
        if columns.ndim != 2:
            raise CheckpointError(f"eigvec has shape {list(columns.shape)}, wanted [w_dim, directions]")
        return [LatentDirection(np.ascontiguousarray(column)[None]) for column in columns.T]
    raise CheckpointError(
        f"{path.name} holds no known directions; wanted one tensor [1 or rows, w_dim], a GANSpace basis "
        "(comp, mean, std) or SeFa factors (eigvec)"
    )


def one_direction(value: Any, name: str) -> LatentDirection:
    """A direction from an array [w_dim], [1 or rows, w_dim] or [1, rows, w_dim]."""
    vector = float32_array(value, name)
    if vector.ndim == 3 and vector.shape[0] == 1:
        vector = vector[0]
    if vector.ndim not in (1, 2) or not vector.size:
        raise CheckpointError(f"{name} holds an array of shape {list(vector.shape)}, wanted [1 or rows, w_dim]")
    return LatentDirection(np.atleast_2d(vector))


def principal_components(root: dict[Any, Any]) -> PrincipalComponents:
    """A GANSpace basis from {"comp": [n, 1, w_dim], "mean": [1, w_dim], "std": [n]}."""
    components, mean, std = (float32_array(root[key], key) for key in ("comp", "mean", "std"))
    if components.ndim == 3 and components.shape[1] == 1:
        components = components[:, 0]
    if components.ndim != 2 or mean.size != components.shape[1] or std.shape != components.shape[:1] or not std.all():
        shapes = [list(part.shape) for part in (components, mean, std)]
        raise CheckpointError(f"the basis has shapes {shapes} for comp, mean, std; wanted [n, w_dim], [w_dim], [n]")
    return PrincipalComponents(components, mean.reshape(-1), std)


def read_numpy(content: bytes) -> npt.NDArray[Any]:
    """The array of a .npy file of plain numbers, as a view of its bytes."""
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)  # type: ignore[no-untyped-call]
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = reader(stream)  # type: ignore[no-untyped-call]
    except (ValueError, SyntaxError, TypeError, KeyError) as error:
        raise CheckpointError(f"the numpy file is damaged: {str(error)[:120]}") from None
    data = memoryview(content)[stream.tell() :]
    if dtype.kind not in "fiu" or len(data) != math.prod(shape) * dtype.itemsize:
        raise CheckpointError(
            f"the numpy file says {dtype} {list(shape)} and holds {len(data)} bytes; wanted plain numbers, whole"
        )
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")

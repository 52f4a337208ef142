"""The shape of an IR-SE encoder, inferred from its tensors. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

INPUT_PX = 256
HEAD_SLOPE = 0.01
# Blocks in the four stages of the backbones known by their depth; the first block of a stage halves the size.
STAGES = {24: (3, 4, 14, 3), 49: (3, 13, 30, 3), 50: (3, 8, 36, 3)}


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """The shape of an encoder; see ``config_from_tensors``.

    inputs: 3, or 6 for ReStyle (picture, then reconstruction).
    stem: width after the first convolution.
    blocks: for each residual block (input width, output width, stride, squeezed width or 0).
    head_convs: for each row the number of its head's convolutions: 4 reads 16 px, 5 reads 32 px, 6 reads 64 px.
    w_dim: width of a row.
    taps: width of the features at 64 and 32 px that the pyramid reads, and after which block; empty without one.
    deltas: whether rows from 1 on are added to row 0 (e4e).
    """

    inputs: int
    stem: int
    blocks: tuple[tuple[int, int, int, int], ...]
    head_convs: tuple[int, ...]
    w_dim: int
    taps: tuple[int, ...]
    deltas: bool


def config_from_tensors(tensors: Mapping[str, Sequence[int]], deltas: bool) -> EncoderConfig:
    """Infer an encoder's shape from the shape of every tensor. Raises ValueError for other networks."""
    if "stem.weight" not in tensors or "heads.0.linear.weight" not in tensors:
        raise ValueError("the tensors hold no stem and heads: not an IR-SE encoder")
    depth = _count(tensors, "body.{}.conv1.weight")
    shapes = [tensors[f"body.{k}.conv1.weight"] for k in range(depth)]
    starts = stage_starts(depth, [f"body.{k}.shortcut.weight" in tensors for k in range(depth)])
    squeezed = [tensors.get(f"body.{k}.squeeze.weight", [0])[0] for k in range(depth)]
    blocks = tuple((s[1], s[0], 2 if k in starts else 1, squeezed[k]) for k, s in enumerate(shapes))
    heads = _count(tensors, "heads.{}.linear.weight")
    return EncoderConfig(
        inputs=tensors["stem.weight"][1],
        stem=tensors["stem.weight"][0],
        blocks=blocks,
        head_convs=tuple(_count(tensors, f"heads.{k}.convs.{{}}.weight") for k in range(heads)),
        w_dim=tensors["heads.0.linear.weight"][0],
        taps=(starts[2] - 1, starts[3] - 1) if "lateral32.weight" in tensors else (),
        deltas=deltas,
    )


def _count(tensors: Mapping[str, Sequence[int]], pattern: str) -> int:
    """How many names of the pattern there are, numbered from 0."""
    number = 0
    while pattern.format(number) in tensors:
        number += 1
    return number


def stage_starts(depth: int, widens: Sequence[bool]) -> list[int]:
    """The blocks that halve the size: by the known depths, or else the first and those that change the width."""
    if depth in STAGES:
        sizes = STAGES[depth]
        return [sum(sizes[:k]) for k in range(4)]
    starts = [0, *[k for k in range(1, depth) if widens[k]]]
    if len(starts) != 4:
        raise ValueError(f"a backbone of {depth} blocks has {len(starts)} stages; wanted 4")
    return starts

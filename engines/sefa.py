"""Closed-form factorisation: edit directions straight from a generator's weights.

The directions in W that change a layer's styles most are the eigenvectors of A A^T with the largest eigenvalues, A
being the layers' modulation weights side by side, [w_dim, all styles].

Source: Shen & Zhou 2021, "Closed-Form Factorization of Latent Semantics in GANs" (SeFa), equations 4 to 6. Three public
programs differ in the layers that take part and in normalising the columns of A; see RULES.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """Directions by strength.

    directions: float32 [w_dim, w_dim]: row k is the k-th direction, of length 1; its sign is arbitrary.
    eigenvalues: float32 [w_dim], descending; their square roots are the singular values of A.
    rows: the rows of W+ that an edit changes.
    """

    directions: Floats
    eigenvalues: Floats
    rows: tuple[int, ...]


def factorize(weights: Sequence[Floats], rows: Sequence[int], normalize: bool = True) -> Factors:
    """The factors of modulation weights.

    weights: one matrix [styles, w_dim] per layer.
    rows: the rows of W+ that edits are meant for.
    normalize: divide every column of A (one style) by its length.

    Raises ValueError without weights, for matrices of different w_dim or a column of zeros.
    """
    if not weights or len({w.shape[1] for w in weights}) != 1:
        raise ValueError(f"got {len(weights)} modulation weights; wanted one or more of equal width [styles, w_dim]")
    a = np.concatenate([w.T for w in weights], axis=1).astype(np.float64)  # [w_dim, all styles]
    if normalize:
        lengths = np.linalg.norm(a, axis=0)
        if not lengths.all():
            raise ValueError("a modulation weight holds a row of zeros, which has no direction")
        a /= lengths
    values, vectors = np.linalg.eigh(a @ a.T)  # ascending; vectors in columns
    return Factors(vectors[:, ::-1].T.astype(np.float32), values[::-1].astype(np.float32), tuple(rows))


def factorize_generator(
    tensors: Mapping[str, Floats], layers: Sequence[int] | None = None, rule: str = "sefa"
) -> Factors:
    """The factors of a generator by a public program's rule.

    tensors: of ``engines.stylegan2`` (effective weights).
    layers: which layers take part; None for all of them.
    rule: a name of RULES.

    Raises ValueError for an unknown rule or layer.
    """
    if rule not in RULES:
        raise ValueError(f"unknown rule {rule!r}; wanted one of {', '.join(RULES)}")
    convs, colours = modulation_weights(tensors)
    return RULES[rule](convs, colours, layers)


def modulation_weights(tensors: Mapping[str, Floats]) -> tuple[list[Floats], list[Floats]]:
    """The modulation weights of the styled convolutions and of the colour layers, in order, without their gain.

    Effective weights hold the gain 1/sqrt(w_dim) of the equalised learning rate; the public programs work without it.
    """
    convs, colours = [], []
    resolution = 4
    while f"synthesis.blocks.{resolution}.conv1.affine.weight" in tensors:
        block = f"synthesis.blocks.{resolution}"
        names = [f"{block}.conv0.affine.weight", f"{block}.conv1.affine.weight"]
        convs += [ungained(tensors[name]) for name in names if name in tensors]
        colour = f"{block}.rgb.affine.weight"
        colours += [ungained(tensors[colour])] if colour in tensors else []
        resolution *= 2
    return convs, colours


def ungained(weight: Floats) -> Floats:
    """A weight [styles, w_dim] without the gain 1/sqrt(w_dim)."""
    return weight * np.float32(math.sqrt(weight.shape[1]))


def picked(weights: Sequence[Floats], layers: Sequence[int]) -> list[Floats]:
    """The weights of some layers."""
    if not layers or min(layers) < 0 or max(layers) >= len(weights):
        raise ValueError(f"layers are {list(layers)}; wanted one or more of 0 to {len(weights) - 1}")
    return [weights[layer] for layer in layers]


def sefa_rule(convs: list[Floats], colours: list[Floats], layers: Sequence[int] | None) -> Factors:
    """Layer k is what reads row k of W+: the k-th styled convolution, at the end the last colour layer."""
    weights = [*convs, colours[-1]]
    layers = range(len(weights)) if layers is None else layers
    return factorize(picked(weights, layers), layers)


def e4e_rule(convs: list[Floats], colours: list[Floats], layers: Sequence[int] | None) -> Factors:
    """Layer 0 takes part but its row is not edited, and layer k edits row k - 1; no colour layer."""
    layers = range(len(convs)) if layers is None else layers
    return factorize(picked(convs, layers), [layer - 1 for layer in layers if layer])


def rosinality_rule(convs: list[Floats], colours: list[Floats], layers: Sequence[int] | None) -> Factors:
    """All styled convolutions and the first colour layer, columns not normalised, all rows edited."""
    if layers is not None:
        raise ValueError("the rule 'rosinality' always takes all layers; wanted None")
    return factorize([*convs, colours[0]], range(len(convs) + 1), normalize=False)


RULES = {"sefa": sefa_rule, "e4e": e4e_rule, "rosinality": rosinality_rule}

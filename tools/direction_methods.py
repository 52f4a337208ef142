"""Ways to find edit directions in a generator's codes, as plain functions of arrays.

* ``paired``: the mean difference of codes of the same people at both ends of an attribute, where codes can be had so.
* ``boundary``: a linear boundary between labelled codes (Shen et al. 2020, "Interpreting the Latent Space of GANs for
  Semantic Face Editing"), here by logistic regression; ``without`` takes other directions out of one (their section
  3.2, conditional manipulation).
* ``components``: the principal components of W (Harkonen et al. 2020, "GANSpace: Discovering Interpretable GAN
  Controls").
* factors of the modulation weights are ``engines.sefa``.
* ``channel_scores`` and ``channel_step``: single channels of style space, the space of the modulations themselves (Wu
  et al. 2021, "StyleSpace Analysis: Disentangled Controls for StyleGAN Image Generation").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.direction_files import PrincipalComponents

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

NEWTON_STEPS = 30


@dataclass(frozen=True, slots=True, eq=False)
class Boundary:
    """A linear boundary in W.

    normal: float32 [dim], of length 1, towards the codes with the label.
    accuracy: on codes that it was not fitted on, 0 to 1; 0.5 is chance where both kinds are equally many.
    spread: standard deviation of the codes along the normal; a step of so much is one that people differ by.
    """

    normal: Floats
    accuracy: float
    spread: float


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of style space: its layer, its number there, and how well it tells the label (see channel_scores)."""

    layer: int
    number: int
    score: float


def paired(low: Floats, high: Floats) -> tuple[Floats, float]:
    """The direction float32 [dim] from codes [n, dim] at one end to those of the same people at the other.

    Also how alike the people's own differences are to it: their mean cosine.
    """
    each = high - low
    direction = each.mean(axis=0)
    lengths = np.linalg.norm(each, axis=1) * np.linalg.norm(direction)
    return direction.astype(np.float32), float((each @ direction / np.maximum(lengths, 1e-12)).mean())


def boundary(codes: Floats, labels: npt.NDArray[np.bool_], ridge: float = 1.0, seed: int = 0) -> Boundary:
    """The boundary between codes [n, dim] without and with a label [n].

    Fitted on three quarters of the codes, judged on the rest. ridge: weight of the normal's squared length, in codes.
    Raises ValueError where either kind has fewer than four codes.
    """
    if labels.shape != codes.shape[:1] or min(int(labels.sum()), int((~labels).sum())) < 4:
        raise ValueError(
            f"{len(codes)} codes with {int(labels.sum())} labels set of {labels.shape}; "
            "wanted one label a code, and four or more codes of each kind"
        )
    order = np.random.default_rng(seed).permutation(len(codes))
    held_out = np.zeros(len(codes), bool)
    for kind in (False, True):
        rows = order[labels[order] == kind]
        held_out[rows[: max(1, len(rows) // 4)]] = True
    mean, scale = codes.mean(axis=0, dtype=np.float64), float(codes.std(dtype=np.float64)) or 1.0
    x = (codes - mean) / scale
    weights = _logistic(x[~held_out], labels[~held_out], ridge)
    right = (x[held_out] @ weights[:-1] + weights[-1] > 0) == labels[held_out]
    normal = (weights[:-1] / np.linalg.norm(weights[:-1])).astype(np.float32)
    accuracy = np.mean([right[labels[held_out] == kind].mean() for kind in (False, True)])
    return Boundary(normal, float(accuracy), float((codes @ normal).std()))


def _logistic(x: Doubles, labels: npt.NDArray[np.bool_], ridge: float) -> Doubles:
    """Weights and bias [dim + 1] of logistic regression with a ridge, by Newton's method; both kinds count the same."""
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    share = np.where(labels, 0.5 / labels.mean(), 0.5 / (~labels).mean())
    penalty = np.full(x.shape[1], ridge)
    penalty[-1] = 1e-6
    weights = np.zeros(x.shape[1])
    for _ in range(NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        gradient = x.T @ (share * (chance - labels)) + penalty * weights
        curvature = (x * (share * chance * (1 - chance))[:, None]).T @ x + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-7:
            break
    return weights


def without(direction: Floats, others: Sequence[Floats]) -> Floats:
    """The part of a direction [dim] that is orthogonal to all ``others``: moving along it leaves them as they are."""
    if not others:
        return direction
    basis, _ = np.linalg.qr(np.stack(others, axis=1).astype(np.float64))
    return np.asarray(direction - basis @ (basis.T @ direction), np.float32)


def components(codes: Floats, count: int) -> PrincipalComponents:
    """The ``count`` directions of W in which codes [n, dim] differ most, strongest first."""
    mean = codes.mean(axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(np.cov((codes - mean).T))
    order = np.argsort(-values)[:count]
    spread = np.sqrt(np.maximum(values[order], 1e-12))
    return PrincipalComponents(
        vectors[:, order].T.astype(np.float32), mean.astype(np.float32), spread.astype(np.float32)
    )


def channel_scores(codes: Floats, labels: npt.NDArray[np.bool_], layers: Sequence[Floats]) -> list[Channel]:
    """All channels of style space, the most telling first.

    layers: modulation weights [styles, dim] of every layer. A channel's score is how far the mean of the labelled
    codes is from that of the others, in standard deviations of the channel (the paper's normalised difference).
    """
    found = []
    for layer, weight in enumerate(layers):
        styles = codes @ weight.T
        away = styles[labels].mean(axis=0) - styles[~labels].mean(axis=0)
        scores = away / np.maximum(styles.std(axis=0), 1e-9)
        found += [Channel(layer, number, float(score)) for number, score in enumerate(scores)]
    return sorted(found, key=lambda channel: -abs(channel.score))


def channel_step(weight: Floats, number: int) -> Floats:
    """The smallest step [dim] in W that adds 1 to one style of a layer [styles, dim] and least to its others.

    With no more styles than dimensions the others stay exactly as they are.
    """
    return np.asarray(np.linalg.pinv(weight.astype(np.float64), rcond=1e-4)[:, number], np.float32)

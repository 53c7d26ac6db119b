"""A mixed regression of outcomes on what sets of rows bring, by evaluation item.

The outcome of training on a set S of rows, on item t, is modelled as::

    y(S, t) = μₜ + size(S)·δₜ + Σₖ βₖ·fₖ(S, t) + Σ_{j∈S} (gⱼ + dⱼₜ) + luck(S) + ε(S, t)

where fₖ is what S brings the item by signal k (`signal_features`), and gⱼ and dⱼₜ, what player j adds beyond signals to
all items and to one, are independent and normal. Luck is common to all items, so outcomes are divided into their mean
over items, one number for each set, and the items' differences from it, which have no luck in them; each has a noise
variance of its own and both inform the same weights β. The terms of size are of no interest and are projected out
(restricted maximum likelihood, Patterson & Thompson 1971). Players' variances are relative to the noise, and chosen by
marginal likelihood from a grid.

Similar items share more than luck, so n differences are worth fewer than n independent ones. How many fewer is measured
by the scatter of the scores over sets: the design effect (Kish 1965), by which their information is divided.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from shed_hf.sampling.regression_data import PLAYER_VARIANCES, Data, Sums
from shed_hf.types import FloatMatrix, FloatVector

PRIOR_WEIGHT = 0.1
"""The weight that signals of rows and items are expected to have beforehand: one percent of the variance each."""


PRIOR_SPREADS, USUAL_SPREAD = (0.1, 0.3, 1.0), 0.3
"""Standard deviations of the weights beforehand, of which the outcomes choose one; and the usual one."""


STEPS = 8
"""Of expectation and maximisation, which settles to three digits in about five."""


@dataclass(frozen=True, eq=False)
class Scale:
    """What the regression's weights are relative to.

    Attributes:
        mean: Root mean square of the mean outcome beyond size.
        differences: Of the items' differences; 0 for a single item.
        factors: ``(K,)`` the weight of a signal's feature, in the units of the outcomes, for a weight of 1.
    """

    mean: float
    differences: float
    factors: FloatVector


def scale_of(data: Data) -> Scale:
    """The units of the weights: standard deviations of outcomes per standard deviation of features, beyond size.

    A signal of rows and items is measured by the items' differences, or by the mean where there is a single item; one
    of rows alone by the mean.

    Args:
        data: Outcomes and features.

    Returns:
        The scale; factors are 0 for features that do not differ.
    """
    mean, differences = data.mean_sums(data.parts[0.0]), data.difference_sums(data.parts[0.0])
    of_mean = np.sqrt(mean.of_outcomes / max(mean.freedom, 1))
    of_differences = np.sqrt(differences.of_outcomes / max(differences.freedom, 1))
    factors = np.zeros(len(data.features))
    for number, of_items in enumerate(data.of_items):
        by_differences = of_items and data.n_items > 1
        sums, unit = (differences, of_differences) if by_differences else (mean, of_mean)
        spread = np.sqrt(sums.of_features[number, number] / max(sums.freedom, 1))
        largest = float(np.abs(data.features[number]).max(initial=0.0))
        factors[number] = unit / spread if spread > 1e-9 * largest else 0.0
    return Scale(float(of_mean), float(of_differences), factors)


@dataclass(frozen=True, eq=False)
class Fit:
    """The posterior of the weights, under one choice of everything else.

    Attributes:
        weights: ``(K,)`` relative to the scale's factors.
        covariance: ``(K, K)`` of the weights.
        evidence: The logarithm of the marginal likelihood.
        spread: The standard deviation of the weights beforehand.
        noise: Noise variances of the mean and of the differences.
        player_variances: Of the mean and of the differences, relative to the noise.
        design_effect: By what the information in the differences was divided.
    """

    weights: FloatVector
    covariance: FloatMatrix
    evidence: float
    spread: float
    noise: tuple[float, float]
    player_variances: tuple[float, float]
    design_effect: float = 1.0


def best_fit(data: Data, scale: Scale) -> Fit:
    """The fit of most marginal likelihood among players' variances and spreads of the weights, one after the other.

    Args:
        data: Outcomes and features.
        scale: The units of the weights.

    Returns:
        The posterior of the weights, with the design effect of the items' differences.
    """
    scaled = replace(data, features=data.features * scale.factors[:, None, None])
    means = {variance: scaled.mean_sums(part) for variance, part in data.parts.items()}
    differences = {variance: scaled.difference_sums(part) for variance, part in data.parts.items()}

    def fitted(of_mean: float, of_differences: float, spread: float, effect: float = 1.0) -> Fit:
        sums = means[of_mean], differences[of_differences]
        return _fitted(sums, (of_mean, of_differences), spread, data.of_items, effect)

    best = fitted(0.0, 0.0, USUAL_SPREAD)
    for _ in range(2 if data.n_items > 1 else 1):
        best = _likeliest([fitted(one, best.player_variances[1], USUAL_SPREAD) for one in PLAYER_VARIANCES])
        if data.n_items > 1:
            best = _likeliest([fitted(best.player_variances[0], one, USUAL_SPREAD) for one in PLAYER_VARIANCES])
    best = _likeliest([fitted(*best.player_variances, spread) for spread in PRIOR_SPREADS])
    effect = _design_effect(scaled, best)
    return replace(fitted(*best.player_variances, best.spread, effect), evidence=best.evidence)


def _likeliest(fits: Sequence[Fit]) -> Fit:
    """The fit of most marginal likelihood; the first of equal ones."""
    return max(fits, key=lambda fit: fit.evidence)


def prior_mean(of_items: Sequence[bool]) -> FloatVector:
    """The weights that are expected beforehand: alike and small for signals of rows and items, else 0.

    Args:
        of_items: ``(K,)`` whether each signal is of rows and items.

    Returns:
        ``(K,)`` weights.
    """
    return np.where(of_items, PRIOR_WEIGHT, 0.0)


def _fitted(
    sums: tuple[Sums, Sums],
    player_variances: tuple[float, float],
    spread: float,
    of_items: Sequence[bool],
    design_effect: float,
) -> Fit:
    """The posterior, with noise variances by expectation and maximisation."""
    before, precision = prior_mean(of_items), np.eye(len(of_items)) / spread**2
    known = [part for part in sums if part.freedom and part.of_outcomes > 0]
    effects = [design_effect if part is sums[1] else 1.0 for part in known]
    noise = [part.of_outcomes / part.freedom for part in known]
    weights, covariance = before, np.eye(len(of_items)) * spread**2
    for _ in range(STEPS if known else 0):
        information = precision + sum(
            part.of_features / (of * effect) for part, of, effect in zip(known, noise, effects, strict=True)
        )
        right = precision @ before + sum(
            part.with_outcomes / (of * effect) for part, of, effect in zip(known, noise, effects, strict=True)
        )
        covariance = np.asarray(np.linalg.inv(information), dtype=np.float64)
        weights = covariance @ right
        least = [1e-9 * part.of_outcomes / part.freedom for part in known]
        noise = [
            max(part.residual(weights, covariance) / part.freedom, floor)
            for part, floor in zip(known, least, strict=True)
        ]
    away = weights - before
    density = -0.5 * (away @ precision @ away) + 0.5 * np.linalg.slogdet(covariance @ precision)[1]
    for part, of in zip(known, noise, strict=True):
        density += part.log_determinants - 0.5 * (part.freedom * np.log(of) + part.residual(weights) / of)
    of_mean = noise[0] if known and known[0] is sums[0] else 0.0
    of_differences = noise[-1] if known and known[-1] is sums[1] else 0.0
    noises = (float(of_mean), float(of_differences))
    return Fit(weights, covariance, float(density), spread, noises, player_variances, design_effect)


def _design_effect(scaled: Data, fit: Fit) -> float:
    """How much the scores scatter over sets, relative to items that are independent; at least 1."""
    part = scaled.parts[fit.player_variances[1]]
    y, x = scaled.difference_columns(part)
    used = np.flatnonzero([float(np.sum(of**2)) > 0 for of in x])
    if part.freedom <= len(used) or not len(used) or not fit.noise[1]:
        return 1.0
    left = y - np.einsum("K,Kst->st", fit.weights, x)
    scores = np.einsum("st,Kst->sK", left, x[used])
    expected = np.einsum("Kst,Lst->KL", x[used], x[used]) * fit.noise[1]
    found = scores.T @ scores * part.freedom / (part.freedom - len(used))
    return max(1.0, float(np.trace(np.linalg.pinv(expected) @ found)) / len(used))


@dataclass(frozen=True, eq=False)
class PlayerEffects:
    """What players add to the mean outcome beyond signals and size, given weights β: ``at_zero - by_weights @ β``.

    Attributes:
        at_zero: ``(n_players,)`` in the units of the outcomes, for weights of 0.
        by_weights: ``(n_players, K)``.
        variance: ``(n_players,)`` where the weights are known.
    """

    at_zero: FloatVector
    by_weights: FloatMatrix
    variance: FloatVector


def player_effects(data: Data, scale: Scale, fit: Fit) -> PlayerEffects:
    """The posterior of what players add beyond signals and size (best linear unbiased prediction, Henderson 1975).

    Args:
        data: Outcomes and features.
        scale: The units of the weights.
        fit: The regression.

    Returns:
        Effects of whole players.
    """
    ratio, noise = fit.player_variances[0], fit.noise[0]
    part = data.parts[ratio]
    y, x = data.mean_columns(part)
    smoother = ratio * data.shares.T @ part.basis.T  # (n_players, k)
    explained = smoother @ part.basis @ data.shares
    variance = ratio * noise * (1 - np.diag(explained))
    return PlayerEffects(smoother @ y, smoother @ (x * scale.factors), np.maximum(variance, 0.0))

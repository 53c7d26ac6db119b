"""A Bayesian regression of coalitions' utilities on their players, averaged over a grid of priors.

The utility of a coalition S of s of the n players is modelled as::

    v(S) = v(∅) + s/n·Δ + q(s) + Σ_{i∈S} aᵢ + Σ_{i∈S} bᵢ·(s/n − (n+1)/2n) + ε,    Δ = v(N) − v(∅)

where q, zero at both ends, is how utility saturates with size, aᵢ is what player *i* adds beyond the mean player, and
bᵢ how that changes with the size of the coalition; a and b sum to zero. Its Shapley value is linear in both::

    φᵢ = Δ/n + aᵢ − bᵢ/2n

so any set of measured coalitions gives a posterior over the values, and these add up to Δ. The prior of a is
N(0, τσ²·C), that of b is ω times as wide; C says which players are alike. We average over a grid of priors (C, τ, ω),
weighted by marginal likelihood; σ² is integrated out.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from shed_hf.estimators.priors import RATIOS, SIZE_EFFECT_SCALES, Prior
from shed_hf.types import BoolVector, CoalitionMatrix, FloatMatrix, FloatVector

LEAST_WEIGHT = 1e-3


def kernel_weights(coalitions: CoalitionMatrix) -> FloatVector:
    """How much each coalition weighs in the regression for Shapley values.

    The Shapley kernel's weight of all coalitions of a size (Lundberg & Lee 2017), over how many of these have it.

    Args:
        coalitions: ``(m, n)`` boolean, one coalition per line, neither empty nor grand.

    Returns:
        ``(m,)`` weights with mean 1.
    """
    n, sizes = coalitions.shape[1], coalitions.sum(axis=1)
    if not len(sizes):
        return np.empty(0)
    of_sizes = 1 / (sizes * (n - sizes)) / np.bincount(sizes)[sizes]
    return np.asarray(of_sizes / of_sizes.mean(), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Observed:
    """The measured coalitions with their utilities.

    Attributes:
        coalitions: ``(m, n)`` boolean, neither empty nor grand, all different.
        utilities: ``(m,)`` the utility of each.
        times: ``(m,)`` how often each was measured.
        v_empty: v(∅).
        v_grand: v(N).
        weigh: From coalitions ``(m, n)`` to how much one measurement of each weighs in the regression ``(m,)``.
    """

    coalitions: CoalitionMatrix
    utilities: FloatVector
    times: FloatVector
    v_empty: float
    v_grand: float
    weigh: Callable[[CoalitionMatrix], FloatVector] = kernel_weights

    def part(self, chosen: BoolVector) -> "Observed":
        """Some of the coalitions.

        Args:
            chosen: ``(m,)`` boolean.

        Returns:
            The same v(∅) and v(N) with the chosen coalitions.
        """
        return replace(
            self, coalitions=self.coalitions[chosen], utilities=self.utilities[chosen], times=self.times[chosen]
        )

    @property
    def n_evaluations(self) -> int:
        """How many outcomes were measured, with v(∅) and v(N)."""
        return int(self.times.sum()) + 2

    @property
    def beyond_size(self) -> FloatVector:
        """v(S) − v(∅) − s/n·Δ ``(m,)``: the utilities less a straight line over the size."""
        sizes = self.coalitions.mean(axis=1)
        return np.asarray(self.utilities - self.v_empty - sizes * (self.v_grand - self.v_empty), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Posterior:
    """The posterior of the players' Shapley values.

    Attributes:
        mean: ``(n,)`` the values.
        covariance: ``(n, n)`` of the values.
        effects: ``(2n + 2, m)`` the weights of the observations in a, b and the two coefficients of q.
        models: The priors with a noticeable share of the marginal likelihood, each behind its share.
    """

    mean: FloatVector
    covariance: FloatMatrix
    effects: FloatMatrix
    models: tuple[tuple[float, Prior], ...]

    @property
    def weights(self) -> FloatMatrix:
        """The weights ``(n, m)`` of the observations in the values: mean = Δ/n + weights · `Observed.beyond_size`.

        The same weights turn the outcomes of one evaluation item into values for that item.
        """
        n = len(self.mean)
        return np.asarray(values_of_effects(n) @ self.effects[: 2 * n], dtype=np.float64)

    def of_players(self, coalitions: CoalitionMatrix) -> FloatMatrix:
        """What players add to coalitions beyond their size, as weights of the observations.

        Args:
            coalitions: ``(k, n)`` boolean.

        Returns:
            ``(k, m)`` weights.
        """
        return np.asarray(_design(coalitions) @ self.effects[: 2 * len(self.mean)], dtype=np.float64)

    def expectation(self, coalitions: CoalitionMatrix) -> FloatMatrix:
        """The expected utility of coalitions beyond the straight line over the size, as weights of the observations.

        Args:
            coalitions: ``(k, n)`` boolean.

        Returns:
            ``(k, m)`` weights.
        """
        return np.asarray(np.hstack([_design(coalitions), size_terms(coalitions)]) @ self.effects, dtype=np.float64)


def posterior(observed: Observed, roots: Sequence[FloatMatrix]) -> Posterior:
    """The posterior, averaged over the grid of priors by marginal likelihood.

    Args:
        observed: The measured coalitions.
        roots: One ``(n, n)`` root for each covariance C of the grid.

    Returns:
        Values, covariance and the weights of the observations in them.
    """
    problem = _Regression(observed)
    fits = [
        fit
        for root in roots
        for size_effect_scale in SIZE_EFFECT_SCALES[: 1 if observed.coalitions.shape[1] < 3 else None]
        for fit in problem.fits(root, size_effect_scale)
    ]
    log_likelihoods = np.array([log for log, _ in fits])
    shares = np.exp(log_likelihoods - log_likelihoods.max())
    shares /= shares.sum()
    kept = [(share, model) for share, (_, model) in zip(shares.tolist(), fits, strict=True) if share >= LEAST_WEIGHT]
    return _mixed(problem, kept)


def exact_posterior(observed: Observed) -> Posterior:
    """The Shapley values where every coalition was measured: exact, with a covariance of zero.

    Args:
        observed: All 2ⁿ − 2 coalitions between ∅ and N.

    Returns:
        The values with their weights.
    """
    n, sizes = observed.coalitions.shape[1], observed.coalitions.sum(axis=1)
    share = np.array([1 / (n * math.comb(n - 1, size)) for size in range(n)])
    weights = np.where(observed.coalitions.T, share[sizes - 1], -share[sizes])  # (n, m)
    line = (observed.v_grand - observed.v_empty) / n
    return Posterior(
        mean=line + weights @ observed.beyond_size,
        covariance=np.zeros((n, n)),
        effects=np.vstack([weights, np.zeros((n + 2, len(sizes)))]),
        models=((1.0, Prior(np.eye(n) - 1 / n, float(RATIOS[-1]), 0.0)),),
    )


def refit(observed: Observed, models: Sequence[tuple[float, Prior]]) -> FloatVector:
    """The values by other coalitions, under priors that are already weighted.

    Args:
        observed: The coalitions.
        models: Priors, each behind its share.

    Returns:
        ``(n,)`` values.
    """
    return _mixed(_Regression(observed), models).mean


class _Regression:
    """The sums of the regression that all priors share, with the two coefficients of q projected out."""

    def __init__(self, observed: Observed) -> None:
        self.observed = observed
        self.n = observed.coalitions.shape[1]
        weights = observed.times * observed.weigh(observed.coalitions)
        scale = np.sqrt(weights)[:, None]
        self.design, self.size = _design(observed.coalitions) * scale, size_terms(observed.coalitions) * scale
        self.to_size = np.linalg.pinv(self.size)  # (2, m)
        self.target = observed.beyond_size * scale[:, 0]
        self.scale = scale[:, 0]
        self.left = self.design - self.size @ (self.to_size @ self.design)  # (m, 2n), q projected out
        rest = self.target - self.size @ (self.to_size @ self.target)
        self.gram, self.moment = self.left.T @ self.left, self.left.T @ rest
        self.squares = float(rest @ rest)
        self.freedom = max(len(self.target) - min(2, len(self.target)), 1)
        self.floor = 1e-12 * max(self.squares, float(self.target @ self.target), 1e-300)
        self._spread = 0.05 * self.squares / self.freedom + self.floor

    def fits(self, root: FloatMatrix, size_effect_scale: float) -> list[tuple[float, Prior]]:
        """The log marginal likelihood of every τ, with σ² ~ inverse gamma integrated out."""
        factor = self.factor(root, size_effect_scale)
        eigenvalues, vectors = np.linalg.eigh(factor.T @ self.gram @ factor)
        eigenvalues = np.maximum(eigenvalues, 0)
        squared = (vectors.T @ (factor.T @ self.moment)) ** 2
        found = []
        for ratio in RATIOS:
            shrunk = ratio / (1 + ratio * eigenvalues)
            log_volume = float(np.log1p(ratio * eigenvalues).sum())
            misfit = max(self.squares - float(shrunk @ squared), 0.0)
            likelihood = -0.5 * log_volume - 0.5 * (self.freedom + 1) * np.log(misfit + self._spread)
            found.append((float(likelihood), Prior(root, float(ratio), size_effect_scale)))
        return found

    def factor(self, root: FloatMatrix, size_effect_scale: float) -> FloatMatrix:
        """(2n, n) or (2n, 2n): a and b from independent standard normals, but for τσ²."""
        n = self.n
        if not size_effect_scale:
            return np.vstack([root, np.zeros((n, n))])
        return np.block([[root, np.zeros((n, n))], [np.zeros((n, n)), np.sqrt(size_effect_scale) * root]])

    def solve(self, model: Prior) -> tuple[FloatMatrix, FloatMatrix]:
        """(2n, m) weights of the observations in a and b, and their covariance (2n, 2n)."""
        factor = self.factor(model.root, model.size_effect_scale)
        core = np.linalg.inv(np.eye(factor.shape[1]) / model.ratio + factor.T @ self.gram @ factor)
        inner = factor @ core @ factor.T
        misfit = max(self.squares - float(self.moment @ inner @ self.moment), 0.0)
        noise = (misfit + self._spread) / (self.freedom + 1)
        return inner @ self.left.T, noise * inner


def _mixed(problem: _Regression, models: Sequence[tuple[float, Prior]]) -> Posterior:
    to_values = values_of_effects(problem.n)
    total = sum(share for share, _ in models)
    parts = [(share / total, *problem.solve(model)) for share, model in models]
    effects = np.sum([share * of_model for share, of_model, _ in parts], axis=0)  # (2n, m)
    away = [(effects - of_model) @ problem.target for _, of_model, _ in parts]
    spreads = [share * (spread + np.outer(a, a)) for (share, _, spread), a in zip(parts, away, strict=True)]
    of_q = problem.to_size - problem.to_size @ problem.design @ effects
    observed = problem.observed
    # The priors' shares are themselves learned from m utilities of n players, which widens what they leave open.
    wider = 1 + problem.n / max(len(problem.target), 1)
    return Posterior(
        mean=(observed.v_grand - observed.v_empty) / problem.n + to_values @ effects @ problem.target,
        covariance=wider * (to_values @ np.sum(spreads, axis=0) @ to_values.T),
        effects=np.vstack([effects, of_q]) * problem.scale,
        models=tuple(models),
    )


def values_of_effects(n: int) -> FloatMatrix:
    """The linear map from a and b to values beyond Δ/n.

    Args:
        n: How many players there are.

    Returns:
        ``(n, 2n)``.
    """
    return np.hstack([np.eye(n), -np.eye(n) / (2 * n)])


def _design(coalitions: CoalitionMatrix) -> FloatMatrix:
    """Which players are in, less the mean player, and the same times the size ``(m, 2n)``."""
    n = coalitions.shape[1]
    sizes = coalitions.sum(axis=1, keepdims=True)
    inside = coalitions - sizes / n
    return np.hstack([inside, inside * (sizes / n - (n + 1) / (2 * n))])


def size_terms(coalitions: CoalitionMatrix) -> FloatMatrix:
    """The two terms of q, how utility saturates with size; both are zero for ∅ and N.

    Args:
        coalitions: ``(m, n)`` boolean.

    Returns:
        ``(m, 2)``.
    """
    share = coalitions.mean(axis=1)
    bow = 4 * share * (1 - share)
    return np.stack([bow, bow * (share - 0.5)], axis=1)

"""A Bayesian regression of coalitions' utilities on their players, averaged over a grid of priors.

The utility of a coalition S of s of the n players is modelled as::

    v(S) = v(∅) + s/n·Δ + Σ_{i∈S} (uᵢ(s) − ū(s)) + q(s) + g(S) + ε,    Δ = v(N) − v(∅)

where uᵢ(s) is what player *i* adds to a coalition of this size, constant or changing with it, q how utility saturates
with size, and g interactions of all orders. All are Gaussian processes that vanish at ∅ and N (`coalition_kernels`), so
any set of measured coalitions gives a posterior over the Shapley values, which add up to Δ, in closed form. We average
over a grid of priors (`priors`): which players are alike, and how large each part and the noise ε are, weighted by
marginal likelihood; the scale of them all is integrated out. The values are linear in the utilities, but for the
weights of the priors.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from shed_hf.estimators.gaussian_process import Mixture, Sample, log_likelihoods, means_by_parts
from shed_hf.estimators.priors import Prior, additive_prior, priors_of
from shed_hf.types import BoolVector, CoalitionMatrix, FloatMatrix, FloatVector

LEAST_WEIGHT = 2e-3
"""Priors with a smaller share of the marginal likelihood than this are left out."""

MOST_PRIORS = 8
"""So many priors at most are averaged, those with the largest shares."""

WEIGHED_BY = 240
"""The priors' shares are learned from so many coalitions at most."""

MOST_TOGETHER = 4096
"""The covariances of so many coalitions are held in memory for all parts of them; of more, a part at a time."""

ROUNDING = 1e-12
"""Utilities that depart from the line by no more, relative to the largest, depart from it by rounding."""


def kernel_weights(coalitions: CoalitionMatrix) -> FloatVector:
    """How much each coalition weighs in the least squares for Shapley values.

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
        weigh: From coalitions ``(m, n)`` to how much one measurement of each weighs in least squares ``(m,)``.
        noise_variance: The variance of one measurement, from coalitions that were measured repeatedly; NaN where none
            was.
        noise_freedom: The degrees of freedom of this variance.
    """

    coalitions: CoalitionMatrix
    utilities: FloatVector
    times: FloatVector
    v_empty: float
    v_grand: float
    weigh: Callable[[CoalitionMatrix], FloatVector] = kernel_weights
    noise_variance: float = float("nan")
    noise_freedom: int = 0

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
    def beyond_size(self) -> FloatVector:
        """v(S) − v(∅) − s/n·Δ ``(m,)``: the utilities less a straight line over the size."""
        sizes = self.coalitions.mean(axis=1)
        return np.asarray(self.utilities - self.v_empty - sizes * (self.v_grand - self.v_empty), dtype=np.float64)

    @property
    def sample(self) -> Sample:
        """The utilities beyond the line, with a mean square of 1; zeros where they depart from it by rounding."""
        target = self.beyond_size
        largest = max(float(np.abs(self.utilities).max(initial=0.0)), abs(self.v_empty), abs(self.v_grand))
        if not len(target) or np.abs(target).max() <= ROUNDING * largest:
            target = np.zeros_like(target)
        unit = float(np.mean(target**2)) if target.any() else 0.0
        return Sample(
            coalitions=self.coalitions,
            target=target / math.sqrt(unit) if unit else target,
            unit=unit,
            counts=self.times,
            noise_squares=self.noise_freedom * self.noise_variance / unit if unit and self.noise_freedom else 0.0,
            noise_freedom=self.noise_freedom if unit else 0,
        )


class Surrogate(Protocol):
    """What a fit expects of coalitions that were not measured, linear in the observations."""

    def of_players(self, coalitions: CoalitionMatrix) -> FloatMatrix:
        """What players add to coalitions beyond their size.

        Args:
            coalitions: ``(k, n)`` boolean.

        Returns:
            ``(k, m)`` weights of the observations.
        """
        ...

    def expectation(self, coalitions: CoalitionMatrix) -> FloatMatrix:
        """The expected utility of coalitions beyond the line over the size.

        Args:
            coalitions: ``(k, n)`` boolean.

        Returns:
            ``(k, m)`` weights of the observations.
        """
        ...


@dataclass(frozen=True, eq=False)
class Posterior:
    """The posterior of the players' Shapley values.

    Attributes:
        mean: ``(n,)`` the values.
        covariance: ``(n, n)`` of the values.
        weights: The weights ``(n, m)`` of the observations in the values: mean = Δ/n + weights ·
            `Observed.beyond_size`. They turn the outcomes of one evaluation item into values for that item.
        surrogate: What is expected of other coalitions.
        models: The priors with a noticeable share of the marginal likelihood, each behind its share.
    """

    mean: FloatVector
    covariance: FloatMatrix
    weights: FloatMatrix
    surrogate: Surrogate
    models: tuple[tuple[float, Prior], ...]

    def of_players(self, coalitions: CoalitionMatrix) -> FloatMatrix:
        """What players add to coalitions beyond their size, as weights of the observations.

        Args:
            coalitions: ``(k, n)`` boolean.

        Returns:
            ``(k, m)`` weights.
        """
        return self.surrogate.of_players(coalitions)

    def expectation(self, coalitions: CoalitionMatrix) -> FloatMatrix:
        """The expected utility of coalitions beyond the straight line over the size, as weights of the observations.

        Args:
            coalitions: ``(k, n)`` boolean.

        Returns:
            ``(k, m)`` weights.
        """
        return self.surrogate.expectation(coalitions)


def posterior(observed: Observed, roots: Sequence[FloatMatrix]) -> Posterior:
    """The posterior, averaged over the grid of priors by marginal likelihood.

    Args:
        observed: The measured coalitions.
        roots: One ``(n, n)`` root for each covariance C of the grid.

    Returns:
        Values, covariance and the weights of the observations in them.
    """
    sample = observed.part(np.arange(len(observed.coalitions)) < WEIGHED_BY).sample
    priors = [priors_of(root) for root in roots]
    likely = np.concatenate([log_likelihoods(sample, *of_root) for of_root in zip(roots, priors, strict=True)])
    likely[len(priors[0]) :] -= math.log(max(len(roots) - 1, 1))  # one covariance in two is that of independent players
    shares = np.exp(likely - likely.max())
    shares /= shares.sum()
    largest = np.argsort(-shares, kind="stable")[:MOST_PRIORS]
    every = [prior for of_root in priors for prior in of_root]
    kept = [(float(shares[place]), every[place]) for place in largest if shares[place] >= LEAST_WEIGHT]
    return posterior_under(observed, kept)


def refits(observed: Observed, chosen: Sequence[BoolVector], models: Sequence[tuple[float, Prior]]) -> FloatMatrix:
    """The values by some of the coalitions at a time, under priors that are already weighted.

    Args:
        observed: All coalitions.
        chosen: Parts of them, ``(m,)`` boolean each.
        models: Priors, each behind its share.

    Returns:
        ``(len(chosen), n)`` values.
    """
    if len(observed.coalitions) > MOST_TOGETHER:
        whole = [observed.part(part) for part in chosen]
        return np.stack([posterior_under(part, models).mean for part in whole])
    total = sum(share for share, _ in models)
    weighted = [(share / total, prior) for share, prior in models]
    line = (observed.v_grand - observed.v_empty) / observed.coalitions.shape[1]
    beyond = means_by_parts(observed.sample, observed.beyond_size, chosen, weighted)
    return np.asarray(line + beyond, dtype=np.float64)


def posterior_under(observed: Observed, models: Sequence[tuple[float, Prior]]) -> Posterior:
    """The posterior under priors that are already weighted.

    Args:
        observed: The measured coalitions.
        models: Priors, each behind its share.

    Returns:
        Values, covariance and the weights of the observations in them.
    """
    total = sum(share for share, _ in models)
    mixture = Mixture(observed.sample, [(share / total, prior) for share, prior in models])
    line = (observed.v_grand - observed.v_empty) / observed.coalitions.shape[1]
    return Posterior(
        mean=line + mixture.weights @ observed.beyond_size,
        covariance=mixture.covariance,
        weights=mixture.weights,
        surrogate=mixture,
        models=tuple(models),
    )


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
    return Posterior(
        mean=(observed.v_grand - observed.v_empty) / n + weights @ observed.beyond_size,
        covariance=np.zeros((n, n)),
        weights=weights,
        surrogate=LinearSurrogate(weights, np.zeros((2, len(sizes)))),
        models=((1.0, additive_prior(n, 1e-3)),),
    )


@dataclass(frozen=True, eq=False)
class LinearSurrogate:
    """A sum of what players add and a curve over the size.

    Attributes:
        effects: ``(n, m)`` weights of the observations in what each player adds beyond the mean player.
        curve: ``(2, m)`` weights of the observations in the two terms of `size_terms`.
    """

    effects: FloatMatrix
    curve: FloatMatrix

    def of_players(self, coalitions: CoalitionMatrix) -> FloatMatrix:
        """What players add to coalitions beyond their size.

        Args:
            coalitions: ``(k, n)`` boolean.

        Returns:
            ``(k, m)`` weights of the observations.
        """
        inside = coalitions - coalitions.mean(axis=1, keepdims=True)
        return np.asarray(inside @ self.effects, dtype=np.float64)

    def expectation(self, coalitions: CoalitionMatrix) -> FloatMatrix:
        """The expected utility of coalitions beyond the straight line over the size.

        Args:
            coalitions: ``(k, n)`` boolean.

        Returns:
            ``(k, m)`` weights of the observations.
        """
        return np.asarray(self.of_players(coalitions) + size_terms(coalitions) @ self.curve, dtype=np.float64)


def size_terms(coalitions: CoalitionMatrix) -> FloatMatrix:
    """Two terms of how utility saturates with size; both are zero for ∅ and N.

    Args:
        coalitions: ``(m, n)`` boolean.

    Returns:
        ``(m, 2)``.
    """
    share = coalitions.mean(axis=1)
    bow = 4 * share * (1 - share)
    return np.stack([bow, bow * (share - 0.5)], axis=1)

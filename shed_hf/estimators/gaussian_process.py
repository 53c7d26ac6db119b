"""Gaussian process regression over coalitions under a prior, and its average over several (MacKay 1992)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.lapack import dtrtrs

from shed_hf.estimators.coalition_kernels import KernelParts, PlayerEffects
from shed_hf.estimators.priors import Prior, kernels_of
from shed_hf.types import BoolVector, CoalitionMatrix, FloatMatrix, FloatVector

SHAPE, SCALE = 0.5, 0.005
"""The inverse gamma prior of the scale of all variances."""


@dataclass(frozen=True, eq=False)
class Sample:
    """What a Gaussian process is fitted to.

    Attributes:
        coalitions: ``(m, n)`` boolean.
        target: ``(m,)`` their utilities beyond a line between v(∅) and v(N), with a mean square of 1.
        unit: What the mean square was before.
        counts: ``(m,)`` how many measurements each is worth.
        noise_squares: The sum of squares of repeated measurements about their means, in the same units.
        noise_freedom: Its degrees of freedom; 0 where nothing was measured repeatedly.
    """

    coalitions: CoalitionMatrix
    target: FloatVector
    unit: float
    counts: FloatVector
    noise_squares: float
    noise_freedom: int

    @cached_property
    def sizes(self) -> FloatVector:
        """``(m,)`` the share of all players that is in each coalition."""
        return np.asarray(self.coalitions.mean(axis=1), dtype=np.float64)

    def noise(self, prior: Prior) -> FloatVector:
        """The variance of the noise of each mean over measurements.

        Args:
            prior: The prior, with the noise of one measurement.

        Returns:
            ``(m,)``.
        """
        growth = self.sizes**prior.noise_growth
        return np.asarray(prior.noise * growth / self.counts, dtype=np.float64)

    def scale(self, prior: Prior, missed: float) -> tuple[float, float]:
        """The inverse gamma posterior of the scale of all variances.

        Args:
            prior: The prior.
            missed: targetᵀ·K⁻¹·target.

        Returns:
            Its shape and its scale.
        """
        squares = missed + self.noise_squares / prior.noise
        return SHAPE + (len(self.target) + self.noise_freedom) / 2, SCALE + squares / 2


@dataclass(frozen=True, eq=False)
class Parts:
    """The covariances of utilities and values as sums over kernels, which all priors of one root share.

    Attributes:
        of_utilities: ``(kernels, m, m)`` of the utilities.
        with_values: ``(kernels, n, m)`` of the Shapley values and the utilities.
        of_values: ``(kernels, n, n)`` of the values.
    """

    of_utilities: FloatMatrix
    with_values: FloatMatrix
    of_values: FloatMatrix

    def under(self, prior: Prior) -> tuple[FloatMatrix, FloatMatrix, FloatMatrix]:
        """The three covariances, noise not counted.

        Args:
            prior: A prior with this root.

        Returns:
            ``(m, m)``, ``(n, m)`` and ``(n, n)``.
        """
        parts = (self.of_utilities, self.with_values, self.of_values)
        covariance, with_values, values = (np.tensordot(prior.variances, part, axes=1) for part in parts)
        return covariance, with_values, values


def parts_of(sample: Sample, models: Sequence[tuple[float, Prior]]) -> dict[int, Parts]:
    """The parts of every root among some priors; kernels that know no root are asked once.

    Args:
        sample: The utilities.
        models: Priors, each behind its share.

    Returns:
        Parts by the ``id`` of the prior's root.
    """
    coalitions, found = sample.coalitions, {}
    alike: list[KernelParts] | None = None
    for root in {id(prior.root): prior.root for _, prior in models}.values():
        kernels = kernels_of(root)
        effects = [kernel for kernel in kernels if isinstance(kernel, PlayerEffects)]
        others = [kernel for kernel in kernels if not isinstance(kernel, PlayerEffects)]
        alike = alike or [
            (kernel.covariance(coalitions, coalitions), kernel.with_values(coalitions), kernel.of_values())
            for kernel in others
        ]
        by_root = effects[0].over_lengths(coalitions, [kernel.length for kernel in effects])
        found[id(root)] = Parts(*(np.stack(parts) for parts in zip(*by_root, *alike, strict=True)))
    return found


def log_likelihoods(sample: Sample, root: FloatMatrix, priors: Sequence[Prior]) -> FloatVector:
    """The log marginal likelihood of priors that share a covariance of the players, their scale integrated out.

    Args:
        sample: The utilities.
        root: ``(n, n)`` root of the covariance.
        priors: Priors with this root.

    Returns:
        One number for each, up to a constant that is the same for all priors.
    """
    parts = [kernel.covariance(sample.coalitions, sample.coalitions) for kernel in kernels_of(root)]
    covariances = np.tensordot(np.stack([prior.variances for prior in priors]), np.stack(parts), axes=1)
    diagonal = np.arange(len(sample.target))
    covariances[:, diagonal, diagonal] += np.stack([sample.noise(prior) for prior in priors])
    factors = np.linalg.cholesky(covariances)
    log_volumes = 2 * np.log(factors[:, diagonal, diagonal]).sum(axis=1)
    return np.array([_log_likelihood(sample, *one) for one in zip(factors, log_volumes, priors, strict=True)])


def _log_likelihood(sample: Sample, factor: FloatMatrix, log_volume: float, prior: Prior) -> float:
    # LAPACK itself: of small matrices, for each of many priors, scipy's checks take longer than solving
    left, _ = dtrtrs(factor.T, sample.target, trans=1)
    shape, scale = sample.scale(prior, float(left @ left))
    return -0.5 * (log_volume + sample.noise_freedom * math.log(prior.noise)) - shape * math.log(scale)


class Fit:
    """The posterior under one prior.

    Args:
        sample: The utilities.
        parts: Their covariances.
        prior: The prior.

    Attributes:
        weights: ``(n, m)`` of the observations in the Shapley values beyond Δ/n.
        covariance: ``(n, n)`` of the Shapley values.
    """

    def __init__(self, sample: Sample, parts: Parts, prior: Prior) -> None:
        self._prior = prior
        covariance, with_values, values = parts.under(prior)
        covariance[np.diag_indices_from(covariance)] += sample.noise(prior)
        self._factor = cho_factor(covariance, lower=True, check_finite=False)
        self.weights: FloatMatrix = self._solved(with_values)
        shape, scale = sample.scale(prior, float(sample.target @ self._solved(sample.target[None])[0]))
        # The priors' shares are themselves learned from m utilities of n players, which widens what they leave open.
        wider = 1 + 2 * len(values) / max(len(sample.target), 1)
        variance = wider * sample.unit * scale / max(shape - 1, 0.5)
        self.covariance: FloatMatrix = variance * (values - self.weights @ with_values.T)

    @property
    def root(self) -> FloatMatrix:
        """``(n, n)`` root of the covariance of the players' effects."""
        return self._prior.root

    def predict(self, across: FloatMatrix, kernels: slice) -> FloatMatrix:
        """What some of the kernels expect of coalitions.

        Args:
            across: ``(kernels, k, m)`` covariances of k coalitions with the measured ones.
            kernels: Which of `kernels_of` these are.

        Returns:
            ``(k, m)`` weights of the observations.
        """
        return self._solved(np.tensordot(self._prior.variances[kernels], across, axes=1))

    def _solved(self, lines: FloatMatrix) -> FloatMatrix:
        return np.asarray(cho_solve(self._factor, lines.T, check_finite=False).T, dtype=np.float64)


def means_by_parts(
    sample: Sample, target: FloatVector, chosen: Sequence[BoolVector], models: Sequence[tuple[float, Prior]]
) -> FloatMatrix:
    """The values by some of the coalitions at a time: what `Mixture` would make of each part, without its covariance.

    Args:
        sample: All coalitions.
        target: ``(m,)`` their utilities beyond the line between v(∅) and v(N).
        chosen: Parts of the coalitions, ``(m,)`` boolean each.
        models: Priors, each behind its share; the shares add up to 1.

    Returns:
        ``(len(chosen), n)`` values beyond Δ/n.
    """
    parts = parts_of(sample, models)
    means = np.zeros((len(chosen), sample.coalitions.shape[1]))
    for share, prior in models:
        covariance, with_values, _ = parts[id(prior.root)].under(prior)
        covariance[np.diag_indices_from(covariance)] += sample.noise(prior)
        for mean, part in zip(means, chosen, strict=True):
            places = np.flatnonzero(part)
            own = covariance[np.ix_(places, places)]
            factor = cho_factor(own, lower=True, overwrite_a=True, check_finite=False)
            mean += share * (with_values[:, places] @ cho_solve(factor, target[places], check_finite=False))
    return means


class Mixture:
    """The average over the fits of several priors.

    Args:
        sample: The utilities.
        models: Priors, each behind its share; the shares add up to 1.

    Attributes:
        weights: ``(n, m)`` of the observations in the Shapley values beyond Δ/n.
        covariance: ``(n, n)`` of the Shapley values.
    """

    def __init__(self, sample: Sample, models: Sequence[tuple[float, Prior]]) -> None:
        self._sample, self._roots = sample, {id(prior.root): prior.root for _, prior in models}
        parts = parts_of(sample, models)
        fits = self._fits = [(share, Fit(sample, parts[id(prior.root)], prior)) for share, prior in models]
        self.weights: FloatMatrix = np.sum([share * fit.weights for share, fit in fits], axis=0)
        away = [(fit.weights - self.weights) @ sample.target * math.sqrt(sample.unit) for _, fit in fits]
        spreads = [share * (fit.covariance + np.outer(a, a)) for (share, fit), a in zip(fits, away, strict=True)]
        self.covariance: FloatMatrix = np.sum(spreads, axis=0)

    def of_players(self, coalitions: CoalitionMatrix) -> FloatMatrix:
        """What players add to coalitions beyond their size, but for interactions.

        Args:
            coalitions: ``(k, n)`` boolean.

        Returns:
            ``(k, m)`` weights of the observations.
        """
        return self._mean(coalitions, slice(0, 2))

    def expectation(self, coalitions: CoalitionMatrix) -> FloatMatrix:
        """The expected utility of coalitions beyond the line between v(∅) and v(N).

        Args:
            coalitions: ``(k, n)`` boolean.

        Returns:
            ``(k, m)`` weights of the observations.
        """
        return self._mean(coalitions, slice(None))

    def _mean(self, coalitions: CoalitionMatrix, kernels: slice) -> FloatMatrix:
        known = self._sample.coalitions
        across = {
            key: np.stack([kernel.covariance(coalitions, known) for kernel in kernels_of(root)[kernels]])
            for key, root in self._roots.items()
        }
        parts = [share * fit.predict(across[id(fit.root)], kernels) for share, fit in self._fits]
        return np.asarray(np.sum(parts, axis=0), dtype=np.float64)

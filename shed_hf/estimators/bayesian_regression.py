"""What coalitions say about every player at once: a Bayesian regression of their utilities, averaged over its priors.

The utility of a coalition S of s of the n players is taken to be::

    v(S) = v(∅) + s/n·Δ + q(s) + Σ_{i∈S} aᵢ + Σ_{i∈S} bᵢ·(s/n − (n+1)/2n) + ε,    Δ = v(N) − v(∅)

where q, zero at both ends, is how utility saturates with size, aᵢ is what player *i* adds beyond the mean player, and
bᵢ how that changes with the size of the company; a and b sum to zero. Its Shapley value is exact, and linear in both::

    φᵢ = Δ/n + aᵢ − bᵢ/2n

so the values of any set of measured coalitions, drawn or walked in any way, come with a posterior, and they add up to
Δ. The prior of a is N(0, τσ²·C), that of b is ω times as wide; C says which players are alike. Whatever C, τ and ω are
offered, the posterior is the mean over them, weighted by their marginal likelihoods; σ² is integrated out.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from shed_hf.types import BoolVector, CoalitionMatrix, FloatMatrix, FloatVector

RATIOS = np.geomspace(1e-3, 1e3, 19)
"""τ: how much wider the players' effects are than the noise of one measurement, in variance."""


WEARING_OFF = (0.0, 1.0, 8.0)
"""ω: how much wider the change of an effect with the size of the company is than the effect, in variance."""


ALIKE = (0.5, 0.9)
"""The share of a prior's variance that neighbours have in common."""


NEAR = (0.5, 1.0, 2.0)
"""Length scales, in median distances between two players."""


LEAST_WEIGHT = 1e-3


def kernel_weights(coalitions: CoalitionMatrix) -> FloatVector:
    """How much all coalitions of a size weigh in the Shapley kernel, over how many of them there are, with mean 1."""
    n, sizes = coalitions.shape[1], coalitions.sum(axis=1)
    if not len(sizes):
        return np.empty(0)
    of_sizes = 1 / (sizes * (n - sizes)) / np.bincount(sizes)[sizes]
    return np.asarray(of_sizes / of_sizes.mean(), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Observed:
    """Inner coalitions ``(m, n)``, their utilities ``(m,)``, how often each was measured ``(m,)``, v(∅) and v(N).

    ``weigh`` says how much each measurement of coalitions ``(m, n)`` weighs in the regression, ``(m,)``.
    """

    coalitions: CoalitionMatrix
    utilities: FloatVector
    times: FloatVector
    v_empty: float
    v_grand: float
    weigh: Callable[[CoalitionMatrix], FloatVector] = kernel_weights

    def part(self, chosen: BoolVector) -> "Observed":
        """Some of the coalitions ``(m,)``."""
        return replace(
            self, coalitions=self.coalitions[chosen], utilities=self.utilities[chosen], times=self.times[chosen]
        )

    @property
    def n_evaluations(self) -> int:
        """How many outcomes these are, with v(∅) and v(N)."""
        return int(self.times.sum()) + 2

    @property
    def beyond_size(self) -> FloatVector:
        """v(S) − v(∅) − s/n·Δ: what the utilities are beyond a straight line over the size ``(m,)``."""
        sizes = self.coalitions.mean(axis=1)
        return np.asarray(self.utilities - self.v_empty - sizes * (self.v_grand - self.v_empty), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Prior:
    """One prior: ``root`` (n, n) with root·rootᵀ = C, τ and ω."""

    root: FloatMatrix
    ratio: float
    size_effect_scale: float


@dataclass(frozen=True, eq=False)
class Posterior:
    """Shapley values ``mean`` ``(n,)`` with ``covariance`` ``(n, n)``.

    ``effects`` ``(2n + 2, m)`` are the weights of the observations in a, b and the two coefficients of q. ``models``
    are the priors with a say, with their shares.
    """

    mean: FloatVector
    covariance: FloatMatrix
    effects: FloatMatrix
    models: tuple[tuple[float, Prior], ...]

    @property
    def weights(self) -> FloatMatrix:
        """Those of the observations in the values ``(n, m)``: mean = Δ/n + weights · `Observed.beyond_size`, and so for
        outcomes per item.
        """
        n = len(self.mean)
        return np.asarray(values_of_effects(n) @ self.effects[: 2 * n], dtype=np.float64)

    def of_players(self, coalitions: CoalitionMatrix) -> FloatMatrix:
        """The weights ``(k, m)`` of the observations in what players add to coalitions ``(k, n)`` beyond their size."""
        return np.asarray(_design(coalitions) @ self.effects[: 2 * len(self.mean)], dtype=np.float64)

    def expectation(self, coalitions: CoalitionMatrix) -> FloatMatrix:
        """The weights ``(k, m)`` of the observations in what is expected of coalitions ``(k, n)`` beyond size."""
        return np.asarray(np.hstack([_design(coalitions), of_size(coalitions)]) @ self.effects, dtype=np.float64)


def posterior(observed: Observed, roots: Sequence[FloatMatrix]) -> Posterior:
    """The posterior over all priors: every C (by a root of it), τ and ω."""
    problem = _Problem(observed)
    fits = [
        fit
        for root in roots
        for size_effect_scale in WEARING_OFF[: 1 if observed.coalitions.shape[1] < 3 else None]
        for fit in problem.fits(root, size_effect_scale)
    ]
    log_likelihoods = np.array([log for log, _ in fits])
    shares = np.exp(log_likelihoods - log_likelihoods.max())
    shares /= shares.sum()
    kept = [(share, model) for share, (_, model) in zip(shares.tolist(), fits, strict=True) if share >= LEAST_WEIGHT]
    return _mixed(problem, kept)


def complete(observed: Observed) -> Posterior:
    """The Shapley values where every inner coalition was measured, with nothing left to chance."""
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
    """The values ``(n,)`` that other coalitions give under priors that are settled already."""
    return _mixed(_Problem(observed), models).mean


def roots_of(positions: FloatMatrix | None, n: int, extra: FloatVector | None = None) -> list[FloatMatrix]:
    """Roots of the covariances C to choose from: players independent; alike where their ``positions`` ``(n, d)`` are
    near; alike in what ``extra`` ``(n,)``, a first guess of their values, says of them.
    """
    centring = np.eye(n) - 1 / n
    covariances = [np.eye(n)]
    if positions is not None and n > 2:
        squared = ((positions[:, None] - positions[None]) ** 2).sum(axis=-1)
        typical = float(np.median(squared[np.triu_indices(n, 1)])) or 1.0
        near = [np.exp(-squared / (2 * scale**2 * typical)) for scale in NEAR]
        covariances += [(1 - share) * np.eye(n) + share * kernel for kernel in near for share in ALIKE]
    if extra is not None and extra.std() > 0:
        guess = (extra - extra.mean()) / extra.std()
        along = np.outer(guess, guess)
        covariances += [c + weight * along for c in list(covariances) for weight in (1.0, 10.0)]
    return [_root(centring @ covariance @ centring) for covariance in covariances]


class _Problem:
    """The regression's sums, with q's two coefficients projected out: shared by all priors."""

    def __init__(self, observed: Observed) -> None:
        self.observed = observed
        self.n = observed.coalitions.shape[1]
        weights = observed.times * observed.weigh(observed.coalitions)
        scale = np.sqrt(weights)[:, None]
        self.design, self.size = _design(observed.coalitions) * scale, of_size(observed.coalitions) * scale
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


def _mixed(problem: _Problem, models: Sequence[tuple[float, Prior]]) -> Posterior:
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
    """What turns a and b into values beyond Δ/n, ``(n, 2n)``."""
    return np.hstack([np.eye(n), -np.eye(n) / (2 * n)])


def _design(coalitions: CoalitionMatrix) -> FloatMatrix:
    """Who is in, beyond the mean player, and the same times the size ``(m, 2n)``."""
    n = coalitions.shape[1]
    sizes = coalitions.sum(axis=1, keepdims=True)
    inside = coalitions - sizes / n
    return np.hstack([inside, inside * (sizes / n - (n + 1) / (2 * n))])


def of_size(coalitions: CoalitionMatrix) -> FloatMatrix:
    """q's two terms ``(m, 2)``, zero for ∅ and N."""
    share = coalitions.mean(axis=1)
    bow = 4 * share * (1 - share)
    return np.stack([bow, bow * (share - 0.5)], axis=1)


def _root(covariance: FloatMatrix) -> FloatMatrix:
    eigenvalues, vectors = np.linalg.eigh(covariance)
    kept = eigenvalues > 1e-9 * max(eigenvalues.max(), 1e-300)
    roots = vectors[:, kept] * np.sqrt(eigenvalues[kept])
    return np.hstack([roots, np.zeros((len(covariance), len(covariance) - roots.shape[1]))])

"""Shapley values by regression, with an unbiased correction from its residuals.

A surrogate f, fitted to the measured coalitions, has exact Shapley values φ(f); the rest is estimated from the
coalitions' residuals (Witter et al. 2025, arXiv 2506.11849, algorithm 1)::

    φ̃ᵢ = φᵢ(f) + Σ_S (v(S) − f(S)) · (1[i ∈ S]/s − 1[i ∉ S]/(n − s)) / m_s

over the m_s coalitions measured of each size s. Each residual is taken from an f that did not see that coalition
(cross-fitting; the weights of the priors alone are learned from all), so where every size was measured the estimate is
unbiased however wrong f is, and the better f is the smaller its variance. Unbiased is not most accurate: on few
coalitions `LeastSquares` alone errs less. The coalitions of a size must be equally likely, so they are drawn at random.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from shed_hf.errors import InputError
from shed_hf.estimators.base import ALL_CLUSTERS, Cost, ValueEstimate, check_budget, spread_over_items
from shed_hf.estimators.bayesian_regression import Observed, Posterior, exact_posterior, posterior
from shed_hf.estimators.coalition_design import random_pairs
from shed_hf.estimators.in_run import InRun
from shed_hf.estimators.least_squares import LeastSquares, estimate_from_posterior
from shed_hf.estimators.outcomes import complement_pairs, measurements_of
from shed_hf.estimators.priors import covariance_roots
from shed_hf.estimators.replicates import variance_by_luck
from shed_hf.game.game import Game
from shed_hf.types import CoalitionMatrix, FloatMatrix

FOLDS = 10
"""Parts of the coalitions; the surrogate of each part is fitted on the others."""


@dataclass(frozen=True)
class RegressionAdjusted:
    """Shapley values by a surrogate, plus the unbiased correction.

    The number of coalitions and the budget are the surrogate's.

    Attributes:
        surrogate: A `LeastSquares` learns from the coalitions alone. An `InRun` gives a first guess of every player
            from one more training run, which the regression follows as far as the outcomes support it.
    """

    surrogate: LeastSquares | InRun = field(default_factory=LeastSquares)

    def __post_init__(self) -> None:
        if not isinstance(self.surrogate, LeastSquares | InRun):
            raise InputError(f"surrogate={self.surrogate!r} is not a surrogate; pass LeastSquares(…) or InRun(…)")

    def cost(self, n_players: int, budget: int | None = None) -> Cost:
        """The coalitions, v(N), and with an `InRun` surrogate its training run.

        Args:
            n_players: How many players the game has.
            budget: The most fine-tunings; None for the surrogate's own number.

        Returns:
            What ``__call__`` will ask for.

        Raises:
            InputError: For a budget below 3, or 4 with an `InRun` surrogate.
        """
        if budget is not None:
            check_budget(
                budget,
                3 + self._runs,
                f"a set of clusters, its complement, {ALL_CLUSTERS}{' and the run' * self._runs}",
            )
        cost = self._regression.cost(n_players, self._left(budget))
        return Cost(cost.fine_tunings + self._runs, cost.players_trained + self._runs * n_players)

    def __call__(self, game: Game, rng: np.random.Generator, budget: int | None = None) -> ValueEstimate:
        """The adjusted values, with standard errors from the spread of the residuals over pairs."""
        self.cost(game.n_players, budget)
        guess = self.surrogate(game, rng).values if isinstance(self.surrogate, InRun) else None
        ends, n_pairs = self._regression.begin(game, self._left(budget))
        coalitions = random_pairs(game.n_players, n_pairs, rng)
        measured = [*ends, *measurements_of(game, coalitions, [0] * len(coalitions))]
        found = self._regression.with_replicates(game, measured, coalitions, self._left(budget))
        observed = found.observed(game)

        def fit(part: Observed) -> Posterior:
            if isinstance(self.surrogate, LeastSquares):
                return self.surrogate.fit(game, part)
            if len(part.coalitions) == 2 ** min(game.n_players, 62) - 2:
                return exact_posterior(part)
            return posterior(part, covariance_roots(game.positions, game.n_players, guess))

        of_all = fit(observed)
        plain = estimate_from_posterior(game, found, of_all)
        if len(coalitions) < 2 * FOLDS:
            return plain
        weights, covariance = _adjusted(observed, fit)
        per_item = found.per_item(weights)
        variance = covariance.diagonal() + variance_by_luck(found, observed, weights)
        variance = variance + spread_over_items(per_item, game) ** 2
        total = (observed.v_grand - observed.v_empty) / game.n_players
        return replace(
            plain, values=total + weights @ observed.beyond_size, stderr=np.sqrt(variance), per_item=per_item
        )

    @property
    def _regression(self) -> LeastSquares:
        return self.surrogate if isinstance(self.surrogate, LeastSquares) else LeastSquares()

    @property
    def _runs(self) -> int:
        return int(isinstance(self.surrogate, InRun))

    def _left(self, budget: int | None) -> int | None:
        return None if budget is None else budget - self._runs


def _adjusted(observed: Observed, fit: Callable[[Observed], Posterior]) -> tuple[FloatMatrix, FloatMatrix]:
    """The weights ``(n, m)`` of the observations in the adjusted values beyond Δ/n, and their covariance ``(n, n)``
    from the spread of the pairs' corrections.

    What a surrogate misses is the mean over all coalitions of a size. Coalitions are drawn without replacement, so
    those left out stand for the ones that the surrogate has not seen; what it misses of those it has seen is known.
    """
    m, n = observed.coalitions.shape
    pairs = complement_pairs(observed.coalitions)
    folds = np.random.default_rng(0).permutation(int(pairs.max()) + 1)[pairs] % FOLDS
    sizes = observed.coalitions.sum(axis=1)
    seen = (1 - 1 / FOLDS) * np.bincount(sizes)[sizes] / np.array([math.comb(n, int(size)) for size in sizes])
    credit = _credit(observed.coalitions)  # (n, m)
    of_seen, credit = credit * seen / (1 - 1 / FOLDS), credit * (1 - seen)
    surrogate, missed = np.zeros((n, m)), np.eye(m)
    for fold in range(FOLDS):
        inside, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        of_fold = fit(observed.part(folds != fold))
        surrogate[:, others] += of_fold.weights / FOLDS
        missed[np.ix_(inside, others)] -= of_fold.expectation(observed.coalitions[inside])
        known = np.eye(len(others)) - of_fold.expectation(observed.coalitions[others])
        surrogate[:, others] += of_seen[:, others] @ known / FOLDS
    residuals = missed @ observed.beyond_size
    of_pairs = np.zeros((int(pairs.max()) + 1, n))
    np.add.at(of_pairs, pairs, (credit * residuals).T)
    away = of_pairs - of_pairs.mean(axis=0)
    return surrogate + credit @ missed, away.T @ away * (len(away) / max(len(away) - 1, 1))


def _credit(coalitions: CoalitionMatrix) -> FloatMatrix:
    """(1[i ∈ S]/s − 1[i ∉ S]/(n − s)) / m_s for every player and coalition ``(n, m)``."""
    n, sizes = coalitions.shape[1], coalitions.sum(axis=1)
    measured = np.bincount(sizes)[sizes]
    return np.asarray(np.where(coalitions.T, 1 / sizes, -1 / (n - sizes)) / measured, dtype=np.float64)

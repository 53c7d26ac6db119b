"""Banzhaf values by maximum sample reuse: every measured coalition says something about every player.

The Banzhaf value of a player is its mean marginal contribution over all coalitions of the others, equally weighted::

    φ_i = E[v(S) | i ∈ S] − E[v(S) | i ∉ S]      for S uniform among the 2ⁿ coalitions

(Wang & Jia 2023, arXiv 2205.15466, eq. 8). Both means are taken over the same sample, so no coalition is spent on one
player alone. Banzhaf values are not Shapley values: they do not add up to v(N) − v(∅).
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from shed_hf.estimators.base import Cost, ValueEstimate, check_coalitions, pairs_within, spread_over_items
from shed_hf.estimators.bayesian_regression import Observed, Posterior
from shed_hf.estimators.least_squares import LeastSquares, estimate_from_values
from shed_hf.estimators.luck import widening
from shed_hf.estimators.outcomes import Outcomes, measure_ends, measurements_of, merged, outcomes_in_ledger
from shed_hf.estimators.permutation_test import p_value_of_coalitions
from shed_hf.estimators.replicates import Allotment, allot_random, depends_on_order, measured_again, with_luck
from shed_hf.game.game import Game
from shed_hf.types import CoalitionMatrix, FloatMatrix, FloatVector, IntVector
from shed_hf.utils.warn import warn

MEASURED = 0.1
"""The share of all coalitions whose size should have been measured for the values to be on their scale."""


@dataclass(frozen=True)
class BanzhafMSR:
    """Banzhaf values from uniform random coalitions, each with its complement.

    Attributes:
        n_coalitions: How many coalitions without a budget; None is four for every player, at least 32.
    """

    n_coalitions: int | None = None

    def __post_init__(self) -> None:
        check_coalitions(self.n_coalitions)

    def cost(self, n_players: int, budget: int | None = None) -> Cost:
        """The coalitions, with half of the players in each, v(N), and replicates of both.

        Args:
            n_players: How many players the game has.
            budget: The most fine-tunings; None for ``n_coalitions``.

        Returns:
            What ``__call__`` will ask for.

        Raises:
            InputError: For a budget below 3.
        """
        return self._allotment(n_players, budget).cost(n_players)

    def __call__(self, game: Game, rng: np.random.Generator, budget: int | None = None) -> ValueEstimate:
        """Means over the coalitions with and without each player."""
        allotment = self._allotment(game.n_players, budget)
        measured = measure_ends(game, allotment.repeats)
        has_luck = depends_on_order(game, measured)
        spared = allotment.again // 2 if budget is not None and not has_luck else 0
        half = rng.random((allotment.pairs + spared, game.n_players)) < 0.5
        coalitions = np.stack([half, ~half], axis=1).reshape(-1, game.n_players)
        measured += measurements_of(game, coalitions, [0] * len(coalitions))
        if has_luck:
            measured += measured_again(game, coalitions, allotment, measured)
        return _from_pairs(game, half, merged(game, measured))

    def from_ledger(self, game: Game) -> ValueEstimate:
        """Banzhaf values from whatever the game's ledger holds, by regression.

        Another estimator's coalitions are neither uniform nor independent, so those with a player differ from those
        without by more than the player. Differences between players are read off `LeastSquares(prior=None)`, with
        coalitions weighted towards the sizes that most of all 2ⁿ have; the mean over players, off how the mean utility
        grows from one size to the next.

        Args:
            game: The game, whose ledger is read.

        Returns:
            The values; a warning says where few of all coalitions are of a measured size.

        Raises:
            InputError: Where v(∅), v(N) or every coalition between them is missing.
        """
        found = outcomes_in_ledger(game)
        observed = replace(found.observed(game), weigh=uniform_weights)
        _warn_of_gaps(observed.coalitions)
        fit = LeastSquares(prior=None).fit(game, observed)
        weights, variance = _banzhaf(observed, fit)
        return estimate_from_values(game, found, fit, observed, weights, variance, "banzhaf")

    def _allotment(self, n_players: int, budget: int | None) -> Allotment:
        wanted = self.n_coalitions or max(4 * n_players, 32)
        return allot_random(2 * pairs_within(wanted, budget), budget)


def _from_pairs(game: Game, half: CoalitionMatrix, found: Outcomes) -> ValueEstimate:
    """The mean over pairs of coalitions ``half`` and their complements, with its error from the spread over pairs."""
    mean_of = {line.tobytes(): outcome for line, outcome in zip(found.coalitions, found.outcomes, strict=True)}
    mean_of |= {np.zeros(game.n_players, np.bool_).tobytes(): found.empty}
    mean_of |= {np.ones(game.n_players, np.bool_).tobytes(): found.grand}
    inside, outside = (np.stack([mean_of[line.tobytes()] for line in lines]) for lines in (half, ~half))
    difference = game.aggregate(inside) - game.aggregate(outside)  # (pairs,)
    sign, pairs = np.where(half, 1.0, -1.0), len(half)  # (pairs, n_players)
    contributions = sign * difference[:, None]
    per_item = sign.T @ (inside - outside) / pairs
    spread = np.full(game.n_players, np.nan)
    if pairs > 1:
        spread = widening(pairs - 1) * contributions.std(axis=0, ddof=1) / np.sqrt(pairs)
    observed = found.observed(game)
    estimate = ValueEstimate(
        values=contributions.mean(axis=0),
        stderr=np.hypot(spread, spread_over_items(per_item, game)),
        counts=np.full(game.n_players, pairs, dtype=np.int64),
        semivalue="banzhaf",
        v_empty=observed.v_empty,
        v_grand=observed.v_grand,
        n_evaluations=game.n_evaluations,
        replicates=_parts(contributions),
        per_item=per_item,
        p_value=p_value_of_coalitions(observed),
    )
    return with_luck(estimate, game, found)


def uniform_weights(coalitions: CoalitionMatrix) -> FloatVector:
    """How much each coalition weighs in a regression for Banzhaf values.

    The weight is the square root of how many of all 2ⁿ coalitions have the size, over how many of these do. By the
    number itself the few coalitions of middle sizes would decide nearly alone; with its root the values came nearer to
    the truth on games where it is known, and the standard errors held.

    Args:
        coalitions: ``(m, n)`` boolean, one coalition per line.

    Returns:
        ``(m,)`` weights with mean 1.
    """
    n, sizes = coalitions.shape[1], coalitions.sum(axis=1)
    if not len(sizes):
        return np.empty(0)
    of_sizes = np.sqrt(_binomial(n)[sizes] / np.bincount(sizes)[sizes])
    return np.asarray(of_sizes / of_sizes.mean(), dtype=np.float64)


def _banzhaf(observed: Observed, fit: Posterior) -> tuple[FloatMatrix, FloatVector]:
    """The weights ``(n, m)`` of the observations in the values beyond Δ/n, and the values' variances ``(n,)``.

    On average half of the others are in, so player *i* adds aᵢ − bᵢ/2n more than the mean player, as for Shapley
    values. The two kinds of values differ only in what the mean player adds.
    """
    m, n = observed.coalitions.shape
    if m == 2 ** min(n, 62) - 2:
        return np.where(observed.coalitions.T, 1.0, -1.0) / 2 ** (n - 1), np.zeros(n)
    weights, variance = _of_mean_player(observed, fit)
    return fit.weights + weights, fit.covariance.diagonal().clip(0) + variance


def _of_mean_player(observed: Observed, fit: Posterior) -> tuple[FloatVector, float]:
    """The weights ``(m,)`` of the observations in the mean of all values beyond Δ/n, and its variance.

    It is Σₛ C(n − 1, s)/2ⁿ⁻¹ · (v̄(s + 1) − v̄(s)), where v̄(s) is the mean over the coalitions of size s, less what
    their own players add. Sizes that were not measured are interpolated linearly, with the uncertainty of a random
    walk.
    """
    m, n = observed.coalitions.shape
    sizes, counts = np.unique(observed.coalitions.sum(axis=1), return_counts=True)
    share, gaps = _shares(sizes, n)
    means = (observed.coalitions.sum(axis=1) == sizes[:, None]) / counts[:, None]  # (sizes, m)
    means = means @ (np.eye(m) - fit.of_players(observed.coalitions))
    levels = np.concatenate([[0], means @ observed.beyond_size, [0]])
    steps = float(np.mean(np.diff(levels) ** 2 / np.diff([0, *sizes, n])))
    fitted = fit.expectation(observed.coalitions)
    missed = observed.beyond_size - fitted @ observed.beyond_size
    noise = float(missed @ missed) / max(m - float(np.trace(fitted)), 1.0)
    return share @ means, noise * float(share**2 @ (1 / counts)) + steps * gaps


def _shares(sizes: IntVector, n: int) -> tuple[FloatVector, float]:
    """The weights ``(sizes,)`` of v̄ at each measured size in the mean value, where straight lines join them, and the
    variance of the mean value under a random walk of unit steps between them.
    """
    every, known = np.arange(n + 1), np.concatenate([[0], sizes, [n]])
    line = np.stack([np.interp(every, known, one) for one in np.eye(len(known))], axis=1)  # (n + 1, known)
    share = np.append(0, _binomial(n - 1)) - np.append(_binomial(n - 1), 0)
    walk = np.minimum.outer(every, every)
    return (share @ line)[1:-1], max(float(share @ (walk - line @ walk[known]) @ share), 0.0)


def _binomial(n: int) -> FloatVector:
    """The share of each size 0 … n among all 2ⁿ coalitions, ``(n + 1,)``."""
    log_factorial = np.array([math.lgamma(size + 1) for size in range(n + 1)])
    log_share = log_factorial[n] - log_factorial - log_factorial[::-1] - n * math.log(2)
    return np.asarray(np.exp(log_share), dtype=np.float64)


def _warn_of_gaps(coalitions: CoalitionMatrix) -> None:
    """Warns where few of all coalitions are of a size that was measured, so that the mean value is extrapolated."""
    n = coalitions.shape[1]
    measured = (2 + sum(math.comb(n, int(size)) for size in np.unique(coalitions.sum(axis=1)))) / 2**n
    if measured < MEASURED:
        warn(
            f"only {measured:.0%} of all sets of clusters are of a size that was measured, so these Banzhaf values may "
            "be off in scale, all alike; their order says more than their size",
        )


def _parts(contributions: FloatMatrix) -> FloatMatrix:
    """The means of as many parts of the pairs, up to 64."""
    parts = np.array_split(contributions, min(len(contributions), 64))
    return np.stack([part.mean(axis=0) for part in parts])

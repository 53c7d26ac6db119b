"""Banzhaf values by maximum sample reuse: every coalition measured says something about every player.

The Banzhaf value of a player is the mean of its marginal contributions over all coalitions of the others, all alike::

    φ_i = E[v(S) | i ∈ S] − E[v(S) | i ∉ S]      for S uniform among the 2ⁿ coalitions

(Wang & Jia 2023, arXiv 2205.15466, eq. 8). Both means are taken over the same sample, so no coalition is spent on one
player alone. Banzhaf values are not Shapley values: they do not add up to v(N) − v(∅).
"""

import math
from dataclasses import dataclass

import numpy as np

from shed_hf.arrays import CoalitionMatrix, FloatMatrix, FloatVector
from shed_hf.coalitions import coalitions_of
from shed_hf.errors import InputError
from shed_hf.estimators.estimate import Cost, ValueEstimate, check_budget
from shed_hf.game import Game

REPLICATES = 10
"""Into how many parts the coalitions are split, to see how far the parts agree."""


@dataclass(frozen=True)
class BanzhafMSR:
    """Banzhaf values from ``n_coalitions`` uniform coalitions, each with its complement; a budget pays for fewer or
    more.

    ``None`` is four for every player, at least 32.
    """

    n_coalitions: int | None = None

    def __post_init__(self) -> None:
        n = self.n_coalitions
        if n is not None and (isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 2):
            raise InputError(f"n_coalitions={n!r} is not a whole number >= 2; pass one")

    def cost(self, n_players: int, budget: int | None = None) -> Cost:
        """The coalitions, half of the players in each, and v(N)."""
        check_budget(budget, 3, "a coalition, its complement and v(N)")
        n = self._pairs(n_players, budget) * 2
        return Cost(n + 1, n * n_players / 2 + n_players)

    def __call__(self, game: Game, rng: np.random.Generator, budget: int | None = None) -> ValueEstimate:
        """Means over the coalitions with and without each player."""
        check_budget(budget, 3, "a coalition, its complement and v(N)")
        half = rng.random((self._pairs(game.n_players, budget), game.n_players)) < 0.5
        coalitions = np.stack([half, ~half], axis=1).reshape(-1, game.n_players)
        v_empty, v_grand = game.ends()
        return _estimate(coalitions, game(coalitions), np.ones(len(coalitions)), (v_empty, v_grand))

    def from_ledger(self, game: Game) -> ValueEstimate:
        """The same from whatever coalitions the game's ledger holds.

        Those were drawn by another estimator, so coalitions of s players are weighted by how many such there are among
        all 2ⁿ over how many were measured: importance sampling, normalised by the weights' sum, right where coalitions
        of one size were drawn by chance, as along random orders. Raises `InputError` when some player was never left
        out or never in.
        """
        coalitions, outcomes = coalitions_of(game.ledger, game.players)
        if not len(coalitions):
            raise InputError(
                f"the ledger has no outcome of a coalition of these {game.n_players} players measured by itself "
                f"({len(game.ledger)} outcomes in all); measure some with curate(…, estimator=BanzhafMSR(), ledger=…)"
            )
        return _estimate(coalitions, game.aggregate(outcomes), _weights(coalitions), game.ends())

    def _pairs(self, n_players: int, budget: int | None) -> int:
        wanted = self.n_coalitions or max(4 * n_players, 32)
        return max((wanted if budget is None else budget - 1) // 2, 1)


def _weights(coalitions: CoalitionMatrix) -> FloatVector:
    """C(n, s) over the number of measured coalitions of that size s, the largest weight being 1."""
    n, sizes = coalitions.shape[1], coalitions.sum(axis=1)
    log_factorial = np.array([math.lgamma(s + 1) for s in range(n + 1)])
    log_number = log_factorial[n] - log_factorial - log_factorial[::-1]  # log C(n, s), by s
    log_weight = log_number[sizes] - np.log(np.bincount(sizes)[sizes])
    return np.asarray(np.exp(log_weight - log_weight.max()), dtype=np.float64)


def _estimate(
    coalitions: CoalitionMatrix, v: FloatVector, weights: FloatVector, ends: tuple[float, float]
) -> ValueEstimate:
    values, stderr = _contrast(coalitions, v, weights)
    if np.isnan(values).any():
        i = int(np.flatnonzero(np.isnan(values))[0])
        raise InputError(
            f"player {i} is in all or in none of the {len(coalitions)} coalitions measured; measure more (at least "
            "budget=16, or another estimator's ledger)"
        )
    return ValueEstimate(
        values=values,
        stderr=stderr,
        counts=coalitions.sum(axis=0).astype(np.int64),
        semivalue="banzhaf",
        v_empty=ends[0],
        v_grand=ends[1],
        n_evaluations=len(coalitions),
        replicates=_replicates(coalitions, v, weights),
    )


def _contrast(coalitions: CoalitionMatrix, v: FloatVector, weights: FloatVector) -> tuple[FloatVector, FloatVector]:
    """Weighted mean with minus without each player ``(n_players,)``, and its standard error; NaN where one is empty."""
    means, variances = [], []
    for inside in (coalitions, ~coalitions):
        w = inside * weights[:, None]  # (m, n_players)
        total = w.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (w * v[:, None]).sum(axis=0) / total
            spread = (w**2 * (v[:, None] - mean) ** 2).sum(axis=0) / total**2
            effective = total**2 / (w**2).sum(axis=0)
            variances.append(np.where(effective > 1, spread * effective / (effective - 1), np.nan))
        means.append(mean)
    return means[0] - means[1], np.sqrt(variances[0] + variances[1])


def _replicates(coalitions: CoalitionMatrix, v: FloatVector, weights: FloatVector) -> FloatMatrix:
    """Values of disjoint parts of the coalitions, ten or as many as have every player both in and out."""
    pairs = np.arange(len(coalitions)) // 2  # complements stay together
    for parts in range(min(REPLICATES, len(coalitions) // 4), 1, -1):
        lines = [_contrast(coalitions[p], v[p], weights[p])[0] for p in (pairs % parts == k for k in range(parts))]
        if np.isfinite(lines).all():
            return np.stack(lines)
    return np.empty((0, 0))

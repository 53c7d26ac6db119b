"""Banzhaf values by maximum sample reuse: every coalition measured says something about every player.

The Banzhaf value of a player is the mean of its marginal contributions over all coalitions of the others, all alike::

    φ_i = E[v(S) | i ∈ S] − E[v(S) | i ∉ S]      for S uniform among the 2ⁿ coalitions

(Wang & Jia 2023, arXiv 2205.15466, eq. 8). Both means are taken over the same sample, so no coalition is spent on one
player alone. Banzhaf values are not Shapley values: they do not add up to v(N) − v(∅).
"""

import math
import warnings
from dataclasses import dataclass

import numpy as np

from shed_hf.arrays import CoalitionMatrix, FloatMatrix, FloatVector
from shed_hf.coalitions import coalitions_of
from shed_hf.errors import InputError
from shed_hf.estimators.chance import p_value_of_coalitions
from shed_hf.estimators.estimate import Cost, ValueEstimate, check_coalitions, pairs_within, spread_over_items
from shed_hf.estimators.measured import measure
from shed_hf.game import Game

MEASURED = 0.1
"""The share of all coalitions whose size should have been measured for the values to be on their scale."""
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
        check_coalitions(self.n_coalitions)

    def cost(self, n_players: int, budget: int | None = None) -> Cost:
        """The coalitions, half of the players in each, and v(N)."""
        n = self._pairs(n_players, budget) * 2
        return Cost(n + 1, n * n_players / 2 + n_players)

    def __call__(self, game: Game, rng: np.random.Generator, budget: int | None = None) -> ValueEstimate:
        """Means over the coalitions with and without each player."""
        pairs = self._pairs(game.n_players, budget)
        half = rng.random((pairs, game.n_players)) < 0.5
        v_empty, v_grand = game.ends()
        inside, outside = game.outcomes(half), game.outcomes(~half)
        difference = game.aggregate(inside) - game.aggregate(outside)  # (pairs,)
        sign = np.where(half, 1.0, -1.0)  # (pairs, n_players)
        contributions = sign * difference[:, None]
        per_item = sign.T @ (inside - outside) / pairs
        spread = contributions.std(axis=0, ddof=1) / np.sqrt(pairs) if pairs > 1 else np.full(game.n_players, np.nan)
        return ValueEstimate(
            values=contributions.mean(axis=0),
            stderr=np.hypot(spread, spread_over_items(per_item, game)),
            counts=np.full(game.n_players, pairs, dtype=np.int64),
            semivalue="banzhaf",
            v_empty=v_empty,
            v_grand=v_grand,
            n_evaluations=game.n_evaluations,
            replicates=_parts(contributions),
            per_item=per_item,
            p_value=p_value_of_coalitions(measure(game, np.concatenate([half, ~half])).observed(game)),
        )

    def from_ledger(self, game: Game) -> ValueEstimate:
        """The same from whatever coalitions the game's ledger holds.

        Those were drawn by another estimator, so coalitions of s players are weighted by how many such there are among
        all 2ⁿ over how many were measured: importance sampling, normalised by the weights' sum, right where coalitions
        of one size were drawn by chance, as along random orders. Where sizes near n/2 are missing, coalitions with a
        player are not one larger than those without, as they should be; the slope of v over the size makes up for it.
        Raises `InputError` when some player was in or out less than twice.
        """
        coalitions, outcomes = coalitions_of(game.ledger, game.players)
        if not len(coalitions):
            raise InputError(
                f"the ledger has no outcome of a coalition of these {game.n_players} players measured by itself "
                f"({len(game.ledger)} outcomes in all); measure some with curate(…, estimator=BanzhafMSR(), ledger=…)"
            )
        weights, inner = _weights(coalitions), coalitions.any(axis=1) & ~coalitions.all(axis=1)
        if game.n_players > 1 and not inner.any():
            raise InputError(
                "the ledger has v(∅) and v(N) by themselves and nothing between, which tells players from each other; "
                "measure coalitions with curate(…, estimator=BanzhafMSR(), ledger=…)"
            )
        _warn_of_gaps(coalitions)
        values, stderr = _contrast(coalitions, game.aggregate(outcomes), weights)
        _check_spread(coalitions, values, stderr)
        per_item = np.stack([_contrast(coalitions, of_item, weights)[0] for of_item in outcomes.T], axis=1)
        v_empty, v_grand = game.ends()
        return ValueEstimate(
            values=values,
            stderr=np.hypot(stderr, spread_over_items(per_item, game)),
            counts=coalitions.sum(axis=0).astype(np.int64),
            semivalue="banzhaf",
            v_empty=v_empty,
            v_grand=v_grand,
            n_evaluations=len(coalitions),
            replicates=_replicates(coalitions, game.aggregate(outcomes), weights),
            per_item=per_item,
            p_value=p_value_of_coalitions(measure(game, coalitions).observed(game)),
        )

    def _pairs(self, n_players: int, budget: int | None) -> int:
        return pairs_within(self.n_coalitions or max(4 * n_players, 32), budget)


def _weights(coalitions: CoalitionMatrix) -> FloatVector:
    """C(n, s) over the number of measured coalitions of that size s, the largest weight being 1."""
    n, sizes = coalitions.shape[1], coalitions.sum(axis=1)
    log_factorial = np.array([math.lgamma(s + 1) for s in range(n + 1)])
    log_number = log_factorial[n] - log_factorial - log_factorial[::-1]  # log C(n, s), by s
    log_weight = log_number[sizes] - np.log(np.bincount(sizes)[sizes])
    return np.asarray(np.exp(log_weight - log_weight.max()), dtype=np.float64)


def _check_spread(coalitions: CoalitionMatrix, values: FloatVector, stderr: FloatVector) -> None:
    for number, told in ((values, "in all or in none of"), (stderr, "in only one or in all but one of")):
        bad = np.flatnonzero(np.isnan(number))
        if len(bad) and coalitions.shape[1] > 1:
            raise InputError(
                f"player {bad[0]} is {told} the {len(coalitions)} coalitions measured; measure more (at least "
                "budget=16, or another estimator's ledger)"
            )


def _warn_of_gaps(coalitions: CoalitionMatrix) -> None:
    """Warn where the sizes that most coalitions have were hardly measured: then a player's contribution is mixed up
    with that of the coalition's size.
    """
    n = coalitions.shape[1]
    measured = sum(math.comb(n, int(size)) for size in np.unique(coalitions.sum(axis=1))) / 2**n
    if measured < MEASURED:
        warnings.warn(
            f"only {measured:.0%} of all coalitions are of a size that was measured, so these Banzhaf values may be "
            "off in scale, all alike; their order says more than their size",
            stacklevel=5,
        )


def _parts(contributions: FloatMatrix) -> FloatMatrix:
    """The means of as many parts of the pairs, up to 64."""
    parts = np.array_split(contributions, min(len(contributions), 64))
    return np.stack([part.mean(axis=0) for part in parts])


def _contrast(coalitions: CoalitionMatrix, v: FloatVector, weights: FloatVector) -> tuple[FloatVector, FloatVector]:
    """Weighted mean with minus without each player ``(n_players,)``, for coalitions one larger on average, and its
    standard error; NaN where there are too few.
    """
    sizes = coalitions.sum(axis=1).astype(np.float64)
    away = sizes - np.average(sizes, weights=weights)
    curvature = float(weights @ away**2)
    slope = float(weights @ (away * v)) / curvature if curvature > 0 else 0.0
    rest = v - slope * sizes
    (inside, spread_in), (outside, spread_out) = (
        _mean(part * weights[:, None], rest) for part in (coalitions, ~coalitions)
    )
    return inside - outside + slope, np.sqrt(spread_in + spread_out)


def _mean(w: FloatMatrix, v: FloatVector) -> tuple[FloatVector, FloatVector]:
    """Means of ``v`` ``(m,)`` by the weights of each column ``(m, n_players)``, and their variances."""
    total = w.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (w * v[:, None]).sum(axis=0) / total
        spread = (w**2 * (v[:, None] - mean) ** 2).sum(axis=0) / total**2
        effective = total**2 / (w**2).sum(axis=0)
        return mean, np.where(effective > 1, spread * effective / (effective - 1), np.nan)


def _replicates(coalitions: CoalitionMatrix, v: FloatVector, weights: FloatVector) -> FloatMatrix:
    """Values of disjoint parts of the coalitions, ten or as many as have every player both in and out."""
    pairs = np.arange(len(coalitions)) // 2  # complements stay together
    for parts in range(min(REPLICATES, len(coalitions) // 4), 1, -1):
        lines = [_contrast(coalitions[p], v[p], weights[p])[0] for p in (pairs % parts == k for k in range(parts))]
        if np.isfinite(lines).all():
            return np.stack(lines)
    return np.empty((0, 0))

"""Permutation tests of the null hypothesis that all players are worth the same."""

import numpy as np

from shed_hf.estimators.bayesian_regression import Observed
from shed_hf.types import FloatMatrix, FloatVector

SHUFFLES = 999

AT_ONCE = 2**16
"""Shuffles of so many numbers, or of one set of replicates, are held in memory at once."""

ROUNDING = 1e-12
"""Utilities of one size that differ by no more, relative to the largest, are equal."""


def p_value_of_replicates(replicates: FloatMatrix) -> float:
    """The permutation test on independent replicates.

    If all players were worth the same, each replicate's values could be shuffled among the players. The p-value is the
    share of 999 such shuffles whose values spread at least as far, the measured one counted among them.

    Args:
        replicates: ``(r, n_players)`` independent estimates of the values.

    Returns:
        The p-value; NaN for fewer than two replicates or players.
    """
    if replicates.shape[0] < 2 or replicates.shape[1] < 2:
        return float("nan")
    rng = np.random.default_rng(0)
    spread = float(replicates.mean(axis=0).var())
    together = max(AT_ONCE // replicates.size, 1)
    numbers = [min(together, SHUFFLES - start) for start in range(0, SHUFFLES, together)]
    return _p_value(spread, np.concatenate([_spreads_of_shuffles(replicates, number, rng) for number in numbers]))


def _spreads_of_shuffles(replicates: FloatMatrix, number: int, rng: np.random.Generator) -> FloatVector:
    """How far the values spread in so many shuffles."""
    shuffled = rng.permuted(np.tile(replicates, (number, 1)), axis=1)
    return np.asarray(shuffled.reshape(number, *replicates.shape).mean(axis=1).var(axis=1), dtype=np.float64)


def p_value_of_coalitions(observed: Observed) -> float:
    """The permutation test on coalitions, however they were drawn.

    If all players were worth the same, a utility would depend on the coalition's size alone. So utilities are shuffled
    among coalitions of the same size, and compared by how far they move with the players being in or out.

    Args:
        observed: The coalitions with their utilities.

    Returns:
        The p-value; NaN where no two coalitions have the same size, and for fewer than four coalitions.
    """
    sizes, n = observed.coalitions.sum(axis=1), observed.coalitions.shape[1]
    groups = [places for size in np.unique(sizes) if len(places := np.flatnonzero(sizes == size)) > 1]
    if len(sizes) < 4 or n < 2 or not groups:
        return float("nan")
    rng = np.random.default_rng(0)
    found, shuffled = np.zeros(n), np.zeros((SHUFFLES, n))
    for places in groups:
        rest = observed.utilities[places] - observed.utilities[places].mean()
        if np.abs(rest).max() <= ROUNDING * np.abs(observed.utilities).max():
            continue
        inside = observed.coalitions[places] - sizes[places][0] / n
        found += rest @ inside
        shuffled += rng.permuted(np.tile(rest, (SHUFFLES, 1)), axis=1) @ inside
    return _p_value(float((found**2).sum()), (shuffled**2).sum(axis=1))


def _p_value(found: float, shuffled: FloatVector) -> float:
    return float((1 + (shuffled >= found * (1 - 1e-12)).sum()) / (1 + len(shuffled)))

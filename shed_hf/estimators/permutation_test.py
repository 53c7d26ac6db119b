"""Permutation tests of the null hypothesis that all players are worth the same."""

import numpy as np

from shed_hf.estimators.bayesian_regression import Observed
from shed_hf.types import FloatMatrix, FloatVector

SHUFFLES = 999

AT_ONCE = 2**16
"""Shuffles of so many numbers, or of one set of replicates, are held in memory at once."""

LEAST_PAIRS = 8
"""With fewer differences there are too few ways to flip their signs."""

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


def p_value_of_players(observed: Observed, n_groups: int) -> float:
    """The test that fits how coalitions were drawn.

    Args:
        observed: The coalitions with their utilities.
        n_groups: In how many groups players stood; 0 where each was apart from every other.

    Returns:
        The p-value of `p_value_of_pairs` where players stood in groups and enough pairs were measured, else that of
        `p_value_of_coalitions`.
    """
    of_pairs = p_value_of_pairs(observed) if n_groups else float("nan")
    return p_value_of_coalitions(observed) if np.isnan(of_pairs) else of_pairs


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


def p_value_of_pairs(observed: Observed) -> float:
    """The sign-flip test on complementary pairs, for coalitions of which hardly two have the same size.

    That is so where players move in groups of different sizes. If all players were worth the same, the difference
    v(S) − v(N ∖ S) would depend on the size of S alone, as a smooth odd function of how far S is from half of the
    players. Its first two terms are taken off the differences. Of what is left the signs are flipped at random, and it
    is compared by how far it moves with the players being in S or not.

    Where groups are split, the outcomes decide which. A group that luck made look good is split, and would count as
    often as it has parts. So each group of the first eight pairs, before any split or nearly so, counts once: its
    players share its weight, whatever becomes of it.

    Args:
        observed: The coalitions with their utilities, in the order in which they were asked for.

    Returns:
        The p-value; NaN for fewer than eight pairs, and for a single player.
    """
    coalitions, n = observed.coalitions, observed.coalitions.shape[1]
    places = {coalition.tobytes(): place for place, coalition in enumerate(coalitions)}
    partners = [places.get((~coalition).tobytes(), -1) for coalition in coalitions]
    firsts = np.array([place for place, partner in enumerate(partners) if place < partner], dtype=np.int64)
    if len(firsts) < LEAST_PAIRS or n < 2:
        return float("nan")
    differences = observed.utilities[firsts] - observed.utilities[np.array(partners)[firsts]]
    if np.abs(differences).max() <= ROUNDING * np.abs(observed.utilities).max():
        return 1.0
    away = coalitions[firsts].mean(axis=1) - 0.5
    curve = np.linalg.qr(np.stack([away, away**3], axis=1))[0]
    rest = differences - curve @ (curve.T @ differences)
    groups = np.unique(coalitions[firsts[:LEAST_PAIRS]], axis=1, return_inverse=True)[1].ravel()
    inside = (2.0 * coalitions[firsts] - 1) / np.sqrt(np.bincount(groups)[groups])  # a group counts once
    inside -= curve @ (curve.T @ inside)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(SHUFFLES, len(firsts)))
    flipped = signs * rest / np.sqrt((1 - (curve**2).sum(axis=1)).clip(ROUNDING))  # as large as before the fit
    return _p_value(float(((rest @ inside) ** 2).sum()), ((flipped @ inside) ** 2).sum(axis=1))


def _p_value(found: float, shuffled: FloatVector) -> float:
    return float((1 + (shuffled >= found * (1 - 1e-12)).sum()) / (1 + len(shuffled)))

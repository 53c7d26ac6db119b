"""Which of the coalitions that were measured to measure again, with another utility."""

import numpy as np

from shed_hf.estimators.coalition_design import POOL, choose_pairs
from shed_hf.estimators.outcomes import complement_pairs
from shed_hf.types import CoalitionMatrix, IntVector


def coalitions_to_repeat(measured: CoalitionMatrix, count: int, rng: np.random.Generator) -> CoalitionMatrix:
    """The coalitions that say most about the players for their price.

    They are complementary pairs, chosen as `draw_pairs` chooses, as far as both sides were measured; what is left of
    the count goes to coalitions without their complement, of sizes spread as widely as they are.

    Args:
        measured: ``(m, n)`` boolean, different coalitions, neither empty nor grand.
        count: How many to choose.
        rng: The generator that the pairs are drawn with among which is chosen, where there are very many.

    Returns:
        ``(k, n)`` boolean with k ≤ ``count``, of a pair one behind the other.
    """
    pairs = complement_pairs(measured)
    _, firsts, sides = np.unique(pairs, return_index=True, return_counts=True)
    whole = rng.permutation(firsts[sides == 2])[:POOL]
    taken: list[int] = []
    if len(whole) and count >= 2:
        none_yet = np.zeros((0, measured.shape[1]), dtype=np.bool_)
        best = choose_pairs(measured[whole], min(count // 2, len(whole)), none_yet)
        for first in whole[best].tolist():
            taken += np.flatnonzero(pairs == pairs[first]).tolist()
    alone = np.array([firsts[place] for place in np.flatnonzero(sides == 1)], dtype=np.int64)
    taken += _spread(measured, rng.permutation(alone), max(count - len(taken), 0)).tolist()
    return measured[np.array(taken, dtype=np.int64)]


def _spread(measured: CoalitionMatrix, places: IntVector, count: int) -> IntVector:
    """Places ``(count,)`` of coalitions whose sizes are spread evenly over those there are."""
    if not len(places) or not count:
        return np.empty(0, dtype=np.int64)
    by_size = places[np.argsort(measured[places].sum(axis=1), kind="stable")]
    at = np.unique(np.linspace(0, len(by_size) - 1, min(count, len(by_size))).round().astype(np.int64))
    return by_size[at]

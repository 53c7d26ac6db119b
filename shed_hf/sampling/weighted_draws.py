"""Draws of clusters by weight, without replacement of their rows (Yellott 1977 for the Gumbel form)."""

import numpy as np

from shed_hf.types import FloatVector, IntVector

AT_ONCE = 1024
"""How many clusters are drawn before those that are used up are looked at again."""

BLOCKS = 16
"""So many times as many are drawn in one step, of which those behind the first cluster that is used up are drawn anew.
"""


def gumbel_draws(logits: FloatVector, sizes: IntVector, size: int, rng: np.random.Generator) -> IntVector:
    """Draw clusters ∝ (rows left)·exp(logit); those without a value come last, by rows.

    Rows sorted by logit + Gumbel noise are rows drawn one by one without replacement, each ∝ exp(logit) (Yellott 1977).
    So the same noise with slightly different values gives nearly the same selection, unlike drawing one after another.

    Args:
        logits: The log-weight of each cluster ``(c,)``; NaN without a value.
        sizes: How many rows each cluster has ``(c,)``.
        size: How many draws.
        rng: Draws them.

    Returns:
        The cluster of each draw ``(size,)``.
    """
    owners = np.repeat(np.arange(len(sizes)), sizes)
    unvalued = np.isnan(logits)
    below = np.where(unvalued, 0.0, np.max(logits[~unvalued], initial=-np.inf) - logits)
    order = np.argsort(below[owners] - rng.gumbel(size=len(owners)))
    late = unvalued[owners[order]]
    return np.asarray(owners[np.concatenate([order[~late], order[late]])[:size]], dtype=np.int64)


def draws_in_turn(logits: FloatVector, sizes: IntVector, size: int, rng: np.random.Generator) -> IntVector:
    """Draw clusters ∝ exp(logit) among those with rows left; those without a value come last, all alike.

    Many clusters are drawn at once and used-up ones passed over, which has the distribution of drawing one by one. How
    many at once does not depend on ``size``, so that the first draws of a larger size are those of a smaller one.

    Args:
        logits: The log-weight of each cluster ``(c,)``; NaN without a value.
        sizes: How many rows each cluster has ``(c,)``.
        size: How many draws.
        rng: Draws them.

    Returns:
        The cluster of each draw ``(size,)``.
    """
    left, drawn, missing = sizes.copy(), list[IntVector](), size
    chances = np.empty(0)
    while missing > 0:
        if not len(chances):
            chances = rng.random(AT_ONCE * min(BLOCKS, -(-missing // AT_ONCE)))
        cumulative = np.cumsum(_softmax(np.where(left > 0, logits, -np.inf)))
        clusters = np.searchsorted(cumulative / cumulative[-1], chances, side="right")
        before = occurrence(clusters)
        last = np.flatnonzero(before == left[clusters] - 1)[:1]  # takes the last row of its cluster
        n_kept = AT_ONCE * (int(last[0]) // AT_ONCE + 1) if len(last) else len(chances)
        taken = clusters[:n_kept][before[:n_kept] < left[clusters[:n_kept]]]
        left -= np.bincount(taken, minlength=len(sizes))
        drawn.append(taken)
        chances, missing = chances[n_kept:], missing - len(taken)
    return np.concatenate([*drawn, np.empty(0, dtype=np.int64)])[:size]


def _softmax(logits: FloatVector) -> FloatVector:
    """Probabilities; where no finite logit is left, the clusters without a value (NaN) share alike."""
    finite = np.isfinite(logits)
    if not finite.any():
        unvalued = np.isnan(logits)
        return np.asarray(unvalued / unvalued.sum(), dtype=np.float64)
    weights = np.exp(np.where(finite, logits - logits[finite].max(), -np.inf))
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def occurrence(clusters: IntVector) -> IntVector:
    """How often each draw's cluster was drawn before it.

    Args:
        clusters: The cluster of each draw ``(n,)``.

    Returns:
        Counts from 0 ``(n,)``.
    """
    counts = np.bincount(clusters)
    by_cluster = np.argsort(clusters.astype(np.min_scalar_type(len(counts))), kind="stable")  # short ones sort faster
    nth = np.empty(len(clusters), dtype=np.int64)
    nth[by_cluster] = np.arange(len(clusters)) - np.repeat(np.cumsum(counts) - counts, counts)
    return nth

"""Greedy choice of the set of rows that is expected to do most, where rows alike add less and less to each other.

The sum that is maximised over sets S of a given size is::

    Σₖ Σₜ wₖₜ·hₖ(Σ_{i∈S} aₖ(i, t)) + Σⱼ gⱼ·H(nⱼ(S)) + Σ_{i∈S} bᵢ

with hₖ concave and aₖ, wₖₜ >= 0, so an item that is well served counts less; nⱼ is how many rows of cluster j are
taken, in units of those that were measured, and H(n) = log₂(1 + n) where the cluster helps, n where it harms. What a
row adds never grows while others are taken (the sum is submodular), so taking the one that adds most, again and again,
reaches (1 − 1/e) of the best sum where all terms are >= 0 (Nemhauser et al. 1978), and an old figure is a bound
(Minoux 1978).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from shed_hf.sampling.signal_features import Amounts, saturated
from shed_hf.types import FloatVector, IntVector

BATCH = 32
"""So many rows are looked at anew at a time."""


@dataclass(frozen=True, eq=False)
class Covered:
    """One concave term for each item.

    Attributes:
        amounts: ``(m, n_items)`` what each row brings each item, >= 0.
        scale: c of h.
        weights: ``(n_items,)`` what h counts for each item, >= 0.
    """

    amounts: Amounts = field(repr=False)
    scale: float
    weights: FloatVector


@dataclass(frozen=True, eq=False)
class Worth:
    """The sum, as a function of sets of the m rows.

    Attributes:
        covered: The concave terms.
        labels: ``(m,)`` the cluster of each row; -1 for none.
        effects: ``(c,)`` what each cluster adds, by as many rows as were measured.
        measured: ``(c,)`` how many rows of each cluster those are; at least 1.
        alone: ``(m,)`` what each row adds by itself.
    """

    covered: Sequence[Covered]
    labels: IntVector
    effects: FloatVector
    measured: FloatVector
    alone: FloatVector

    def of(self, rows: IntVector) -> float:
        """The sum for one set.

        Args:
            rows: Positions of its rows.
        """
        concave = sum(
            float(each.weights @ saturated(each.amounts[rows].sum(axis=0, dtype=np.float64), each.scale))
            for each in self.covered
        )
        labels = self.labels[rows]
        counts = np.bincount(labels[labels >= 0], minlength=len(self.effects))
        return concave + float(self._of_clusters(counts).sum() + self.alone[rows].sum())

    def _of_clusters(self, counts: IntVector) -> FloatVector:
        share = counts / self.measured
        return self.effects * np.where(self.effects > 0, np.log2(1 + share), share)

    def adding(self, rows: IntVector, totals: Sequence[FloatVector], counts: IntVector) -> FloatVector:
        """What each of some rows adds to a set.

        Args:
            rows: Positions of the rows ``(b,)``.
            totals: For each concave term what the set brings the items.
            counts: ``(c,)`` how many rows of each cluster it has.

        Returns:
            ``(b,)``.
        """
        found = self.alone[rows].astype(np.float64)
        for each, total in zip(self.covered, totals, strict=True):
            after = saturated(total + each.amounts[rows].astype(np.float64), each.scale)
            found += (after - saturated(total, each.scale)) @ each.weights
        further = self._of_clusters(counts + 1) - self._of_clusters(counts)
        labels = self.labels[rows]
        return found + np.where(labels >= 0, np.append(further, 0.0)[labels], 0.0)


def take_greedily(worth: Worth, size: int) -> IntVector:
    """The row that adds most, again and again; of rows that add the same the first.

    Args:
        worth: The sum.
        size: How many rows to take.

    Returns:
        Positions of rows ``(size,)`` in the order they are taken: a smaller choice is its beginning.
    """
    m = len(worth.labels)
    totals: list[FloatVector] = [np.zeros(each.amounts.shape[1]) for each in worth.covered]
    counts = np.zeros(len(worth.effects), dtype=np.int64)
    bounds = np.concatenate(
        [worth.adding(rows, totals, counts) for rows in np.array_split(np.arange(m), m // BATCH + 1)]
    )
    fresh = np.ones(m, dtype=np.bool_)
    order: list[int] = []
    while len(order) < size:
        row = int(np.argmax(bounds))
        if not fresh[row]:
            stale = np.append(_highest(bounds, BATCH), row)  # of many equal bounds it may not be among those
            bounds[stale], fresh[stale] = worth.adding(stale, totals, counts), True
            continue
        order.append(row)
        for total, each in zip(totals, worth.covered, strict=True):
            total += each.amounts[row]
        if worth.labels[row] >= 0:
            counts[worth.labels[row]] += 1
        bounds[row], fresh[:] = -np.inf, False
    return np.array(order, dtype=np.int64)


def _highest(bounds: FloatVector, count: int) -> IntVector:
    """Positions of the highest bounds among rows that are not taken."""
    count = min(count, int(np.isfinite(bounds).sum()))
    return np.argpartition(-bounds, count - 1)[:count].astype(np.int64)

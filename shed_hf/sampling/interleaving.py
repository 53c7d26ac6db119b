"""In which order rows are taken from clusters that give set numbers of them, so that a part of the order is a choice.

A turn is the position of a cluster among those there are, the best first. Whoever keeps only the first k rows of an
order then keeps what a smaller choice would be like.
"""

import math
from collections.abc import Sequence
from heapq import heapify, heappop, heappush

import numpy as np

from shed_hf.sampling.weighted_draws import occurrence
from shed_hf.types import IntVector


def best_under_cap(quotas: IntVector, share: float) -> IntVector:
    """The best cluster first, as long as no cluster fills more than its share of what is taken so far.

    The k-th turn goes to the best cluster that has given fewer than share·k rows; where all have given as many, to the
    one that gave the fewest, the better of equal ones.

    Args:
        quotas: How many rows each cluster gives ``(c,)``, the best cluster first.
        share: The largest share of the turns so far that a cluster may have, in (0, 1], rounded up to whole rows.

    Returns:
        The cluster of each turn ``(sum of quotas,)``.
    """
    left = quotas.tolist()
    waiting = [(1, cluster) for cluster, quota in enumerate(left) if quota]  # the turn from which it is its to take
    heapify(waiting)
    ready: list[int] = []
    given = [0] * len(left)
    turns = np.empty(int(quotas.sum()), dtype=np.int64)
    for place in range(len(turns)):
        while waiting and waiting[0][0] <= place + 1:
            heappush(ready, heappop(waiting)[1])
        cluster = heappop(ready) if ready else heappop(waiting)[1]
        turns[place] = cluster
        given[cluster] += 1
        if given[cluster] < left[cluster]:
            heappush(waiting, (math.floor(given[cluster] / share + 1e-9) + 1, cluster))
    return turns


def in_proportion(quotas: IntVector) -> IntVector:
    """Every cluster as often as its quota says, spread evenly: the first k turns have the shares of all, up to a row.

    Args:
        quotas: How many rows each cluster gives ``(c,)``.

    Returns:
        The cluster of each turn ``(sum of quotas,)``; of clusters whose turn is at the same time the first comes first.
    """
    turns = np.repeat(np.arange(len(quotas)), quotas)
    times = (occurrence(turns) + 0.5) / np.maximum(quotas, 1)[turns]
    return np.asarray(turns[np.argsort(times, kind="stable")], dtype=np.int64)


def rows_in_turn(members: Sequence[IntVector], turns: IntVector) -> IntVector:
    """The rows of clusters that take turns.

    Args:
        members: The row ids of each cluster, in the order in which they are to be taken.
        turns: The cluster of each turn ``(size,)``.

    Returns:
        Row ids ``(size,)``.
    """
    sizes = np.array([len(rows) for rows in members], dtype=np.int64)
    rows = np.concatenate(list(members))
    return np.asarray(rows[(np.cumsum(sizes) - sizes)[turns] + occurrence(turns)], dtype=np.int64)

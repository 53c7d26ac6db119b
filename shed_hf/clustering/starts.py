"""Where k-means starts: how many different points there are, how many runs are made and from which centres."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from shed_hf.types import EmbeddingMatrix

RUNS, ROWS = 4, 20_000
"""How many runs are made unless told, and of how many rows at most; of more, so many are looked at for one start."""

CHUNK = 2048
"""So many points at a time are looked at for different ones."""


@dataclass(frozen=True, eq=False)
class Starts:
    """Where k-means starts.

    Attributes:
        init: Its centres ``(k, d)``, or that k-means++ draws them among all points, anew for every run.
        number: How many runs are made.
    """

    init: EmbeddingMatrix | Literal["k-means++"]
    number: int


def starts_of(points: EmbeddingMatrix, k: int, runs: int | None, seed: int) -> Starts:
    """Where k-means starts, so that finding a start takes no longer than using it.

    k-means++ looks at every point for every centre. Of a large pool it looks at a sample, which has its clusters too.

    Args:
        points: ``(n, d)``.
        k: How many clusters.
        runs: How many runs were asked for; None to decide by the number of points.
        seed: Of the sample, and of the centres drawn in it.

    Returns:
        The starts.
    """
    if runs is not None or len(points) <= max(ROWS, k):
        return Starts("k-means++", RUNS if runs is None else runs)
    from sklearn.cluster import kmeans_plusplus

    places = np.random.default_rng(seed).choice(len(points), max(ROWS, k), replace=False)
    sample = points[np.sort(places)]
    if count_distinct(sample, k) < k:
        return Starts("k-means++", 1)
    return Starts(kmeans_plusplus(sample, k, random_state=seed)[0], 1)


def count_distinct(points: EmbeddingMatrix, most: int) -> int:
    """How many different points there are, counted no further than to ``most``.

    Args:
        points: ``(n, d)``.
        most: A number >= 1.

    Returns:
        A number up to ``most``.
    """
    found = points[:0]
    for start in range(0, len(points), CHUNK):
        found = np.unique(np.concatenate([found, points[start : start + CHUNK]]), axis=0)
        if len(found) >= most:
            return most
    return len(found)

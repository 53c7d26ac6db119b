"""Where k-means starts: how many points differ, among which of them a start is found, and which run is the best."""

from typing import Literal, TypeAlias

import numpy as np

from shed_hf.types import EmbeddingMatrix, IntVector

RUNS, ROWS = 4, 20_000
"""How many runs are made unless told, and of how many rows at most; of more, one."""

SAMPLE, PER_CLUSTER = 4096, 64
"""A start is found among so many points unless told, or so many for each cluster where that is more."""

CHUNK = 2048
"""So many points at a time are looked at for different ones."""


StartRows: TypeAlias = int | Literal["auto"] | None
"""Among how many points a start is found; ``"auto"`` as `SAMPLE` and `PER_CLUSTER` say, None for all."""


def best_labels(points: EmbeddingMatrix, k: int, runs: int | None, rows: StartRows, seed: int) -> IntVector:
    """The clusters of the run of k-means that has the least inertia.

    Args:
        points: ``(n, d)``, of which ``k`` differ at least.
        k: How many clusters.
        runs: How many runs are made; None to decide by the number of points.
        rows: Among how many points a start is found.
        seed: Of the first run; each further run has the next.

    Returns:
        ``(n,)`` labels from 0.
    """
    from sklearn.cluster import KMeans

    number, size = run_count(len(points), runs), sample_size(len(points), k, rows)
    if size == len(points):
        best = KMeans(k, n_init=number, random_state=seed).fit(points)
    else:
        starts = ((run, start_in_sample(points, k, size, run)) for run in range(seed, seed + number))
        found = (KMeans(k, init=init, n_init=1, random_state=run).fit(points) for run, init in starts)
        best = min(found, key=lambda each: each.inertia_)
    return np.asarray(best.labels_, dtype=np.int64)


def run_count(n: int, runs: int | None) -> int:
    """How many runs are made, each from another start.

    Args:
        n: How many points there are.
        runs: How many runs were asked for; None to decide by the number of points.

    Returns:
        The number.
    """
    return runs or (RUNS if n <= ROWS else 1)


def sample_size(n: int, k: int, rows: StartRows) -> int:
    """Among how many points a start is found, so that finding it takes no longer than using it.

    k-means++ (Arthur & Vassilvitskii 2007) looks at every point for every centre, which takes ten times as long as the
    iterations that follow. Of a large pool it looks at a sample, which has its clusters too.

    Args:
        n: How many points there are.
        k: How many clusters.
        rows: How many were asked for.

    Returns:
        A number up to ``n``, and not below ``k``.
    """
    if rows is None:
        return n
    return min(n, max(SAMPLE, PER_CLUSTER * k) if rows == "auto" else max(rows, k))


def start_in_sample(points: EmbeddingMatrix, k: int, size: int, seed: int) -> EmbeddingMatrix | Literal["k-means++"]:
    """The centres that k-means++ draws in a sample of the points.

    Args:
        points: ``(n, d)``.
        k: How many centres.
        size: How many points the sample has.
        seed: Of the sample, and of the centres drawn in it.

    Returns:
        ``(k, d)``; that k-means++ is to draw them among all points where too few of the sample differ.
    """
    from sklearn.cluster import kmeans_plusplus

    places = np.random.default_rng(seed).choice(len(points), size, replace=False)
    sample = points[np.sort(places)]
    if count_distinct(sample, k) < k:
        return "k-means++"
    centres: EmbeddingMatrix = kmeans_plusplus(sample, k, random_state=seed)[0]
    return centres


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

"""What differs between the rows of a cluster, such that some rows tell nothing of the noise of others."""

import numpy as np

from shed_hf.types import FloatMatrix, IntVector


def contrasts(of_rows: FloatMatrix, clusters: IntVector) -> FloatMatrix:
    """Each row of a cluster but its first, minus the mean of those before it, scaled to the variance of a single row.

    These are orthonormal contrasts (Helmert's): least squares finds in them what it finds in differences from the
    cluster's mean, but noise that is independent between rows stays so. Of differences from the mean each is minus the
    sum of the others, so that a row held out could be told from the rest of its cluster.

    Args:
        of_rows: ``(n, k)`` numbers of rows, in random order.
        clusters: ``(n,)`` the rows' clusters.

    Returns:
        ``(n − c, k)`` for c clusters, cluster by cluster.
    """
    order = np.argsort(clusters, kind="stable")
    ordered, labels = of_rows[order], clusters[order]
    start = np.searchsorted(labels, labels)
    n_before = np.arange(len(order)) - start
    later = np.flatnonzero(n_before)
    sums = np.concatenate([np.zeros((1, of_rows.shape[1])), np.cumsum(ordered, axis=0)])
    n = n_before[later, None]
    apart = ordered[later] - (sums[later] - sums[start[later]]) / n
    return np.asarray(apart * np.sqrt(n / (n + 1)), dtype=np.float64)

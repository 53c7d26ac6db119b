"""Clustering: which rows are alike, and which few of them stand for the rest.

A `Clustering` knows the label of every row, the centroid of every cluster and each cluster's members from the nearest
to the centroid outwards. Its first members are the proxies, the rows a player brings to the game; the very first is the
medoid.
"""

from dataclasses import dataclass, field

import numpy as np

from shed_hf.errors import InputError
from shed_hf.types import EmbeddingMatrix, IntVector

NOISE = -1


@dataclass(frozen=True, eq=False)
class Clustering:
    """``labels`` ``(n,)`` int64, 0 … c−1 or −1 for noise, and ``centroids`` ``(c, d)`` float32, one per non-empty
    cluster.
    """

    labels: IntVector = field(repr=False)
    centroids: EmbeddingMatrix = field(repr=False)

    def __post_init__(self) -> None:
        sizes = np.bincount(self.labels[self.labels >= 0], minlength=len(self.centroids))
        if self.labels.min(initial=0) < NOISE or len(sizes) != len(self.centroids) or not sizes.all():
            raise InputError(
                f"labels run from {self.labels.min(initial=0)} to {self.labels.max(initial=-1)} with "
                f"{int((sizes == 0).sum())} empty clusters for {len(self.centroids)} centroids; use every label 0 … "
                f"{len(self.centroids) - 1}, and -1 for noise"
            )

    @property
    def n_clusters(self) -> int:
        """The number of clusters, noise not counted."""
        return len(self.centroids)

    def members(self, embeddings: EmbeddingMatrix) -> list[IntVector]:
        """For each cluster the positions of its rows, nearest to the centroid first; ties in order of position."""
        members = []
        for cluster in range(self.n_clusters):
            positions = np.flatnonzero(self.labels == cluster)
            distances = np.linalg.norm(embeddings[positions] - self.centroids[cluster], axis=1)
            members.append(positions[np.argsort(distances.round(6), kind="stable")])
        return members

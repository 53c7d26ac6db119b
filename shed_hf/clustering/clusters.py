"""A partition of rows into clusters, each with a centroid and its members in order of their distance from it.

The members nearest the centroid are the cluster's proxies (He et al. 2024, arXiv 2405.00705, section 3.1).
"""

from dataclasses import dataclass, field

import numpy as np

from shed_hf.errors import InputError
from shed_hf.types import EmbeddingMatrix, IntVector

NOISE = -1


@dataclass(frozen=True, eq=False)
class Clustering:
    """Which cluster every row belongs to.

    Attributes:
        labels: ``(n,)``, 0 … c − 1 for a cluster, −1 for noise.
        centroids: ``(c, d)``, the mean of each cluster's members; no cluster is empty.

    Raises:
        InputError: For labels and centroids that do not match.
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
        """The members of each cluster, nearest to its centroid first.

        Args:
            embeddings: ``(n, d)``, the vectors that were clustered.

        Returns:
            For each cluster the positions of its rows; at equal distance (to six digits) the lower position is first.
        """
        members = []
        for cluster in range(self.n_clusters):
            positions = np.flatnonzero(self.labels == cluster)
            distances = np.linalg.norm(embeddings[positions] - self.centroids[cluster], axis=1)
            members.append(positions[np.argsort(distances.round(6), kind="stable")])
        return members

"""New rows and old clusters: which rows join the cluster they are nearest to, and which are of a kind of their own.

A row joins when it is no farther from the nearest centroid than 95 % of that cluster's members are. A member has drawn
its centroid towards itself, by a share of 1/n of n members; its distance is therefore taken from the mean of the other
members. What is farther away founds clusters of its own, about as large as those there are.
"""

from dataclasses import dataclass

import numpy as np

from shed_hf.clustering.clusterers import KMeans, cluster
from shed_hf.clustering.clusters import Clustering
from shed_hf.types import EmbeddingMatrix, FloatVector, IntVector

QUANTILE = 0.95
"""The share of a cluster's members within its radius."""

LEAST_MEMBERS = 20
"""A cluster of which fewer members are known takes the radius of all clusters together where that is larger."""

LEAST_FOUNDERS = 4
"""Fewer rows than this found no cluster, whose players would have to be fine-tuned on; they join the nearest."""


@dataclass(frozen=True, eq=False)
class Joined:
    """Where new rows went.

    Attributes:
        labels: ``(k,)`` the cluster of each new row; numbers from ``n_before`` on are new clusters.
        n_before: How many clusters there were.
        n_new: How many were founded.
    """

    labels: IntVector
    n_before: int
    n_new: int

    @property
    def n_joined(self) -> int:
        """How many rows joined clusters that were there."""
        return int((self.labels < self.n_before).sum())


def radii(embeddings: EmbeddingMatrix, labels: IntVector, clustering: Clustering) -> FloatVector:
    """How far the members of each cluster lie from its centre.

    Args:
        embeddings: ``(m, d)`` unit vectors of members, all of them or a sample.
        labels: ``(m,)`` the cluster of each.
        clustering: The clusters, for their centroids and sizes.

    Returns:
        ``(c,)`` radii.
    """
    sizes = np.bincount(clustering.labels[clustering.labels >= 0], minlength=clustering.n_clusters)
    known = labels >= 0
    vectors, owners = embeddings[known], labels[known]
    others = sizes[owners] / np.maximum(sizes[owners] - 1, 1)  # from the mean of the other members
    away = np.linalg.norm(vectors - clustering.centroids[owners], axis=1) * others
    several = sizes[owners] > 1
    of_all = float(np.quantile(away[several], QUANTILE)) if several.any() else 0.0
    found = np.full(clustering.n_clusters, of_all)
    for number in range(clustering.n_clusters):
        own = away[(owners == number) & several]
        if len(own):
            radius = float(np.quantile(own, QUANTILE))
            found[number] = radius if len(own) >= LEAST_MEMBERS else max(radius, of_all)
    return found


def join(embeddings: EmbeddingMatrix, clustering: Clustering, radius: FloatVector, rng: np.random.Generator) -> Joined:
    """Join new rows to the clusters there are, or found new ones.

    Args:
        embeddings: ``(k, d)`` unit vectors of the new rows.
        clustering: The clusters.
        radius: ``(c,)`` as `radii` gives it.
        rng: Draws the starts of the clustering of rows that belong nowhere.

    Returns:
        The clusters of the new rows.
    """
    squares = (clustering.centroids**2).sum(axis=1) - 2 * embeddings @ clustering.centroids.T
    nearest = squares.argmin(axis=1)
    away = np.linalg.norm(embeddings - clustering.centroids[nearest], axis=1)
    strays = np.flatnonzero(away > radius[nearest])
    labels, n_before = nearest.astype(np.int64), clustering.n_clusters
    sizes = np.bincount(clustering.labels[clustering.labels >= 0], minlength=n_before)
    usual = float(np.median(sizes))
    if len(strays) < max(LEAST_FOUNDERS, usual / 2):
        return Joined(labels, n_before, 0)
    founded = _clustered(embeddings[strays], max(1, round(len(strays) / max(usual, 1))), rng)
    labels[strays] = n_before + founded
    return Joined(labels, n_before, int(founded.max()) + 1)


def join_labels(known: dict[str, int], names: list[str], n_before: int) -> Joined:
    """Join new rows to clusters by labels that were given, and found a cluster for every label that is new.

    Args:
        known: The cluster of each label that there was; -1 is noise.
        names: The label of every new row.
        n_before: How many clusters there were.

    Returns:
        The clusters of the new rows.
    """
    fresh = {name: n_before + place for place, name in enumerate(sorted(set(names) - known.keys()))}
    of_names = known | fresh
    return Joined(np.array([of_names[name] for name in names], dtype=np.int64), n_before, len(fresh))


def grown(clustering: Clustering, embeddings: EmbeddingMatrix, joined: Joined) -> Clustering:
    """The clusters with the new rows in them, behind the rows there were.

    Args:
        clustering: The clusters before.
        embeddings: ``(k, d)`` unit vectors of the new rows.
        joined: Where these went.

    Returns:
        Labels ``(m + k,)``, and centroids that are the means of old and new members.
    """
    n_clusters = joined.n_before + joined.n_new
    sizes = np.bincount(clustering.labels[clustering.labels >= 0], minlength=n_clusters).astype(np.float64)
    sums = np.zeros((n_clusters, embeddings.shape[1]))
    sums[: joined.n_before] = clustering.centroids * sizes[: joined.n_before, None]
    placed = joined.labels >= 0
    np.add.at(sums, joined.labels[placed], embeddings[placed])
    sizes += np.bincount(joined.labels[placed], minlength=n_clusters)
    labels = np.concatenate([clustering.labels, joined.labels])
    return Clustering(labels, (sums / sizes[:, None]).astype(np.float32))


def _clustered(embeddings: EmbeddingMatrix, k: int, rng: np.random.Generator) -> IntVector:
    return cluster(embeddings, KMeans(min(k, len(embeddings))), rng).labels

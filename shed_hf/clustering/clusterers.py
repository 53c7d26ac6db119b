"""TODO."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from shed_hf.clustering.clusters import NOISE, Clustering
from shed_hf.errors import InputError
from shed_hf.types import EmbeddingMatrix, IntVector


class Clusterer(Protocol):
    """Unit vectors ``(n, d)`` to one label per row, ``(n,)``; −1 is noise."""

    def __call__(self, embeddings: EmbeddingMatrix, rng: np.random.Generator) -> IntVector: ...


@dataclass(frozen=True)
class KMeans:
    """k-means; ``n_clusters=None`` is the paper's 3·√n, but not more than ``most``, each cluster being a player that
    costs fine-tunings; ``most=None`` is the paper's alone. ``restarts`` runs are made, the tightest wins.

    Fewer distinct points than clusters give one cluster per distinct point.
    """

    n_clusters: int | None = None
    restarts: int = 4
    most: int | None = 64

    def __call__(self, embeddings: EmbeddingMatrix, rng: np.random.Generator) -> IntVector:
        """Labels ``(n,)``. Raises `InputError` for more clusters than rows."""
        from sklearn.cluster import KMeans as SklearnKMeans

        k = _n_clusters(self.n_clusters, len(embeddings))
        if self.n_clusters is None and self.most is not None:
            k = min(k, _n_clusters(self.most, max(self.most, len(embeddings))))
        k = min(k, len(np.unique(embeddings, axis=0)))
        seed = int(rng.integers(2**31))
        labels = SklearnKMeans(k, n_init=self.restarts, random_state=seed).fit_predict(embeddings)
        return np.asarray(labels, dtype=np.int64)


@dataclass(frozen=True)
class Agglomerative:
    """Ward's hierarchical clustering; memory grows with n², so at most 20,000 rows."""

    n_clusters: int | None = None

    MOST_ROWS = 20_000

    def __call__(self, embeddings: EmbeddingMatrix, rng: np.random.Generator) -> IntVector:
        """Labels ``(n,)``; ``rng`` is not used. Raises `InputError` for too many rows or clusters."""
        from sklearn.cluster import AgglomerativeClustering

        if len(embeddings) > self.MOST_ROWS:
            raise InputError(
                f'clusterer="agglomerative" compares all pairs of {len(embeddings)} rows; pass at most '
                f'{self.MOST_ROWS} or "kmeans"'
            )
        k = _n_clusters(self.n_clusters, len(embeddings))
        if k == 1 or len(embeddings) == 1:
            return np.zeros(len(embeddings), dtype=np.int64)
        return np.asarray(AgglomerativeClustering(k).fit_predict(embeddings), dtype=np.int64)


@dataclass(frozen=True)
class HDBSCAN:
    """Density-based clusters of at least ``min_cluster_size`` rows; rows in no dense region are noise and stay
    unvalued.
    """

    min_cluster_size: int = 5

    def __call__(self, embeddings: EmbeddingMatrix, rng: np.random.Generator) -> IntVector:
        """Labels ``(n,)`` with −1 for noise; ``rng`` is not used. Raises `InputError` when everything is noise."""
        from sklearn.cluster import HDBSCAN as SklearnHDBSCAN

        if len(embeddings) < max(2, self.min_cluster_size):
            raise InputError(
                f"HDBSCAN(min_cluster_size={self.min_cluster_size}) got {len(embeddings)} rows; pass more rows or a "
                "smaller size"
            )
        found = SklearnHDBSCAN(min_cluster_size=self.min_cluster_size, copy=True).fit_predict(embeddings)
        labels = np.asarray(found, dtype=np.int64)
        if labels.max() < 0:
            raise InputError(
                f'{self} found no cluster among {len(labels)} rows; lower min_cluster_size or use clusterer="kmeans"'
            )
        return labels


@dataclass(frozen=True, eq=False)
class Given:
    """Labels that exist already, of any type; −1 is noise. Equal labels are one cluster, numbered in sorted order."""

    labels: Any = field(repr=False)
    source: str = "array"

    def __call__(self, embeddings: EmbeddingMatrix, rng: np.random.Generator) -> IntVector:
        """Labels ``(n,)`` from 0 without gaps. Raises `InputError` for missing labels or when all are noise."""
        labels = np.asarray(self.labels)
        if labels.shape != (len(embeddings),):
            raise InputError(
                f"clusterer has labels of shape {labels.shape} for {len(embeddings)} rows; pass one label per row of "
                "the dataset"
            )
        missing = [i for i, label in enumerate(labels.tolist()) if label is None or label != label]
        if missing:
            raise InputError(
                f"the label at position {missing[0]} is {labels[missing[0]]!r} ({len(missing)} such); give every row a "
                "label, -1 for noise"
            )
        noise = labels == NOISE if np.issubdtype(labels.dtype, np.number) else np.zeros(len(labels), np.bool_)
        if noise.all():
            raise InputError(f"all {len(labels)} labels are {NOISE}, which is noise; label some rows")
        numbered = np.full(len(labels), NOISE, dtype=np.int64)
        kept = labels[~noise]
        numbered[~noise] = np.unique(kept.astype(str) if kept.dtype == object else kept, return_inverse=True)[1]
        return numbered


CLUSTERERS: dict[str, Callable[[], Clusterer]] = {"kmeans": KMeans, "agglomerative": Agglomerative, "hdbscan": HDBSCAN}


def clusterer_from(
    clusterer: Any, column: Callable[[str], list[Any] | None], rows: IntVector, n_rows: int
) -> Clusterer:
    """A clusterer by its short name, a column's name, labels for the whole dataset, or the object itself."""
    if isinstance(clusterer, str):
        if clusterer in CLUSTERERS:
            return CLUSTERERS[clusterer]()
        labels = column(clusterer)
        if labels is None:
            raise InputError(
                f"clusterer={clusterer!r} is neither one of {sorted(CLUSTERERS)} nor a column of the dataset"
            )
        return Given(_labels(labels)[rows], f"column {clusterer!r}")
    if isinstance(clusterer, np.ndarray | list | tuple):
        labels_array = _labels(clusterer)
        if labels_array.shape != (n_rows,):
            raise InputError(
                f"clusterer is an array of shape {labels_array.shape}; pass one label for each of the {n_rows} rows"
            )
        return Given(labels_array[rows])
    if isinstance(clusterer, type) or not callable(clusterer):
        raise InputError(
            f"clusterer is a {type(clusterer).__name__}; pass one of {sorted(CLUSTERERS)}, a column's name, labels or "
            "an object"
        )
    result: Clusterer = clusterer
    return result


def cluster(
    embeddings: EmbeddingMatrix,
    clusterer: Clusterer,
    rng: np.random.Generator,
    features: EmbeddingMatrix | None = None,
) -> Clustering:
    """Cluster the vectors; labels without members are closed up, centroids are the means of the members.

    With ``features`` ``(n, any)`` the clusterer sees these instead; centroids are means of ``embeddings`` all the same,
    for a new row has nothing else.
    """
    if features is not None and (features.ndim != 2 or len(features) != len(embeddings)):
        raise InputError(
            f"features have shape {features.shape} for {len(embeddings)} rows; pass one line "
            "per row, as with_features() makes them"
        )
    labels = np.asarray(clusterer(embeddings if features is None else features, rng))
    if labels.shape != (len(embeddings),) or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"{clusterer} returned {labels.dtype} labels of shape {labels.shape}; it must return ({len(embeddings)},) "
            "integers"
        )
    if labels.min(initial=0) < NOISE or labels.max(initial=NOISE) == NOISE:
        raise InputError(
            f"{clusterer} returned labels from {labels.min(initial=0)} to {labels.max(initial=NOISE)}; use 0, 1, … and "
            "-1 for noise"
        )
    used = np.unique(labels[labels >= 0])
    labels = np.where(labels >= 0, np.searchsorted(used, labels), NOISE).astype(np.int64)
    centroids = np.stack([embeddings[labels == label].mean(axis=0, dtype=np.float64) for label in range(len(used))])
    return Clustering(labels, centroids.astype(np.float32))


def _labels(labels: Any) -> Any:
    try:
        array = np.asarray(labels)
    except ValueError as error:  # lists of different lengths
        raise InputError(f"a label is a list, such as {labels[0]!r}; pass one number or string per row") from error
    return array if array.dtype.kind in "iufUSb" else np.asarray(labels, dtype=object)


def _n_clusters(asked: int | None, n: int) -> int:
    if asked is None:
        return max(1, min(n, round(3 * math.sqrt(n))))
    if isinstance(asked, bool) or not isinstance(asked, int | np.integer) or asked < 1:
        raise InputError(f"n_clusters={asked!r} is not a whole number >= 1; pass one")
    if asked > n:
        raise InputError(f"n_clusters={asked} exceeds the {n} rows to cluster; pass n_clusters <= {n}")
    return int(asked)

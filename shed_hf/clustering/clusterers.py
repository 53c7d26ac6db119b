"""The clustering algorithms: k-means (the paper's), agglomerative, HDBSCAN, and labels that exist already."""

import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from shed_hf.clustering.clusters import NOISE, Clustering
from shed_hf.clustering.starts import StartRows, best_labels, count_distinct
from shed_hf.errors import InputError
from shed_hf.types import EmbeddingMatrix, IntVector
from shed_hf.utils.checks import check_takes, check_whole

_NOISE_AS_TEXT = re.compile(r"\s*[-−]1(\.0*)?\s*")


MOST_RESTARTS = 1000
"""More starts of k-means find nothing better, and take for ever."""


class Clusterer(Protocol):
    """Unit vectors ``(n, d)`` to one label per row, ``(n,)``; −1 is noise."""

    def __call__(self, embeddings: EmbeddingMatrix, rng: np.random.Generator) -> IntVector: ...


@dataclass(frozen=True)
class KMeans:
    """k-means on the unit vectors (He et al. 2024, arXiv 2405.00705, section 3.1).

    Fewer distinct points than clusters give one cluster per distinct point.

    Attributes:
        n_clusters: How many clusters; None for the paper's 3·√n, capped by ``most``.
        restarts: How many runs are made from other starts; the one of least inertia is kept. None is four, and one
            above 20,000 rows.
        most: The cap where ``n_clusters`` is None, since each cluster is a player that costs fine-tunings; None for no
            cap.
        start_rows: Among how many of the rows a start is found; None for all. ``"auto"`` is 4,096, or 64 for each
            cluster if that is more, and as many as before where a ledger of an earlier version goes on.
    """

    n_clusters: int | None = None
    restarts: int | None = None
    most: int | None = 64
    start_rows: StartRows = "auto"

    def __post_init__(self) -> None:
        if self.restarts is not None:
            check_whole(1, MOST_RESTARTS, restarts=self.restarts)
        if self.most is not None:
            check_whole(most=self.most)
        if self.start_rows is not None and self.start_rows != "auto":
            check_whole(otherwise='"auto", or None for all', start_rows=self.start_rows)
        _n_clusters(self.n_clusters, sys.maxsize)

    def __call__(self, embeddings: EmbeddingMatrix, rng: np.random.Generator) -> IntVector:
        """Cluster some vectors.

        Args:
            embeddings: ``(n, d)`` unit vectors.
            rng: Draws the starts.

        Returns:
            ``(n,)`` labels from 0.

        Raises:
            InputError: For more clusters than rows.
        """
        k = _n_clusters(self.n_clusters, len(embeddings))
        if self.n_clusters is None and self.most is not None:
            k = min(k, _n_clusters(self.most, max(self.most, len(embeddings))))
        k = count_distinct(embeddings, k)
        seed = int(rng.integers(2**31))
        return best_labels(embeddings, k, self.restarts, self.start_rows, seed)


@dataclass(frozen=True)
class Agglomerative:
    """Ward's hierarchical clustering; its memory grows with n², so it takes at most 20,000 rows.

    Attributes:
        n_clusters: How many clusters; None for the paper's 3·√n.
    """

    n_clusters: int | None = None

    MOST_ROWS = 20_000

    def __call__(self, embeddings: EmbeddingMatrix, rng: np.random.Generator) -> IntVector:
        """Cluster some vectors.

        Args:
            embeddings: ``(n, d)`` unit vectors.
            rng: Not used.

        Returns:
            ``(n,)`` labels from 0.

        Raises:
            InputError: For too many rows, or more clusters than rows.
        """
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
    """Density-based clusters; rows in no dense region are noise and get no value.

    Attributes:
        min_cluster_size: The fewest rows of a cluster.
    """

    min_cluster_size: int = 5

    def __post_init__(self) -> None:
        check_whole(2, min_cluster_size=self.min_cluster_size)

    def __call__(self, embeddings: EmbeddingMatrix, rng: np.random.Generator) -> IntVector:
        """Cluster some vectors.

        Args:
            embeddings: ``(n, d)`` unit vectors.
            rng: Not used.

        Returns:
            ``(n,)`` labels from 0, −1 for noise.

        Raises:
            InputError: For too few rows, or where all rows are noise.
        """
        from sklearn.cluster import HDBSCAN as SklearnHDBSCAN

        if len(embeddings) < self.min_cluster_size:
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
    """Labels that exist already. Rows of equal labels are one cluster; clusters are numbered in sorted order.

    As ``sampler=`` it is rows that were chosen already: see `shed_hf.sampling.given_rows.GivenRows`.

    Attributes:
        labels: ``(n,)`` numbers or strings; −1 is noise, as a number or as text. As ``sampler=``: row numbers, a result
            of `curate`, or rows.
        source: Where they come from, for the recipe.
    """

    labels: Any = field(repr=False)
    source: str = "array"

    def __call__(self, embeddings: EmbeddingMatrix, rng: np.random.Generator) -> IntVector:
        """Number the labels.

        Args:
            embeddings: ``(n, d)``; only their number is read.
            rng: Not used.

        Returns:
            ``(n,)`` labels from 0 without gaps, −1 for noise.

        Raises:
            InputError: For missing labels, another number of rows, or where all are noise.
        """
        try:
            labels = np.asarray(self.labels)
        except (TypeError, ValueError, RuntimeError) as error:  # tensors of other types or devices
            raise InputError(
                f"clusterer has labels of type {type(self.labels).__name__} that are no array ({error}); pass a list "
                "or a numpy array"
            ) from error
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
        noise = np.array([_is_noise(label) for label in labels.tolist()], dtype=np.bool_)
        if noise.all():
            raise InputError(f"all {len(labels)} labels are {NOISE}, which means noise; give some rows a cluster")
        numbered = np.full(len(labels), NOISE, dtype=np.int64)
        kept = labels[~noise]
        numbered[~noise] = np.unique(kept.astype(str) if kept.dtype == object else kept, return_inverse=True)[1]
        return numbered


CLUSTERERS: dict[str, Callable[[], Clusterer]] = {"kmeans": KMeans, "agglomerative": Agglomerative, "hdbscan": HDBSCAN}


def clusterer_from(
    clusterer: Any, column: Callable[[str], list[Any] | None], rows: IntVector, n_rows: int
) -> Clusterer:
    """The clusterer that the caller means.

    Args:
        clusterer: A short name, a column's name, labels for the whole dataset, or the object itself.
        column: Gives the cells of a column by its name, None where there is no such column.
        rows: ``(m,)``, which rows of the dataset will be clustered.
        n_rows: How many rows the dataset has.

    Returns:
        The object; labels become `Given`, cut down to ``rows``.

    Raises:
        InputError: For an unknown name, another number of labels, or another type.
    """
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
    check_takes("clusterer", clusterer, "embeddings", "rng")
    result: Clusterer = clusterer
    return result


def cluster(
    embeddings: EmbeddingMatrix,
    clusterer: Clusterer,
    rng: np.random.Generator,
    features: EmbeddingMatrix | None = None,
) -> Clustering:
    """Cluster the vectors; centroids are the means of the members.

    Args:
        embeddings: ``(n, d)`` unit vectors.
        clusterer: Gives each row a label.
        rng: For the clusterer.
        features: ``(n, any)``, what the clusterer sees instead of ``embeddings``. Centroids are means of ``embeddings``
            all the same, since new rows have no features.

    Returns:
        The clustering; labels that no row has are skipped.

    Raises:
        InputError: For features of another shape, vectors of zeros, or labels that are not 0, 1, … and −1.
    """
    empty = np.flatnonzero(~embeddings.any(axis=1))
    if len(empty):
        raise InputError(
            f"the vector at position {empty[0]} is all zeros ({len(empty)} such): the embedder knows nothing of that "
            "row, and it is near no cluster; leave such rows out, or use another embedder"
        )
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


def _is_noise(label: Any) -> bool:
    """Whether a label is −1: as text too, which is what a CSV file or a column of strings makes of it."""
    if isinstance(label, bytes):
        label = label.decode("utf-8", "replace")
    if isinstance(label, str):
        return bool(_NOISE_AS_TEXT.fullmatch(label))
    return not isinstance(label, bool) and isinstance(label, int | float) and label == NOISE


def _labels(labels: Any) -> Any:
    try:
        array = np.asarray(labels)
    except ValueError as error:  # lists of different lengths
        raise InputError(f"a label is a list, such as {labels[0]!r}; pass one number or string per row") from error
    return array if array.dtype.kind in "iufUSb" else np.asarray(labels, dtype=object)


def paper_clusters(n: int) -> int:
    """The paper's number of clusters, 3·√n (He et al. 2024, arXiv 2405.00705).

    Args:
        n: How many rows are clustered.

    Returns:
        A number between 1 and ``n``.
    """
    return max(1, min(n, round(3 * math.sqrt(n))))


def _n_clusters(asked: int | None, n: int) -> int:
    if asked is None:
        return paper_clusters(n)
    check_whole(n_clusters=asked)
    if asked > n:
        raise InputError(f"n_clusters={asked} exceeds the {n} rows to cluster; pass n_clusters <= {n}")
    return int(asked)

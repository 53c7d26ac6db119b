"""The order of rows within clusters, learned on the sample and applied to shards."""

import hashlib
import math
from dataclasses import dataclass, field

import numpy as np

from shed_hf.clustering.clusters import NOISE
from shed_hf.embedding.embed import CHUNK, unit
from shed_hf.errors import InputError
from shed_hf.results.curation import Curation
from shed_hf.results.learned_signal_entry import learned_signal_from
from shed_hf.sampling.contrasts import contrasts
from shed_hf.sampling.extrapolation import Extrapolation, LinearSignal, extrapolate
from shed_hf.sampling.learned_signal import LearnedSignal
from shed_hf.types import EmbeddingMatrix, FloatMatrix, FloatVector, IntVector
from shed_hf.utils.warn import warn

MOST_FITTED = 20_000
"""From so many rows of the sample at most the regression is made: it takes them in float64, several times."""

ALIKE = 1e-5
"""Vectors no further apart count as equal: a model in float32 gives a text others, by some 1e-6, in other batches."""


@dataclass(frozen=True, eq=False)
class RowOrder:
    """Tells of any row what share of the rows of its cluster is better.

    A row's merit is predicted from its vector by ridge regression within clusters, and placed among the predictions for
    the sample's rows in its cluster. Of rows drawn like the sample's, a share s has a rank below s.

    Attributes:
        signal: What the curation ordered rows by.
        measured: Of how many rows of the sample it was known.
        rank_correlation: Spearman's, between that and what was predicted of rows held out, within clusters; where the
            curation had learned it from fewer rows itself, the one that it tells. NaN where nothing could be learned.
        merits: The merits of the sample's rows, cluster by cluster, ascending; none where nothing was learned.
        regression: Predicts merits; None where nothing was learned: rows within clusters are then in random order.
        clusters: A digest of the centroids of the curation's clusters, as `digest_of` makes it.
    """

    signal: str
    measured: int
    rank_correlation: float
    merits: tuple[FloatVector, ...] = field(default=(), repr=False)
    regression: LinearSignal | None = field(default=None, repr=False)
    clusters: str = field(default="", repr=False)

    def ranks(self, vectors: EmbeddingMatrix, clusters: IntVector, draws: FloatVector) -> FloatVector:
        """What share of the rows of its cluster is better than each row.

        Args:
            vectors: ``(n, d)`` unit vectors.
            clusters: ``(n,)`` the rows' clusters; −1 for none.
            draws: ``(n,)`` numbers in [0, 1), in whose order rows of equal merit stand.

        Returns:
            Numbers in [0, 1), 0 for the best; NaN for rows without a cluster, and where nothing was learned. Merits
            that vectors so close as `ALIKE` can have count as equal.
        """
        found = np.full(len(vectors), np.nan)
        if self.regression is None:
            return found
        merits, alike = self.regression(vectors), ALIKE * float(np.linalg.norm(self.regression.weights.mean(axis=1)))
        for cluster in np.unique(clusters[clusters != NOISE]):
            sampled, rows = self.merits[cluster], np.flatnonzero(clusters == cluster)
            below = np.searchsorted(sampled, merits[rows] - alike, "left")
            up_to = np.searchsorted(sampled, merits[rows] + alike, "right")
            # A new row is as likely to stand in any of the n + 1 gaps between the sample's n rows.
            found[rows] = (len(sampled) - up_to + draws[rows] * (up_to - below + 1)) / (len(sampled) + 1)
        return found


def learn_order(curated: Curation, vectors: EmbeddingMatrix) -> RowOrder:
    """Learn from vectors what the curation of a sample ordered rows by.

    Args:
        curated: What `curate` made of the sample.
        vectors: ``(n, d)`` the unit vectors of the sample's rows.

    Returns:
        The order.

    Raises:
        InputError: Where the curation took the rows of a cluster at random, or has other rows.

    Warns:
        UserWarning: Where rows held out are ordered no better than by chance, so that nothing is used.
    """
    if len(curated.pool_rows) and curated.pool_rows.max() >= len(vectors):
        raise InputError(
            f"the curation has a row {curated.pool_rows.max()}, and the sample {len(vectors)} rows; pass what curate "
            "made of this sample"
        )
    told = _told(curated)
    if told is not None and not told.used:
        return _nothing(told.signal, told.measured, told.rank_correlation, told.why_not)
    signal, merit = _merit(curated)
    found, n_rows = _fitted(curated, vectors, merit)
    if not found.helps:
        why = f"{signal} of {n_rows:,} rows of the sample can't be learned from their vectors"
        if not math.isnan(found.rank_correlation):
            why += f": rank correlation {found.rank_correlation:.2f} on rows held out, no better than chance"
        return _nothing(signal, n_rows, found.rank_correlation, why)
    assert found.regression is not None
    measured, correlation = n_rows, found.rank_correlation
    if told is not None:
        measured, correlation = told.measured, told.rank_correlation
    merits = _of_sample(curated, vectors, found.regression)
    return RowOrder(signal, measured, correlation, merits, found.regression, digest_of(curated.clustering.centroids))


def digest_of(centroids: EmbeddingMatrix) -> str:
    """What tells the clusters of one curation from those of any other.

    Args:
        centroids: ``(c, d)`` the means of the clusters.

    Returns:
        A digest, the same of centroids that were saved and loaded again.
    """
    return hashlib.blake2b(np.ascontiguousarray(centroids, dtype="<f4").tobytes(), digest_size=16).hexdigest()


def _told(curated: Curation) -> LearnedSignal | None:
    """How well the curation learned its order from a part of the sample; None where it measured all of it."""
    of_merit = curated.valued.merit is not None or curated.valued.worth is None
    entry = curated.recipe.get("learned_merit") if of_merit else None
    if entry is None and curated.valued.merit is None:
        entry = curated.recipe.get("learned_signal")
        if entry is not None and not entry["used"] and curated.valued.worth is not None:
            return None  # something else chose
    return None if entry is None or entry["measured"] == entry["rows"] else learned_signal_from(entry)


def _merit(curated: Curation) -> tuple[str, FloatVector]:
    """What the rows of a cluster are in the order of, by name."""
    valued = curated.valued
    if valued.merit is not None:
        return str(curated.recipe["merit"]), valued.merit
    if valued.worth is not None:
        return "the value" if valued.worth.is_outcome else "nearness to the evaluation items", valued.worth.values
    raise InputError(
        "the curation took the rows of a cluster at random, so there is no order to learn; pass curate "
        'merit="learned-credit" or a sampler of single rows such as "extrapolated", or leave the order out'
    )


def _fitted(curated: Curation, vectors: EmbeddingMatrix, merit: FloatVector) -> tuple[Extrapolation, int]:
    """Ridge regression of what differs within clusters, on some rows of the sample, and how many they were."""
    labels = curated.clustering.labels
    known = np.flatnonzero((labels != NOISE) & np.isfinite(merit))
    rng = np.random.default_rng(0)
    places = rng.permutation(known)[:MOST_FITTED]
    inputs: FloatMatrix = unit(vectors[curated.pool_rows[places]], curated.pool_rows[places]).astype(np.float64)
    apart = contrasts(np.column_stack([inputs, merit[places]]), labels[places])
    return extrapolate(apart[:, :-1], np.arange(len(apart)), apart[:, -1:], rng, noisy=True), len(places)


def _of_sample(curated: Curation, vectors: EmbeddingMatrix, regression: LinearSignal) -> tuple[FloatVector, ...]:
    rows, labels = curated.pool_rows, curated.clustering.labels
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    # As Score sees them, to the last bit: rows that repeat have equal merits.
    merits = np.concatenate([regression(unit(vectors[chunk], chunk)) for chunk in chunks])
    return tuple(np.sort(merits[labels == cluster]) for cluster in range(curated.clustering.n_clusters))


def _nothing(signal: str, measured: int, rank_correlation: float, why: str) -> RowOrder:
    warn(f"{why}, so rows of a cluster are kept at random")
    return RowOrder(signal, measured, rank_correlation)

"""`ValuedPool`: everything known once the clusters have values; what is left is to choose rows."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shed_hf.clustering.clusters import NOISE, Clustering
from shed_hf.data.evaluation_items import MeasuredItems
from shed_hf.data.formats import RowFormat
from shed_hf.embedding.encoders import Encoder
from shed_hf.estimators import ValueEstimate
from shed_hf.game.ledger import Ledger
from shed_hf.game.players import Players
from shed_hf.results.embedding_map import EmbeddingMap
from shed_hf.sampling.played_game import RowWorth
from shed_hf.types import FloatVector, IntVector

if TYPE_CHECKING:
    from datasets import Dataset

    from shed_hf.data.evaluation_items import EvaluationItems
    from shed_hf.game.utility import UtilityFactory


@dataclass(frozen=True, eq=False)
class MeasuredBy:
    """What measured the outcomes of a curation, while it is in memory: it is neither saved nor sent to other ranks.

    Attributes:
        tuner: What bound the utility to the pool, such as `FineTune`; None for a utility that brings its own items.
        items: The evaluation items; None where only the utility knows them.
        utility: The utility as it was passed, where there is no tuner; None else.
    """

    tuner: "UtilityFactory | None"
    items: "EvaluationItems | None"
    utility: Any = None


@dataclass(frozen=True, eq=False)
class ValuedPool:
    """A pool whose clusters have values.

    Attributes:
        pool_rows: ``(m,)`` row ids of the source that took part, ascending.
        digests: ``(m, 16)`` a digest of the content of each of them.
        clustering: ``labels`` ``(m,)`` of the same rows, and centroids.
        players: The clusters that played, with their proxies.
        estimate: A value for every player.
        ledger: Every outcome measured.
        embedding_map: A sample of the rows as points in the plane.
        terms: The top terms of each cluster.
        excerpts: The beginning of each cluster's first proxy; None where it is not shown.
        format: How rows were read.
        encoder: What embedded them; None where it could not travel along.
        source: Line *i* is row ``pool_rows[i]``; None where the rows are not at hand.
        whole_source: The dataset that ``source`` was found in, with the rows that took no part; None where nobody
            passed it again.
        merit: ``(m,)`` which rows of a cluster are taken first, higher before lower; None: random ones.
        taken: ``(size,)`` the row ids that a selector of rows chose, in the order it took them; None where rows were
            sampled from clusters.
        measured_by: What measured the outcomes; None for a result that was read from a folder or the Hub.
        measured_items: The evaluation items, for constraints over their groups; None where they are not at hand.
        worth: What a selector found every row to be worth; None where none did.
    """

    pool_rows: IntVector
    digests: NDArray[np.uint8] = field(repr=False)
    clustering: Clustering
    players: Players
    estimate: ValueEstimate
    ledger: Ledger
    embedding_map: EmbeddingMap
    terms: list[list[str]] = field(repr=False)
    excerpts: list[str | None] = field(repr=False)
    format: RowFormat
    encoder: Encoder | None = None
    source: "Dataset | None" = field(default=None, repr=False)
    whole_source: "Dataset | None" = field(default=None, repr=False)
    merit: FloatVector | None = field(default=None, repr=False)
    taken: IntVector | None = field(default=None, repr=False)
    measured_by: MeasuredBy | None = field(default=None, repr=False)
    measured_items: MeasuredItems | None = field(default=None, repr=False)
    worth: RowWorth | None = field(default=None, repr=False)

    @property
    def values(self) -> FloatVector:
        """The value of every cluster ``(c,)``, NaN for one that did not play."""
        return self.players.means(self.estimate.values)

    @property
    def stderr(self) -> FloatVector:
        """The standard error of every cluster's value ``(c,)``, NaN where unknown."""
        return self.players.stderr(self.estimate.stderr)

    @property
    def disagreement(self) -> FloatVector:
        """How far every cluster's proxy sets are from one value ``(c,)``, NaN with a single set: see `Players`."""
        return self.players.disagreement(self.estimate.values, self.estimate.stderr)

    @property
    def members(self) -> list[IntVector]:
        """The rows of every cluster, and of noise last."""
        return [self.pool_rows[places] for places in self._places]

    @property
    def merits(self) -> list[FloatVector] | None:
        """The merit of every cluster's rows, in the order of `members`."""
        return None if self.merit is None else [self.merit[places] for places in self._places]

    def counts_of(self, rows: IntVector) -> IntVector:
        """How many of some rows are of each cluster.

        Args:
            rows: Row ids of the pool.

        Returns:
            ``(c + 1,)``, those of noise last.
        """
        labels = self.clustering.labels[np.searchsorted(self.pool_rows, rows)]
        noise, *counts = np.bincount(labels - NOISE, minlength=self.clustering.n_clusters + 1).tolist()
        return np.array([*counts, noise], dtype=np.int64)

    @cached_property
    def _places(self) -> list[IntVector]:
        """Where the rows of every cluster, and of noise last, are among ``pool_rows``, ascending."""
        labels = self.clustering.labels
        counts = np.bincount(labels - NOISE, minlength=self.clustering.n_clusters + 1)
        noise, *clusters = np.split(np.argsort(labels, kind="stable"), np.cumsum(counts)[:-1])
        return [*clusters, noise]

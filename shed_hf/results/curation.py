"""`Curation`: the kept rows, what every cluster is worth, and everything needed to repeat the curation."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shed_hf.clustering.clusters import Clustering
from shed_hf.estimators import ValueEstimate
from shed_hf.game.ledger import Ledger
from shed_hf.results.race import RaceResult
from shed_hf.results.recipe import Recipe
from shed_hf.results.valued_pool import ValuedPool
from shed_hf.results.verdict import Verdict
from shed_hf.types import IntVector

if TYPE_CHECKING:
    from datasets import Dataset

RANK = "shed_rank"
"""The column of a row's place among the chosen ones; results of versions that kept no order have none."""


@dataclass(frozen=True, eq=False)
class Curation:
    """The chosen rows as a plain `Dataset`, with what led to them.

    Attributes:
        dataset: The chosen rows, the best first, with every column of the source and ``shed_row``, ``shed_cluster``,
            ``shed_value`` and ``shed_rank``, which counts from 1. The first k are what is kept of them where only k are
            wanted, in the order in which the sampler took them; rows that were given are in the order given.
        rows: ``(size,)`` their row ids in the source, in the order of ``dataset``.
        clusters: A line per cluster, see `clusters_table`.
        recipe: Arguments, parts, provenance, versions and bill.
        valued: Everything that was known before rows were chosen.
        place: The name of the folder, or the id of the repository, that it was read from; None for what was just made.
    """

    dataset: "Dataset"
    rows: IntVector
    clusters: "Dataset"
    recipe: Recipe
    valued: ValuedPool = field(repr=False)
    place: str | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def is_ranked(self) -> bool:
        """Whether the rows are in the order of their rank; results of earlier versions are in that of the source."""
        return RANK in self.dataset.column_names

    @property
    def estimate(self) -> ValueEstimate:
        """A value, with its standard error, for every cluster that played."""
        return self.valued.estimate

    @property
    def clustering(self) -> Clustering:
        """Labels, for ``pool_rows``, and centroids."""
        return self.valued.clustering

    @property
    def pool_rows(self) -> IntVector:
        """The rows of the source that took part ``(m,)``."""
        return self.valued.pool_rows

    @property
    def verdict(self) -> Verdict | None:
        """Whether these rows are better than random ones; None where that was not measured."""
        entry = self.recipe.get("verdict")
        return None if entry is None else Verdict.from_json(entry)

    @property
    def race(self) -> RaceResult | None:
        """How the race among candidate subsets ended; None without one."""
        entry = self.recipe.get("race")
        return None if entry is None else RaceResult.from_json(entry)

    @property
    def ledger(self) -> Ledger:
        """Every outcome measured."""
        return self.valued.ledger

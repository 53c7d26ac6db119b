"""`CuratedDataset`: what was kept, what every cluster is worth, and everything needed to do it again."""

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from shed_hf.arrays import IntVector
from shed_hf.clustering import Clustering
from shed_hf.estimators import Estimator, ValueEstimate
from shed_hf.ledger import Ledger
from shed_hf.samplers import Sampler
from shed_hf.scoring import ClusterScorer
from shed_hf.valued import Valued

if TYPE_CHECKING:
    from datasets import Dataset

Excerpts = Literal["auto"] | bool
"""Whether a card shows the beginnings of rows; ``"auto"``: only those of a public dataset of the Hub."""


@dataclass(frozen=True, eq=False)
class CuratedDataset:
    """The chosen rows as a plain `Dataset`, with what led to them.

    ``rows`` ``(size,)`` int64 are row ids of the source, ascending. ``clusters`` has a line per cluster, ``valued``
    holds everything that was known before rows were chosen.
    """

    dataset: "Dataset"
    rows: IntVector
    clusters: "Dataset"
    recipe: dict[str, Any]
    valued: Valued = field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        from shed_hf.summary import summary

        return f"CuratedDataset({summary(self)})"

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
    def ledger(self) -> Ledger:
        """Every outcome measured."""
        return self.valued.ledger

    @property
    def scorer(self) -> ClusterScorer:
        """Clusters and values for ``Dataset.map``. Raises `InputError` where nothing can embed new rows."""
        return self.valued.scorer

    def resample(
        self, size: int | float, sampler: str | Sampler = "qocs", *, seed: int | None = None, source: Any = None
    ) -> "CuratedDataset":
        """Another subset by the same values, without a fine-tuning.

        ``size`` and ``sampler`` are as in `curate`, ``seed`` is that of the curation unless given. Rows come from
        ``source``, the dataset that was curated; where it is not at hand and the recipe names one on the Hub, it is
        loaded. Raises `InputError` when there is no source, or it no longer has the rows.
        """
        from shed_hf.resampling import resample

        return resample(self, size, sampler, seed, source)

    def reestimate(
        self,
        estimator: str | Estimator,
        *,
        budget: int | None = None,
        sampler: str | Sampler | None = None,
        source: Any = None,
    ) -> "CuratedDataset":
        """Values by another estimator from the outcomes in the ledger, without a fine-tuning; then as many rows as
        before are chosen by them, with the same sampler unless another is given.

        ``"least-squares"`` and ``"banzhaf"`` use whatever was measured. Others ask for coalitions of their own: Raises
        `InputError` when the ledger lacks some.
        """
        from shed_hf.resampling import reestimate

        return reestimate(self, estimator, budget, sampler, source)

    def save_to_disk(self, path: str | os.PathLike[str]) -> None:
        """Write everything to a folder, which appears only when it is complete, and whose rows ``load_dataset(path)``
        reads. Raises `InputError` if it exists already.
        """
        from shed_hf.bundle import save

        save(self, path)

    @classmethod
    def load_from_disk(cls, path: str | os.PathLike[str], source: Any = None) -> "CuratedDataset":
        """Read what `save_to_disk` wrote; nothing in it is executed. ``source``, the dataset that was curated, is only
        needed to `resample`. Raises `InputError` for any other folder, and for one that was altered.
        """
        from shed_hf.bundle import load

        return load(path, source)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        commit_message: str | None = None,
        excerpts: Excerpts = "auto",
        token: str | None = None,
    ) -> str:
        """Publish rows, clusters, every measured utility, card and pictures in one commit; returns the page's address.

        Anyone can then ``load_dataset(repo_id)``, or its configurations ``"clusters"`` and ``"utilities"``. A new
        repository is private unless the source is a public dataset of the Hub or ``private=False``; an existing one
        stays as it is, and a public one takes rows that are not public only with ``private=False``. ``excerpts`` says
        whether the beginnings of rows appear on the card; ``"auto"``: only those of such a source. The same content
        makes no second commit, and what was written on the card by hand is kept.

        Raises `HubError` when the Hub refuses or can't be reached; the result is on the disk then, and the error says
        how to push it later.
        """
        from shed_hf.publishing import push

        return push(self, repo_id, private, revision, commit_message, excerpts, token)

    @classmethod
    def from_hub(
        cls, repo_id: str, *, source: Any = None, revision: str | None = None, token: str | None = None
    ) -> "CuratedDataset":
        """Pull what `push_to_hub` published; nothing in it is executed.

        ``source``, the dataset that was curated, is only needed to `resample`; its rows are found by their content.
        Raises `HubError` when it can't be reached, `InputError` when the repository holds no curated dataset or an
        altered one, or when ``source`` lacks rows.
        """
        from shed_hf.publishing import pull

        return pull(repo_id, source, revision, token)

"""`CuratedDataset`: the result of `curate`, with what can be done with it."""

import os
from dataclasses import dataclass, fields
from typing import Any

from shed_hf.cluster_scorer import ClusterScorer
from shed_hf.errors import InputError
from shed_hf.estimators import Estimator
from shed_hf.hub.privacy import Excerpts
from shed_hf.hub.publish import pull, push
from shed_hf.results.curation import Curation
from shed_hf.results.reuse import reestimate, resample
from shed_hf.results.summary import summary
from shed_hf.sampling.samplers import Sampler
from shed_hf.storage.curated_folder import load, save


@dataclass(frozen=True, eq=False, repr=False)
class CuratedDataset(Curation):
    """A `Curation` that can be resampled, saved, published and read back."""

    @classmethod
    def of(cls, curation: Curation) -> "CuratedDataset":
        """The same record with its verbs."""
        return cls(**{part.name: getattr(curation, part.name) for part in fields(Curation)})

    def __repr__(self) -> str:
        return f"CuratedDataset({summary(self)})"

    @property
    def scorer(self) -> ClusterScorer:
        """Clusters and values for new rows. Raises `InputError` where nothing can embed them."""
        if self.valued.encoder is None:
            raise InputError(
                "there is nothing to embed new rows with: the embeddings were given as a matrix, or the encoder, being "
                "your own or fitted on rows that are not shown, was not saved; build shed_hf.ClusterScorer(centroids, "
                "values, stderr, encoder, format) with an encoder"
            )
        return ClusterScorer(
            self.clustering.centroids, self.valued.values, self.valued.stderr, self.valued.encoder, self.valued.format
        )

    def resample(
        self, size: int | float, sampler: str | Sampler = "qocs", *, seed: int | None = None, source: Any = None
    ) -> "CuratedDataset":
        """Another subset by the same values, without a fine-tuning.

        ``size`` and ``sampler`` are as in `curate`, ``seed`` is that of the curation unless given. Rows come from
        ``source``, the dataset that was curated; where it is not at hand and the recipe names one on the Hub, it is
        loaded. Raises `InputError` when there is no source, or it no longer has the rows.
        """
        return self.of(resample(self, size, sampler, seed, source))

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
        return self.of(reestimate(self, estimator, budget, sampler, source))

    def save_to_disk(self, path: str | os.PathLike[str]) -> None:
        """Write everything to a folder, which appears only when it is complete, and whose rows ``load_dataset(path)``
        reads. Raises `InputError` if it exists already.
        """
        save(self, path)

    @classmethod
    def load_from_disk(cls, path: str | os.PathLike[str], source: Any = None) -> "CuratedDataset":
        """Read what `save_to_disk` wrote; nothing in it is executed. ``source``, the dataset that was curated, is only
        needed to `resample`. Raises `InputError` for any other folder, and for one that was altered.
        """
        return cls.of(load(path, source))

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
        return cls.of(pull(repo_id, source, revision, token))

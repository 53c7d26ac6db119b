"""`CuratedDataset`: the result of `curate`, with what can be done with it."""

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from shed_hf.cluster_scorer import ClusterScorer
from shed_hf.clustering.clusterers import Given
from shed_hf.errors import InputError
from shed_hf.estimators import Estimator
from shed_hf.evaluation.constraints import Constraints
from shed_hf.extension.extensible import ExtensibleCuration
from shed_hf.hub.privacy import Excerpts
from shed_hf.hub.publish import pull, push
from shed_hf.report.reportable import ReportableCuration
from shed_hf.report.saved_pages import adding_pages
from shed_hf.results.merits import merits_table
from shed_hf.results.mixture import CLUSTER, Mixture, mixture_of
from shed_hf.results.reuse import reestimate, resample
from shed_hf.results.summary import summary
from shed_hf.sampling.registry import AnySampler
from shed_hf.storage.curated_folder import load
from shed_hf.storage.rescue import save_or_rescue
from shed_hf.utils.quiet import only_own_output
from shed_hf.verification.verifiable import VerifiableCuration

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True, eq=False, repr=False)
class CuratedDataset(VerifiableCuration, ExtensibleCuration, ReportableCuration):
    """A `Curation` that can be resampled, saved, published and read back."""

    def __repr__(self) -> str:
        return f"CuratedDataset({summary(self)})"

    @property
    def merits(self) -> "Dataset":
        """A line for every row that could be chosen: its value, standard error and parts; see `merits_table`."""
        return merits_table(self)

    @property
    def scorer(self) -> ClusterScorer:
        """Clusters and values for new rows.

        Raises:
            InputError: Where clusters have no values, and where nothing can embed new rows: the embeddings were given
                as a matrix, or the encoder was not saved.
        """
        if not self.estimate.played:
            raise InputError(
                "no game was played, so clusters have no values to score new rows by; curate again with an estimator"
            )
        if self.valued.encoder is None:
            raise InputError(
                "there is nothing to embed new rows with: the embeddings were given as a matrix, or the encoder, being "
                "your own or fitted on rows that are not shown, was not saved; build shed_hf.ClusterScorer(centroids, "
                "values, stderr, encoder, format) with an encoder"
            )
        return ClusterScorer(
            self.clustering.centroids, self.valued.values, self.valued.stderr, self.valued.encoder, self.valued.format
        )

    def mixture(self, by: str = CLUSTER) -> Mixture:
        """What share of the kept rows each cluster or source has, how sure that is, and what each is worth.

        Args:
            by: ``"cluster"``, or a column whose values are the groups, such as that of the rows' sources.

        Returns:
            The mixture; printed, it is a small table, and its ``to_yaml`` writes what TRL and Axolotl train on.

        Raises:
            InputError: For a column that there is not, or whose values are no groups.
        """
        return mixture_of(self, by)

    @only_own_output()
    def resample(
        self,
        size: int | float | str,
        sampler: str | AnySampler | Given | None = None,
        *,
        seed: int | None = None,
        source: Any = None,
        constraints: Constraints | None = None,
    ) -> "CuratedDataset":
        """Another subset by the same values, without a fine-tuning.

        Args:
            size: How much to keep: a number of rows (500), a share of the source (0.1) or a percentage ("10%");
                ``"auto"`` is as many as ``Full()`` and ``Given(rows)`` take, else a tenth.
            sampler: How rows are drawn from the clusters: ``"qocs"``, ``"qwcs"``, ``"random"`` or a sampler. Of those
                that choose single rows: ``Full()``, ``Given(rows)``, and the curation's own for a smaller size; with
                ``"extrapolated"``, and for pools of up to 20,000 rows with ``"row-values"``, for any size. None: as
                before.
            seed: The seed of the draw; None for that of the curation.
            source: The dataset that was curated, as `curate` takes it. Needed only where it is not at hand, as after
                `load_from_disk`; where the recipe names one on the Hub, that one is loaded.
            constraints: How far groups of evaluation items may be expected to fall, by column, as in `curate`; None for
                the constraints of the last choice, ``{}`` for none. A result that was read back knows the groups of the
                columns that it was constrained by.

        Returns:
            A new result with other rows; this one stays as it is.

        Raises:
            InputError: For a size, sampler, seed or constraints that can't be used, when no choice keeps the
                constraints, when there is no source, or when the source no longer has the rows.
        """
        return self.of(resample(self, size, sampler, seed, source, constraints))

    @only_own_output()
    def reestimate(
        self,
        estimator: str | Estimator,
        *,
        budget: int | None = None,
        sampler: str | AnySampler | Given | None = None,
        source: Any = None,
    ) -> "CuratedDataset":
        """Values by another estimator from the outcomes in the ledger, without a fine-tuning; as many rows as before
        are then chosen by them.

        Args:
            estimator: ``"least-squares"`` and ``"banzhaf"`` use whatever was measured. Other names, and estimators, ask
                for coalitions of their own, which the ledger must hold.
            budget: The most coalitions that such an estimator asks for; None for its own number.
            sampler: How rows are drawn from the clusters, as in `resample`; None for the same sampler as before.
            source: The dataset that was curated, as in `resample`.

        Returns:
            A new result with other values; this one stays as it is.

        Raises:
            InputError: When the ledger lacks coalitions that the estimator asks for, for arguments that can't be used,
                when there is no source, or when the source no longer has the rows.
        """
        return self.of(reestimate(self, estimator, budget, sampler, source))

    @only_own_output()
    def save_to_disk(self, path: str | os.PathLike[str], *, pages: bool = True) -> None:
        """Write everything to a folder, which appears only when it is complete; ``load_dataset(path)`` reads its rows.

        Args:
            path: The folder, which must not exist yet or be empty; parent folders are created.
            pages: Whether the card, its pictures and the report are written too.

        Raises:
            InputError: If something is there already, or nothing can be written. The result is then saved in the
                working folder, or else in the temporary or the home folder, and the message names it.
        """
        save_or_rescue(self, path, partial(adding_pages, self) if pages else None)

    @classmethod
    @only_own_output()
    def load_from_disk(cls, path: str | os.PathLike[str], source: Any = None) -> "CuratedDataset":
        """Read what `save_to_disk` wrote; nothing in it is executed.

        Args:
            path: The folder.
            source: The dataset that was curated, as `curate` takes it; only needed to `resample` or `reestimate`.

        Returns:
            The result, equal to the one that was saved.

        Raises:
            InputError: For any other folder, for one that was altered, or when the source lacks rows.
        """
        return cls.of(load(path, source))

    @only_own_output()
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
        """Publish rows, clusters, every measured utility, card and pictures in one commit.

        Anyone can then ``load_dataset(repo_id)``, or its configurations ``"clusters"`` and ``"utilities"``. The same
        content makes no second commit, and what was written on the card by hand is kept.

        Args:
            repo_id: The repository, as ``namespace/name``; it is created where it does not exist.
            private: Whether a new repository is private; None: unless the source is a public dataset of the Hub. An
                existing one stays as it is, and a public one takes rows that are not public only with False.
            revision: The branch to commit to, created where it does not exist; None for the main one.
            commit_message: The title of the commit; None for a generated one.
            excerpts: Whether the beginnings of rows appear on the card; ``"auto"``: only those of a public dataset of
                the Hub.
            token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``.

        Returns:
            The address of the repository's page.

        Raises:
            InputError: For arguments that can't be used, and for a repository whose files shed_hf did not make.
            HubError: When the Hub refuses or can't be reached. With either error the result is saved to a folder, and
                the error says how to push it later.
        """
        return push(self, repo_id, private, revision, commit_message, excerpts, token)

    @classmethod
    @only_own_output()
    def from_hub(
        cls, repo_id: str, *, source: Any = None, revision: str | None = None, token: str | None = None
    ) -> "CuratedDataset":
        """Pull what `push_to_hub` published; nothing in it is executed.

        Args:
            repo_id: The repository, as ``namespace/name``.
            source: The dataset that was curated, as `curate` takes it; only needed to `resample` or `reestimate`. Its
                rows are found by their content.
            revision: A branch, tag or commit; None for the main branch.
            token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``, if any.

        Returns:
            The result, equal to the one that was pushed.

        Raises:
            InputError: When the repository holds no curated dataset or an altered one, or when the source lacks rows.
            HubError: When there is no such repository, or it can't be reached and is not in the cache.
        """
        return cls.of(pull(repo_id, source, revision, token))

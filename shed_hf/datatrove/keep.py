"""The step that keeps a share of every cluster, or what is worth enough."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter

from shed_hf.clustering.clusters import NOISE
from shed_hf.datatrove.columns import RANK, cells, draw_of
from shed_hf.datatrove.writer import RowWriter
from shed_hf.errors import InputError
from shed_hf.results.curation import Curation
from shed_hf.utils.checks import check_whole, is_finite_number


class Keep(BaseFilter):  # type: ignore[misc]  # datatrove is untyped here
    """Keeps rows by what `Score` said of them.

    Args:
        shares: What share of each cluster is kept, such as `shares_of` tells; clusters that are not named are left out.
            The best ones are kept where `Score` was given an order and ranked them, else random ones. Which rows they
            are depends on their texts, vectors and the seed alone, so that every run, on any number of workers, keeps
            the same ones. Rows of equal text and vector are kept together, and with few exceptions those of equal text
            whose vectors differ by rounding. None: all rows, as far as ``least`` goes.
        least: The least value of a cluster whose rows are kept, -inf for all that have a value; None for any.
        seed: The seed of the draw among rows without a rank.
        exclusion_writer: Writes the rows that are not kept; None where nobody wants them.

    Raises:
        InputError: For neither, for shares that are no numbers in [0, 1] or all 0, and for a ``least`` that is no
            number, NaN or infinity, which no value reaches.
    """

    name = "🧺 Keep"

    def __init__(
        self,
        shares: Mapping[int, float] | None = None,
        *,
        least: float | None = None,
        seed: int = 0,
        exclusion_writer: DiskWriter | None = None,
    ) -> None:
        super().__init__(exclusion_writer)
        check_whole(0, seed=seed)
        if shares is None and least is None:
            raise InputError("shares=None and least=None keep everything; pass one of them")
        if shares is not None:
            _check_shares(shares)
        if least is not None and not _is_least(least):
            raise InputError(
                f"least={least!r:.60} is no number that values reach; pass a finite one, such as 0 (the values of a "
                "curation that played no game are NaN), or -inf for all rows that have a value"
            )
        self.shares = None if shares is None else {int(cluster): float(share) for cluster, share in shares.items()}
        self.least = least
        self.seed = seed

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Let rows through; see `filter`.

        Args:
            data: The rows.
            rank: The task's number.
            world_size: The number of tasks.

        Yields:
            Those that are let through.
        """
        if isinstance(self.exclusion_writer, RowWriter):
            data = self.exclusion_writer.begun(data, rank, world_size)
        yield from super().run(data, rank, world_size)

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        """Whether a row is kept.

        Args:
            doc: The row.

        Returns:
            True, or False with what it was that left it out.

        Raises:
            InputError: For a row that was not scored, or was ranked by something else than `Score`.
        """
        missing = "put Score before Keep"
        if self.least is not None and not cells([doc], "shed_value", missing)[0] >= self.least:
            return False, "value"
        if self.shares is None:
            return True
        share = self.shares.get(cells([doc], "shed_cluster", missing)[0], 0.0)
        rank = _rank(doc)
        place = draw_of(doc.text, "keep", self.seed) if math.isnan(rank) else rank
        return True if place < share else (False, "share")


def _rank(doc: Document) -> float:
    """The share of a row's cluster that is better; NaN for a row without a rank."""
    rank = doc.metadata.get(RANK)
    if rank is None:
        return math.nan
    if isinstance(rank, float) and not (rank < 0 or rank > 1):
        return rank
    raise InputError(
        f"row {doc.id} has {rank!r:.40} in column {RANK!r}, which is no rank by Score, the share of a cluster that is "
        "better; put Score before Keep"
    )


def _check_shares(shares: Mapping[int, float]) -> None:
    if not isinstance(shares, Mapping):
        raise InputError(
            f"shares={shares!r:.60} is a {type(shares).__name__}; pass cluster to share, as shares_of does"
        )
    for cluster in shares:
        if isinstance(cluster, bool) or not isinstance(cluster, int | np.integer) or cluster < NOISE:
            raise InputError(
                f"shares has the key {cluster!r:.60}, the number of no cluster; pass whole numbers >= {NOISE}"
            )
    wrong = {c: share for c, share in shares.items() if not is_finite_number(share) or not 0 <= share <= 1}
    if wrong:
        raise InputError(f"shares={wrong!r:.200} are no shares of a cluster; pass numbers from 0 to 1")
    if not any(shares.values()):
        raise InputError(f"shares={dict(shares)!r:.200} keep no row of any cluster; pass a share above 0")


def _is_least(least: object) -> bool:
    return is_finite_number(least) or (isinstance(least, float) and least == -math.inf)


def shares_of(curated: Curation) -> dict[int, float]:
    """What share of each of its clusters a curation kept.

    Args:
        curated: What `curate` made of a sample; ``curated.resample(size)`` keeps more or fewer.

    Returns:
        Cluster to share. Of the whole pool they keep about the share that was kept of the sample.
    """
    labels = curated.clustering.labels
    kept = labels[np.isin(curated.pool_rows, curated.rows)]
    members = np.bincount(labels[labels >= 0], minlength=curated.clustering.n_clusters)
    return {cluster: float((kept == cluster).sum() / n) for cluster, n in enumerate(members)}

"""The step that gives rows the values of their clusters."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from datatrove.utils.batching import batched

from shed_hf.cluster_scorer import ClusterScorer
from shed_hf.clustering.clusters import NOISE
from shed_hf.data.formats import OPTIONAL, RowFormat
from shed_hf.datatrove.columns import ENCODER, RANK, VECTOR, cells, check_made_by, draw_of
from shed_hf.datatrove.embed import in_this_process, unloaded
from shed_hf.datatrove.order import RowOrder, digest_of
from shed_hf.embedding.embed import CHUNK, unit
from shed_hf.errors import InputError
from shed_hf.results.cluster_scores import ClusterScores
from shed_hf.types import EmbeddingMatrix
from shed_hf.utils.checks import check_whole


class Score(PipelineStep):  # type: ignore[misc]  # datatrove is untyped here
    """Gives every row its nearest cluster and that cluster's value, as `ClusterScorer` does: ``shed_cluster``,
    ``shed_value``, ``shed_value_stderr`` and ``shed_distance``.

    Rows that `Embed` gave vectors are not embedded again; others are, by the scorer's encoder. With an order they also
    get ``shed_rank``, the share of their cluster's rows that is better, in whose order `Keep` takes them.

    Args:
        scorer: The scorer, the folder that `save_pretrained` wrote, or its repository as ``namespace/name``.
        order: The order of rows within clusters, such as `SampledRows.order` learns, for rows that have vectors; None,
            and an order for which nothing could be learned: rows lose any rank that they came with, and `Keep` takes
            random ones.
        keep_vectors: Whether rows keep the vectors that they came with.
        batch_size: How many rows are scored at a time.

    Raises:
        InputError: For what is no scorer, and for an order of other clusters.
        HubError: Where there is no such repository, or it can't be reached.
    """

    name = "⚖️ Score"
    type = "🔢 - SHED"

    def __init__(
        self,
        scorer: ClusterScores | str | os.PathLike[str],
        *,
        order: RowOrder | None = None,
        keep_vectors: bool = False,
        batch_size: int = CHUNK,
    ) -> None:
        super().__init__()
        check_whole(batch_size=batch_size)
        if isinstance(scorer, str | os.PathLike):
            scorer = _loaded(scorer)
        if not isinstance(scorer, ClusterScores):
            raise InputError(
                f"scorer={scorer!r:.60} is a {type(scorer).__name__}; pass curated.scorer, or where it was saved"
            )
        if order is not None:
            _check_order(order, scorer)
        self.scorer = replace(scorer, encoder=unloaded(scorer.encoder))
        self.order = order
        self.keep_vectors = keep_vectors
        self.batch_size = batch_size

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Score the rows that come.

        Args:
            data: The rows.
            rank: The task's number.
            world_size: The number of tasks; not used.

        Yields:
            The rows with their clusters and values.

        Raises:
            InputError: For vectors of another encoder, and for rows that lack columns of the scorer's pool.
        """
        for rows in batched(data, self.batch_size):
            with self.track_time("batch"):
                columns = self._columns(rows, rank)
            clusters = columns["shed_cluster"]
            self.stat_update("scored", value=len(rows), unit="batch")
            self.stat_update("without_cluster", value=clusters.count(NOISE), unit="batch")
            for row, *scores in zip(rows, *columns.values(), strict=True):
                # a rank that came with a row is of another order
                dropped = (RANK,) if self.keep_vectors else (RANK, VECTOR, ENCODER)
                row.metadata = {name: cell for name, cell in row.metadata.items() if name not in dropped}
                row.metadata |= dict(zip(columns, scores, strict=True))
                yield row

    def _columns(self, rows: list[Document], rank: int) -> dict[str, list[Any]]:
        if any(VECTOR in row.metadata for row in rows):
            again = "embed all rows with Embed, or none"
            for name in set(cells(rows, ENCODER, again)):
                check_made_by(name, self.scorer.encoder)
            vectors = unit(np.asarray(cells(rows, VECTOR, again), dtype=np.float32), np.arange(len(rows)))
            columns = self.scorer.of_vectors(vectors)
            return columns if self.order is None else columns | _ranks(self.order, rows, vectors, columns)
        if self.order is not None and self.order.regression is not None:
            raise InputError(f"row {rows[0].id} has no vector, which order= goes by; put Embed before Score")
        scorer = replace(self.scorer, encoder=in_this_process(self.scorer.encoder, rank))
        try:
            return scorer(_read_columns(rows, scorer.format))
        except InputError as error:
            raise InputError(f"counted from row {rows[0].id}: {error}") from error


def _ranks(
    order: RowOrder, rows: list[Document], vectors: EmbeddingMatrix, columns: Mapping[str, list[Any]]
) -> dict[str, list[float]]:
    if order.regression is None:
        return {}
    draws = np.array([draw_of(row.text, "rank", 0) for row in rows])
    return {RANK: order.ranks(vectors, np.array(columns["shed_cluster"]), draws).tolist()}


def _check_order(order: object, scorer: ClusterScores) -> None:
    if not isinstance(order, RowOrder):
        raise InputError(f"order={order!r:.60} is a {type(order).__name__}; pass sample.order(curated)")
    if order.regression is None:
        return
    shape = (len(order.merits), len(order.regression.weights))
    if shape != scorer.centroids.shape:
        raise InputError(
            f"order= is of {shape[0]} clusters and vectors of {shape[1]} numbers, the scorer of "
            f"{scorer.centroids.shape[0]} and {scorer.centroids.shape[1]}; pass an order and a scorer of one curation"
        )
    if order.clusters != digest_of(scorer.centroids):
        raise InputError(
            f"order= is of other clusters than the scorer's, though there are {shape[0]} of both; pass an order and a "
            "scorer of one curation"
        )


def _loaded(scorer: str | os.PathLike[str]) -> ClusterScorer:
    try:
        return ClusterScorer.from_pretrained(scorer)
    except InputError as error:
        raise InputError(f"scorer={os.fspath(scorer)!r} can't be used: {error}") from error


def _read_columns(rows: list[Document], row_format: RowFormat) -> dict[str, list[Any]]:
    """The columns that any row has of those which the format reads: None for an optional part that a row lacks."""
    needed = {column for part, column in row_format.columns.items() if part not in OPTIONAL}
    present = [column for column in row_format.read_columns if any(column in row.metadata for row in rows)]
    return {
        column: cells(rows, column, "give all rows the columns that every row must have")
        if column in needed
        else [row.metadata.get(column) for row in rows]
        for column in present
    }

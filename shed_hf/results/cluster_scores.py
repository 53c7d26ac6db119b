"""`ClusterScores`: clusters and their values, for rows that were not there when they were valued."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shed_hf.clustering.clusters import NOISE
from shed_hf.data.formats import OPTIONAL, InvalidCell, RowFormat
from shed_hf.distributed.launch import device_of
from shed_hf.embedding.embed import encode_texts, unit
from shed_hf.embedding.encoders import Encoder, SentenceTransformerEncoder
from shed_hf.errors import InputError
from shed_hf.types import EmbeddingMatrix, FloatVector, IntVector
from shed_hf.utils.warn import warn

VERSION = 1

_NO_TEXT = ("tools", "chat_template_kwargs")
"""The parts of a row that are not embedded."""


@dataclass(frozen=True, eq=False)
class ClusterScores:
    """Finds the nearest cluster of new rows and tells its value: ``new_pool.map(scorer, batched=True)``.

    Holds arrays and the encoder's name, never a loaded model, so that `Dataset.map` hashes it alike in every process
    and finds its cache.

    Attributes:
        centroids: ``(c, d)`` the mean of each cluster's unit vectors.
        values: ``(c,)`` the value of each cluster, NaN for one without a value.
        stderr: ``(c,)`` the standard errors of the values, NaN where unknown.
        encoder: What embeds the text of a row.
        format: How a row is read: the names of its columns.
        version: The format of the files that hold it.
    """

    centroids: EmbeddingMatrix = field(repr=False)
    values: FloatVector = field(repr=False)
    stderr: FloatVector = field(repr=False)
    encoder: Encoder
    format: RowFormat
    version: int = VERSION

    def __call__(self, batch: Mapping[str, Any], *given: Any, rank: int | None = None) -> dict[str, Any]:
        """The nearest cluster of each row: shed_cluster, shed_value, shed_value_stderr and shed_distance.

        With ``Dataset.map(…, batched=True, num_proc=…, with_rank=True)`` every process embeds on an accelerator of its
        own, that of its rank modulo their number.

        Args:
            batch: Columns of a batch of rows, or the cells of one row.
            *given: What `Dataset.map` adds: the rows' indices for ``with_indices=True``, which are not used, then the
                rank for ``with_rank=True``. For single rows the two look alike, and neither is used.
            rank: The number of the process, from 0.

        Returns:
            Columns for a batch, cells for one row. The distance is 1 − cosine to the nearest centroid. A row of which
            the encoder knows nothing, so that its vector is zero, has the cluster −1 and NaN elsewhere.

        Raises:
            InputError: For columns other than the pool's, and for rows that cannot be read.

        Warns:
            UserWarning: For rows whose vector is zero, with how many and which; and for a column that the pool's rows
                may be without, where the rows lack it altogether: in the same words for every batch of a dataset.
        """
        _check_is_batch(batch)
        present = {part: column for part, column in self.format.columns.items() if column in batch}
        missing = [column for part, column in self.format.columns.items() if part not in OPTIONAL | set(present)]
        if missing:
            raise InputError(
                f"the rows have columns {list(batch)}, the scorer reads {missing}; rename columns to those of the pool"
            )
        self._warn_of_absent(present)
        is_batch = self._is_batch(batch)
        number = rank if rank is not None else self._rank(given) if is_batch else None
        if number is not None and isinstance(self.encoder, SentenceTransformerEncoder):
            self.encoder.move_to(device_of(number))
        if not is_batch:
            scores = self._scores([dict(batch)])
            return {name: column[0] for name, column in scores.items()}
        columns = {column: batch[column] for column in present.values()}
        return self._scores([dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)])

    def of_vectors(self, vectors: EmbeddingMatrix) -> dict[str, list[Any]]:
        """The same for rows that were embedded before.

        Args:
            vectors: ``(n, d)`` unit vectors by the scorer's encoder; zeros for a row of which it knows nothing.

        Returns:
            Columns, as for a batch of rows.

        Raises:
            InputError: For vectors of other dimensions.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.centroids.shape[1]:
            raise InputError(
                f"the vectors have shape {vectors.shape}, the scorer's centroids {self.centroids.shape}; pass vectors "
                "by the encoder that the clusters were made with"
            )
        distances = (self.centroids**2).sum(axis=1) - 2 * vectors @ self.centroids.T  # (n, c), squared, less 1
        nearest = distances.argmin(axis=1)
        directions = unit(self.centroids, np.arange(len(self.centroids)))
        cosines = (vectors * directions[nearest]).sum(axis=1)
        known = vectors.any(axis=1)
        return {
            "shed_cluster": np.where(known, nearest, NOISE).tolist(),
            "shed_value": np.where(known, self.values[nearest], np.nan).tolist(),
            "shed_value_stderr": np.where(known, self.stderr[nearest], np.nan).tolist(),
            "shed_distance": np.where(known, 1 - cosines, np.nan).astype(np.float64).tolist(),
        }

    def _scores(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
        if not rows:
            return {"shed_cluster": [], "shed_value": [], "shed_value_stderr": [], "shed_distance": []}
        texts = [self._text(number, row) for number, row in enumerate(rows)]
        vectors = encode_texts(self.encoder, texts, np.arange(len(texts)))
        known = vectors.any(axis=1)
        if not known.all():
            _warn_of_unknown(np.flatnonzero(~known), len(rows))
        return self.of_vectors(vectors)

    def _text(self, number: int, row: Mapping[str, Any]) -> str:
        try:
            return self.format.text_of(self.format.read(row))
        except InvalidCell as error:
            raise InputError(
                f"row {number} of the batch cannot be scored: {error}; filter such rows out first"
            ) from error

    def _warn_of_absent(self, present: Mapping[str, str]) -> None:
        absent = [column for part, column in self.format.columns.items() if part not in {*present, *_NO_TEXT}]
        if absent:
            warn(
                f"the rows lack {absent}, which the scorer's pool had: they are embedded without; if they have such "
                "columns under other names, rename those to the pool's"
            )

    def _rank(self, given: Sequence[Any]) -> int | None:
        """The rank among what `Dataset.map` passed with a batch; indices are a list there."""
        ranks = [part for part in given if isinstance(part, int | np.integer) and not isinstance(part, bool)]
        indices = [part for part in given if isinstance(part, Sequence | np.ndarray) and not isinstance(part, str)]
        others = len(given) - len(ranks) - len(indices) - sum(part is None for part in given)  # one process has no rank
        if max(len(ranks), len(indices)) > 1 or len(given) > 2 or others:
            raise InputError(
                f"a batch came with {given!r}; a scorer takes what Dataset.map passes: indices, a rank, or both"
            )
        return int(ranks[0]) if ranks else None

    def _is_batch(self, batch: Mapping[str, Any]) -> bool:
        """A cell of a row is text, or a list of messages; a column of a batch is a list of those."""
        column = batch[next(iter(self.format.columns.values()))]
        if isinstance(column, str | Mapping) or not hasattr(column, "__len__"):
            return False
        return not (len(column) and isinstance(column[0], Mapping))


def _check_is_batch(batch: Any) -> None:
    if not isinstance(batch, Mapping) and not hasattr(batch, "keys"):  # a DataFrame has keys, a Dataset has none
        raise InputError(
            f"a {type(batch).__name__} is no batch of rows by column; pass one, or a dataset through its map, as in "
            "rows.map(scorer, batched=True)"
        )


def _warn_of_unknown(rows: IntVector, n_rows: int) -> None:
    named = ", ".join(str(row) for row in rows[:5]) + (" …" if len(rows) > 5 else "")
    warn(
        f"{len(rows)} of {n_rows} rows of a batch get no value, cluster -1: the encoder knows nothing of their text "
        f"and gives them a vector of zeros; in the batch they are row {named}",
    )

"""`ClusterScores`: clusters and their values, for rows that were not there when they were valued."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shed_hf.data.formats import OPTIONAL, InvalidCell, RowFormat
from shed_hf.distributed.launch import device_of
from shed_hf.embedding.embed import encode_texts, unit
from shed_hf.embedding.encoders import Encoder, SentenceTransformerEncoder
from shed_hf.errors import InputError
from shed_hf.types import EmbeddingMatrix, FloatVector

VERSION = 1


@dataclass(frozen=True, eq=False)
class ClusterScores:
    """Finds the nearest cluster of new rows and tells its value: ``new_pool.map(scorer, batched=True)``.

    ``centroids`` ``(c, d)`` float32, ``values`` and ``stderr`` ``(c,)`` float64, NaN for a cluster without a value.
    Holds arrays and the encoder's name, never a loaded model, so that `Dataset.map` hashes it alike in every process
    and finds its cache.
    """

    centroids: EmbeddingMatrix = field(repr=False)
    values: FloatVector = field(repr=False)
    stderr: FloatVector = field(repr=False)
    encoder: Encoder
    format: RowFormat
    version: int = VERSION

    def __call__(self, batch: Mapping[str, Any], rank: int | None = None) -> dict[str, Any]:
        """A batch of rows, or one row, to shed_cluster, shed_value, shed_value_stderr and shed_distance.

        The distance is 1 − cosine to the nearest centroid. With ``Dataset.map(…, num_proc=…, with_rank=True)`` every
        process embeds on an accelerator of its own: that of its ``rank``, counted round. Raises `InputError` for
        columns other than the pool's and for rows that cannot be read.
        """
        if rank is not None and isinstance(self.encoder, SentenceTransformerEncoder):
            self.encoder.move_to(device_of(rank))
        present = {part: column for part, column in self.format.columns.items() if column in batch}
        missing = [column for part, column in self.format.columns.items() if part not in OPTIONAL | set(present)]
        if missing:
            raise InputError(
                f"the rows have columns {list(batch)}, the scorer reads {missing}; rename columns to those of the pool"
            )
        if not self._is_batch(batch):
            scores = self._scores([dict(batch)])
            return {name: column[0] for name, column in scores.items()}
        columns = {column: batch[column] for column in present.values()}
        return self._scores([dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)])

    def _scores(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
        if not rows:
            return {"shed_cluster": [], "shed_value": [], "shed_value_stderr": [], "shed_distance": []}
        texts = [self._text(number, row) for number, row in enumerate(rows)]
        vectors = encode_texts(self.encoder, texts, np.arange(len(texts)))
        distances = (self.centroids**2).sum(axis=1) - 2 * vectors @ self.centroids.T  # (n, c), squared, less 1
        nearest = distances.argmin(axis=1)
        directions = unit(self.centroids, np.arange(len(self.centroids)))
        cosines = (vectors * directions[nearest]).sum(axis=1)
        return {
            "shed_cluster": nearest.tolist(),
            "shed_value": self.values[nearest].tolist(),
            "shed_value_stderr": self.stderr[nearest].tolist(),
            "shed_distance": (1 - cosines).astype(np.float64).tolist(),
        }

    def _text(self, number: int, row: Mapping[str, Any]) -> str:
        try:
            return self.format.read(row).text
        except InvalidCell as error:
            raise InputError(
                f"row {number} of the batch cannot be scored: {error}; filter such rows out first"
            ) from error

    def _is_batch(self, batch: Mapping[str, Any]) -> bool:
        """A cell of a row is text, or a list of messages; a column of a batch is a list of those."""
        column = batch[next(iter(self.format.columns.values()))]
        if isinstance(column, str) or not hasattr(column, "__len__"):
            return False
        return not (len(column) and isinstance(column[0], Mapping))

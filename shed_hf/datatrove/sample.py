"""A sample of a pool, on which clusters are made and valued: drawn by the workers, read on one machine."""

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from datatrove.data import Document, DocumentsPipeline
from datatrove.io import get_datafolder
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter

from shed_hf.cluster_scorer import ClusterScorer
from shed_hf.curated_dataset import CuratedDataset
from shed_hf.data.formats import RowFormat
from shed_hf.data.loading import load_source
from shed_hf.data.pool import content_digests
from shed_hf.datatrove.columns import DRAW, ENCODER, OWN, VECTOR, WANTED, check_made_by, draw_of
from shed_hf.datatrove.order import RowOrder, learn_order
from shed_hf.datatrove.reader import RowReader
from shed_hf.datatrove.shards import read_folder
from shed_hf.datatrove.writer import RowWriter
from shed_hf.embedding.embed import CHUNK, allocate
from shed_hf.embedding.embedded import Embedded
from shed_hf.embedding.encoders import Encoder, SentenceTransformerEncoder
from shed_hf.errors import InputError
from shed_hf.types import EmbeddingMatrix, IntVector
from shed_hf.utils.checks import check_whole

if TYPE_CHECKING:
    from datasets import Dataset

MOST = 1_000_000
"""How many rows a sample has at most: k-means and the signals of rows are made for as many on one machine."""


class Sample(BaseFilter):  # type: ignore[misc]  # datatrove is untyped here
    """Lets through about as many rows as are asked for, drawn from all shards; `read_sample` leaves exactly as many.

    Whether a row is drawn depends on its text and the seed alone: the sample is the same however shards are cut, on
    any number of workers. Rows of equal text are drawn together.

    Args:
        reader: What reads the pool; it knows how many rows there are. Steps between it and this one that drop rows make
            the sample smaller.
        size: How many rows are wanted, 1,000,000 at most.
        seed: The seed of the draw.
        exclusion_writer: Writes the other rows; None where nobody wants them.

    Raises:
        InputError: For another size.
    """

    name = "🎲 Sample"

    def __init__(
        self, reader: RowReader, size: int = MOST, seed: int = 0, exclusion_writer: DiskWriter | None = None
    ) -> None:
        super().__init__(exclusion_writer)
        check_whole(1, MOST, size=size)
        check_whole(0, seed=seed)
        spare = 6 * math.sqrt(size)  # six standard deviations of how many rows are drawn
        self.size = size
        self.share = min(1.0, (size + spare) / reader.shards.n_rows)
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

    def filter(self, doc: Document) -> bool:
        """Whether a row is drawn.

        Args:
            doc: The row, which is given the number that was drawn.

        Returns:
            Whether it is let through.
        """
        draw = draw_of(doc.text, "sample", self.seed)
        doc.metadata |= {DRAW: draw, WANTED: self.size}
        return draw < self.share


@dataclass(frozen=True, eq=False)
class SampledRows:
    """The rows of a sample, in an order that depends on their texts and the seed alone.

    Attributes:
        dataset: The rows, with the columns of the pool.
        format: How a row is read.
        vectors: ``(n, d)`` their unit vectors; None where they were not embedded.
        encoder: What made the vectors; None without.
    """

    dataset: "Dataset"
    format: RowFormat
    vectors: EmbeddingMatrix | None = field(default=None, repr=False)
    encoder: Encoder | None = None

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def embedder(self) -> Embedded:
        """What `curate` is passed as ``embedder``, so that nothing is embedded again.

        Raises:
            InputError: Where the rows were not embedded.
        """
        if self.vectors is None or self.encoder is None:
            raise InputError("the rows of the sample have no vectors; pass the name of a model as embedder= of curate")
        return Embedded(self.vectors, self.encoder)

    @property
    def columns(self) -> Mapping[str, str | None]:
        """What `curate` is passed as ``columns``, so that it reads the rows as the workers did."""
        return self.format.as_columns

    def scorer(self, curated: CuratedDataset) -> ClusterScorer:
        """The scorer for the whole pool.

        Args:
            curated: What `curate` made of the sample.

        Returns:
            Its scorer, which reads rows as the workers did: without the preambles that they cut off.

        Raises:
            InputError: Where the clusters have no values, or nothing can embed new rows.
        """
        return replace(curated.scorer, format=self.format)

    def order(self, curated: CuratedDataset) -> RowOrder:
        """The order of rows within clusters for the whole pool, learned from the vectors of the sample.

        Args:
            curated: What `curate` made of the sample, with ``merit=`` or by a sampler of single rows.

        Returns:
            What `Score` is passed as ``order``. Of a row only its mean over the evaluation items is learned.

        Raises:
            InputError: Where the curation is of other rows or took the rows of a cluster at random, or where the rows
                were not embedded.

        Warns:
            UserWarning: Where rows held out are ordered no better than by chance, so that `Keep` takes random ones.
        """
        vectors = self.embedder.vectors
        if not isinstance(curated, CuratedDataset):
            raise InputError(f"{curated!r:.60} is a {type(curated).__name__}; pass what curate made of this sample")
        self._check_rows(curated)
        return learn_order(curated, vectors)

    def _check_rows(self, curated: CuratedDataset) -> None:
        """Refuse a curation of other rows, whose vectors are not those of the sample."""
        rows, valued = curated.pool_rows, curated.valued
        if rows.max(initial=-1) >= len(self):
            return  # refused by its number of rows
        found = content_digests(self.dataset, valued.format, "the sample")[rows]
        n_other = int((found != valued.digests).any(axis=1).sum())
        if n_other:
            raise InputError(
                f"the curation is of other rows than the sample: {n_other:,} of its {len(rows):,} have another content "
                "there; pass what curate made of this sample, its rows in their order"
            )


def read_sample(folder: str | os.PathLike[str], size: int | None = None, encoder: Encoder | None = None) -> SampledRows:
    """Read the rows that a `Sample` let through and a `RowWriter` wrote.

    Args:
        folder: Where they are, on this machine or the Hub.
        size: How many rows are wanted, those that were drawn first; None for as many as `Sample` was asked for.
        encoder: What embedded them, where that was an encoder of your own; None for the model that they name.

    Returns:
        The rows.

    Raises:
        InputError: For a folder without a sample, or of a run that did not write all of it, and where the encoder is
            needed or another one.
    """
    if size is not None:
        check_whole(1, MOST, size=size)
    shards = read_folder(get_datafolder(os.fspath(folder)), None, None)
    found = load_source(folder, name="the sample")
    if DRAW not in found.column_names:
        raise InputError(f"{folder} holds no sample: its rows have no column {DRAW!r}; pass what Sample let through")
    draws = found.data.column(DRAW).to_numpy()
    chosen = np.argsort(draws, kind="stable")[: size or max(found.unique(WANTED))]
    added = [column for column in (DRAW, WANTED, VECTOR, ENCODER) if column in found.column_names]
    rows = found.remove_columns(added).select(chosen)
    if VECTOR not in added:
        return SampledRows(rows, shards.format)
    made_by = _encoder(found.unique(ENCODER), encoder)
    return SampledRows(rows, shards.format, _vectors(found, chosen), made_by)


def _encoder(names: list[str], given: Encoder | None) -> Encoder:
    if given is not None:
        for name in names:
            check_made_by(name, given)
        return given
    if len(names) > 1 or names[0].startswith(OWN):
        raise InputError(f"the rows of the sample were embedded by {', '.join(map(repr, names))}; pass it as encoder=")
    return SentenceTransformerEncoder(names[0])


def _vectors(rows: "Dataset", chosen: IntVector) -> EmbeddingMatrix:
    """The vectors of some rows, read in the order in which they lie."""
    column = rows.data.column(VECTOR)
    vectors = allocate(len(chosen), column.type.list_size)
    places = np.full(len(rows), -1, dtype=np.int64)
    places[chosen] = np.arange(len(chosen))
    for start in range(0, len(rows), CHUNK):
        part = places[start : start + CHUNK]
        flat = column.slice(start, CHUNK).combine_chunks().flatten().to_numpy()
        vectors[part[part >= 0]] = flat.reshape(len(part), -1)[part >= 0]
    return vectors

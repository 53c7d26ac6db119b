"""The step that embeds rows."""

from collections.abc import Iterator
from functools import cache

import numpy as np
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from datatrove.utils.batching import batched

from shed_hf.datatrove.columns import ENCODER, VECTOR, name_of
from shed_hf.distributed.launch import device_of
from shed_hf.embedding.embed import CHUNK, encode_texts
from shed_hf.embedding.encoders import DEFAULT_EMBEDDER, Encoder, Lexical, SentenceTransformerEncoder, encoder_from
from shed_hf.errors import InputError
from shed_hf.utils.checks import check_whole


class Embed(PipelineStep):  # type: ignore[misc]  # datatrove is untyped here
    """Gives every row the unit vector of its text, ``shed_embedding``, and ``shed_encoder``, what made it.

    A model is loaded once in every process that works, on an accelerator of its own where there are several.

    Args:
        embedder: A model's name or path, or an object with ``.encode(texts)`` that can be pickled. ``Lexical`` has to
            be fitted on rows first: ``Lexical().fit(texts)``.
        batch_size: How many rows are embedded at a time.

    Raises:
        InputError: For what embeds no single rows: a matrix, or `Lexical` before it is fitted.
    """

    name = "🧭 Embed"
    type = "🔢 - SHED"

    def __init__(self, embedder: str | Encoder = DEFAULT_EMBEDDER, batch_size: int = CHUNK) -> None:
        super().__init__()
        check_whole(batch_size=batch_size)
        found = encoder_from(embedder)
        if found is None or isinstance(found, Lexical):
            raise InputError(
                f"embedder={embedder!r:.60} can't embed shards one after the other; pass a model's name, an object "
                "with .encode(texts), or Lexical().fit(texts)"
            )
        self.encoder = unloaded(found)
        self.batch_size = batch_size

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Embed the rows that come.

        Args:
            data: The rows.
            rank: The task's number.
            world_size: The number of tasks; not used.

        Yields:
            The rows with their vectors.

        Raises:
            InputError: For vectors that are not finite, or of another number than texts.
        """
        encoder, name = in_this_process(self.encoder, rank), name_of(self.encoder)
        for rows in batched(data, self.batch_size):
            with self.track_time("batch"):
                try:
                    vectors = encode_texts(encoder, [row.text for row in rows], np.arange(len(rows)))
                except InputError as error:
                    raise InputError(f"counted from row {rows[0].id}: {error}") from error
            self.stat_update("embedded", value=len(rows), unit="batch")
            self.stat_update("without_vector", value=int((~vectors.any(axis=1)).sum()), unit="batch")
            for row, vector in zip(rows, vectors.tolist(), strict=True):
                row.metadata |= {VECTOR: vector, ENCODER: name}
                yield row


def unloaded(encoder: Encoder) -> Encoder:
    """The encoder as it travels to other processes.

    Args:
        encoder: What embeds.

    Returns:
        The same, without a model that is loaded already.
    """
    return SentenceTransformerEncoder(encoder.model) if isinstance(encoder, SentenceTransformerEncoder) else encoder


def in_this_process(encoder: Encoder, rank: int) -> Encoder:
    """The encoder with its model in this process, loaded once for all tasks that run in it.

    Args:
        encoder: What embeds.
        rank: The task's number, which decides the accelerator.

    Returns:
        An encoder that gives the same vectors.
    """
    if not isinstance(encoder, SentenceTransformerEncoder):
        return encoder
    shared = _loaded_once(encoder.model)
    shared.move_to(device_of(rank))
    return shared


@cache
def _loaded_once(model: str) -> SentenceTransformerEncoder:
    return SentenceTransformerEncoder(model)

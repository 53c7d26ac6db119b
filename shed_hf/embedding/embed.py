"""Embedding: rows to unit vectors, the space in which clusters are made.

An embedder is anything with ``.encode(texts) -> (n, d)``: a SentenceTransformer, a model2vec model, `Lexical`. It is
fitted on the pool once (which only `Lexical` needs) and stays with the result, so that new rows can be scored later.
"""

import shutil
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shed_hf.data.pool import Pool
from shed_hf.distributed.ranks import SingleProcess, Workers
from shed_hf.embedding.embedded import Embedded
from shed_hf.embedding.encoders import Encoder, Lexical, SupportsTokenLimit, encoder_from
from shed_hf.errors import InputError
from shed_hf.types import BoolVector, EmbeddingMatrix, IntVector
from shed_hf.utils.arrays import as_array
from shed_hf.utils.progress import progress
from shed_hf.utils.warn import warn

CHUNK = 2048
MEMORY_MAP_BYTES = 2**30
"""A larger matrix is a file that is mapped into memory."""


def embed(
    pool: Pool, rows: IntVector, embedder: "str | Encoder | NDArray[np.floating[Any]]", workers: Workers | None = None
) -> tuple[EmbeddingMatrix, Encoder | None]:
    """Embed some rows of the pool.

    Texts are read and encoded in chunks, which the ranks share; past 1 GiB the matrix lives in a temporary file. A
    matrix is read in chunks too, so that a memory-mapped one never lies in memory whole.
    `Lexical` is quick, and runs on the calling rank alone.

    Args:
        pool: The rows.
        rows: ``(m,)`` row ids.
        embedder: Whatever `encoder_from` takes, a matrix with a line for every row of the pool, or such a matrix with
            the encoder that made it.
        workers: The ranks to share with; None for this process alone.

    Returns:
        ``(m, d)`` unit vectors, and the encoder that embeds further texts, None for a matrix.

    Raises:
        InputError: For a vector that is not finite, naming the row, or a matrix of another number of rows.

    Warns:
        UserWarning: Where the encoder cuts texts off, with how many and how much.
    """
    if isinstance(embedder, Embedded):
        return _given(as_array(embedder.vectors, "embedder"), len(pool), rows), embedder.encoder
    encoder = encoder_from(embedder)
    if isinstance(encoder, Lexical):
        encoder = encoder.fit(pool.texts(rows))
        workers = None
    if encoder is None:
        return _given(as_array(embedder, "embedder"), len(pool), rows), None
    if isinstance(encoder, SupportsTokenLimit):
        _warn_of_unread(pool, rows, encoder)
    return _encoded(pool, rows, encoder, workers or SingleProcess()), encoder


def _warn_of_unread(pool: Pool, rows: IntVector, encoder: SupportsTokenLimit) -> None:
    """One warning that counts what the encoder cuts off."""
    if encoder.max_tokens is None:
        return
    lengths = [encoder.n_tokens(pool.texts(rows[start : start + CHUNK])) for start in range(0, len(rows), CHUNK)]
    n_tokens = np.concatenate(lengths) if lengths else np.empty(0, dtype=np.int64)
    unread = np.maximum(n_tokens - encoder.max_tokens, 0)
    if unread.any():
        warn(
            f"{int((unread > 0).sum())} of {len(rows)} rows are longer than the {encoder.max_tokens} tokens that "
            f"embedder={encoder.model!r} reads; the last {unread.sum() / n_tokens[unread > 0].sum():.0%} of the tokens "
            "of these rows are neither compared nor clustered; pass an embedder that reads longer texts",
        )


def encode_rows(pool: Pool, rows: IntVector, encoder: Encoder) -> EmbeddingMatrix:
    """Embed some rows of the pool in one call of the encoder.

    Args:
        pool: The rows.
        rows: ``(m,)`` row ids.
        encoder: What embeds their texts.

    Returns:
        ``(m, d)`` unit vectors.
    """
    return encode_texts(encoder, pool.texts(rows), rows)


def unit(vectors: NDArray[np.floating[Any]], rows: IntVector) -> EmbeddingMatrix:
    """The vectors scaled to length 1; zeros stay zeros.

    Args:
        vectors: ``(n, d)``.
        rows: ``(n,)`` row ids, for the error.

    Returns:
        ``(n, d)`` unit vectors.

    Raises:
        InputError: For a vector that is not finite, naming its row.
    """
    vectors = np.asarray(vectors, dtype=np.float32)
    _check_finite(rows[np.flatnonzero(_not_finite(vectors))])
    return _scaled(vectors)


def _not_finite(vectors: EmbeddingMatrix) -> BoolVector:
    return np.asarray(~np.isfinite(vectors).all(axis=1), dtype=np.bool_)


def _check_finite(bad: IntVector) -> None:
    if len(bad):
        raise InputError(
            f"the embedding of row {bad[0]} is not finite ({len(bad)} such rows) or beyond what float32 holds; look at "
            "that row or at the embedder"
        )


def _scaled(vectors: EmbeddingMatrix) -> EmbeddingMatrix:
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))[:, None]  # squares overflow float32
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def encode_texts(encoder: Encoder, texts: list[str], rows: IntVector) -> EmbeddingMatrix:
    """Embed some texts.

    Args:
        encoder: What embeds them.
        texts: n texts.
        rows: ``(n,)`` row ids, for errors.

    Returns:
        ``(n, d)`` unit vectors.

    Raises:
        InputError: When the encoder's result has another shape or is not finite.
    """
    vectors = np.asarray(encoder.encode(texts))
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise InputError(
            f"the embedder returned shape {vectors.shape} for {len(texts)} texts; it must return ({len(texts)}, d)"
        )
    return unit(vectors, rows)


def _encoded(pool: Pool, rows: IntVector, encoder: Encoder, workers: Workers) -> EmbeddingMatrix:
    matrix: EmbeddingMatrix | None = None
    with progress("embedding", len(rows), "row") as shown:
        chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
        for number, vectors in workers.map("embed", chunks, lambda chunk: encode_rows(pool, chunk, encoder)):
            if matrix is None:
                matrix = allocate(len(rows), vectors.shape[1])
            matrix[number * CHUNK : number * CHUNK + len(vectors)] = vectors
            shown.advance(len(vectors))
    return np.zeros((0, 1), dtype=np.float32) if matrix is None else matrix


def _given(matrix: NDArray[Any], n_rows: int, rows: IntVector) -> EmbeddingMatrix:
    if matrix.ndim != 2 or len(matrix) != n_rows or not matrix.size:
        raise InputError(
            f"embedder is a matrix of shape {matrix.shape}, the dataset has {n_rows} rows; pass shape ({n_rows}, d)"
        )
    if matrix.dtype.kind not in "iuf":
        raise InputError(f"embedder is a matrix of {matrix.dtype}; pass numbers")
    chosen = allocate(len(rows), matrix.shape[1])
    bad = []
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        with np.errstate(over="ignore"):  # what float32 can't hold is named below
            vectors = np.asarray(matrix[part], dtype=np.float32)
        not_finite = _not_finite(vectors)
        if not_finite.any():
            bad.append(part[not_finite])
        else:
            chosen[start : start + CHUNK] = _scaled(vectors)
    _check_finite(np.concatenate([rows[:0], *bad]))
    return chosen


def selected(matrix: EmbeddingMatrix, kept: BoolVector) -> EmbeddingMatrix:
    """Some lines of a matrix, in a temporary file where they exceed 1 GiB.

    Args:
        matrix: ``(n, d)``.
        kept: ``(n,)``, which lines.

    Returns:
        The lines that are kept, in their order.
    """
    positions = np.flatnonzero(kept)
    chosen = allocate(len(positions), matrix.shape[1])
    for start in range(0, len(positions), CHUNK):
        chosen[start : start + CHUNK] = matrix[positions[start : start + CHUNK]]
    return chosen


def allocate(n: int, d: int) -> EmbeddingMatrix:
    """Room for vectors: in memory, or past 1 GiB in a temporary file.

    Args:
        n: How many vectors.
        d: Their dimensions.

    Returns:
        ``(n, d)``, with any content.

    Raises:
        InputError: Where the disk has no room for them; writing to the file would end the process then.
    """
    size = n * d * 4
    if size <= MEMORY_MAP_BYTES:
        return np.empty((n, d), dtype=np.float32)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < size:
        raise InputError(
            f"{n} vectors of {d} dimensions take {size / 2**30:.1f} GiB, and {tempfile.gettempdir()} has "
            f"{free / 2**30:.1f} GiB left; make room there, or set TMPDIR to a folder with more"
        )
    with tempfile.NamedTemporaryFile(
        prefix="shed_hf_embedding_"
    ) as file:  # unlinked now, freed with the last reference
        return np.memmap(file, dtype=np.float32, mode="w+", shape=(n, d))

"""Embedding: rows to unit vectors, the space in which clusters are made.

An embedder is anything with ``.encode(texts) -> (n, d)``: a SentenceTransformer, a model2vec model, `Lexical` below. It
is *fitted* on the pool once (which only `Lexical` needs) and stays with the result, so that new rows can be scored
later.
"""

import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shed_hf.data.pool import Pool
from shed_hf.distributed.ranks import SingleProcess, Workers
from shed_hf.embedding.encoders import Encoder, Lexical, encoder_from
from shed_hf.errors import InputError
from shed_hf.types import BoolVector, EmbeddingMatrix, IntVector

CHUNK = 2048


MEMORY_MAP_BYTES = 2**30


def embed(
    pool: Pool, rows: IntVector, embedder: "str | Encoder | NDArray[np.floating[Any]]", workers: Workers | None = None
) -> tuple[EmbeddingMatrix, Encoder | None]:
    """Unit vectors ``(len(rows), d)`` float32, and the encoder that embeds further texts (None for a matrix).

    Texts are read and encoded in chunks, which a ``crew`` shares; past 1 GiB the matrix lives in a temporary file.
    `Lexical` is quick, and is left to the rank that asks. Raises `InputError` naming
    the row when a vector is not finite, or when a given matrix has another number of rows than the pool.
    """
    encoder = encoder_from(embedder)
    if isinstance(encoder, Lexical):
        encoder = encoder.fit(pool.texts(rows))
        workers = None
    if encoder is None:
        return _given(np.asarray(embedder), len(pool), rows), None
    return _encoded(pool, rows, encoder, workers or SingleProcess()), encoder


def encode_rows(pool: Pool, rows: IntVector, encoder: Encoder) -> EmbeddingMatrix:
    """Unit vectors of some rows of the pool."""
    return encode_texts(encoder, pool.texts(rows), rows)


def unit(vectors: NDArray[np.floating[Any]], rows: IntVector) -> EmbeddingMatrix:
    """The vectors at length 1; zeros stay zeros. Raises `InputError` for non-finite ones, named by ``rows``."""
    vectors = np.asarray(vectors, dtype=np.float32)
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise InputError(
            f"the embedding of row {rows[bad[0]]} is not finite ({len(bad)} such rows); look at that row or at the "
            "embedder"
        )
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))[:, None]  # squares overflow float32
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def encode_texts(encoder: Encoder, texts: list[str], rows: IntVector) -> EmbeddingMatrix:
    """Unit vectors of some texts. Raises `InputError` when the encoder's result has another shape."""
    vectors = np.asarray(encoder.encode(texts))
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise InputError(
            f"the embedder returned shape {vectors.shape} for {len(texts)} texts; it must return ({len(texts)}, d)"
        )
    return unit(vectors, rows)


def _encoded(pool: Pool, rows: IntVector, encoder: Encoder, workers: Workers) -> EmbeddingMatrix:
    from tqdm.auto import tqdm

    from shed_hf.utils.console import quiet

    matrix: EmbeddingMatrix | None = None
    with tqdm(total=len(rows), desc="embedding", unit="row", disable=quiet()) as bar:
        chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
        for number, vectors in workers.map("embed", chunks, lambda chunk: encode_rows(pool, chunk, encoder)):
            if matrix is None:
                matrix = _allocate(len(rows), vectors.shape[1])
            matrix[number * CHUNK : number * CHUNK + len(vectors)] = vectors
            bar.update(len(vectors))
    return np.zeros((0, 1), dtype=np.float32) if matrix is None else matrix


def _given(matrix: NDArray[Any], n_rows: int, rows: IntVector) -> EmbeddingMatrix:
    if matrix.ndim != 2 or len(matrix) != n_rows:
        raise InputError(
            f"embedder is a matrix of shape {matrix.shape}, the dataset has {n_rows} rows; pass shape ({n_rows}, d)"
        )
    if not np.issubdtype(matrix.dtype, np.number):
        raise InputError(f"embedder is a matrix of {matrix.dtype}; pass numbers")
    return unit(matrix[rows], rows)


def selected(matrix: EmbeddingMatrix, kept: BoolVector) -> EmbeddingMatrix:
    """The kept lines, in a temporary file again where they are many."""
    positions = np.flatnonzero(kept)
    chosen = _allocate(len(positions), matrix.shape[1])
    for start in range(0, len(positions), CHUNK):
        chosen[start : start + CHUNK] = matrix[positions[start : start + CHUNK]]
    return chosen


def _allocate(n: int, d: int) -> EmbeddingMatrix:
    if n * d * 4 <= MEMORY_MAP_BYTES:
        return np.empty((n, d), dtype=np.float32)
    with tempfile.NamedTemporaryFile(
        prefix="shed_hf_embedding_"
    ) as file:  # unlinked now, freed with the last reference
        return np.memmap(file, dtype=np.float32, mode="w+", shape=(n, d))

"""Embedding: rows to unit vectors, the space in which clusters are made.

An embedder is anything with ``.encode(texts) -> (n, d)``: a SentenceTransformer, a model2vec model, `Lexical` below. It
is *fitted* on the pool once (which only `Lexical` needs) and stays with the result, so that new rows can be scored
later.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shed_hf.arrays import BoolVector, EmbeddingMatrix, IntVector
from shed_hf.crew import Alone, Crew
from shed_hf.errors import InputError
from shed_hf.pool import Pool

DEFAULT_EMBEDDER = "sentence-transformers/all-MiniLM-L6-v2"
CHUNK = 2048
MEMORY_MAP_BYTES = 2**30


class Encoder(Protocol):
    """Anything that turns texts into vectors ``(n, d)``."""

    def encode(self, sentences: list[str], /) -> Any: ...


@dataclass(frozen=True)
class SentenceTransformerEncoder:
    """A sentence-transformers model by its Hub id or path; loaded when first used, never pickled with weights."""

    model: str = DEFAULT_EMBEDDER
    _loaded: list[Any] = field(default_factory=list, repr=False, compare=False)

    def encode(self, sentences: list[str], /) -> NDArray[np.float32]:
        """Unit vectors ``(n, d)`` float32."""
        vectors = self._model().encode(sentences, batch_size=64, show_progress_bar=False, normalize_embeddings=True)
        return np.asarray(vectors, dtype=np.float32)

    def move_to(self, device: str) -> None:
        """Encode on this device from now on."""
        if str(self._model().device) != device:
            self._model().to(device)

    def _model(self) -> Any:
        if not self._loaded:
            from sentence_transformers import SentenceTransformer

            try:
                self._loaded.append(SentenceTransformer(self.model))
            except OSError as error:
                first = str(error).strip().splitlines()[0]
                raise InputError(
                    f"embedder={self.model!r} could not be loaded ({first}); pass one that can be reached, a folder "
                    'with one, or "lexical", which downloads nothing'
                ) from error
        return self._loaded[0]

    def __getstate__(self) -> dict[str, Any]:
        return {"model": self.model}

    def __setstate__(self, state: dict[str, Any]) -> None:
        object.__setattr__(self, "model", state["model"])
        object.__setattr__(self, "_loaded", [])


@dataclass(frozen=True)
class Lexical:
    """TF-IDF of words, reduced by a truncated SVD to ``dimensions``: sees shared vocabulary, downloads nothing."""

    dimensions: int = 128
    seed: int = 0

    def fit(self, texts: Sequence[str]) -> "FittedLexical":
        """The vocabulary and the projection of these texts. Raises `InputError` when they share no words."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(sublinear_tf=True, stop_words="english", max_features=50_000, dtype=np.float32)
        try:
            counts = vectorizer.fit_transform(texts)
        except ValueError as error:
            raise InputError(
                f'embedder="lexical" found no words in {len(texts)} rows ({error}); pass a sentence-transformers model'
            ) from error
        components = np.ones((1, 1))  # of a single word
        if counts.shape[1] > 1:
            rank = max(1, min(self.dimensions, counts.shape[1] - 1, counts.shape[0] - 1))
            components = TruncatedSVD(rank, random_state=self.seed).fit(counts).components_
        vocabulary = {str(word): int(index) for word, index in vectorizer.vocabulary_.items()}
        idf = vectorizer.idf_.astype(np.float32)
        return FittedLexical(vocabulary, idf, components.astype(np.float32), self.dimensions, self.seed)


@dataclass(frozen=True, eq=False)
class FittedLexical:
    """`Lexical` after it has seen a pool: a vocabulary, its inverse document frequencies and a projection.

    ``dimensions`` and ``seed`` are those that `Lexical` was given.
    """

    vocabulary: dict[str, int] = field(repr=False)
    idf: NDArray[np.float32] = field(repr=False)
    components: NDArray[np.float32] = field(repr=False)
    dimensions: int = Lexical.dimensions
    seed: int = Lexical.seed

    @classmethod
    def of(
        cls,
        ordered_words: list[str],
        idf: NDArray[np.float32],
        components: NDArray[np.float32],
        dimensions: int = Lexical.dimensions,
        seed: int = Lexical.seed,
    ) -> "FittedLexical":
        """The encoder with its words in the order of their numbers."""
        return cls({word: number for number, word in enumerate(ordered_words)}, idf, components, dimensions, seed)

    @property
    def ordered_words(self) -> list[str]:
        """The vocabulary in the order of its numbers."""
        return sorted(self.vocabulary, key=self.vocabulary.__getitem__)

    def encode(self, sentences: list[str], /) -> NDArray[np.float32]:
        """Vectors ``(n, d)`` float32; a text without a known word is all zeros."""
        return np.asarray(self.words(sentences) @ self.components.T, dtype=np.float32)

    def words(self, sentences: list[str]) -> Any:
        """The TF-IDF vectors before the projection, a sparse matrix ``(n, words)`` with lines of length 1."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(
            sublinear_tf=True, stop_words="english", dtype=np.float32, vocabulary=self.vocabulary
        )
        vectorizer.idf_ = self.idf
        return vectorizer.transform(sentences)


def encoder_from(embedder: "str | Encoder | NDArray[np.floating[Any]]") -> "Encoder | Lexical | None":
    """The encoder that ``embedder`` means: ``"lexical"``, a model's name, an object with ``.encode``; None for a
    matrix.
    """
    if isinstance(embedder, str):
        return Lexical() if embedder == "lexical" else SentenceTransformerEncoder(embedder)
    if isinstance(embedder, Lexical):
        return embedder
    if isinstance(embedder, list) or hasattr(embedder, "__array__"):
        return None
    if not callable(getattr(embedder, "encode", None)):
        raise InputError(
            f'embedder is a {type(embedder).__name__}; pass a model\'s name, "lexical", an object with .encode(texts), '
            f"or a matrix (n, d)"
        )
    return _named(embedder)


def embed(
    pool: Pool, rows: IntVector, embedder: "str | Encoder | NDArray[np.floating[Any]]", crew: Crew | None = None
) -> tuple[EmbeddingMatrix, Encoder | None]:
    """Unit vectors ``(len(rows), d)`` float32, and the encoder that embeds further texts (None for a matrix).

    Texts are read and encoded in chunks, which a ``crew`` shares; past 1 GiB the matrix lives in a temporary file.
    `Lexical` is quick, and is left to the rank that asks. Raises `InputError` naming
    the row when a vector is not finite, or when a given matrix has another number of rows than the pool.
    """
    encoder = encoder_from(embedder)
    if isinstance(encoder, Lexical):
        encoder = encoder.fit(pool.texts(rows))
        crew = None
    if encoder is None:
        return _given(np.asarray(embedder), len(pool), rows), None
    return _encoded(pool, rows, encoder, crew or Alone()), encoder


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


def _encoded(pool: Pool, rows: IntVector, encoder: Encoder, crew: Crew) -> EmbeddingMatrix:
    from tqdm.auto import tqdm

    from shed_hf.report import quiet

    matrix: EmbeddingMatrix | None = None
    with tqdm(total=len(rows), desc="embedding", unit="row", disable=quiet()) as bar:
        chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
        for number, vectors in crew.share("embed", chunks, lambda chunk: encode_rows(pool, chunk, encoder)):
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


def _named(encoder: Any) -> Encoder:
    """A loaded SentenceTransformer goes by its name, so that a scorer holding it can be pickled and hashed."""
    from importlib.util import find_spec

    if find_spec("sentence_transformers") is not None and type(encoder).__module__.startswith("sentence_transformers"):
        name = encoder[0].auto_model.config._name_or_path if hasattr(encoder[0], "auto_model") else ""
        if name and (Path(name).exists() or "/" in name) and encoder.truncate_dim is None:
            return SentenceTransformerEncoder(name, [encoder])
    result: Encoder = encoder
    return result

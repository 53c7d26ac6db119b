"""TODO."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shed_hf.errors import InputError

DEFAULT_EMBEDDER = "sentence-transformers/all-MiniLM-L6-v2"


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


def _named(encoder: Any) -> Encoder:
    """A loaded SentenceTransformer goes by its name, so that a scorer holding it can be pickled and hashed."""
    from importlib.util import find_spec

    if find_spec("sentence_transformers") is not None and type(encoder).__module__.startswith("sentence_transformers"):
        name = encoder[0].auto_model.config._name_or_path if hasattr(encoder[0], "auto_model") else ""
        if name and (Path(name).exists() or "/" in name) and encoder.truncate_dim is None:
            return SentenceTransformerEncoder(name, [encoder])
    result: Encoder = encoder
    return result

"""Encoders: text to vectors, by a sentence-transformers model, TF-IDF, or any object with ``.encode``."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from shed_hf.embedding.lexical_terms import has_unsplit_words, terms_of, whole_words_of
from shed_hf.errors import InputError
from shed_hf.types import IntVector
from shed_hf.utils.checks import check_whole
from shed_hf.utils.hub_problems import hub_problem, refuse_unreachable
from shed_hf.utils.local_paths import exists_locally
from shed_hf.utils.progress import progress
from shed_hf.utils.quiet import only_own_output
from shed_hf.utils.text import first_line

DEFAULT_EMBEDDER = "sentence-transformers/all-MiniLM-L6-v2"

_ROUNDING = 1e-5
"""A projection shorter than this, of a vector of length 1, is the rounding of none."""


_INSTEAD = 'a folder with a model, or "lexical", which downloads nothing'

_SPECIAL = 4
"""The most tokens that a tokenizer adds to those of the text."""


class Encoder(Protocol):
    """Anything that turns texts into vectors ``(n, d)``."""

    def encode(self, sentences: list[str], /) -> Any: ...


@runtime_checkable
class SupportsTokenLimit(Encoder, Protocol):
    """An encoder that cuts long texts off, and knows where."""

    @property
    def model(self) -> str: ...

    @property
    def max_tokens(self) -> int | None: ...

    def n_tokens(self, sentences: list[str], /) -> IntVector: ...


@dataclass(frozen=True)
class SentenceTransformerEncoder:
    """A sentence-transformers model; loaded when first used, never pickled with its weights.

    Attributes:
        model: A Hub id or a path.
    """

    model: str = DEFAULT_EMBEDDER
    _loaded: list[Any] = field(default_factory=list, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Checks the name.

        Raises:
            InputError: For what is no name.
        """
        if not isinstance(self.model, str | Path) or not str(self.model).strip():
            raise InputError(
                f"model={self.model!r:.100} of an encoder is no name; pass a Hub id or a path, such as "
                f'SentenceTransformerEncoder("{DEFAULT_EMBEDDER}")'
            )

    def encode(self, sentences: list[str], /) -> NDArray[np.float32]:
        """Embed some texts.

        Args:
            sentences: n texts.

        Returns:
            ``(n, d)`` unit vectors.

        Raises:
            InputError: When the model cannot be loaded.
            HubError: When the Hub refuses it, or can't be reached and the cache lacks it.
        """
        vectors = self._model().encode(sentences, batch_size=64, show_progress_bar=False, normalize_embeddings=True)
        return np.asarray(vectors, dtype=np.float32)

    @property
    def max_tokens(self) -> int | None:
        """How many tokens of a text the model reads; None for all of them."""
        limit = self._model().max_seq_length
        return None if limit is None or math.isinf(limit) else int(limit)

    def n_tokens(self, sentences: list[str], /) -> IntVector:
        """How many tokens texts have.

        Args:
            sentences: n texts.

        Returns:
            ``(n,)``, exact for texts of more than `max_tokens`; for shorter ones at most that.
        """
        lengths = np.array([len(text.encode("utf-8", "replace")) for text in sentences], dtype=np.int64)
        long = np.flatnonzero(lengths > (self.max_tokens or 0) - _SPECIAL)  # a token has a byte at least
        if len(long):
            tokens = self._model().tokenizer([sentences[i] for i in long], truncation=False, verbose=False)
            lengths[long] = [len(ids) for ids in tokens["input_ids"]]
        return lengths

    def move_to(self, device: str) -> None:
        """Encode on another device from now on.

        Args:
            device: As torch names it, such as ``"cuda:1"``.
        """
        if str(self._model().device) != device:
            self._model().to(device)

    def check_reachable(self) -> None:
        """Refuse a model at once that neither the cache has nor the Hub gives.

        Raises:
            HubError: Where the Hub can't be reached.
        """
        if not self._loaded:
            refuse_unreachable(str(self.model), "embedder", "model", _INSTEAD)

    def _model(self) -> Any:
        if not self._loaded:
            self.check_reachable()
            from sentence_transformers import SentenceTransformer

            try:
                with only_own_output(), progress(f"loading {self.model}"):
                    self._loaded.append(SentenceTransformer(self.model))
            except Exception as error:  # damaged files and failing lines make the loader raise anything
                why = first_line(error) or type(error).__name__
                here = exists_locally(self.model, "embedder")
                problem = None if here else hub_problem(self.model, "embedder", "model", error, _INSTEAD)
                raise problem or InputError(
                    f"embedder={self.model!r} could not be loaded ({why}); pass one that can be reached, {_INSTEAD}"
                ) from error
        return self._loaded[0]

    def __getstate__(self) -> dict[str, Any]:
        return {"model": self.model}

    def __setstate__(self, state: dict[str, Any]) -> None:
        object.__setattr__(self, "model", state["model"])
        object.__setattr__(self, "_loaded", [])


@dataclass(frozen=True)
class Lexical:
    """TF-IDF of words, reduced by a truncated SVD: sees shared vocabulary, downloads nothing.

    Scripts without blanks, such as Chinese, Japanese and Thai, are counted by character n-grams: see `terms_of`.

    Attributes:
        dimensions: How many dimensions the vectors have at most.
        seed: The seed of the randomised SVD.

    Raises:
        InputError: For dimensions below 1, a negative seed, or either that is no whole number.
    """

    dimensions: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole(dimensions=self.dimensions)
        check_whole(0, seed=self.seed)
        if self.seed >= 2**32:
            raise InputError(f"seed={self.seed} is not below 2**32; pass a smaller one")

    def fit(self, texts: Sequence[str]) -> "FittedLexical":
        """Learn a vocabulary and a projection.

        Args:
            texts: The texts of the pool.

        Returns:
            The encoder for these and further texts.

        Raises:
            InputError: When the texts hold no words.
        """
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(sublinear_tf=True, analyzer=terms_of, max_features=50_000, dtype=np.float32)
        try:
            counts = vectorizer.fit_transform(texts)
        except ValueError as error:
            raise InputError(
                f'embedder="lexical" found no words in {len(texts)} rows ({error}); pass a sentence-transformers model'
            ) from error
        components: NDArray[np.floating[Any]] = np.ones((1, 1))  # of a single word
        if counts.shape[1] > 1:
            rank = max(1, min(self.dimensions, counts.shape[1] - 1, counts.shape[0] - 1))
            components = _directions(counts, rank, self.seed)
            if rank < self.dimensions and _loses_rows(counts, components):  # of a few rows each may need its own
                components = _directions(counts, min(self.dimensions, counts.shape[1]), self.seed)
        vocabulary = {str(word): int(index) for word, index in vectorizer.vocabulary_.items()}
        idf = vectorizer.idf_.astype(np.float32)
        return FittedLexical(vocabulary, idf, components.astype(np.float32), self.dimensions, self.seed)


@dataclass(frozen=True, eq=False)
class FittedLexical:
    """`Lexical` fitted on a pool: a vocabulary, its inverse document frequencies and a projection.

    Attributes:
        vocabulary: The column of every word.
        idf: ``(words,)`` inverse document frequencies.
        components: ``(d, words)``, the projection.
        dimensions: As `Lexical` was given it.
        seed: As `Lexical` was given it.
    """

    vocabulary: dict[str, int] = field(repr=False)
    idf: NDArray[np.float32] = field(repr=False)
    components: NDArray[np.float32] = field(repr=False)
    dimensions: int = Lexical.dimensions
    seed: int = Lexical.seed
    _whole_words: bool = field(init=False, repr=False, default=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_whole_words", has_unsplit_words(self.vocabulary))

    @classmethod
    def of(
        cls,
        ordered_words: list[str],
        idf: NDArray[np.float32],
        components: NDArray[np.float32],
        dimensions: int = Lexical.dimensions,
        seed: int = Lexical.seed,
    ) -> "FittedLexical":
        """The encoder from a list of words.

        Args:
            ordered_words: The words in the order of their columns.
            idf: ``(words,)`` inverse document frequencies.
            components: ``(d, words)``, the projection.
            dimensions: As `Lexical` was given it.
            seed: As `Lexical` was given it.

        Returns:
            The encoder.
        """
        return cls({word: number for number, word in enumerate(ordered_words)}, idf, components, dimensions, seed)

    @property
    def ordered_words(self) -> list[str]:
        """The vocabulary in the order of its columns."""
        return sorted(self.vocabulary, key=self.vocabulary.__getitem__)

    def encode(self, sentences: list[str], /) -> NDArray[np.float32]:
        """Embed some texts.

        Args:
            sentences: n texts.

        Returns:
            ``(n, d)`` vectors; a text without a word that the projection knows is all zeros.
        """
        vectors = np.asarray(self.words(sentences) @ self.components.T, dtype=np.float32)
        vectors[np.linalg.norm(vectors, axis=1) < _ROUNDING] = 0
        return vectors

    def words(self, sentences: list[str]) -> Any:
        """The TF-IDF vectors before the projection.

        Args:
            sentences: n texts.

        Returns:
            A sparse matrix ``(n, words)`` with lines of length 1.
        """
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(
            sublinear_tf=True,
            analyzer=whole_words_of if self._whole_words else terms_of,
            dtype=np.float32,
            vocabulary=self.vocabulary,
        )
        vectorizer.idf_ = self.idf
        return vectorizer.transform(sentences)


def _directions(counts: Any, rank: int, seed: int) -> NDArray[np.floating[Any]]:
    """The directions of most variance; rows that are all alike have none, and divide by 0 for the shares of it."""
    from sklearn.decomposition import TruncatedSVD

    with np.errstate(divide="ignore", invalid="ignore"):
        found: NDArray[np.floating[Any]] = TruncatedSVD(rank, random_state=seed).fit(counts).components_
    return found


def _loses_rows(counts: Any, components: NDArray[np.floating[Any]]) -> bool:
    """Whether a row of length 1 is projected to nothing."""
    lengths = np.linalg.norm(counts @ components.T, axis=1)
    return bool(((lengths < _ROUNDING) & (counts.getnnz(axis=1) > 0)).any())


def encoder_from(embedder: "str | Encoder | NDArray[np.floating[Any]]") -> "Encoder | Lexical | None":
    """The encoder that the caller means.

    Args:
        embedder: ``"lexical"``, a model's name or path, an object with ``.encode(texts)``, or a matrix ``(n, d)``.

    Returns:
        The encoder, not fitted yet where it is `Lexical`; None for a matrix.

    Raises:
        InputError: For anything else.
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

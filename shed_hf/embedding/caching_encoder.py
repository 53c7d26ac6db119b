"""A cache around an encoder, for calls that embed the same rows several times."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shed_hf.embedding.embedded import Embedded
from shed_hf.embedding.encoders import (
    Encoder,
    FittedLexical,
    Lexical,
    SentenceTransformerEncoder,
    SupportsTokenLimit,
    encoder_from,
)
from shed_hf.errors import InputError
from shed_hf.types import IntVector

MOST_BYTES = 2**30
"""How much memory vectors may take; texts beyond are embedded every time."""


@dataclass(frozen=True, eq=False)
class CachingEncoder:
    """An encoder that keeps the vector of every text it has embedded.

    Attributes:
        encoder: What embeds.
    """

    encoder: Encoder
    _vectors: dict[bytes, NDArray[Any]] = field(default_factory=dict, init=False, repr=False)

    def encode(self, sentences: list[str], /) -> NDArray[Any]:
        """Embed those texts that are not known yet.

        Args:
            sentences: n texts.

        Returns:
            ``(n, d)``, as the encoder gives it.

        Raises:
            InputError: When the encoder's result has another number of lines than there are texts.
        """
        keys = [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in sentences]
        unknown = {key: text for key, text in zip(keys, sentences, strict=True) if key not in self._vectors}
        found = dict(zip(unknown, self._embedded(list(unknown.values())), strict=True)) if unknown else {}
        vectors = [found[key] if key in found else self._vectors[key] for key in keys]
        self._remember(found)
        return np.stack(vectors) if vectors else np.asarray(self.encoder.encode([]))

    def _embedded(self, texts: list[str]) -> NDArray[Any]:
        vectors = np.asarray(self.encoder.encode(texts))
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise InputError(
                f"the embedder returned shape {vectors.shape} for {len(texts)} texts; it must return ({len(texts)}, d)"
            )
        return vectors

    def _remember(self, found: dict[bytes, NDArray[Any]]) -> None:
        for key, vector in found.items():
            if (len(self._vectors) + 1) * vector.nbytes > MOST_BYTES:
                return
            self._vectors[key] = vector.copy()  # without the matrix that it is a line of


@dataclass(frozen=True, eq=False)
class CachingLimitedEncoder(CachingEncoder):
    """The same around an encoder that truncates long texts, and knows where.

    Attributes:
        encoder: What embeds.
    """

    encoder: SupportsTokenLimit

    @property
    def model(self) -> str:
        """The encoder's name."""
        return self.encoder.model

    @property
    def max_tokens(self) -> int | None:
        """How many tokens of a text the encoder reads; None for all of them."""
        return self.encoder.max_tokens

    def n_tokens(self, sentences: list[str], /) -> IntVector:
        """How many tokens texts have.

        Args:
            sentences: n texts.

        Returns:
            ``(n,)``, as the encoder counts them.
        """
        return self.encoder.n_tokens(sentences)


def caching_encoder(embedder: Any) -> Any:
    """Wrap a slow embedder so that it embeds each text once.

    Args:
        embedder: Whatever `encoder_from` takes.

    Returns:
        The embedder itself where that is quick (vectors, TF-IDF); else the wrapped encoder.

    Raises:
        InputError: For what embeds nothing.
        HubError: For a model that neither the cache has nor the Hub gives.
    """
    encoder = encoder_from(embedder)
    if encoder is None or isinstance(encoder, Lexical | FittedLexical | Embedded | CachingEncoder):
        return embedder
    if isinstance(encoder, SentenceTransformerEncoder):
        encoder.check_reachable()
    return CachingLimitedEncoder(encoder) if isinstance(encoder, SupportsTokenLimit) else CachingEncoder(encoder)

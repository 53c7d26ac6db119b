"""Texts that nearly repeat others: by the cosine of their vectors, or of TF-IDF vectors before the projection."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from shed_hf.embedding.decontamination import BLOCK, NEAR_REPEAT
from shed_hf.embedding.embed import encode_texts
from shed_hf.embedding.encoders import Encoder, FittedLexical
from shed_hf.types import BoolVector, EmbeddingMatrix


def in_blocks(texts: list[str]) -> Iterator[list[str]]:
    """Texts, a thousand at a time.

    Args:
        texts: All of them.

    Yields:
        Some of them.
    """
    for start in range(0, len(texts), BLOCK):
        yield texts[start : start + BLOCK]


def near_texts(texts: list[str], others: Iterable[list[str]], encoder: Encoder) -> BoolVector:
    """Which texts lie close to one of some others.

    Args:
        texts: The texts ``(n,)``.
        others: Blocks of other texts.
        encoder: What makes vectors of texts.

    Returns:
        ``(n,)`` whether the cosine to another one is at least `NEAR_REPEAT`.
    """
    if not isinstance(encoder, FittedLexical):
        return near_vectors(_encoded(texts, encoder), (_encoded(block, encoder) for block in others))
    words, near = encoder.words(texts), np.zeros(len(texts), dtype=np.bool_)
    for block in others:
        near |= (words @ encoder.words(block).T).max(axis=1).toarray().ravel() >= NEAR_REPEAT
    return near


def near_vectors(vectors: EmbeddingMatrix, others: Iterable[EmbeddingMatrix]) -> BoolVector:
    """Which unit vectors lie close to one of some others.

    Args:
        vectors: ``(n, d)``.
        others: Blocks of other vectors ``(m, d)``.

    Returns:
        ``(n,)`` whether the cosine to another one is at least `NEAR_REPEAT`.
    """
    near = np.zeros(len(vectors), dtype=np.bool_)
    for block in others:
        near |= (vectors @ block.T >= NEAR_REPEAT).any(axis=1)
    return near


def _encoded(texts: Sequence[str], encoder: Encoder) -> EmbeddingMatrix:
    return encode_texts(encoder, list(texts), np.arange(len(texts)))

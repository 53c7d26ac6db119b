"""Test items that repeat what had a say in a choice: rows of the pool, and evaluation items."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from shed_hf.data.evaluation_items import EvaluationItems
from shed_hf.data.formats import Example
from shed_hf.data.pool import Pool
from shed_hf.embedding.decontamination import NEAR_REPEAT, Candidates, key_of
from shed_hf.embedding.embed import encode_texts
from shed_hf.embedding.encoders import FittedLexical
from shed_hf.types import BoolVector, EmbeddingMatrix

BLOCK = 1024


@dataclass(frozen=True, eq=False)
class Seen:
    """What had a say in a choice.

    Attributes:
        pool: The pool.
        candidates: Its rows that may be chosen, with their vectors.
        items: The evaluation items; None where none are known.
        others: The evaluation items of results that are compared, by which their rows were chosen.
    """

    pool: Pool
    candidates: Candidates
    items: EvaluationItems | None
    others: Sequence[Example] = ()

    @property
    def examples(self) -> list[Example]:
        """All items by which rows were chosen."""
        return [*([] if self.items is None else self.items.examples), *self.others]

    @cached_property
    def keys(self) -> frozenset[bytes]:
        """The texts of rows and items, folded and hashed, with their preambles and without."""
        pool, rows = self.pool, np.flatnonzero(~self.pool.invalid)
        keys = {key.tobytes() for key in pool.keys[rows]}
        if pool.format.preambles:
            for start in range(0, len(rows), BLOCK):
                keys |= {key_of(text) for text in pool.texts(rows[start : start + BLOCK])}
        for item in self.examples:
            keys |= {key_of(item.text), key_of(pool.format.text_of(item))}
        return frozenset(keys)


def repeating(examples: Sequence[Example], seen: Seen) -> BoolVector:
    """Which test items repeat a row of the pool or an evaluation item.

    Equal but for case and blanks, or with a cosine of at least 0.95 to a candidate row or an evaluation item, where
    the embedder can embed them: the rule by which pool rows repeat evaluation items.

    Args:
        examples: The test items.
        seen: What had a say in a choice.

    Returns:
        ``(n_items,)``.
    """
    texts = [seen.pool.format.text_of(example) for example in examples]
    pairs = zip(examples, texts, strict=True)
    equal = np.array([key_of(one.text) in seen.keys or key_of(text) in seen.keys for one, text in pairs], np.bool_)
    return np.asarray(equal | _close(texts, seen), dtype=np.bool_)


def _close(texts: list[str], seen: Seen) -> BoolVector:
    """Which texts lie close to a candidate row or an evaluation item."""
    encoder, candidates = seen.candidates.encoder, seen.candidates
    if encoder is None:
        return np.zeros(len(texts), dtype=np.bool_)
    of_items = [seen.pool.format.text_of(item) for item in seen.examples]
    if isinstance(encoder, FittedLexical):
        return _close_in_words(texts, of_items, seen, encoder)
    vectors = encode_texts(encoder, texts, np.arange(len(texts)))
    others = [candidates.embeddings[start : start + BLOCK] for start in range(0, len(candidates.rows), BLOCK)]
    if of_items:
        others.append(encode_texts(encoder, of_items, np.arange(len(of_items))))
    return _any_near(vectors, others)


def _any_near(vectors: EmbeddingMatrix, others: Sequence[EmbeddingMatrix]) -> BoolVector:
    near = np.zeros(len(vectors), dtype=np.bool_)
    for block in others:
        near |= (vectors @ block.T >= NEAR_REPEAT).any(axis=1)
    return near


def _close_in_words(texts: list[str], of_items: list[str], seen: Seen, encoder: FittedLexical) -> BoolVector:
    """By TF-IDF before the projection, as rows of the pool are compared with evaluation items."""
    vectors, rows = encoder.words(texts), seen.candidates.rows
    near = np.zeros(len(texts), dtype=np.bool_)
    parts = [seen.pool.texts(rows[start : start + BLOCK]) for start in range(0, len(rows), BLOCK)]
    for part in [*parts, *([of_items] if of_items else [])]:
        near |= (vectors @ encoder.words(part).T).max(axis=1).toarray().ravel() >= NEAR_REPEAT
    return near

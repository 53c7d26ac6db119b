"""Test items that repeat what had a say in a choice: rows of the pool, and evaluation items."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np

from shed_hf.data.evaluation_items import EvaluationItems
from shed_hf.data.formats import Example
from shed_hf.data.pool import Pool
from shed_hf.embedding.decontamination import BLOCK, Candidates
from shed_hf.embedding.embed import encode_texts
from shed_hf.embedding.encoders import FittedLexical
from shed_hf.embedding.near_repeats import in_blocks, near_texts, near_vectors
from shed_hf.types import BoolVector
from shed_hf.verification.deciding_items import DecidingItems
from shed_hf.verification.item_keys import ItemKeys
from shed_hf.verification.seen_texts import SeenTexts


@dataclass(frozen=True, eq=False)
class Seen:
    """What had a say in a choice.

    Attributes:
        pool: The pool.
        candidates: Its rows that may be chosen, with their vectors.
        items: The evaluation items; None where none are known.
        others: The evaluation items by which rows of results that are compared were chosen.
    """

    pool: Pool
    candidates: Candidates
    items: EvaluationItems | None
    others: DecidingItems

    @property
    def examples(self) -> list[Example]:
        """All items by which rows were chosen."""
        return [*([] if self.items is None else self.items.examples), *(self.others.examples or [])]

    @cached_property
    def texts(self) -> tuple[SeenTexts, SeenTexts]:
        """The texts of the pool's rows, and of all items by which rows were chosen."""
        return SeenTexts.of_rows(self.pool), SeenTexts.of_items(self.examples, self.pool.format)


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
    rows, items = (seen_texts.repeated_by(examples) for seen_texts in seen.texts)
    keys, pairs = seen.others.keys or ItemKeys(), zip(examples, texts, strict=True)
    by_digest = np.array([one.text in keys or text in keys for one, text in pairs], dtype=np.bool_)
    return np.asarray(rows | items | by_digest | _close(texts, seen), dtype=np.bool_)


def _close(texts: list[str], seen: Seen) -> BoolVector:
    """Which texts lie close to a candidate row or an evaluation item."""
    encoder, candidates = seen.candidates.encoder, seen.candidates
    if encoder is None:
        return np.zeros(len(texts), dtype=np.bool_)
    of_items = [seen.pool.format.text_of(item) for item in seen.examples]
    starts = range(0, len(candidates.rows), BLOCK)
    if isinstance(encoder, FittedLexical):  # by TF-IDF, as rows of the pool are compared with evaluation items
        rows = (seen.pool.texts(candidates.rows[start : start + BLOCK]) for start in starts)
        return near_texts(texts, chain(rows, in_blocks(of_items)), encoder)
    vectors = encode_texts(encoder, texts, np.arange(len(texts)))
    near = near_vectors(vectors, (candidates.embeddings[start : start + BLOCK] for start in starts))
    return near | near_texts(texts, in_blocks(of_items), encoder) if of_items else near

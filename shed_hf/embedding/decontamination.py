"""Who takes part: which rows may be chosen, which are held out to evaluate on, and which repeat an evaluation item."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shed_hf.data.evaluation_items import EvaluationItems
from shed_hf.data.formats import Example
from shed_hf.data.pool import Pool, digest, normalised
from shed_hf.distributed.ranks import Workers
from shed_hf.embedding.embed import embed, encode_texts, selected
from shed_hf.embedding.encoders import Encoder, FittedLexical
from shed_hf.errors import InputError
from shed_hf.types import BoolVector, EmbeddingMatrix, IntVector

NEAR_REPEAT = 0.95


BLOCK = 1024


@dataclass(frozen=True, eq=False)
class Candidates:
    """The rows ``(m,)`` that may be chosen, their unit vectors ``(m, d)``, and how many were left out and why."""

    rows: IntVector
    embeddings: EmbeddingMatrix
    encoder: Encoder | None
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def told(self) -> str:
        """What was left out, in words."""
        return ", ".join(f"{count} {reason}" for reason, count in self.left_out.items() if count) or "nothing left out"


def decontaminate(
    pool: Pool, items: EvaluationItems | None, embedder: Any, workers: Workers | None = None
) -> Candidates:
    """Embed the readable rows and leave out held-out ones and those that repeat an item.

    A row repeats an item when they are equal but for case and blanks, or when their vectors' cosine is at least 0.95
    (checked where the embedder can embed the items). Raises `InputError` when no row is left.
    """
    readable = np.flatnonzero(~pool.invalid)
    embeddings, encoder = embed(pool, readable, embedder, workers)
    held_out = np.zeros(len(readable), dtype=np.bool_)
    leaking = np.zeros(len(readable), dtype=np.bool_)
    if items is not None:
        held_out = np.isin(readable, items.held_out)
        close = _close(pool, readable, embeddings, items, encoder)
        leaking = (_repeats(pool, readable, items.examples) | close) & ~held_out
    kept = ~held_out & ~leaking
    if not kept.any():
        raise InputError(
            f"all {int(leaking.sum())} rows repeat evaluation items, none is left to choose from; pass an eval_dataset "
            "of other rows"
        )
    left_out = {
        "invalid": int(pool.invalid.sum()),
        "held out": int(held_out.sum()),
        "repeating evaluation items": int(leaking.sum()),
    }
    return Candidates(readable[kept], embeddings if kept.all() else selected(embeddings, kept), encoder, left_out)


def _repeats(pool: Pool, rows: IntVector, items: Sequence[Example]) -> BoolVector:
    texts = {key_of(item) for item in items}
    keys = pool.keys[rows]
    return np.array([key.tobytes() in texts for key in keys], dtype=np.bool_)


def key_of(item: Example) -> bytes:
    """What a row's key in the pool would be: its text with case and blanks folded, hashed."""
    return digest(normalised(item.text)).tobytes()


def _close(
    pool: Pool, rows: IntVector, embeddings: EmbeddingMatrix, items: EvaluationItems, encoder: Encoder | None
) -> BoolVector:
    """Which rows are nearly an item: by their vectors, or for `Lexical` by all their words, before its projection."""
    if isinstance(encoder, FittedLexical):
        return _close_in_words(pool, rows, items, encoder)
    if len(items.held_out):
        of_items = embeddings[np.isin(rows, items.held_out)].T
    elif encoder is not None:
        texts = [item.text for item in items.examples]
        of_items = encode_texts(encoder, texts, np.arange(len(texts))).T
    else:
        return np.zeros(len(rows), dtype=np.bool_)
    blocks = range(0, len(rows), BLOCK)
    close = [(embeddings[start : start + BLOCK] @ of_items >= NEAR_REPEAT).any(axis=1) for start in blocks]
    return np.concatenate(close)


def _close_in_words(pool: Pool, rows: IntVector, items: EvaluationItems, encoder: FittedLexical) -> BoolVector:
    of_items = encoder.words([item.text for item in items.examples]).T
    blocks = range(0, len(rows), BLOCK)
    nearest = [(encoder.words(pool.texts(rows[start : start + BLOCK])) @ of_items).max(axis=1) for start in blocks]
    return np.concatenate([cosines.toarray().ravel() for cosines in nearest]) >= NEAR_REPEAT

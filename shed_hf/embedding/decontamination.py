"""Decontamination: rows that are held out or that repeat an evaluation item are not candidates.

Rows and items are compared without the preambles that they share: see `Preambles`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shed_hf.data.content import key_of
from shed_hf.data.evaluation_items import EvaluationItems
from shed_hf.data.formats import Example
from shed_hf.data.pool import Pool
from shed_hf.distributed.ranks import Workers
from shed_hf.embedding.embed import embed, encode_texts, selected
from shed_hf.embedding.encoders import Encoder, FittedLexical
from shed_hf.errors import InputError
from shed_hf.types import BoolVector, EmbeddingMatrix, IntVector
from shed_hf.utils.warn import warn

NEAR_REPEAT = 0.95
WITHOUT_VECTOR = "without a vector"
BLOCK = 1024


@dataclass(frozen=True, eq=False)
class Candidates:
    """The rows that may be chosen.

    Attributes:
        rows: ``(m,)`` row ids of the pool.
        embeddings: ``(m, d)`` unit vectors.
        encoder: What embeds further texts; None where the caller gave a matrix.
        left_out: How many rows were left out, by reason.
    """

    rows: IntVector
    embeddings: EmbeddingMatrix
    encoder: Encoder | None
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def left_out_in_words(self) -> str:
        """What was left out, for messages."""
        return ", ".join(f"{count} {reason}" for reason, count in self.left_out.items() if count) or "nothing left out"


def decontaminate(
    pool: Pool, items: EvaluationItems | None, embedder: Any, workers: Workers | None = None
) -> Candidates:
    """Embed the readable rows; leave out those that are held out and those that repeat an evaluation item.

    A row repeats an item when they are equal but for case and blanks, or when their vectors' cosine is at least 0.95
    (checked where the embedder can embed the items). Rows whose vector is zero are near nothing: they are left out too,
    counted and named in a warning.

    Args:
        pool: The rows.
        items: The evaluation items; None for none.
        embedder: Whatever `encoder_from` takes.
        workers: The ranks among which embedding is shared; None for this process alone.

    Returns:
        The rows that are left, with their vectors.

    Raises:
        InputError: When no row is left, or where embedding fails.
    """
    readable = np.flatnonzero(~pool.invalid)
    embeddings, encoder = embed(pool, readable, embedder, workers)
    held_out = np.zeros(len(readable), dtype=np.bool_)
    leaking = np.zeros(len(readable), dtype=np.bool_)
    if items is not None:
        held_out = np.isin(readable, items.held_out)
        close = _close(pool, readable, embeddings, items, encoder)
        leaking = (_repeats(pool, readable, items.examples) | close) & ~held_out
    empty = ~embeddings.any(axis=1) & ~held_out & ~leaking
    kept = ~held_out & ~leaking & ~empty
    if not kept.any():
        different = len(np.unique(pool.digests[readable], axis=0)) > 1
        alike = different and bool((embeddings == embeddings[:1]).all())
        raise InputError(_why_none_is_left(int(leaking.sum()), int(empty.sum()), alike))
    left_out = {
        "invalid": int(pool.invalid.sum()),
        "held out": int(held_out.sum()),
        "repeating evaluation items": int(leaking.sum()),
    }
    if empty.any():
        left_out[WITHOUT_VECTOR] = int(empty.sum())
        _warn_of_empty(readable[empty], len(readable))
    return Candidates(readable[kept], embeddings if kept.all() else selected(embeddings, kept), encoder, left_out)


def _why_none_is_left(n_repeating: int, n_empty: int, alike: bool) -> str:
    if alike and not n_empty:
        return (
            f"all {n_repeating} rows have the same vector, which is that of an evaluation item too, so none is left to "
            "choose from; the embedder tells no text from another, pass another one"
        )
    if not n_empty:
        return (
            f"all {n_repeating} rows repeat evaluation items, none is left to choose from; pass an eval_dataset of "
            "other rows"
        )
    return (
        f"none of the rows is left to choose from: {n_empty} have a vector of zeros, so that the embedder knows "
        f"nothing of them, and {n_repeating} repeat evaluation items; pass another embedder or eval_dataset"
    )


def _warn_of_empty(rows: IntVector, n_rows: int) -> None:
    named = ", ".join(str(row) for row in rows[:5]) + (" …" if len(rows) > 5 else "")
    warn(
        f"{len(rows)} of {n_rows} rows are left out because the embedder knows nothing of their text and gives them a "
        f"vector of zeros: row {named}; pass another embedder to value them",
    )


def _repeats(pool: Pool, rows: IntVector, items: Sequence[Example]) -> BoolVector:
    """Which rows are an item but for case and blanks, with their preambles or without."""
    whole = {key_of(item.text) for item in items}
    repeating = np.array([key.tobytes() in whole for key in pool.keys[rows]], dtype=np.bool_)
    if not pool.format.preambles:
        return repeating
    rest = {key_of(pool.format.text_of(item)) for item in items}
    for start in range(0, len(rows), BLOCK):
        texts = pool.texts(rows[start : start + BLOCK])
        repeating[start : start + BLOCK] |= [key_of(text) in rest for text in texts]
    return repeating


def _close(
    pool: Pool, rows: IntVector, embeddings: EmbeddingMatrix, items: EvaluationItems, encoder: Encoder | None
) -> BoolVector:
    """Which rows nearly repeat an item: by their vectors, or for `Lexical` by its TF-IDF before the projection."""
    if isinstance(encoder, FittedLexical):
        return _close_in_words(pool, rows, items, encoder)
    if len(items.held_out):
        of_items = embeddings[np.isin(rows, items.held_out)].T
    elif encoder is not None:
        texts = [pool.format.text_of(item) for item in items.examples]
        of_items = encode_texts(encoder, texts, np.arange(len(texts))).T
    else:
        return np.zeros(len(rows), dtype=np.bool_)
    blocks = range(0, len(rows), BLOCK)
    close = [(embeddings[start : start + BLOCK] @ of_items >= NEAR_REPEAT).any(axis=1) for start in blocks]
    return np.concatenate(close)


def _close_in_words(pool: Pool, rows: IntVector, items: EvaluationItems, encoder: FittedLexical) -> BoolVector:
    of_items = encoder.words([pool.format.text_of(item) for item in items.examples]).T
    blocks = range(0, len(rows), BLOCK)
    nearest = [(encoder.words(pool.texts(rows[start : start + BLOCK])) @ of_items).max(axis=1) for start in blocks]
    return np.concatenate([cosines.toarray().ravel() for cosines in nearest]) >= NEAR_REPEAT

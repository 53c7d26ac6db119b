"""Who takes part: which rows may be chosen, which are held out to evaluate on, and which repeat an evaluation item."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shed_hf.arrays import BoolVector, EmbeddingMatrix, IntVector
from shed_hf.crew import Crew
from shed_hf.embedding import Encoder, FittedLexical, embed, encode_texts, selected
from shed_hf.errors import InputError
from shed_hf.formats import Example
from shed_hf.pool import Pool, digest, load_source, normalised, read_pool
from shed_hf.provenance import HubSource, source_of

NEAR_REPEAT = 0.95
HELD_OUT = 256
LEAST_HELD_OUT = 8
BLOCK = 1024


@dataclass(frozen=True, eq=False)
class Items:
    """The evaluation items; ``held_out`` are the pool's rows they were taken from, ``hub`` where on the Hub they came
    from, if they did. ``columns`` are all columns of their rows, by name, with a cell per item.
    """

    examples: list[Example]
    held_out: IntVector
    hub: HubSource | None = None
    columns: Mapping[str, list[Any]] = field(default_factory=dict, repr=False)


class _Columns(Mapping[str, list[Any]]):
    """The columns of some rows of a dataset; a column is read when it is asked for."""

    def __init__(self, pool: Pool, rows: IntVector) -> None:
        self._dataset, self._rows = pool.dataset, rows

    def __getitem__(self, name: str) -> list[Any]:
        return list(self._dataset.select(self._rows)[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._dataset.column_names)

    def __len__(self) -> int:
        return len(self._dataset.column_names)


@dataclass(frozen=True, eq=False)
class Admitted:
    """The rows ``(m,)`` that may be chosen, their unit vectors ``(m, d)``, and how many were left out and why."""

    rows: IntVector
    embeddings: EmbeddingMatrix
    encoder: Encoder | None
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def told(self) -> str:
        """What was left out, in words."""
        return ", ".join(f"{count} {reason}" for reason, count in self.left_out.items() if count) or "nothing left out"


def items_from(
    eval_dataset: Any, pool: Pool, columns: Mapping[str, str] | None, drop_invalid: bool, rng: np.random.Generator
) -> Items:
    """The items of ``eval_dataset``, or a tenth of the pool's readable rows, at most 256, held out to be them.

    Raises `InputError` for an empty evaluation set, one of an unknown format, or a pool too small to hold out of.
    """
    if eval_dataset is not None:
        dataset = load_source(eval_dataset, name="eval_dataset")
        shared = columns if columns and set(columns.values()) <= set(dataset.column_names) else None
        evaluation = read_pool(dataset, shared, drop_invalid, name="eval_dataset")
        rows = np.flatnonzero(~evaluation.invalid)
        none_held_out = np.empty(0, dtype=np.int64)
        return Items(evaluation.examples(rows), none_held_out, source_of(dataset), _Columns(evaluation, rows))
    readable = np.flatnonzero(~pool.invalid)
    count = min(HELD_OUT, len(readable) // 10)
    if count < LEAST_HELD_OUT:
        raise InputError(
            f"a tenth of the {len(readable)} rows is too little to evaluate on (at least {LEAST_HELD_OUT}); pass "
            "eval_dataset="
        )
    held_out = np.sort(rng.choice(readable, size=count, replace=False))
    return Items(pool.examples(held_out), held_out, columns=_Columns(pool, held_out))


def admit(pool: Pool, items: Items | None, embedder: Any, crew: Crew | None = None) -> Admitted:
    """Embed the readable rows and leave out held-out ones and those that repeat an item.

    A row repeats an item when they are equal but for case and blanks, or when their vectors' cosine is at least 0.95
    (checked where the embedder can embed the items). Raises `InputError` when no row is left.
    """
    readable = np.flatnonzero(~pool.invalid)
    embeddings, encoder = embed(pool, readable, embedder, crew)
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
    return Admitted(readable[kept], embeddings if kept.all() else selected(embeddings, kept), encoder, left_out)


def _repeats(pool: Pool, rows: IntVector, items: Sequence[Example]) -> BoolVector:
    texts = {key_of(item) for item in items}
    keys = pool.keys[rows]
    return np.array([key.tobytes() in texts for key in keys], dtype=np.bool_)


def key_of(item: Example) -> bytes:
    """What a row's key in the pool would be: its text with case and blanks folded, hashed."""
    return digest(normalised(item.text)).tobytes()


def _close(
    pool: Pool, rows: IntVector, embeddings: EmbeddingMatrix, items: Items, encoder: Encoder | None
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


def _close_in_words(pool: Pool, rows: IntVector, items: Items, encoder: FittedLexical) -> BoolVector:
    of_items = encoder.words([item.text for item in items.examples]).T
    blocks = range(0, len(rows), BLOCK)
    nearest = [(encoder.words(pool.texts(rows[start : start + BLOCK])) @ of_items).max(axis=1) for start in blocks]
    return np.concatenate([cosines.toarray().ravel() for cosines in nearest]) >= NEAR_REPEAT

"""Test items that had no part in any choice: those that repeat rows of the pool or evaluation items are left out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shed_hf.data.evaluation_items import repeats_earlier
from shed_hf.data.formats import Example
from shed_hf.data.pool import Pool
from shed_hf.embedding.decontamination import BLOCK, Candidates
from shed_hf.embedding.embed import encode_texts
from shed_hf.embedding.encoders import Encoder, FittedLexical, Lexical
from shed_hf.embedding.near_repeats import in_blocks, near_texts, near_vectors
from shed_hf.errors import InputError
from shed_hf.results.verdict import OF_ITEMS
from shed_hf.types import BoolVector, IntVector
from shed_hf.verification.deciding_items import DecidingItems
from shed_hf.verification.item_keys import ItemKeys
from shed_hf.verification.seen_texts import SeenTexts

OF_POOL = "repeating rows of the pool"
OF_TEST = "repeating an earlier test item"


@dataclass(frozen=True, eq=False)
class UnseenItems:
    """The test items that are left.

    Attributes:
        examples: One example an item.
        dropped: How many were left out, by the reason.
        places: ``(n_left,)`` their positions among all test items.
    """

    examples: list[Example]
    dropped: dict[str, int]
    places: IntVector


def unseen(examples: Sequence[Example], pool: Pool, deciding: DecidingItems, encoder: Encoder | None) -> UnseenItems:
    """The test items without those that repeat what had a part in the choice, or an earlier test item.

    An item repeats another text when the two are equal but for case and blanks, or when the cosine of their vectors is
    at least 0.95. Vectors are those of the curation's encoder; where it is not at hand, TF-IDF vectors of the words.
    Of evaluation items of which only digests are at hand, those that are equal are found.

    Args:
        examples: The test items.
        pool: The rows that could be chosen.
        deciding: The evaluation items that decided the choice.
        encoder: What embedded the rows; None where it is not at hand.

    Returns:
        The items that are left.

    Raises:
        InputError: Where fewer than two are left.
    """
    evaluation, keys = deciding.examples or [], deciding.keys or ItemKeys()
    in_rows, in_items = equal_to(examples, pool, evaluation)
    texts = [pool.format.text_of(example) for example in examples]
    pairs = zip(examples, texts, strict=True)
    in_items |= np.array([example.text in keys or text in keys for example, text in pairs], dtype=np.bool_)
    of_rows = pool.texts(np.flatnonzero(~pool.invalid))
    by = Lexical().fit(of_rows) if encoder is None else encoder
    in_items |= near_texts(texts, in_blocks([pool.format.text_of(item) for item in evaluation]), by)
    in_rows |= near_texts(texts, in_blocks(of_rows), by)
    twice = repeats_earlier(examples)
    _check_two_left(in_rows, in_items, twice)
    places = np.flatnonzero(~(in_items | in_rows | twice))
    dropped = {OF_POOL: int((in_rows & ~twice).sum()), OF_ITEMS: int((in_items & ~in_rows & ~twice).sum())}
    if twice.any():
        dropped[OF_TEST] = int(twice.sum())
    return UnseenItems([examples[place] for place in places.tolist()], dropped, places)


def check_some_left(examples: Sequence[Example], pool: Pool, evaluation: Sequence[Example]) -> None:
    """See, before anything is embedded or measured, that not all test items are rows or evaluation items themselves.

    Args:
        examples: The test items.
        pool: The rows that could be chosen.
        evaluation: The evaluation items.

    Raises:
        InputError: Where fewer than two are left.
    """
    _check_two_left(*equal_to(examples, pool, evaluation), repeats_earlier(examples))


def check_some_unseen(
    examples: Sequence[Example], pool: Pool, candidates: Candidates, evaluation: Sequence[Example]
) -> int:
    """See, before anything is measured, that `unseen` will leave test items, by the vectors that rows have already.

    Args:
        examples: The test items.
        pool: The rows.
        candidates: Those that may be chosen, with their vectors.
        evaluation: The evaluation items.

    Returns:
        How many will be left.

    Raises:
        InputError: Where fewer than two are left.
    """
    in_rows, in_items = equal_to(examples, pool, evaluation)
    texts = [pool.format.text_of(example) for example in examples]
    starts = range(0, len(candidates.rows), BLOCK)
    by = Lexical().fit(pool.texts(candidates.rows)) if candidates.encoder is None else candidates.encoder
    if isinstance(by, FittedLexical):
        in_rows |= near_texts(texts, (pool.texts(candidates.rows[start : start + BLOCK]) for start in starts), by)
    else:
        vectors = encode_texts(by, texts, np.arange(len(texts)))
        in_rows |= near_vectors(vectors, (candidates.embeddings[start : start + BLOCK] for start in starts))
    in_items |= near_texts(texts, in_blocks([pool.format.text_of(item) for item in evaluation]), by)
    twice = repeats_earlier(examples)
    _check_two_left(in_rows, in_items, twice)
    return _n_unseen(in_rows, in_items, twice)


def _n_unseen(in_rows: BoolVector, in_items: BoolVector, twice: BoolVector) -> int:
    return int((~(in_rows | in_items | twice)).sum())


def _check_two_left(in_rows: BoolVector, in_items: BoolVector, twice: BoolVector) -> None:
    """See that two items are left."""
    left = _n_unseen(in_rows, in_items, twice)
    if left < 2:
        among = f", and {twice.sum()} earlier test items" if twice.any() else ""
        raise InputError(
            f"{left} of {len(in_rows)} test items are left: {(in_rows & ~twice).sum()} repeat rows of the pool and "
            f"{(in_items & ~in_rows & ~twice).sum()} evaluation items{among}; pass a test_dataset of other rows"
        )


def equal_to(examples: Sequence[Example], pool: Pool, evaluation: Sequence[Example]) -> tuple[BoolVector, BoolVector]:
    """Which test items are a row of the pool, and which an evaluation item, but for case and blanks.

    Args:
        examples: The test items.
        pool: The rows.
        evaluation: The evaluation items.

    Returns:
        Two masks ``(n_items,)``.
    """
    rows, items = SeenTexts.of_rows(pool), SeenTexts.of_items(evaluation, pool.format)
    return rows.repeated_by(examples), items.repeated_by(examples)

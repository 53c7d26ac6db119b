"""Test items that had no part in any choice: those that repeat rows of the pool or evaluation items are left out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shed_hf.data.formats import Example
from shed_hf.data.pool import Pool
from shed_hf.embedding.decontamination import NEAR_REPEAT, key_of
from shed_hf.embedding.embed import encode_texts
from shed_hf.embedding.encoders import Encoder, FittedLexical, Lexical
from shed_hf.errors import InputError
from shed_hf.types import BoolVector

BLOCK = 1024

OF_POOL = "repeating rows of the pool"
OF_ITEMS = "repeating evaluation items"


@dataclass(frozen=True, eq=False)
class UnseenItems:
    """The test items that are left.

    Attributes:
        examples: One example an item.
        dropped: How many were left out, by the reason.
    """

    examples: list[Example]
    dropped: dict[str, int]


def unseen(
    examples: Sequence[Example], pool: Pool, evaluation: Sequence[Example], encoder: Encoder | None
) -> UnseenItems:
    """The test items without those that repeat what had a part in the choice.

    An item repeats another text when the two are equal but for case and blanks, or when the cosine of their vectors is
    at least 0.95. Vectors are those of the curation's encoder; where it is not at hand, TF-IDF vectors of the words.

    Args:
        examples: The test items.
        pool: The rows that could be chosen.
        evaluation: The evaluation items that decided the choice.
        encoder: What embedded the rows; None where it is not at hand.

    Returns:
        The items that are left.

    Raises:
        InputError: Where fewer than two are left.
    """
    texts = [pool.format.text_of(example) for example in examples]
    of_rows = pool.texts(np.flatnonzero(~pool.invalid))
    of_items = [pool.format.text_of(item) for item in evaluation]
    whole = [example.text for example in examples]
    in_items = _equal(texts, of_items) | _equal(whole, [item.text for item in evaluation])
    in_rows = _equal(texts, of_rows) | np.isin(_keys(whole), [key.tobytes().hex() for key in pool.keys[~pool.invalid]])
    by = Lexical().fit(of_rows) if encoder is None else encoder
    in_items |= _close(texts, of_items, by)
    in_rows |= _close(texts, of_rows, by)
    left = [example for example, seen in zip(examples, in_items | in_rows, strict=True) if not seen]
    if len(left) < 2:
        raise InputError(
            f"{len(left)} of {len(examples)} test items are left: {in_rows.sum()} repeat rows of the pool and "
            f"{(in_items & ~in_rows).sum()} evaluation items; pass a test_dataset of other rows"
        )
    return UnseenItems(left, {OF_POOL: int(in_rows.sum()), OF_ITEMS: int((in_items & ~in_rows).sum())})


def _keys(texts: Sequence[str]) -> list[str]:
    return [key_of(text).hex() for text in texts]


def _equal(texts: Sequence[str], others: Sequence[str]) -> BoolVector:
    known = set(_keys(others))
    return np.array([key in known for key in _keys(texts)], dtype=np.bool_)


def _close(texts: list[str], others: list[str], encoder: Encoder) -> BoolVector:
    """Which texts lie close to one of the others."""
    near = np.zeros(len(texts), dtype=np.bool_)
    blocks = [others[start : start + BLOCK] for start in range(0, len(others), BLOCK)]
    if isinstance(encoder, FittedLexical):
        words = encoder.words(texts)
        for block in blocks:
            near |= (words @ encoder.words(block).T).max(axis=1).toarray().ravel() >= NEAR_REPEAT
        return near
    vectors = encode_texts(encoder, texts, np.arange(len(texts)))
    for block in blocks:
        near |= (vectors @ encode_texts(encoder, block, np.arange(len(block))).T >= NEAR_REPEAT).any(axis=1)
    return near

"""Texts that had a say in a choice, by which the test items that repeat one are found."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shed_hf.data.content import key_of
from shed_hf.data.formats import Example, RowFormat
from shed_hf.data.pool import Pool
from shed_hf.embedding.decontamination import BLOCK
from shed_hf.types import BoolVector


@dataclass(frozen=True, eq=False)
class SeenTexts:
    """The texts of rows or items, folded and hashed, with what rows share before them and without.

    Attributes:
        keys: Their digests.
        row_format: How rows are read, which tells what they share.
    """

    keys: frozenset[bytes]
    row_format: RowFormat

    @classmethod
    def of_rows(cls, pool: Pool) -> "SeenTexts":
        """The texts of a pool's rows.

        Args:
            pool: The rows; invalid ones have none.
        """
        rows = np.flatnonzero(~pool.invalid)
        keys = {key.tobytes() for key in pool.keys[rows]}
        if pool.format.preambles:
            for start in range(0, len(rows), BLOCK):
                keys |= {key_of(text) for text in pool.texts(rows[start : start + BLOCK])}
        return cls(frozenset(keys), pool.format)

    @classmethod
    def of_items(cls, items: Sequence[Example], row_format: RowFormat) -> "SeenTexts":
        """The texts of items.

        Args:
            items: The items.
            row_format: How rows of the pool are read.
        """
        return cls(frozenset(key for item in items for key in _keys(item, row_format)), row_format)

    def repeated_by(self, examples: Sequence[Example]) -> BoolVector:
        """Which test items are equal to one, but for case and blanks.

        Args:
            examples: The test items.

        Returns:
            ``(n_items,)``.
        """
        return np.array([not self.keys.isdisjoint(_keys(one, self.row_format)) for one in examples], dtype=np.bool_)


def _keys(item: Example, row_format: RowFormat) -> tuple[bytes, bytes]:
    return key_of(item.text), key_of(row_format.text_of(item))

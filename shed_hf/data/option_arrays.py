"""The options of many multiple-choice rows, and which of them an answer means, as `multiple_choice` has it of one."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shed_hf.data.content_arrays import quoted_texts
from shed_hf.data.multiple_choice import LETTERS, READINGS, folded, number_of
from shed_hf.data.text_arrays import equal, filtered, joined, joined_lists, or_empty, valid
from shed_hf.data.text_signs import begin_with_letters, stripped
from shed_hf.types import BoolVector, IntVector

if TYPE_CHECKING:
    import pyarrow as pa

_NO_NUMBER, _MANY = -2, 10**6
"""Stands for an answer that is no number, and for one that counts more options than any row has."""


@dataclass(frozen=True, eq=False)
class OptionArrays:
    """The options of rows, each with two different texts or more, and their answers.

    Attributes:
        texts: The options of all k rows, one after the other.
        labels: Their labels; None where they are A, B, C …
        bounds: Where the options of each row begin and end ``(k + 1,)``.
        answers: The answer of each row: a text or a whole number; null where there is none.
    """

    texts: "pa.LargeStringArray"
    labels: "pa.LargeStringArray | None"
    bounds: IntVector
    answers: "pa.Array"

    def readings(self) -> NDArray[np.int64]:
        """What the answers can mean: an option's index in its row, -1 where nothing, by `READINGS` ``(k, 4)``."""
        return np.stack([self.index(reading) for reading in READINGS], axis=1)

    def index(self, reading: str) -> IntVector:
        """What the answers mean by one reading.

        Args:
            reading: One of `READINGS`.

        Returns:
            An option's index in its row, -1 where the reading gives none ``(k,)``.
        """
        if reading == "answer_label":
            return self._by_label
        if reading == "answer_text":
            return self._by_text
        return self._by_number(1 if reading == "answer_from_1" else 0)

    def right(self, part: str) -> IntVector:
        """The index of the right option, as `right_option` finds it.

        Args:
            part: One of `READINGS`, or ``"answer"`` for a label, a text, or an index from 0.

        Returns:
            The index in the row; -1 where there is none, or two ``(k,)``.
        """
        if part != "answer":
            return self.index(part)
        label, other = self._by_label, self.index("answer_text" if self._in_words else "answer_from_0")
        two = (label >= 0) & (other >= 0) & (label != other)
        return np.where(two, -1, np.maximum(label, other))

    @property
    def written(self) -> "pa.LargeStringArray":
        """``repr`` of the options of each row, as a tuple."""
        return joined("(", joined_lists(quoted_texts(self.texts).whole, self.bounds, ", "), ")")

    @property
    def _in_words(self) -> bool:
        import pyarrow as pa

        return not pa.types.is_integer(self.answers.type)

    @cached_property
    def _rows(self) -> IntVector:
        """The row of each option."""
        return np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))

    @cached_property
    def _by_label(self) -> IntVector:
        if self.labels is None:
            places = np.arange(len(self._rows)) - self.bounds[self._rows]
            return self._first(places == self._letters[self._rows])
        code = dict[str, int]()
        known = [code.setdefault(folded(each), len(code)) for each in self._different_answers.to_pylist()]
        of_answers = np.array([*known, -1])[self._answer_codes]
        different = self.labels.dictionary_encode()
        of_labels = np.array([code.get(folded(each), -2) for each in different.dictionary.to_pylist()])
        return self._first(of_labels[different.indices.to_numpy()] == of_answers[self._rows])

    @cached_property
    def _letters(self) -> IntVector:
        """Which letter each answer is; -1 for other answers."""
        letter = {each: place for place, each in enumerate(LETTERS.lower())}
        return self._meaning(lambda answer: letter.get(folded(answer), -1), -1)

    @cached_property
    def _by_text(self) -> IntVector:
        if not self._in_words:
            return np.full(len(self.answers), -1)
        answers = stripped(or_empty(self.answers)).take(self._rows)
        return self._first(equal(stripped(self.texts), answers) & valid(self.answers)[self._rows])

    def _by_number(self, start: int) -> IntVector:
        index = self._numbers - start
        fits = (index >= 0) & (index < np.diff(self.bounds))
        if self.labels is not None:
            fits &= self._by_label < 0
        return np.where(fits, index, -1)

    @cached_property
    def _numbers(self) -> IntVector:
        """Which number each answer is, within bounds; `_NO_NUMBER` for other answers."""

        def within_bounds(answer: Any) -> int:
            number = number_of(answer)
            return _NO_NUMBER if number is None else min(max(number, _NO_NUMBER), _MANY)

        return self._meaning(within_bounds, _NO_NUMBER)

    def _meaning(self, meaning_of: Callable[[Any], int], of_others: int) -> IntVector:
        """What each answer means by itself, asked once for each different one that may be a letter or a number."""
        different = self._different_answers
        meaning = np.full(len(different) + 1, of_others)  # the last is that of null
        asked = ~begin_with_letters(different) if self._in_words else np.ones(len(different), dtype=np.bool_)
        meaning[:-1][asked] = [meaning_of(each) for each in filtered(different, asked).to_pylist()]
        return meaning[self._answer_codes]

    @cached_property
    def _encoded(self) -> "pa.DictionaryArray":
        return self.answers.dictionary_encode()

    @property
    def _different_answers(self) -> "pa.Array":
        return self._encoded.dictionary

    @cached_property
    def _answer_codes(self) -> IntVector:
        """The place of each answer among the different ones; behind all of them where it is null."""
        codes: IntVector = self._encoded.indices.fill_null(len(self._different_answers)).to_numpy().astype(np.int64)
        return codes

    def _first(self, found: BoolVector) -> IntVector:
        """The index in its row of the first option that is found; -1 in rows without one."""
        places = np.flatnonzero(found)[::-1]
        index = np.full(len(self.bounds) - 1, -1)
        rows = self._rows[places]
        index[rows] = places - self.bounds[rows]
        return index
